/**
 * What becomes of each hop: a span if its trace is sampled, metrics always, a line of the access log if there is one. The one door
 * through which the data path tells; it takes everything at once, and whatever is slow or down behind it, no request waits.
 */
import type { Workload } from "../../model/mesh/proxy-config.ts";
import { AccessLog, type LogOutput } from "./access-log.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";
import type { HopSink, ProxyEvent } from "./hop.ts";
import { encodeMetricsRequest, type MetricsOfResource } from "./metrics-request.ts";
import { createOtlpClient, METRICS_EXPORT, type OtlpClient } from "./otlp-client.ts";
import { prometheusText } from "./prometheus-text.ts";
import { type Gauge, ProxyMetrics } from "./proxy-metrics.ts";
import { encodeResource, encodeScope } from "./span-chunk.ts";
import { type DropReason, SpanExporter, type SpanExporterStats } from "./span-exporter.ts";
import { trafficFamilies, TrafficMetrics, type TrafficSeries } from "./traffic-metrics.ts";

export interface TelemetryOptions {
	/** The proxy's own; hops of a node proxy bear theirs. */
	readonly local: Workload;
	/** Of the proxy. */
	readonly version: string;
	/** Of Kubernetes or the like, where there are several. */
	readonly cluster?: string;
	/** Where spans and metrics go; undefined sends nothing. */
	readonly otlp?:
		| { readonly url: string; readonly token?: string | undefined; readonly caPem?: string | undefined }
		| undefined;
	/** In place of a connection to `otlp`. */
	readonly client?: OtlpClient;
	readonly accessLog?: LogOutput | undefined;
	/** Told of events, and once a minute of what was dropped. */
	readonly log: (line: TelemetryLogLine) => void;
	readonly gauges?: () => Iterable<Gauge>;
	readonly metricsIntervalMs?: number;
	readonly maxQueueBytes?: number;
	readonly maxQueueSpans?: number;
	readonly clock?: Clock;
	readonly random?: () => number;
}

export interface TelemetryLogLine {
	readonly level: "info" | "warn";
	readonly message: string;
	readonly fields: Readonly<Record<string, unknown>>;
}

export interface TelemetryStats {
	/** Undefined where nothing is sent. */
	readonly spans: SpanExporterStats | undefined;
	readonly metricSeries: number;
	readonly metricPushes: number;
	readonly metricPushFailures: number;
	readonly accessLogDropped: number;
}

export interface Telemetry extends HopSink {
	/** Sends what there is; at the latest after the limit it gives up. */
	flush(limitMs: number): Promise<void>;
	stats(): TelemetryStats;
	/** For `/stats`: Prometheus text. */
	prometheus(): string;
	close(): void;
}

const DROPS_TOLD_EVERY_MS = 60_000;
const HANDSHAKE_LINES_A_MINUTE = 20;
/** Every so many pushes all series are told, so that nobody takes an idle one for gone. */
const PUSHES_A_FULL_ONE = 30;
/** An hour of full pushes. */
const IDLE_SWEEPS = 12;

