/** The OpenTelemetry JS SDK as a sender: the load of load.ts through its public API and its own exporters. */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, ValueType, trace } from "@opentelemetry/api";
import type { Attributes, HrTime } from "@opentelemetry/api";
import { OTLPLogExporter as LogGrpc } from "@opentelemetry/exporter-logs-otlp-grpc";
import { OTLPLogExporter as LogJson } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as LogProtobuf } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter as MetricGrpc } from "@opentelemetry/exporter-metrics-otlp-grpc";
import { OTLPMetricExporter as MetricJson } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as MetricProtobuf } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter as TraceGrpc } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as TraceJson } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as TraceProtobuf } from "@opentelemetry/exporter-trace-otlp-proto";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import type { LogRecordExporter } from "@opentelemetry/sdk-logs";
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { PushMetricExporter } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import { HISTOGRAM_BOUNDS, LINKED_SPAN_ID, LINKED_TRACE_ID, SCOPE } from "./load.ts";
import type { Sent } from "./load.ts";

export const PROTOCOLS = ["grpc", "http/protobuf", "http/json"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export const JS_SDK_VERSION = String(defaultResource().attributes["telemetry.sdk.version"]);

export const COMPRESSIONS = ["none", "gzip"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

interface Exporters {
	readonly spans: SpanExporter;
	readonly logs: LogRecordExporter;
	readonly metrics: PushMetricExporter;
}

export interface JsSdkOptions {
	readonly protocol: Protocol;
	readonly compression: Compression;
	readonly serviceName: string;
	/** `host:port` */
	readonly otlpGrpc: string;
	readonly otlpHttp: string;
	/** Start of the root span. */
	readonly baseTimeNs: bigint;
}

/** Rejects when an exporter was refused. */
export async function sendWithJsSdk(options: JsSdkOptions): Promise<Sent> {
	const exporters = withCompression(options.compression, () => exportersFor(options));
	const resource = resourceFromAttributes({
		"service.name": options.serviceName,
		"service.version": "1.2.3",
		"deployment.number": 7,
		"host.tags": ["a", "b"],
	});
	const at = (offsetNs: bigint): HrTime => hrTime(options.baseTimeNs + offsetNs);
	const tracers = new TracerProvider({ resource, spanProcessors: [new BatchSpanProcessor({ exporter: exporters.spans })] });
	const loggers = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: exporters.logs })] });
	const sent = recordSpansAndLogs(tracers, loggers, at);
	const meters = new MeterProvider({
		resource,
		readers: [new PeriodicExportingMetricReader({ exporter: exporters.metrics, exportIntervalMillis: 3_600_000 })],
		views: [
			{
				instrumentName: "interop.latency",
				aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: HISTOGRAM_BOUNDS } },
			},
			{ instrumentName: "interop.size", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } },
		],
	});
	recordMetrics(meters);
	// Shutdown exports what is left, once.
	await Promise.all([tracers.shutdown(), loggers.shutdown(), meters.shutdown()]);
	return sent;
}

function recordSpansAndLogs(tracers: TracerProvider, loggers: LoggerProvider, at: (offsetNs: bigint) => HrTime): Sent {
	const tracer = tracers.getTracer(SCOPE.name, SCOPE.version);
	const root = tracer.startSpan(
		"GET /checkout",
		{ kind: SpanKind.SERVER, startTime: at(0n), attributes: everyType() },
		ROOT_CONTEXT,
	);
	const inRoot = trace.setSpan(ROOT_CONTEXT, root);
	const charge = tracer.startSpan(
		"charge",
		{
			kind: SpanKind.CLIENT,
			startTime: at(10_000_000n),
			attributes: { "peer.service": "bank" },
			links: [
				{ context: { traceId: LINKED_TRACE_ID, spanId: LINKED_SPAN_ID, traceFlags: 1 }, attributes: { why: "cause" } },
			],
		},
		inRoot,
	);
	charge.addEvent("retry", { attempt: 2, reason: "timeout" }, at(50_000_000n));
	charge.setStatus({ code: SpanStatusCode.ERROR, message: "card declined" });
	charge.end(at(200_000_000n));
	const audit = tracer.startSpan("audit", { startTime: at(210_000_000n) }, inRoot);
	audit.setStatus({ code: SpanStatusCode.OK });
	audit.end(at(240_000_000n));
	root.end(at(250_000_001n));

	const logger = loggers.getLogger(SCOPE.name, SCOPE.version);
	logger.emit({
		timestamp: at(5_000_000n),
		severityNumber: 9,
		severityText: "INFO",
		body: "order accepted",
		attributes: everyType(),
		context: inRoot,
	});
	logger.emit({ timestamp: at(220_000_000n), severityNumber: 17, severityText: "ERROR", body: { code: 51 }, context: inRoot });
	return {
		traceId: root.spanContext().traceId,
		spanIds: {
			"GET /checkout": root.spanContext().spanId,
			charge: charge.spanContext().spanId,
			audit: audit.spanContext().spanId,
		},
	};
}

