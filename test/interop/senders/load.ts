/**
 * What every SDK is asked to send, as OTLP says it: the values each sender sets through its own API must come back as these.
 * senders/js-sdk.ts and senders/python_sdk.py each build it in the words of their SDK.
 */
import type { AnyValue } from "../otlp.ts";

export const SCOPE = { name: "interop.scope", version: "0.9.1" };

/** Beside the service's name and what the SDK adds about itself. */
export const RESOURCE: Readonly<Record<string, AnyValue>> = {
	"service.version": { stringValue: "1.2.3" },
	"deployment.number": { intValue: "7" },
	"host.tags": { arrayValue: { values: [{ stringValue: "a" }, { stringValue: "b" }] } },
};

/** One attribute of each type and of each edge that an encoder may get wrong. */
export const EVERY_TYPE: Readonly<Record<string, AnyValue>> = {
	"text.plain": { stringValue: "grüße, 🦉" },
	"text.empty": { stringValue: "" },
	"number.int": { intValue: "42" },
	"number.int.zero": { intValue: "0" },
	"number.int.negative": { intValue: "-7" },
	"number.int.large": { intValue: "9007199254740991" },
	"number.double": { doubleValue: 2.5 },
	"flag.true": { boolValue: true },
	"flag.false": { boolValue: false },
	"list.strings": { arrayValue: { values: [{ stringValue: "a" }, { stringValue: "" }, { stringValue: "c" }] } },
	"list.ints": { arrayValue: { values: [{ intValue: "1" }, { intValue: "2" }, { intValue: "3" }] } },
	"list.doubles": { arrayValue: { values: [{ doubleValue: 0.5 }, { doubleValue: -1.25 }] } },
	"list.bools": { arrayValue: { values: [{ boolValue: true }, { boolValue: false }] } },
	"map.nested": {
		kvlistValue: {
			values: [
				{ key: "inner", value: { stringValue: "x" } },
				{ key: "deeper", value: { kvlistValue: { values: [{ key: "n", value: { intValue: "3" } }] } } },
			],
		},
	},
	"blob.bytes": { bytesValue: Buffer.from([0x00, 0x01, 0xfe, 0xff]).toString("base64") },
};

export const LINKED_TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
export const LINKED_SPAN_ID = "b7ad6b7169203331";

/** Offsets from the base time that a sender is given, nanoseconds. */
export interface ExpectedSpan {
	readonly name: string;
	readonly kind: number;
	readonly startNs: bigint;
	readonly endNs: bigint;
	readonly isRoot: boolean;
	readonly attributes: Readonly<Record<string, AnyValue>>;
	readonly statusCode: number;
	readonly statusMessage: string;
}

const MS = 1_000_000n;

export const SPANS: readonly ExpectedSpan[] = [
	{
		name: "GET /checkout",
		kind: 2,
		startNs: 0n,
		endNs: 250n * MS + 1n,
		isRoot: true,
		attributes: EVERY_TYPE,
		statusCode: 0,
		statusMessage: "",
	},
	{
		name: "charge",
		kind: 3,
		startNs: 10n * MS,
		endNs: 200n * MS,
		isRoot: false,
		attributes: { "peer.service": { stringValue: "bank" } },
		statusCode: 2,
		statusMessage: "card declined",
	},
	{
		name: "audit",
		kind: 1,
		startNs: 210n * MS,
		endNs: 240n * MS,
		isRoot: false,
		attributes: {},
		statusCode: 1,
		statusMessage: "",
	},
];

/** On the span "charge". */
export const EVENT = {
	name: "retry",
	atNs: 50n * MS,
	attributes: { attempt: { intValue: "2" }, reason: { stringValue: "timeout" } } satisfies Record<string, AnyValue>,
};
export const LINK_ATTRIBUTES: Readonly<Record<string, AnyValue>> = { why: { stringValue: "cause" } };

/** Both inside the root span. */
export const LOGS = [
	{
		offsetNs: 5n * MS,
		severityNumber: 9,
		severityText: "INFO",
		body: { stringValue: "order accepted" } satisfies AnyValue as AnyValue,
		attributes: EVERY_TYPE,
	},
	{
		offsetNs: 220n * MS,
		severityNumber: 17,
		severityText: "ERROR",
		body: { kvlistValue: { values: [{ key: "code", value: { intValue: "51" } }] } } satisfies AnyValue as AnyValue,
		attributes: {} as Readonly<Record<string, AnyValue>>,
	},
] as const;

/** What a sender prints or returns when everything it sent was accepted. */
export interface Sent {
	readonly traceId: string;
	/** By span name. */
	readonly spanIds: Readonly<Record<string, string>>;
}

/** Values each sender records, by metric name; see METRIC_POINTS for what must come out. */
export const HISTOGRAM_BOUNDS = [5, 50, 500];

export interface ExpectedPoint {
	readonly attributes: Readonly<Record<string, string>>;
	/** Integers as decimal strings, doubles as numbers. */
	readonly value?: number | string;
	readonly count?: string;
	readonly sum?: number;
	readonly min?: number;
	readonly max?: number;
	readonly explicitBounds?: readonly number[];
	readonly bucketCounts?: readonly string[];
}

export interface ExpectedMetric {
	readonly name: string;
	readonly unit: string;
	readonly description: string;
	readonly type: "gauge" | "sum" | "histogram" | "exponential_histogram";
	readonly monotonic: boolean;
	readonly points: readonly ExpectedPoint[];
}

export const METRICS: readonly ExpectedMetric[] = [
	{
		name: "interop.requests",
		unit: "{request}",
		description: "Requests.",
		type: "sum",
		monotonic: true,
		points: [
			{ attributes: { route: "/a" }, value: "12" },
			{ attributes: { route: "/b" }, value: "1" },
		],
	},
	{
		name: "interop.cost",
		unit: "EUR",
		description: "",
		type: "sum",
		monotonic: true,
		points: [{ attributes: {}, value: 1.75 }],
	},
	{
		name: "interop.active",
		unit: "",
		description: "",
		type: "sum",
		monotonic: false,
		points: [{ attributes: {}, value: "-3" }],
	},
	{
		name: "interop.temperature",
		unit: "Cel",
		description: "",
		type: "gauge",
		monotonic: false,
		points: [{ attributes: {}, value: 21.5 }],
	},
	{
		name: "interop.latency",
		unit: "ms",
		description: "",
		type: "histogram",
		monotonic: false,
		points: [
			{
				attributes: { route: "/a" },
				count: "4",
				sum: 3111,
				min: 1,
				max: 3000,
				explicitBounds: HISTOGRAM_BOUNDS,
				bucketCounts: ["1", "1", "1", "1"],
			},
		],
	},
	{
		name: "interop.size",
		unit: "By",
		description: "",
		type: "exponential_histogram",
		monotonic: false,
		points: [{ attributes: {}, count: "4", sum: 15, min: 1, max: 8 }],
	},
];
