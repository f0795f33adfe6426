/**
 * meshscope's own traces and metrics, over OTLP gRPC to whatever collector is named, itself included. Loaded only when switched on.
 *
 * No feedback: every export carries the header by which the receivers know it, such batches are never traced, and nothing instruments
 * the exporter. API requests are seen through the diagnostics channels of node:http and fastify, which cost nothing unheard.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { ChannelListener } from "node:diagnostics_channel";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Metadata } from "@grpc/grpc-js";
import { context, diag, metrics, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { BatchObservableResult, Observable, Tracer } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-grpc";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { envDetector, serviceInstanceIdDetector } from "@opentelemetry/resources";
import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { NodeSDK } from "@opentelemetry/sdk-node";
import type { IngestSink } from "../collector/ingest.ts";
import { SELF_HEADER } from "../collector/receivers/ingress.ts";
import type { ServerStatus, SignalCounters } from "../model/status.ts";

export interface SelfTelemetryOptions {
	/** `http://host:port` (plaintext) or `https://host:port`. */
	readonly endpoint: string;
	readonly version: string;
	readonly env: Readonly<Record<string, string | undefined>>;
	readonly status: () => ServerStatus | Promise<ServerStatus>;
	readonly log: { warn(fields: Readonly<Record<string, unknown>>, message: string): void };
}

export interface Phase {
	readonly name: string;
	readonly startMs: number;
	readonly endMs: number;
}

export interface SelfTelemetry {
	/** The sink, with a span for one batch in a hundred, from receipt to acknowledgement. */
	traceSink(sink: IngestSink): IngestSink;
	/** A span for each request to the API on this port. */
	observeApi(port: number): void;
	/** One span for the whole start, with a child for each phase. */
	recordStart(phases: readonly Phase[]): void;
	/** Sends what is left, within two seconds. */
	shutdown(): Promise<void>;
}

const SAMPLE_EVERY = 100;
const DEFAULT_METRIC_INTERVAL_MS = 60_000;
const SHUTDOWN_MS = 2_000;

export function startSelfTelemetry(options: SelfTelemetryOptions): SelfTelemetry {
	const metadata = new Metadata();
	metadata.set(SELF_HEADER, "1");
	const exporter = { url: options.endpoint, metadata };
	const intervalMs = Number(options.env["OTEL_METRIC_EXPORT_INTERVAL"] ?? DEFAULT_METRIC_INTERVAL_MS);
	diag.setLogger(quietLogger(options), { suppressOverrideMessage: true });
	const sdk = new NodeSDK({
		serviceName: options.env["OTEL_SERVICE_NAME"]?.trim() || "meshscope",
		// Not the process detector: it sends the command line, on which tokens may stand.
		resourceDetectors: [envDetector, serviceInstanceIdDetector],
		traceExporter: new OTLPTraceExporter(exporter),
		metricReaders: [
			new PeriodicExportingMetricReader({
				exporter: new OTLPMetricExporter(exporter),
				exportIntervalMillis: intervalMs >= 1_000 ? intervalMs : DEFAULT_METRIC_INTERVAL_MS,
			}),
		],
		logRecordProcessors: [],
		instrumentations: [],
	});
	sdk.start();
	const tracer = trace.getTracer("meshscope", options.version);
	observeStatus(options);
	const stopObserving: (() => void)[] = [];
	return {
		traceSink: (sink) => traceSink(sink, tracer),
		observeApi: (port) => stopObserving.push(observeApi(tracer, port)),
		recordStart: (phases) => recordStart(tracer, phases),
		async shutdown() {
			for (const stop of stopObserving) stop();
			let timer: NodeJS.Timeout | undefined;
			const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, SHUTDOWN_MS)));
			await Promise.race([sdk.shutdown().catch(() => {}), late]);
			clearTimeout(timer);
		},
	};
}

/** The SDK's own complaints, one a minute: a collector that is down must not fill the log. */
function quietLogger(options: SelfTelemetryOptions) {
	let lastMs = Number.NEGATIVE_INFINITY;
	const complain = (message: string): void => {
		if (performance.now() - lastMs < 60_000) return;
		lastMs = performance.now();
		options.log.warn(
			{ endpoint: new URL(options.endpoint).host, reason: message.slice(0, 300) },
			"own telemetry is not taken",
		);
	};
	const ignore = (): void => {};
	return { error: complain, warn: complain, info: ignore, debug: ignore, verbose: ignore };
}

function traceSink(sink: IngestSink, tracer: Tracer): IngestSink {
	let seen = 0;
	return {
		async submit(batch) {
			if (batch.self || seen++ % SAMPLE_EVERY !== 0) return sink.submit(batch);
			const attributes = {
				"meshscope.signal": batch.signal,
				"meshscope.encoding": batch.encoding,
				"meshscope.bytes": batch.bytes.length,
			};
			const span = tracer.startSpan(`commit ${batch.signal}`, { kind: SpanKind.INTERNAL, root: true, attributes });
			const outcome = await sink.submit(batch);
			if (outcome.kind === "refused") {
				span.setAttribute("meshscope.refusal", outcome.code);
				span.setStatus({ code: SpanStatusCode.ERROR, message: outcome.message });
			} else span.setAttribute("meshscope.rejected", outcome.rejected);
			span.end();
			return outcome;
		},
		reserve: (bytes) => sink.reserve(bytes),
		release: (bytes) => sink.release(bytes),
		spare: (bytes) => sink.spare?.(bytes),
		countRefused: (signal, code) => sink.countRefused(signal, code),
	};
}