function recordMetrics(meters: MeterProvider): void {
	const meter = meters.getMeter(SCOPE.name, SCOPE.version);
	const requests = meter.createCounter("interop.requests", {
		unit: "{request}",
		description: "Requests.",
		valueType: ValueType.INT,
	});
	requests.add(5, { route: "/a" });
	requests.add(7, { route: "/a" });
	requests.add(1, { route: "/b" });
	const cost = meter.createCounter("interop.cost", { unit: "EUR" });
	cost.add(1.5);
	cost.add(0.25);
	meter.createUpDownCounter("interop.active", { valueType: ValueType.INT }).add(-3);
	meter.createGauge("interop.temperature", { unit: "Cel" }).record(21.5);
	const latency = meter.createHistogram("interop.latency", { unit: "ms" });
	for (const ms of [1, 10, 100, 3000]) latency.record(ms, { route: "/a" });
	const size = meter.createHistogram("interop.size", { unit: "By" });
	for (const bytes of [1, 2, 4, 8]) size.record(bytes);
}

function everyType(): Attributes {
	return {
		"text.plain": "grüße, 🦉",
		"text.empty": "",
		"number.int": 42,
		"number.int.zero": 0,
		"number.int.negative": -7,
		"number.int.large": Number.MAX_SAFE_INTEGER,
		"number.double": 2.5,
		"flag.true": true,
		"flag.false": false,
		"list.strings": ["a", "", "c"],
		"list.ints": [1, 2, 3],
		"list.doubles": [0.5, -1.25],
		"list.bools": [true, false],
		"map.nested": { inner: "x", deeper: { n: 3 } },
		"blob.bytes": new Uint8Array([0x00, 0x01, 0xfe, 0xff]),
	};
}

/** The standard variable is the one way to say it to all nine exporters; they read it when they are made. */
function withCompression<T>(compression: Compression, make: () => T): T {
	process.env["OTEL_EXPORTER_OTLP_COMPRESSION"] = compression;
	try {
		return make();
	} finally {
		delete process.env["OTEL_EXPORTER_OTLP_COMPRESSION"];
	}
}

function exportersFor({ protocol, otlpGrpc, otlpHttp }: JsSdkOptions): Exporters {
	if (protocol === "grpc") {
		const url = `http://${otlpGrpc}`;
		return { spans: new TraceGrpc({ url }), logs: new LogGrpc({ url }), metrics: new MetricGrpc({ url }) };
	}
	const url = (signal: string) => ({ url: `http://${otlpHttp}/v1/${signal}` });
	return protocol === "http/protobuf"
		? {
				spans: new TraceProtobuf(url("traces")),
				logs: new LogProtobuf(url("logs")),
				metrics: new MetricProtobuf(url("metrics")),
			}
		: { spans: new TraceJson(url("traces")), logs: new LogJson(url("logs")), metrics: new MetricJson(url("metrics")) };
}

function hrTime(timeNs: bigint): HrTime {
	return [Number(timeNs / 1_000_000_000n), Number(timeNs % 1_000_000_000n)];
}