export function createTelemetry(options: TelemetryOptions): Telemetry {
	const { clock = SYSTEM_CLOCK, log, cluster = "", version, metricsIntervalMs = 10_000 } = options;
	const client =
		options.client ??
		(options.otlp === undefined ? undefined : createOtlpClient({ ...options.otlp, userAgent: `meshscope-shim/${version}` }));
	const exporter =
		client === undefined
			? undefined
			: new SpanExporter({
					client,
					clock,
					random: options.random ?? Math.random,
					cluster,
					version,
					...(options.maxQueueBytes === undefined ? {} : { maxQueueBytes: options.maxQueueBytes }),
					...(options.maxQueueSpans === undefined ? {} : { maxQueueSpans: options.maxQueueSpans }),
				});
	const accessLog = options.accessLog === undefined ? undefined : new AccessLog(options.accessLog, clock);
	const traffic = new TrafficMetrics({ cluster, epochMs: clock.epochMs });
	const own = new ProxyMetrics({
		epochMs: clock.epochMs,
		gauges: options.gauges ?? (() => []),
		spans: () => exporter?.stats(),
		accessLogDropped: () => accessLog?.dropped ?? 0,
		seriesOverflowed: () => traffic.overflowed,
	});
	const scope = encodeScope(version);
	let pushes = 0;
	let pushFailures = 0;
	let pushing: Promise<void> | undefined;
	let cancelPush: (() => void) | undefined;
	let cancelDrops: (() => void) | undefined;
	let isClosed = false;
	let toldDrops: Readonly<Record<string, number>> = {};
	let toldLogDrops = 0;
	let handshakeLines = 0;

	if (client !== undefined) schedulePush();
	scheduleDrops();

	function schedulePush(): void {
		cancelPush = clock.after(metricsIntervalMs, () => {
			void push().then(() => {
				if (!isClosed) schedulePush();
			});
		});
	}

	/** One at a time. What was not taken is told again by the next, since counts are cumulative. */
	function push(): Promise<void> {
		pushing ??= pushOnce().finally(() => (pushing = undefined));
		return pushing;
	}

	async function pushOnce(): Promise<void> {
		if (client === undefined) return;
		const isFull = pushes % PUSHES_A_FULL_ONE === 0;
		if (isFull) traffic.sweep(IDLE_SWEEPS);
		const told: (readonly [series: TrafficSeries, changes: number])[] = [];
		const byWorkload = new Map<string, TrafficSeries[]>();
		for (const series of traffic.series()) {
			if (!isFull && series.changes === series.toldChanges) continue;
			told.push([series, series.changes]);
			const { instanceId } = series.workload;
			const same = byWorkload.get(instanceId);
			if (same === undefined) byWorkload.set(instanceId, [series]);
			else same.push(series);
		}
		const resources: MetricsOfResource[] = [...byWorkload.values()].map((series) => ({
			resource: encodeResource(series[0]!.workload, { cluster, version }),
			families: trafficFamilies(series),
		}));
		resources.push({ resource: encodeResource(options.local, { cluster, version }), families: own.families() });
		const message = encodeMetricsRequest(resources, scope, clock.epochMs());
		if (message === undefined) return;
		const outcome = await client.send(METRICS_EXPORT, message);
		if (outcome.kind !== "accepted") {
			pushFailures++;
			return;
		}
		pushes++;
		for (const [series, changes] of told) series.toldChanges = changes;
	}

	function scheduleDrops(): void {
		cancelDrops = clock.after(DROPS_TOLD_EVERY_MS, () => {
			tellDrops();
			scheduleDrops();
		});
	}

	function tellDrops(): void {
		const silent = handshakeLines - HANDSHAKE_LINES_A_MINUTE;
		if (silent > 0) log({ level: "warn", message: "more TLS handshakes failed", fields: { count: silent } });
		handshakeLines = 0;
		const stats = exporter?.stats();
		const dropped: Readonly<Record<string, number>> = stats?.dropped ?? {};
		const fields: Record<string, unknown> = {};
		for (const [reason, count] of Object.entries(dropped) as [DropReason, number][]) {
			const since = count - (toldDrops[reason] ?? 0);
			if (since > 0) fields[reason] = since;
		}
		toldDrops = dropped;
		const lines = (accessLog?.dropped ?? 0) - toldLogDrops;
		toldLogDrops += lines;
		if (Object.keys(fields).length > 0)
			log({ level: "warn", message: "spans were dropped", fields: { ...fields, lastFailure: stats?.lastFailure ?? "" } });
		if (lines > 0) log({ level: "warn", message: "lines of the access log were dropped", fields: { lines } });
	}

	return {
		http(hop) {
			traffic.http(hop);
			own.http(hop);
			if (hop.trace.sampled) exporter?.add(hop);
			accessLog?.add(hop);
		},
		tcp(hop) {
			traffic.tcp(hop);
			own.tcp(hop);
			accessLog?.add(hop);
		},
		tcpOpened: (direction) => own.tcpOpened(direction),
		event(event) {
			own.event(event);
			// Anybody who reaches the port can make a handshake fail.
			if (event.kind === "handshake_failed" && ++handshakeLines > HANDSHAKE_LINES_A_MINUTE) return;
			log(lineOfEvent(event));
		},
		async flush(limitMs) {
			accessLog?.flush();
			if (client === undefined) return;
			const { promise, resolve } = Promise.withResolvers<void>();
			const cancel = clock.after(limitMs, resolve);
			// A push under way may have begun before the last request ended.
			const pushed = Promise.resolve(pushing).then(push);
			await Promise.all([exporter?.flush(limitMs), Promise.race([pushed, promise])]);
			cancel();
		},
		stats: () => ({
			spans: exporter?.stats(),
			metricSeries: traffic.seriesCount,
			metricPushes: pushes,
			metricPushFailures: pushFailures,
			accessLogDropped: accessLog?.dropped ?? 0,
		}),
		prometheus: () => prometheusText([...trafficFamilies(traffic.series()), ...own.families()]),
		close() {
			if (isClosed) return;
			isClosed = true;
			cancelPush?.();
			cancelDrops?.();
			accessLog?.flush();
			exporter?.close();
			tellDrops();
			client?.close();
		},
	};
}

function lineOfEvent(event: ProxyEvent): TelemetryLogLine {
	const { kind, ...fields } = event;
	const isBad =
		kind === "ejected" ||
		kind === "handshake_failed" ||
		(event.kind === "breaker" && event.to === "open") ||
		(event.kind === "config" && !event.accepted);
	return { level: isBad ? "warn" : "info", message: MESSAGES[kind], fields };
}

const MESSAGES: Readonly<Record<ProxyEvent["kind"], string>> = {
	ejected: "an endpoint was ejected",
	returned: "an endpoint is back",
	breaker: "a circuit breaker changed",
	handshake_failed: "a TLS handshake failed",
	config: "a configuration arrived",
	certificate: "a certificate is in use",
};
