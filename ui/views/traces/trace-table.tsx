/** The list itself: one row a trace, newest first. */
import { useEffect, useState } from "react";
import type { ReactNode } from "react";
import type { TraceSummary } from "../../../api/contract/traces.ts";
import { formatClock, formatCount, formatDay, formatDuration, formatUtc, serviceLabel, shorten } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { hrefWith, navigate, traceHref } from "../../base/router.ts";
import { pickChange, pickedTraces } from "../../data/trace-filter.ts";
import { colourSlot } from "../../base/service-colour.ts";

interface TraceTableProps {
	readonly traces: readonly TraceSummary[];
	/** What was asked; rows that come while it stays the same are new arrivals. */
	readonly query: string;
	readonly params: URLSearchParams;
	/** False while the rows are still those of the question before. */
	readonly current: boolean;
}

export function TraceTable({ traces, query, current, params }: TraceTableProps): ReactNode {
	const [settled, setSettled] = useState<{ readonly query: string; readonly ids: ReadonlySet<string> }>();
	useEffect(() => {
		if (current) setSettled({ query, ids: new Set(traces.map(({ traceId }) => traceId)) });
	}, [current, query, traces]);
	const arrivals = traces.filter(({ traceId }) => settled?.ids.has(traceId) === false).length;
	// Where nearly every row is new with each poll, lighting them up says nothing.
	const lightsUp = settled?.query === query && 2 * arrivals <= traces.length;
	const longestNs = traces.reduce((longest, trace) => Math.max(longest, trace.durationNs), 1);
	return (
		<div className="card table-card">
			<table className="trace-table" aria-label="Traces, newest first" aria-busy={!current}>
				<thead>
					<tr>
						<th scope="col">Start</th>
						<th scope="col">Root</th>
						<th scope="col">Duration</th>
						<th scope="col" className="number">
							Spans
						</th>
						<th scope="col" className="number">
							Errors
						</th>
						<th scope="col">Services</th>
						<th scope="col" className="pick">
							Compare
						</th>
					</tr>
				</thead>
				<tbody>
					{traces.map((trace) => (
						<TraceRow key={trace.traceId} trace={trace} longestNs={longestNs} arriving={lightsUp} params={params} />
					))}
				</tbody>
			</table>
		</div>
	);
}

interface TraceRowProps {
	readonly trace: TraceSummary;
	readonly longestNs: number;
	readonly arriving: boolean;
	readonly params: URLSearchParams;
}

function TraceRow({ trace, longestNs, arriving, params }: TraceRowProps): ReactNode {
	// Decided once, when the row appears: later polls must not light it up again.
	const [fresh] = useState(arriving);
	return (
		<tr className={fresh ? "fresh" : undefined}>
			<td className="start" title={formatUtc(trace.startTimeUnixNano)}>
				<span className="start-day">{formatDay(trace.startTimeUnixNano)}</span> {formatClock(trace.startTimeUnixNano)}
			</td>
			<td className="root">
				<RootLink trace={trace} />
			</td>
			<td className="duration">
				<span className="duration-text">{formatDuration(trace.durationNs)}</span>
				<span className="duration-track" aria-hidden="true">
					<span className="duration-bar" style={{ inlineSize: `${(100 * trace.durationNs) / longestNs}%` }} />
				</span>
			</td>
			<td className="number">{formatCount(trace.spanCount)}</td>
			<td className="number">
				{trace.errorCount === 0 ? (
					<span className="muted">0</span>
				) : (
					<span className="failed">{formatCount(trace.errorCount)}</span>
				)}
			</td>
			<td className="services">
				<Services names={trace.services} />
			</td>
			<td className="pick">
				<input
					type="checkbox"
					aria-label={`Compare ${trace.traceId}`}
					checked={pickedTraces(params).includes(trace.traceId)}
					onChange={() => navigate(hrefWith("/traces", params, pickChange(params, trace.traceId)), { replace: true })}
				/>
			</td>
		</tr>
	);
}

function RootLink({ trace }: { readonly trace: TraceSummary }): ReactNode {
	return (
		<Link className="root-link one-line" href={traceHref(trace.traceId)}>
			<span className={`swatch slot-${colourSlot(trace.rootService)}`} aria-hidden="true" />
			<bdi className="root-service">{serviceLabel(trace.rootService)}</bdi>{" "}
			<bdi className="root-name">{shorten(trace.rootName)}</bdi>
		</Link>
	);
}

const SHOWN_SERVICES = 3;

function Services({ names }: { readonly names: readonly string[] }): ReactNode {
	const rest = names.length - SHOWN_SERVICES;
	return (
		<div className="service-list" title={names.slice(0, 30).map(serviceLabel).join(", ")}>
			{names.slice(0, SHOWN_SERVICES).map((name) => (
				<span key={name} className="service">
					<span className={`swatch slot-${colourSlot(name)}`} aria-hidden="true" />
					<bdi className="one-line">{serviceLabel(name)}</bdi>
				</span>
			))}
			{rest > 0 && <span className="muted">+{formatCount(rest)}</span>}
		</div>
	);
}
