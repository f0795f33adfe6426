/** This trace beside another one: which calls are new, gone, slower or faster. The other one's ID is in the address (`with`). */
import { useMemo, useState } from "react";
import type { FormEvent, ReactNode } from "react";
import { parseTraceId } from "../../../model/ids.ts";
import { ApiError } from "../../base/api.ts";
import { countOf, formatDuration, formatClock, formatDay, serviceLabel } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { hrefWith, navigate, traceHref, useLocation } from "../../base/router.ts";
import { useTrace } from "../../data/queries.ts";
import { callTree } from "../../layout/trace/call-tree.ts";
import { compareCalls } from "../../layout/trace/compare.ts";
import type { CallChange, CallChangeKind } from "../../layout/trace/compare.ts";
import { buildWaterfall } from "../../layout/waterfall.ts";
import type { Waterfall } from "../../layout/waterfall.ts";
import { Name } from "../cells.tsx";
import { durationColumn, exportColumn, nameColumn } from "../columns.tsx";
import { DataTable } from "../data-table.tsx";
import type { Column } from "../data-table.tsx";
import { ErrorNotice } from "../notice.tsx";

interface CompareViewProps {
	readonly traceId: string;
	readonly waterfall: Waterfall;
	/** As it stands in the address. */
	readonly other: string;
}

export function CompareView({ traceId, waterfall, other }: CompareViewProps): ReactNode {
	const otherId = parseTraceId(other);
	return (
		<div className="trace-part">
			<OtherBox traceId={traceId} other={other} />
			{otherId !== undefined && <Compared traceId={traceId} waterfall={waterfall} otherId={otherId} />}
		</div>
	);
}

function OtherBox({ traceId, other }: { readonly traceId: string; readonly other: string }): ReactNode {
	const { path, params } = useLocation();
	const [draft, setDraft] = useState(other);
	const id = parseTraceId(draft.trim());
	const problem = draft.trim() !== "" && id === undefined ? "A trace ID is up to 32 hex digits, not all zero." : undefined;
	const submit = (event: FormEvent): void => {
		event.preventDefault();
		if (id !== undefined) navigate(hrefWith(path, params, { with: id, tab: "compare" }));
	};
	return (
		<form className="compare-box" onSubmit={submit}>
			<div className="filter">
				<label htmlFor="compare-with">Compare with the trace</label>
				<input
					id="compare-with"
					type="text"
					className="mono"
					size={36}
					autoComplete="off"
					spellCheck={false}
					placeholder="trace ID"
					value={draft}
					aria-invalid={problem !== undefined}
					aria-describedby={problem === undefined ? undefined : "compare-problem"}
					onChange={(event) => setDraft(event.target.value)}
				/>
				{problem !== undefined && (
					<div className="filter-problem" id="compare-problem">
						{problem}
					</div>
				)}
			</div>
			<button type="submit" disabled={id === undefined}>
				Compare
			</button>
			{parseTraceId(other) !== undefined && (
				<Link
					className="button-link"
					href={hrefWith(traceHref(other), new URLSearchParams(), { tab: "compare", with: traceId })}
				>
					Exchange the two
				</Link>
			)}
		</form>
	);
}

interface ComparedProps {
	readonly traceId: string;
	readonly waterfall: Waterfall;
	readonly otherId: string;
}

function Compared({ traceId, waterfall, otherId }: ComparedProps): ReactNode {
	const answer = useTrace(otherId);
	const there = useMemo(() => answer.data && buildWaterfall(answer.data), [answer.data]);
	const changes = useMemo(
		() => there && compareCalls(callTree(waterfall), callTree(there), Math.max(waterfall.durationNs, there.durationNs)),
		[waterfall, there],
	);
	if (answer.isError) {
		const unknown = answer.error instanceof ApiError && answer.error.code === "not_found";
		return (
			<ErrorNotice
				error={answer.error}
				what={unknown ? "There is no trace of this ID here." : "The trace could not be read."}
			/>
		);
	}
	if (there === undefined || changes === undefined) return <p className="muted">Reading the other trace…</p>;
	return (
		<>
			<Summary waterfall={waterfall} there={there} otherId={otherId} changes={changes} />
			<DataTable
				name="trace-changes"
				title="Calls"
				note="Calls are matched by service and operation below the same callers. Their own time is compared: what ran below a call is not in it. Greatest difference first; under 1 % of the longer trace, or a tenth of the call, is called the same."
				columns={COLUMNS}
				rows={changes}
				rowKey={(change) => `${change.here?.index ?? "-"} ${change.there?.index ?? "-"}`}
				empty="Neither trace has a span."
				asOf={`${traceId.slice(0, 8)}-${otherId.slice(0, 8)}`}
			/>
		</>
	);
}

