/** Entry of the topology thread: opens the engine's part of topology and runs the stage on messages from the writer thread. */
import { randomInt } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { joinRollups } from "../../model/topology/rollup-reader.ts";
import { createFailpoint } from "../../store/sqlite/failpoint.ts";
import { openCommittedTraces } from "../../store/sqlite/topology/committed-traces.ts";
import { topologyBudget } from "../../store/sqlite/topology/file.ts";
import { openTopologyWriter } from "../../store/sqlite/topology/writer.ts";
import type { TopologyLoad } from "../../store/topology.ts";
import { DEFAULT_LIMITS } from "../decode/limits.ts";
import { skimTraces } from "../decode/skim.ts";
import { addMetricObservation, metricDims } from "../../model/topology/metric-sums.ts";
import { decodeEdgeMetrics } from "./edge-metrics.ts";
import { FIRST_OWN_PROFILE } from "./facts-table.ts";
import { factsOfLogProfile } from "./log-extractor.ts";
import type { FromTopology, ToTopology, TopologyWorkerData } from "./messages.ts";
import { MetricStage } from "./metric-stage.ts";
import type { RecordRows } from "./record-rows.ts";
import { factsOfProfile, spanExtractor } from "./span-profile.ts";
import { DEFAULT_STAGE_LIMITS, type MetricSource } from "./stage-options.ts";
import { TopologyStage } from "./stage.ts";
import { TopologyLoop } from "./topology-loop.ts";

/** Decompressed parts of blocks, for traces that are read again. */
const CACHE_BYTES = 8 << 20;
const MAX_METRIC_SERIES = 100_000;
/** Metric series that are quiet are looked for this often. */
const EXPIRE_MS = 300_000;

const port = parentPort!;
const settings = workerData as TopologyWorkerData;

function send(message: FromTopology): void {
	port.postMessage(message);
}

function log(level: "info" | "warn" | "error", message: string): void {
	send({ kind: "log", level, message });
}

function metricSource(load: TopologyLoad["counters"]): MetricSource {
	// The thread begins with the first group; what senders counted since the process began was never told to anybody else.
	const startMs = Date.now() - process.uptime() * 1_000;
	const metrics = new MetricStage({ load, startMs, maxSeries: MAX_METRIC_SERIES });
	let expiredMs = Date.now();
	return {
		observe(bytes, arrivedMs, sumsOf) {
			for (const observation of metrics.observe(decodeEdgeMetrics(bytes), arrivedMs))
				addMetricObservation(sumsOf(metricDims(observation.facts), observation.timeMs), observation);
		},
		takeChanged() {
			if (Date.now() > expiredMs + EXPIRE_MS) metrics.expire((expiredMs = Date.now()));
			const changes = metrics.changes();
			// What a flush could not write stays with it until it can.
			metrics.flushed();
			return changes;
		},
	};
}

const extractor = spanExtractor([randomInt(2 ** 32), randomInt(2 ** 32)], FIRST_OWN_PROFILE);
const columns = new RecordColumns(SPAN_SHAPE);
const READ_LIMITS = { ...DEFAULT_LIMITS, maxRecords: Infinity };

/** Spans of a trace from the store: they passed once, so that only their own limits could have changed. */
function rowsOf(tracesData: Uint8Array<ArrayBuffer>): RecordRows | undefined {
	columns.reset();
	skimTraces(tracesData, columns, READ_LIMITS);
	return extractor.extract(columns);
}

const committed = openCommittedTraces(settings.directory, CACHE_BYTES);
const store = openTopologyWriter({
	directory: settings.directory,
	maxBytes: topologyBudget(settings.maxBytes),
	keptSinceMs: (nowMs) => Math.max(committed.oldestMs() ?? 0, nowMs - settings.maxAgeMs),
	join: joinRollups,
	now: Date.now,
	log,
	failpoint: createFailpoint(settings.failpoint),
});
const stage = new TopologyStage({
	store,
	committed,
	rowsOf,
	spanFacts: factsOfProfile,
	logFacts: factsOfLogProfile,
	metrics: metricSource,
	limits: DEFAULT_STAGE_LIMITS,
	monotonicMs: () => performance.now(),
	log,
});
const loop = new TopologyLoop({
	stage,
	store,
	now: Date.now,
	send,
	end(reason) {
		// The writer starts this thread again, which then begins anew.
		throw new Error(reason);
	},
	close() {
		store.close();
		committed.close();
	},
});
port.on("message", (message: ToTopology) => {
	loop.receive(message);
	// Not before the last word is said: what is posted to a closed port may be lost.
	if (message.kind === "close") port.close();
});
