/** What a service's own spans tell: its operations with their figures, and the traces in which it failed. */
import type { ReactNode } from "react";
import type { OperationFiguresAnswer } from "../../../api/contract/services.ts";
import type { TraceSummary } from "../../../api/contract/traces.ts";
import { formatCount, formatDuration, formatRate, formatUtc, serviceLabel, shorten } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { traceHref, tracesHref } from "../../base/router.ts";
import { errorsText } from "../../data/graph-words.ts";
import { serviceOfNode } from "../../data/node-name.ts";
import { useFailedTraces, useOperationFigures } from "../../data/service-queries.ts";
import type { ServiceQuestion } from "../../data/service-queries.ts";
import { countColumn, exportColumn, latencyColumns } from "../columns.tsx";
import { DataTable } from "../data-table.tsx";
import type { Column } from "../data-table.tsx";
import { ErrorNotice } from "../notice.tsx";

type Range = Readonly<Record<string, string | undefined>>;

interface SpansProps {
	readonly question: ServiceQuestion;
	readonly range: Range;
}

type Operation = OperationFiguresAnswer["operations"][number];

const KIND_WORDS: readonly string[] = ["unspecified", "internal", "received", "called", "sent to a queue", "taken from a queue"];

function operationColumns(service: string, range: Range): readonly Column<Operation>[] {
	const href = (row: Operation, more: Range): string => tracesHref({ service, operation: row.name, ...more, ...range });
	return [
		{
			key: "name",
			title: "Operation",
			heads: true,
			value: (row) => row.name,
			cell: (row) => (
				<Link href={href(row, {})}>
					<bdi className="told">{row.name === "" ? "(no name)" : shorten(row.name, 120)}</bdi>
				</Link>
			),
		},
		{ key: "kind", title: "Kind", value: (row) => KIND_WORDS[row.kind] ?? String(row.kind) },
		{ key: "rate", title: "Rate", number: true, value: (row) => row.rate, cell: (row) => `${formatRate(row.rate)}/s` },
		countColumn("spans", "Spans", (row) => row.spans),
		{
			key: "errors",
			title: "Errors",
			number: true,
			value: (row) => row.errorRatio,
			cell: (row) =>
				row.errors === 0 ? (
					errorsText(row)
				) : (
					<Link
						className="failed"
						href={href(row, { status: "error" })}
						aria-label={`${errorsText(row)}: failed traces of ${shorten(row.name, 80)}`}
					>
						{errorsText(row)}
					</Link>
				),
		},
		...latencyColumns<Operation>((row) => row.latencyMs),
		exportColumn("lastSeen", (row) => row.lastSeen),
	];
}

export function Operations({ question, range }: SpansProps): ReactNode {
	const found = useOperationFigures(question);
	const service = serviceOfNode(question.service);
	if (found.isError) return <ErrorNotice error={found.error} what="The operations could not be read." />;
	if (found.data === undefined) return <p className="muted">Counting operations…</p>;
	const { operations, searched, to } = found.data;
	return (
		<DataTable
			name="operations"
			title="Operations"
			note={
				<>
					From the {formatCount(operations.reduce((sum, { spans }) => sum + spans, 0))} spans it sent that are stored;
					where senders sample, fewer than the requests above.
					{searched.truncated && " Only the newest part of the range was counted in time: choose a shorter one."}
				</>
			}
			empty="It sent no spans of its own in this range: what is known of it came from others."
			columns={operationColumns(service, range)}
			rows={operations}
			rowKey={(row) => `${row.kind} ${row.name}`}
			asOf={to}
		/>
	);
}

const FAILURE_COLUMNS: readonly Column<TraceSummary>[] = [
	{
		key: "start",
		title: "Began",
		heads: true,
		value: (row) => formatUtc(row.startTimeUnixNano),
		cell: (row) => (
			<Link href={traceHref(row.traceId)}>{formatUtc(row.startTimeUnixNano).replace("T", " ").slice(0, 23)}Z</Link>
		),
	},
	{
		key: "root",
		title: "Request",
		value: (row) => `${serviceLabel(row.rootService)} ${shorten(row.rootName)}`,
		cell: (row) => (
			<>
				<bdi className="told">{shorten(row.rootName, 100)}</bdi>
				<span className="beneath muted told">{serviceLabel(row.rootService)}</span>
			</>
		),
	},
	{
		key: "durationNs",
		title: "Duration",
		number: true,
		value: (row) => row.durationNs,
		cell: (row) => formatDuration(row.durationNs),
	},
	countColumn("errorCount", "Failed spans", (row) => row.errorCount),
	countColumn("spanCount", "Spans", (row) => row.spanCount),
	{
		key: "traceId",
		title: "Trace",
		value: (row) => row.traceId,
		cell: (row) => (
			<Link className="mono" href={traceHref(row.traceId)} title={`Trace ${row.traceId}`}>
				{row.traceId.slice(0, 8)}
			</Link>
		),
	},
];

export function Failures({ question, range }: SpansProps): ReactNode {
	const found = useFailedTraces(question);
	if (found.isError) return <ErrorNotice error={found.error} what="Failed traces could not be read." />;
	if (found.data === undefined) return <p className="muted">Looking for failures…</p>;
	const all = tracesHref({ service: serviceOfNode(question.service), status: "error", ...range });
	return (
		<DataTable
			name="failures"
			title="Recent errors"
			note={
				<>
					The newest traces in which a span of this service failed. <Link href={all}>Search all of them</Link>.
				</>
			}
			empty="None: no span of it failed in this range."
			columns={FAILURE_COLUMNS}
			rows={found.data.traces}
			rowKey={(row) => row.traceId}
			asOf={found.data.traces[0] === undefined ? "none" : formatUtc(found.data.traces[0].startTimeUnixNano).slice(0, 19)}
		/>
	);
}
