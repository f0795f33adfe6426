/**
 * Random OTLP, as JSON in the canonical form that model/otlp/decode.ts answers with, and protobufjs as the second opinion on what
 * that JSON means. Tests only.
 */
import fc from "fast-check";
import protobuf from "protobufjs";
import { bytesFromHex } from "../../model/ids.ts";
import { OTLP_PROTO_SOURCE } from "../../model/otlp/proto-source.ts";
import type {
	OtlpAnyValue,
	OtlpEvent,
	OtlpKeyValue,
	OtlpLink,
	OtlpLogRecord,
	OtlpResource,
	OtlpScope,
	OtlpSpan,
	OtlpTracesData,
} from "../../model/otlp/types.ts";

/** Drops what is undefined or the default, so that values are as the decoder answers them. */
export function canonical<T extends object>(value: { [K in keyof T]: T[K] | undefined }): T {
	const out: Record<string, unknown> = {};
	for (const [key, entry] of Object.entries(value)) {
		if (entry === undefined || entry === "" || entry === 0 || entry === "0" || (Array.isArray(entry) && entry.length === 0))
			continue;
		out[key] = entry;
	}
	return out as T;
}

export const text = fc.oneof(
	{ weight: 4, arbitrary: fc.string({ maxLength: 12 }) },
	{ weight: 2, arbitrary: fc.string({ unit: "grapheme", maxLength: 8 }) },
	{
		weight: 1,
		arbitrary: fc.constantFrom(
			"",
			"__proto__",
			"constructor",
			"日本語",
			"'; DROP TABLE spans;--",
			".*(a+)+$",
			"%_\\",
			"\u0000",
		),
	},
	{ weight: 1, arbitrary: fc.string({ minLength: 100, maxLength: 300 }) },
);

export const anyKey = fc.oneof(text, fc.constantFrom("http.method", "http.status_code", "service.name", "peer"));

export const int64 = fc.oneof(
	fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
	fc.bigInt({ min: -200n, max: 600n }),
	fc.constantFrom(0n, (1n << 63n) - 1n, -(1n << 63n), 1n << 53n),
);

export const uint64 = fc
	.oneof(
		fc.bigInt({ min: 1_700_000_000_000_000_000n, max: 1_700_000_100_000_000_000n }),
		fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
		fc.constantFrom(0n, 1n, (1n << 63n) - 1n, (1n << 64n) - 1n),
	)
	.map(String);

export const double = fc.double().map((value) => {
	if (Number.isFinite(value)) return value;
	return Number.isNaN(value) ? ("NaN" as const) : value > 0 ? ("Infinity" as const) : ("-Infinity" as const);
});

const base64 = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString("base64"));

export const { anyValue, keyValue } = fc.letrec<{ anyValue: OtlpAnyValue; keyValue: OtlpKeyValue }>((tie) => ({
	anyValue: fc.oneof(
		{ depthSize: "small", maxDepth: 4 },
		{ weight: 6, arbitrary: text.map((stringValue) => ({ stringValue })) },
		{ weight: 2, arbitrary: int64.map((value) => ({ intValue: String(value) })) },
		fc.boolean().map((boolValue) => ({ boolValue })),
		double.map((doubleValue) => ({ doubleValue })),
		base64.map((bytesValue) => ({ bytesValue })),
		fc.constant({}),
		fc
			.array(tie("anyValue"), { maxLength: 3 })
			.map((values) => ({ arrayValue: canonical<{ values: OtlpAnyValue[] }>({ values }) })),
		fc
			.array(tie("keyValue"), { maxLength: 3 })
			.map((values) => ({ kvlistValue: canonical<{ values: OtlpKeyValue[] }>({ values }) })),
	),
	keyValue: fc
		.record({ key: anyKey, value: fc.option(tie("anyValue"), { nil: undefined, freq: 10 }) })
		.map((pair) => canonical<OtlpKeyValue>(pair)),
}));

export const attributes = fc.array(keyValue, { maxLength: 5 });
const count = fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat({ max: 0xffff_ffff }));

export function hexId(bytes: number): fc.Arbitrary<string> {
	return fc
		.uint8Array({ minLength: bytes, maxLength: bytes })
		.map((id) => Buffer.from(id).toString("hex"))
		.filter((id) => !/^0*$/.test(id));
}

const event = fc
	.record({ timeUnixNano: uint64, name: text, attributes, droppedAttributesCount: count })
	.map((value) => canonical<OtlpEvent>(value));

const link = fc
	.record({ traceId: hexId(16), spanId: hexId(8), traceState: text, attributes, droppedAttributesCount: count, flags: count })
	.map((value) => canonical<OtlpLink>(value));

export const resource: fc.Arbitrary<OtlpResource> = fc
	.record({
		service: fc.option(text, { nil: undefined, freq: 5 }),
		attributes,
		droppedAttributesCount: count,
		entityRefs: fc.array(
			fc
				.record({
					schemaUrl: text,
					type: text,
					idKeys: fc.array(text, { maxLength: 2 }),
					descriptionKeys: fc.array(text, { maxLength: 2 }),
				})
				.map((value) => canonical<object>(value)),
			{ maxLength: 1 },
		),
	})
	.map(({ service, ...rest }) => {
		const own = rest.attributes.filter(({ key }) => key !== "service.name");
		const all = service === undefined ? own : [{ key: "service.name", value: { stringValue: service } }, ...own];
		return canonical<OtlpResource>({ ...rest, attributes: all });
	});

