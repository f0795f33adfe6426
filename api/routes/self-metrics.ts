/** The server's own numbers in Prometheus' text form (exposition format 0.0.4): the same that the status page shows. */
import { DROP_REASONS, type ErrorCode, TOPOLOGY_LOSSES } from "../../model/errors.ts";
import type { ServerStatus } from "../../model/status.ts";

export const PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8";

const SIGNALS = ["traces", "logs", "metrics"] as const;

/** Refusals that are 0 until the first, so that a rate over them exists from the start. */
const USUAL_REFUSALS = [
	"malformed_payload",
	"unauthenticated",
	"payload_too_large",
	"unsupported_media_type",
	"overloaded",
	"store_full",
	"shutting_down",
] as const satisfies readonly ErrorCode[];

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

export function prometheusText(status: ServerStatus): string {
	const { ingest, pipeline, store, topology } = status;
	const bySignal = (value: (counters: ServerStatus["ingest"]["traces"]) => number): Sample[] =>
		SIGNALS.map((signal) => [{ signal }, value(ingest[signal])]);
	const windows = (state: string): number => store.windows.filter((window) => window.state === state).length;
	const oldestMs = store.windows.reduce((oldest, window) => Math.min(oldest, window.fromMs), Number.POSITIVE_INFINITY);
	return [
		gauge("build_info", "Version of the server and its Node; always 1.", [
			[{ version: status.version, node: status.process.nodeVersion }, 1],
		]),
		gauge("ready", "1 while it takes data and queries.", [[{}, status.ready ? 1 : 0]]),
		gauge("uptime_seconds", "Seconds since start.", [[{}, status.uptimeSeconds]]),

		counter(
			"ingest_records_total",
			"Records durably stored.",
			bySignal((each) => each.acceptedRecords),
		),
		counter(
			"ingest_batches_total",
			"Batches durably stored.",
			bySignal((each) => each.acceptedBatches),
		),
		counter(
			"ingest_bytes_total",
			"Payload bytes stored, after decompression.",
			bySignal((each) => each.acceptedBytes),
		),
		counter(
			"ingest_duplicate_batches_total",
			"Batches sent again: acknowledged, not stored twice.",
			bySignal((each) => each.duplicateBatches),
		),
		counter(
			"ingest_dropped_records_total",
			"Records left out of stored batches.",
			SIGNALS.flatMap((signal) => labelled({ signal }, "reason", Object.keys(DROP_REASONS), ingest[signal].droppedRecords)),
		),
		counter(
			"ingest_refused_batches_total",
			"Batches refused whole.",
			SIGNALS.flatMap((signal) => labelled({ signal }, "code", USUAL_REFUSALS, ingest[signal].refusedBatches)),
		),
		counter("ingest_invalid_utf8_strings_total", "Strings in which invalid UTF-8 was replaced.", [
			[{}, ingest.invalidUtf8Strings],
		]),
		gauge(
			"ingest_records_per_second",
			"Records stored a second, over the last 10 s.",
			SIGNALS.map((signal) => [{ signal }, ingest.recordsPerSecond[signal]]),
		),

		gauge("ingest_ack_seconds", "From receipt to acknowledgement, last 1,000 batches; quantile 1 is the longest.", [
			[{ quantile: "0.5" }, pipeline.ackMs.p50 / 1_000],
			[{ quantile: "0.99" }, pipeline.ackMs.p99 / 1_000],
			[{ quantile: "1" }, pipeline.ackMs.max / 1_000],
		]),
		gauge("pipeline_queue_bytes", "Bytes between receipt and commit.", [[{}, pipeline.queuedBytes]]),
		gauge("pipeline_queue_capacity_bytes", "Bytes beyond which receivers answer retryable.", [[{}, pipeline.maxQueuedBytes]]),
		gauge("pipeline_queue_batches", "Batches between receipt and commit.", [[{}, pipeline.queuedBatches]]),
		counter("pipeline_commits_total", "Group commits.", [[{}, pipeline.commits]]),

		gauge("store_disk_bytes", "Bytes on disk.", [[{}, store.bytesOnDisk]]),
		gauge("store_wal_bytes", "Bytes of write-ahead log.", [[{}, store.walBytes]]),
		gauge("store_fresh_blocks", "Blocks that wait to be merged.", [[{}, store.freshBlocks]]),
		gauge("store_records", "Records kept.", [
			[{ signal: "traces" }, store.spans],
			[{ signal: "logs" }, store.logs],
			[{ signal: "metrics" }, store.metricPoints],
		]),
		gauge(
			"store_windows",
			"Windows (files) by state.",
			["open", "sealed", "damaged"].map((state) => [{ state }, windows(state)]),
		),
		gauge(
			"store_oldest_window_timestamp_seconds",
			"Start of the oldest window.",
			Number.isFinite(oldestMs) ? [[{}, oldestMs / 1_000]] : [],
		),
		gauge("store_retention_max_age_seconds", "Age at which a window is removed.", [[{}, store.retention.maxAgeMs / 1_000]]),
		gauge("store_retention_max_bytes", "Bytes beyond which the oldest window is removed.", [[{}, store.retention.maxBytes]]),

		gauge("topology_lag_seconds", "Age of the oldest group that is not in the graph yet.", [[{}, topology.lagMs / 1_000]]),
		gauge("topology_spans_held", "Spans at hand, in case more of their traces comes.", [[{}, topology.spansHeld]]),
		gauge("topology_series", "Series of edges.", [[{}, topology.series]]),
		gauge("topology_disk_bytes", "Bytes of roll-ups on disk.", [[{}, topology.bytesOnDisk]]),
		counter(
			"topology_losses_total",
			"What was left out of the graph, or said before its time.",
			labelled({}, "reason", Object.keys(TOPOLOGY_LOSSES), topology.losses),
		),
		counter("topology_failed_flushes_total", "Flushes that found no room on the disk.", [[{}, topology.failedFlushes]]),
		counter("topology_restarts_total", "Times that the topology thread was lost.", [[{}, topology.restarts]]),

		gauge(
			"scrape_up",
			"1 where the last scrape of a target was read and stored.",
			byTarget(status, ({ up }) => (up ? 1 : 0)),
		),
		counter(
			"scrape_scrapes_total",
			"Scrapes of a target.",
			byTarget(status, ({ scrapes }) => scrapes),
		),
		counter(
			"scrape_failures_total",
			"Scrapes that gave nothing.",
			byTarget(status, ({ failures }) => failures),
		),
		counter(
			"scrape_invalid_lines_total",
			"Lines of a target's texts that could not be read.",
			byTarget(status, ({ invalidLines }) => invalidLines),
		),
		gauge(
			"scrape_samples",
			"Samples of the last scrape.",
			byTarget(status, ({ samples }) => samples),
		),
		gauge(
			"scrape_duration_seconds",
			"Duration of the last scrape, storing included.",
			byTarget(status, ({ durationMs }) => durationMs / 1_000),
		),
		gauge(
			"scrape_last_timestamp_seconds",
			"Start of the last scrape, Unix time.",
			byTarget(status, ({ lastScrapeMs }) => (lastScrapeMs ?? 0) / 1_000),
		),

		gauge("process_start_time_seconds", "Start of the process, Unix time.", [[{}, status.startedAtMs / 1_000]]),
		gauge("process_resident_memory_bytes", "Resident memory.", [[{}, status.process.rssBytes]]),
		gauge("process_heap_used_bytes", "JavaScript heap in use.", [[{}, status.process.heapUsedBytes]]),
		counter("process_cpu_seconds_total", "CPU time, user and system.", [[{}, status.process.cpuSeconds]]),
	].join("");
}

