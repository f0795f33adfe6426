/** What the server says about itself: rates, refusals, drops, disk, windows, queue. The same numbers as `/metrics`. */
import { useEffect } from "react";
import type { ReactNode } from "react";
import type { StatusAnswer } from "../../../api/contract/status.ts";
import { countOf, formatBytes, formatCount, formatRate, formatSpanOfTime, formatUtcMs } from "../../base/format.ts";
import { useStatus } from "../../data/queries.ts";
import { ErrorNotice } from "../notice.tsx";
import { LossTable, SignalTable, WindowTable } from "./status-tables.tsx";

export function StatusView(): ReactNode {
	const status = useStatus();
	useEffect(() => {
		document.title = "Status · meshscope";
	}, []);
	return (
		<div className="page">
			<h1>Status</h1>
			{status.isError && <ErrorNotice error={status.error} what="The status could not be read." />}
			{status.data !== undefined && <Facts status={status.data} asOf={new Date(status.dataUpdatedAt).toISOString()} />}
			{status.isPending && <p className="muted">Reading…</p>}
		</div>
	);
}

interface FactsProps {
	readonly status: StatusAnswer;
	/** When it was answered. */
	readonly asOf: string;
}

function Facts({ status, asOf }: FactsProps): ReactNode {
	const { ingest, pipeline, store, topology, process } = status;
	const oldestMs = store.windows.reduce((oldest, window) => Math.min(oldest, window.fromMs), Number.POSITIVE_INFINITY);
	return (
		<>
			<dl className="facts">
				<Fact name="Arriving" value={`${formatRate(ingest.recordsPerSecond.traces)} spans/s`}>
					{formatRate(ingest.recordsPerSecond.logs)} logs/s, {formatRate(ingest.recordsPerSecond.metrics)} points/s
				</Fact>
				<Fact name="Acknowledged after" value={formatMs(pipeline.ackMs.p50)}>
					median; p99 {formatMs(pipeline.ackMs.p99)}, at most {formatMs(pipeline.ackMs.max)}
				</Fact>
				<Fact name="Queue" value={formatBytes(pipeline.queuedBytes)}>
					of {formatBytes(pipeline.maxQueuedBytes)}, {countOf(pipeline.queuedBatches, "batch", "batches")}
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
				<Fact name="Kept for" value={formatSpanOfTime(store.retention.maxAgeMs / 1_000)}>
					{Number.isFinite(oldestMs) ? `oldest from ${formatUtcMs(oldestMs)}` : "nothing yet"}
				</Fact>
				<Fact name="Topology" value={lagText(topology.lagMs)}>
					{formatCount(topology.series)} series in {formatBytes(topology.bytesOnDisk)},{" "}
					{formatCount(topology.spansHeld)} spans at hand
				</Fact>
				<Fact name="Memory" value={formatBytes(process.rssBytes)}>
					up {formatSpanOfTime(status.uptimeSeconds)}, {formatSpanOfTime(process.cpuSeconds)} of CPU
				</Fact>
			</dl>
			<SignalTable ingest={ingest} asOf={asOf} />
			<LossTable ingest={ingest} topology={topology} asOf={asOf} />
			<WindowTable windows={store.windows} asOf={asOf} />
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