/** Returns what ends it. */
function observeApi(tracer: Tracer, port: number): () => void {
	/** Patterns like `/api/v1/traces/:traceId`, by request: names of spans must not hold IDs. */
	const routes = new WeakMap<IncomingMessage, string>();
	const onStart: ChannelListener = (message) => {
		const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
		if (request.socket.localPort !== port) return;
		const parent = propagation.extract(ROOT_CONTEXT, request.headers);
		const method = request.method ?? "GET";
		const span = tracer.startSpan(method, { kind: SpanKind.SERVER, attributes: { "http.request.method": method } }, parent);
		response.once("close", () => {
			const route = routes.get(request);
			if (route !== undefined) span.updateName(`${method} ${route}`).setAttribute("http.route", route);
			span.setAttribute("http.response.status_code", response.statusCode);
			if (response.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
			span.end();
		});
	};
	const onHandler: ChannelListener = (message) => {
		const { request, route } = message as { request: { raw: IncomingMessage }; route: { url?: string } };
		if (route.url !== undefined) routes.set(request.raw, route.url);
	};
	subscribe("http.server.request.start", onStart);
	subscribe("tracing:fastify.request.handler:start", onHandler);
	return () => {
		unsubscribe("http.server.request.start", onStart);
		unsubscribe("tracing:fastify.request.handler:start", onHandler);
	};
}

function recordStart(tracer: Tracer, phases: readonly Phase[]): void {
	const startMs = Math.min(...phases.map((phase) => phase.startMs));
	const endMs = Math.max(...phases.map((phase) => phase.endMs));
	const root = tracer.startSpan("start", { startTime: startMs, root: true });
	const inside = trace.setSpan(context.active(), root);
	for (const phase of phases) tracer.startSpan(phase.name, { startTime: phase.startMs }, inside).end(phase.endMs);
	root.end(endMs);
}

/** The numbers of the status page as metrics, read when an export is due. */
function observeStatus(options: SelfTelemetryOptions): void {
	const meter = metrics.getMeter("meshscope", options.version);
	const counter = (name: string, unit: string, description: string): Observable =>
		meter.createObservableCounter(`meshscope.${name}`, { unit, description });
	const gauge = (name: string, unit: string, description: string): Observable =>
		meter.createObservableGauge(`meshscope.${name}`, { unit, description });
	const accepted = counter("ingest.records", "{record}", "Records durably stored");
	const batches = counter("ingest.batches", "{batch}", "Batches durably stored");
	const bytes = counter("ingest.bytes", "By", "Payload bytes after decompression");
	const duplicates = counter("ingest.duplicates", "{batch}", "Batches recognised as sent before");
	const dropped = counter("ingest.dropped", "{record}", "Records left out of stored batches, by reason");
	const refused = counter("ingest.refused", "{batch}", "Batches refused whole, by error code");
	const commits = counter("pipeline.commits", "{commit}", "Group commits");
	const queued = gauge("pipeline.queued", "By", "Bytes between receipt and commit");
	const acknowledge = gauge("pipeline.acknowledge", "ms", "From receipt to acknowledgement, by quantile");
	const disk = gauge("store.disk", "By", "Bytes on disk");
	const wal = gauge("store.wal", "By", "Bytes in write-ahead logs");
	const rss = gauge("process.rss", "By", "Resident memory");
	const cpu = counter("process.cpu", "s", "CPU time");
	const observeSignal = (result: BatchObservableResult, signal: string, counters: SignalCounters): void => {
		result.observe(accepted, counters.acceptedRecords, { signal });
		result.observe(batches, counters.acceptedBatches, { signal });
		result.observe(bytes, counters.acceptedBytes, { signal });
		result.observe(duplicates, counters.duplicateBatches, { signal });
		for (const [reason, count] of Object.entries(counters.droppedRecords)) result.observe(dropped, count, { signal, reason });
		for (const [code, count] of Object.entries(counters.refusedBatches)) result.observe(refused, count, { signal, code });
	};
	meter.addBatchObservableCallback(
		async (result) => {
			const status = await options.status();
			for (const signal of ["traces", "logs", "metrics"] as const) observeSignal(result, signal, status.ingest[signal]);
			result.observe(commits, status.pipeline.commits);
			result.observe(queued, status.pipeline.queuedBytes);
			for (const quantile of ["p50", "p99", "max"] as const)
				result.observe(acknowledge, status.pipeline.ackMs[quantile], { quantile });
			result.observe(disk, status.store.bytesOnDisk);
			result.observe(wal, status.store.walBytes);
			result.observe(rss, status.process.rssBytes);
			result.observe(cpu, status.process.cpuSeconds);
		},
		[accepted, batches, bytes, duplicates, dropped, refused, commits, queued, acknowledge, disk, wal, rss, cpu],
	);
}
