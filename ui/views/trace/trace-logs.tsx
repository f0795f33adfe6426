/** Log records that carry the trace's ID: access logs of proxies among them. */
import type { UseQueryResult } from "@tanstack/react-query";
import { useMemo } from "react";
import type { ReactNode } from "react";
import type { LogEntry, LogSearchAnswer } from "../../../api/contract/logs.ts";
import { formatClock, fromStart, serviceLabel, shorten } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { hrefWith, useLocation } from "../../base/router.ts";
import { colourSlot } from "../../base/service-colour.ts";
import { bodyText, logTime, weightOf } from "../../layout/trace/log-marks.ts";
import type { Waterfall } from "../../layout/waterfall.ts";
import { Name } from "../cells.tsx";
import { LongText } from "../long-text.tsx";
import { ErrorNotice } from "../notice.tsx";

interface TraceLogsProps {
	readonly logs: UseQueryResult<LogSearchAnswer>;
	readonly waterfall: Waterfall;
	readonly slots: readonly number[];
}

export function TraceLogs({ logs, waterfall, slots }: TraceLogsProps): ReactNode {
	const { path, params } = useLocation();
	if (logs.isError) return <ErrorNotice error={logs.error} what="The logs could not be read." />;
	if (logs.data === undefined) return <p className="muted">Reading logs…</p>;
	if (logs.data.logs.length === 0) {
		return <p className="muted trace-logs-empty">No log record carries this trace's ID.</p>;
	}
	const spanOf = (log: LogEntry): ReactNode => {
		const row = waterfall.rowOfSpan(log.spanId);
		if (row < 0) return <span className="muted">{log.spanId === "" ? "none" : "not here"}</span>;
		return (
			<Link
				className="one-line"
				title="Show it among the spans"
				href={hrefWith(path, params, { tab: undefined, with: undefined, span: log.spanId, log: logTime(log) })}
			>
				<Name text={waterfall.spans[row]!.name ?? ""} none="no name" />
			</Link>
		);
	};
	return (
		<div className="card table-card trace-logs">
			<LogList
				logs={logs.data.logs}
				waterfall={waterfall}
				slots={slots}
				startNs={waterfall.startNs}
				spanOf={spanOf}
				chosen={params.get("log") ?? undefined}
			/>
		</div>
	);
}

interface LogListProps {
	readonly logs: readonly LogEntry[];
	readonly waterfall: Waterfall;
	/** Colour slot of each of its services. */
	readonly slots: readonly number[];
	/** By its time; brought into view. */
	readonly chosen: string | undefined;
	/** Times are shown from here where given. */
	readonly startNs?: bigint;
	/** What the column of spans shows, where there is one. */
	readonly spanOf?: (log: LogEntry) => ReactNode;
	/** All are of one service, which is told elsewhere. */
	readonly isOfOne?: boolean;
	/** Where times lead, if anywhere. */
	readonly hrefOf?: (log: LogEntry) => string;
}

export function LogList({ logs, waterfall, slots, chosen, startNs, spanOf, hrefOf, isOfOne = false }: LogListProps): ReactNode {
	const slotOf = useMemo(() => new Map(waterfall.services.map((name, i) => [name, slots[i]!])), [waterfall, slots]);
	const firstChosen = logs.findIndex((log) => logTime(log) === chosen);
	return (
		<table className="log-table" aria-label="Log records, oldest first">
			<thead className={startNs === undefined ? "hidden-label" : undefined}>
				<tr>
					<th scope="col">Time</th>
					{!isOfOne && <th scope="col">Service</th>}
					{spanOf !== undefined && <th scope="col">Span</th>}
					<th scope="col">Severity</th>
					<th scope="col">Body</th>
				</tr>
			</thead>
			<tbody>
				{logs.map((log, index) => {
					const time = logTime(log);
					return (
						<tr
							key={`${time} ${index}`}
							ref={index === firstChosen ? bringIntoView : undefined}
							className={time === chosen ? "log-chosen" : undefined}
							aria-current={time === chosen ? "true" : undefined}
						>
							<td className="tabular log-time">
								{hrefOf === undefined ? (
									formatClock(time)
								) : (
									<Link href={hrefOf(log)} title="Show it among all logs of the trace">
										{formatClock(time)}
									</Link>
								)}
								{startNs !== undefined && (
									<span className="muted"> {fromStart(Number(BigInt(time) - startNs))}</span>
								)}
							</td>
							{!isOfOne && (
								<td className="log-service">
									<span
										className={`swatch slot-${slotOf.get(log.service) ?? colourSlot(log.service)}`}
										aria-hidden="true"
									/>{" "}
									<bdi>{serviceLabel(log.service)}</bdi>
								</td>
							)}
							{spanOf !== undefined && <td className="log-span">{spanOf(log)}</td>}
							<td className={weightOf(log) === "error" ? "failed" : undefined}>
								{shorten(log.severityText === "" ? severityName(log.severityNumber) : log.severityText, 20)}
							</td>
							<td className="log-body">
								<LongText text={bodyText(log.body)} />
							</td>
						</tr>
					);
				})}
			</tbody>
		</table>
	);
}

function bringIntoView(row: HTMLTableRowElement | null): void {
	void row?.scrollIntoView({ block: "nearest" });
}

const SEVERITIES: readonly string[] = ["trace", "debug", "info", "warn", "error", "fatal"];

/** OTLP groups severity numbers by four, from 1. */
function severityName(severity: number): string {
	return SEVERITIES[Math.floor((severity - 1) / 4)] ?? "unset";
}
