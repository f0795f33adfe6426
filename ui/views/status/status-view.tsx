/** What the server says about itself: rates, refusals, drops, disk, windows, queue. The same numbers as `/metrics`. */
import { useEffect } from "react";
import type { ReactNode } from "react";
import type { StatusAnswer } from "../../../api/contract/status.ts";
import { DROP_REASONS, ERRORS, TOPOLOGY_LOSSES } from "../../../model/errors.ts";
import { formatBytes, formatCount, formatRate, formatSpanOfTime } from "../../base/format.ts";
import { useStatus } from "../../data/queries.ts";
import { ErrorNotice } from "../notice.tsx";

const SIGNALS = ["traces", "logs", "metrics"] as const;
const RECORDS = { traces: "Spans", logs: "Log records", metrics: "Metric points" } as const;

export function StatusView(): ReactNode {
	const status = useStatus();
	useEffect(() => {
		document.title = "Status · meshscope";
	}, []);
	return (
		<div className="page">
			<h1>Status</h1>
			{status.isError && <ErrorNotice error={status.error} what="The status could not be read." />}
			{status.data !== undefined && <Facts status={status.data} />}
			{status.isPending && <p className="muted">Reading…</p>}
		</div>
	);
}

function Facts({ status }: { readonly status: StatusAnswer }): ReactNode {
	const { ingest, pipeline, store, topology, process } = status;
	const oldestMs = store.windows.reduce((oldest, window) => Math.min(oldest, window.fromMs), Number.POSITIVE_INFINITY);
	return (
		<>
			<dl className="facts">
				<Fact name="Arriving" value={`${formatRate(ingest.recordsPerSecond.traces)} spans/s`}>
					{formatRate(ingest.recordsPerSecond.logs)} logs/s, {formatRate(ingest.recordsPerSecond.metrics)} points/s
				</Fact>
				<Fact name="Acknowledged after" value={`${formatMs(pipeline.ackMs.p50)} p50`}>
					{formatMs(pipeline.ackMs.p99)} p99, {formatMs(pipeline.ackMs.max)} at most
				</Fact>
				<Fact name="Queue" value={formatBytes(pipeline.queuedBytes)}>
					of {formatBytes(pipeline.maxQueuedBytes)}, {formatCount(pipeline.queuedBatches)} batches
					<meter
						min={0}
						max={Math.max(1, pipeline.maxQueuedBytes)}
						value={pipeline.queuedBytes}
						aria-label="Queue in use"
					/>
				</Fact>
				<Fact name="On disk" value={formatBytes(store.bytesOnDisk)}>
					of {formatBytes(store.retention.maxBytes)}
					{store.spans > 0 && `, ${(store.bytesOnDisk / store.spans).toFixed(0)} B a span in all`}
					<meter
						min={0}
						max={Math.max(1, store.retention.maxBytes)}
						value={store.bytesOnDisk}
						aria-label="Disk budget in use"
					/>
				</Fact>
				<Fact name="Kept" value={formatSpanOfTime(store.retention.maxAgeMs / 1_000)}>
					{Number.isFinite(oldestMs) ? `oldest from ${new Date(oldestMs).toLocaleString()}` : "nothing yet"}
				</Fact>
				<Fact name="Topology" value={lagText(topology.lagMs)}>
					{formatCount(topology.series)} series in {formatBytes(topology.bytesOnDisk)},{" "}
					{formatCount(topology.spansHeld)} spans at hand
				</Fact>
				<Fact name="Process" value={formatBytes(process.rssBytes)}>
					up {formatSpanOfTime(status.uptimeSeconds)}, {formatSpanOfTime(process.cpuSeconds)} of CPU
				</Fact>
			</dl>
			<SignalTable ingest={ingest} />
			<Losses ingest={ingest} topology={topology} />
			<Windows store={store} />
			<p className="muted">
				meshscope {status.version}, Node {process.nodeVersion}, store {store.engine} in{" "}
				<code className="told">{store.directory}</code>, {formatCount(store.freshBlocks)} blocks wait to be merged,
				write-ahead log {formatBytes(store.walBytes)}.
			</p>
		</>
	);
}

/** What arrived a moment ago waits for the next flush, every two seconds: that is not behind. */
const UP_TO_DATE_MS = 10_000;

function lagText(lagMs: number): string {
	return lagMs <= UP_TO_DATE_MS ? "up to date" : `${formatSpanOfTime(lagMs / 1_000)} behind`;
}

function formatMs(ms: number): string {
	return `${Number(ms.toPrecision(3))} ms`;
}

interface FactProps {
	readonly name: string;
	readonly value: string;
	readonly children: ReactNode;
}

function Fact({ name, value, children }: FactProps): ReactNode {
	return (
		<div className="fact card">
			<dt>{name}</dt>
			<dd className="fact-value">{value}</dd>
			<dd className="fact-more muted">{children}</dd>
		</div>
	);
}