interface SummaryProps {
	readonly waterfall: Waterfall;
	readonly there: Waterfall;
	readonly otherId: string;
	readonly changes: readonly CallChange[];
}

function Summary({ waterfall, there, otherId, changes }: SummaryProps): ReactNode {
	const differenceNs = waterfall.durationNs - there.durationNs;
	const count = (kind: CallChangeKind): number => changes.filter((change) => change.kind === kind).length;
	return (
		<p className="compare-summary">
			This trace took <strong>{formatDuration(waterfall.durationNs)}</strong>, the{" "}
			<Link href={traceHref(otherId)}>other one</Link> of {formatDay(String(there.startNs))}{" "}
			{formatClock(String(there.startNs))} took <strong>{formatDuration(there.durationNs)}</strong>
			{differenceNs === 0
				? ". "
				: `: ${formatDuration(Math.abs(differenceNs))} ${differenceNs > 0 ? "longer" : "shorter"} here. `}
			{countOf(waterfall.count, "span")} here, {countOf(there.count, "span")} there. Calls: {count("new")} new,{" "}
			{count("gone")} gone, {count("slower")} slower, {count("faster")} faster.
		</p>
	);
}

const KINDS: Readonly<Record<CallChangeKind, { readonly word: string; readonly sign: string }>> = {
	new: { word: "new", sign: "+" },
	gone: { word: "gone", sign: "−" },
	slower: { word: "slower", sign: "▲" },
	faster: { word: "faster", sign: "▼" },
	same: { word: "same", sign: "=" },
};

const signed = (ns: number): string => `${ns > 0 ? "+" : ns < 0 ? "−" : ""}${formatDuration(Math.abs(ns))}`;

const COLUMNS: readonly Column<CallChange>[] = [
	{
		key: "change",
		title: "Change",
		value: ({ kind }) => kind,
		cell: ({ kind }) => (
			<span className={`call-change call-${kind}`}>
				<span aria-hidden="true">{KINDS[kind].sign}</span> {KINDS[kind].word}
			</span>
		),
	},
	{
		key: "service",
		title: "Service",
		value: ({ service }) => service,
		cell: ({ service }) => <Name text={serviceLabel(service)} />,
	},
	nameColumn("operation", "Operation", ({ operation }) => operation, { heads: true }),
	{
		key: "caller",
		title: "Called by",
		value: ({ caller }) => (caller === undefined ? "" : `${caller.service} ${caller.operation}`),
		cell: ({ caller }) => (
			<Name text={caller === undefined ? "" : `${serviceLabel(caller.service)} ${caller.operation}`} none="nobody" />
		),
	},
	durationColumn("selfDifferenceNs", "Own time", ({ selfDifferenceNs }) => selfDifferenceNs, signed),
	{
		key: "ratio",
		title: "Ratio",
		number: true,
		value: ({ ratio }) => ratio,
		cell: ({ ratio }) => (ratio === undefined ? "" : `${ratio.toFixed(2)} ×`),
	},
	durationColumn("totalHereNs", "Total here", ({ here }) => here?.totalNs),
	durationColumn("totalThereNs", "Total there", ({ there }) => there?.totalNs),
	{ key: "spansHere", title: "Spans here", number: true, value: ({ here }) => here?.count ?? 0 },
	{ key: "spansThere", title: "Spans there", number: true, value: ({ there }) => there?.count ?? 0 },
	exportColumn("errorsHere", ({ here }) => here?.errors ?? 0),
	exportColumn("errorsThere", ({ there }) => there?.errors ?? 0),
];