function byTarget({ scrape }: ServerStatus, value: (target: ServerStatus["scrape"][number]) => number): Sample[] {
	return scrape.map((target) => [{ target: target.target }, value(target)]);
}

/** The known names with 0 where nothing was counted, then whatever else was. */
function labelled(
	labels: Labels,
	label: string,
	known: readonly string[],
	counts: Readonly<Partial<Record<string, number>>>,
): Sample[] {
	const names = new Set([...known, ...Object.keys(counts)]);
	return [...names].map((name) => [{ ...labels, [label]: name }, counts[name] ?? 0]);
}

function counter(name: string, help: string, samples: readonly Sample[]): string {
	return family("counter", name, help, samples);
}

function gauge(name: string, help: string, samples: readonly Sample[]): string {
	return family("gauge", name, help, samples);
}

function family(type: "counter" | "gauge", name: string, help: string, samples: readonly Sample[]): string {
	if (samples.length === 0) return "";
	const lines = samples.map(([labels, value]) => `meshscope_${name}${labelText(labels)} ${value}\n`);
	return `# HELP meshscope_${name} ${help}\n# TYPE meshscope_${name} ${type}\n${lines.join("")}`;
}

function labelText(labels: Labels): string {
	const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
	return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapeLabel(value: string): string {
	return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