function SignalTable({ ingest }: { readonly ingest: StatusAnswer["ingest"] }): ReactNode {
	return (
		<section className="card table-card" aria-labelledby="signals-title">
			<h2 id="signals-title">Received since start</h2>
			<table aria-labelledby="signals-title">
				<thead>
					<tr>
						<th scope="col">Signal</th>
						{["Records stored", "Batches", "Payload", "Sent again", "Records dropped", "Batches refused"].map(
							(title) => (
								<th key={title} scope="col" className="number">
									{title}
								</th>
							),
						)}
					</tr>
				</thead>
				<tbody>
					{SIGNALS.map((signal) => (
						<tr key={signal}>
							<th scope="row">{RECORDS[signal]}</th>
							<td className="number">{formatCount(ingest[signal].acceptedRecords)}</td>
							<td className="number">{formatCount(ingest[signal].acceptedBatches)}</td>
							<td className="number">{formatBytes(ingest[signal].acceptedBytes)}</td>
							<td className="number">{formatCount(ingest[signal].duplicateBatches)}</td>
							<td className="number">{formatCount(sum(ingest[signal].droppedRecords))}</td>
							<td className="number">{formatCount(sum(ingest[signal].refusedBatches))}</td>
						</tr>
					))}
				</tbody>
			</table>
		</section>
	);
}

function sum(counts: Readonly<Record<string, number>>): number {
	return Object.values(counts).reduce((total, count) => total + count, 0);
}

interface Loss {
	readonly key: string;
	readonly what: string;
	readonly reason: string;
	readonly meaning: string;
	readonly count: number;
}

/** Each reason for which something was not kept, with what it means. */
function Losses({ ingest, topology }: Pick<StatusAnswer, "ingest" | "topology">): ReactNode {
	const records = SIGNALS.flatMap((signal): Loss[] => [
		...entries(ingest[signal].refusedBatches).map(([code, count]) => ({
			key: `${signal} refused ${code}`,
			what: `${signal}, batches refused`,
			reason: code,
			meaning: code in ERRORS ? fixOf(ERRORS[code as keyof typeof ERRORS]) : "",
			count,
		})),
		...entries(ingest[signal].droppedRecords).map(([reason, count]) => ({
			key: `${signal} dropped ${reason}`,
			what: `${signal}, records dropped`,
			reason,
			meaning: reason in DROP_REASONS ? DROP_REASONS[reason as keyof typeof DROP_REASONS] : "",
			count,
		})),
	]);
	const losses = [
		...records,
		...entries(topology.losses).map(([reason, count]) => ({
			key: `topology ${reason}`,
			what: "topology, not in the graph",
			reason,
			meaning: reason in TOPOLOGY_LOSSES ? TOPOLOGY_LOSSES[reason as keyof typeof TOPOLOGY_LOSSES] : "",
			count,
		})),
	];
	return (
		<section className="card table-card" aria-labelledby="losses-title">
			<h2 id="losses-title">Refused and dropped</h2>
			{losses.length === 0 ? (
				<p className="table-empty muted">Nothing. Every record that arrived was stored.</p>
			) : (
				<table aria-labelledby="losses-title">
					<thead>
						<tr>
							<th scope="col">What</th>
							<th scope="col">Reason</th>
							<th scope="col" className="number">
								Count
							</th>
							<th scope="col">What it means</th>
						</tr>
					</thead>
					<tbody>
						{losses.map((loss) => (
							<tr key={loss.key}>
								<td className="loss-what">{loss.what}</td>
								<td>
									<code>{loss.reason}</code>
								</td>
								<td className="number">{formatCount(loss.count)}</td>
								<td className="muted">{loss.meaning}</td>
							</tr>
						))}
					</tbody>
				</table>
			)}
			{ingest.invalidUtf8Strings > 0 && (
				<p className="table-empty muted">
					{formatCount(ingest.invalidUtf8Strings)} strings held invalid UTF-8, which became U+FFFD.
				</p>
			)}
		</section>
	);
}

function entries(counts: Readonly<Record<string, number>>): [string, number][] {
	return Object.entries(counts).filter(([, count]) => count > 0);
}

function fixOf(entry: { readonly meaning: string; readonly fix: string }): string {
	return `${entry.meaning} ${entry.fix}`;
}

const STATES = { open: "open", sealed: "sealed", damaged: "damaged, set aside" } as const;

function Windows({ store }: { readonly store: StatusAnswer["store"] }): ReactNode {
	return (
		<section className="card table-card" aria-labelledby="windows-title">
			<h2 id="windows-title">Windows</h2>
			{store.windows.length === 0 ? (
				<p className="table-empty muted">None yet: the first batch opens one.</p>
			) : (
				<table aria-labelledby="windows-title">
					<thead>
						<tr>
							<th scope="col">Window</th>
							<th scope="col">Arrived</th>
							<th scope="col">State</th>
							{["Size", "Spans", "Logs", "Metric points"].map((title) => (
								<th key={title} scope="col" className="number">
									{title}
								</th>
							))}
						</tr>
					</thead>
					<tbody>
						{store.windows.toReversed().map((window) => (
							<tr key={window.name}>
								<td className="mono">{window.name}</td>
								<td>
									{new Date(window.fromMs).toLocaleString()} to {new Date(window.toMs).toLocaleTimeString()}
								</td>
								<td>
									<span className={window.state === "damaged" ? "failed" : undefined}>
										{STATES[window.state]}
									</span>
									{window.problem !== undefined && <p className="muted told">{window.problem}</p>}
								</td>
								<td className="number">{formatBytes(window.bytes)}</td>
								<td className="number">{formatCount(window.spans)}</td>
								<td className="number">{formatCount(window.logs)}</td>
								<td className="number">{formatCount(window.metricPoints)}</td>
							</tr>
						))}
					</tbody>
				</table>
			)}
		</section>
	);
}