export const scope: fc.Arbitrary<OtlpScope> = fc
	.record({ name: text, version: text, attributes, droppedAttributesCount: count })
	.map((value) => canonical<OtlpScope>(value));

export const span: fc.Arbitrary<OtlpSpan> = fc
	.record({
		traceId: hexId(16),
		spanId: hexId(8),
		traceState: text,
		parentSpanId: fc.option(hexId(8), { nil: undefined }),
		flags: count,
		name: text,
		kind: fc.nat({ max: 5 }),
		startTimeUnixNano: uint64,
		endTimeUnixNano: uint64,
		attributes,
		droppedAttributesCount: count,
		events: fc.array(event, { maxLength: 2 }),
		droppedEventsCount: count,
		links: fc.array(link, { maxLength: 2 }),
		droppedLinksCount: count,
		status: fc.option(
			fc.record({ message: text, code: fc.nat({ max: 2 }) }).map((value) => canonical<object>(value)),
			{ nil: undefined },
		),
	})
	.map((value) => canonical<OtlpSpan>(value));

export const logRecord: fc.Arbitrary<OtlpLogRecord> = fc
	.record({
		timeUnixNano: uint64,
		observedTimeUnixNano: uint64,
		severityNumber: fc.nat({ max: 24 }),
		severityText: text,
		eventName: text,
		body: fc.option(anyValue, { nil: undefined }),
		attributes,
		droppedAttributesCount: count,
		flags: count,
		traceId: fc.option(hexId(16), { nil: undefined }),
		spanId: fc.option(hexId(8), { nil: undefined }),
	})
	.map((value) => canonical<OtlpLogRecord>(value));

export const tracesData: fc.Arbitrary<OtlpTracesData> = fc
	.array(
		fc
			.record({
				resource,
				scopeSpans: fc.array(
					fc
						.record({ scope, spans: fc.array(span, { maxLength: 3 }), schemaUrl: text })
						.map((value) => canonical<{ spans: OtlpSpan[] }>(value)),
					{ maxLength: 2 },
				),
				schemaUrl: text,
			})
			.map((value) => canonical<object>(value)),
		{ maxLength: 3 },
	)
	.map((resourceSpans) => canonical<OtlpTracesData>({ resourceSpans }));

export interface OtlpLogsData {
	readonly resourceLogs?: readonly {
		readonly resource?: OtlpResource;
		readonly scopeLogs?: readonly { readonly scope?: OtlpScope; readonly logRecords?: readonly OtlpLogRecord[] }[];
	}[];
}

export const logsData: fc.Arbitrary<OtlpLogsData> = fc
	.array(
		fc
			.record({
				resource,
				scopeLogs: fc.array(
					fc
						.record({ scope, logRecords: fc.array(logRecord, { maxLength: 3 }), schemaUrl: text })
						.map((value) => canonical<{ logRecords: OtlpLogRecord[] }>(value)),
					{ maxLength: 2 },
				),
				schemaUrl: text,
			})
			.map((value) => canonical<object>(value)),
		{ maxLength: 3 },
	)
	.map((resourceLogs) => canonical<OtlpLogsData>({ resourceLogs }));

const ROOT = protobuf.parse(OTLP_PROTO_SOURCE).root;

export type OtlpMessageName =
	| "TracesData"
	| "LogsData"
	| "MetricsData"
	| "Span"
	| "LogRecord"
	| "Resource"
	| "InstrumentationScope"
	| "KeyValue"
	| "NumberDataPoint"
	| "HistogramDataPoint"
	| "ExponentialHistogramDataPoint"
	| "SummaryDataPoint";

/** Wire bytes of OTLP JSON, by protobufjs. */
export function protobufjsEncode(message: OtlpMessageName, json: object): Uint8Array<ArrayBuffer> {
	const type = ROOT.lookupType(`otlp.${message}`);
	return Uint8Array.from(type.encode(type.fromObject(withByteIds(json) as Record<string, unknown>)).finish());
}

/** What protobufjs reads in wire bytes, as plain data that deepEqual can compare. */
export function protobufjsDecode(message: OtlpMessageName, bytes: Uint8Array): unknown {
	const type = ROOT.lookupType(`otlp.${message}`);
	return type.toObject(type.decode(bytes), { longs: String, bytes: String, enums: Number, json: true });
}

/** OTLP JSON says ids in hex where protobufjs expects bytes. */
function withByteIds(value: unknown): unknown {
	if (Array.isArray(value)) return value.map(withByteIds);
	if (typeof value !== "object" || value === null) return value;
	const out: Record<string, unknown> = {};
	for (const [key, entry] of Object.entries(value)) {
		const isId = key === "traceId" || key === "spanId" || key === "parentSpanId";
		out[key] = isId && typeof entry === "string" ? bytesFromHex(entry) : withByteIds(entry);
	}
	return out;
}
