/** Log records that carry the trace's ID: access logs of proxies among them. */
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import type { LogEntry, LogSearchAnswer } from "../../../api/contract/logs.ts";
import { formatClock, fromStart, serviceLabel, shorten } from "../../base/format.ts";
import { colourSlot } from "../../base/service-colour.ts";
import { LongText } from "../long-text.tsx";
import { ErrorNotice } from "../notice.tsx";

interface TraceLogsProps {
	readonly logs: UseQueryResult<LogSearchAnswer>;
	/** Of the trace. */
	readonly startNs: bigint;
}

export function TraceLogs({ logs, startNs }: TraceLogsProps): ReactNode {
	if (logs.isError) return <ErrorNotice error={logs.error} what="The logs could not be read." />;
	if (logs.data === undefined) return <p className="muted">Reading logs…</p>;
	if (logs.data.logs.length === 0) {
		return <p className="muted trace-logs-empty">No log record carries this trace's ID.</p>;
	}
	return (
		<div className="card table-card trace-logs">
			<LogList logs={logs.data.logs} startNs={startNs} />
		</div>
	);
}

interface LogListProps {
	readonly logs: readonly LogEntry[];
	/** Times are shown from here where given. */
	readonly startNs?: bigint;
}

export function LogList({ logs, startNs }: LogListProps): ReactNode {
	return (
		<table className="log-table" aria-label="Log records, oldest first">
			<thead className={startNs === undefined ? "hidden-label" : undefined}>
				<tr>
					<th scope="col">Time</th>
					<th scope="col">Service</th>
					<th scope="col">Severity</th>
					<th scope="col">Body</th>
				</tr>
			</thead>
			<tbody>
				{logs.map((log, index) => (
					<tr key={index}>
						<td className="tabular log-time">
							{formatClock(timeOf(log))}
							{startNs !== undefined && (
								<span className="muted"> {fromStart(Number(BigInt(timeOf(log)) - startNs))}</span>
							)}
						</td>
						<td>
							<span className={`swatch slot-${colourSlot(log.service)}`} aria-hidden="true" />{" "}
							<bdi>{serviceLabel(log.service)}</bdi>
						</td>
						<td className={log.severityNumber >= 17 ? "failed" : undefined}>
							{shorten(log.severityText === "" ? severityName(log.severityNumber) : log.severityText, 20)}
						</td>
						<td className="log-body">
							<LongText text={typeof log.body === "string" ? log.body : (JSON.stringify(log.body) ?? "")} />
						</td>
					</tr>
				))}
			</tbody>
		</table>
	);
}

/** A record without a time of its own has that of its observation. */
function timeOf(log: LogEntry): string {
	const time = /^0*$/.test(log.timeUnixNano) ? log.observedTimeUnixNano : log.timeUnixNano;
	return /^\d+$/.test(time) ? time : "0";
}

const SEVERITIES: readonly string[] = ["trace", "debug", "info", "warn", "error", "fatal"];

/** OTLP groups severity numbers by four, from 1. */
function severityName(severity: number): string {
	return SEVERITIES[Math.floor((severity - 1) / 4)] ?? "unset";
}
