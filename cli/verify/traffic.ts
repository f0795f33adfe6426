/** Traces to write and read back: random ids, every type of value, text that breaks careless code. Pure given its randomness. */
import { timeNsFromMs } from "../../model/time.ts";
import type { OtlpAnyValue, OtlpKeyValue, OtlpSpan, OtlpTracesData } from "../../model/otlp/types.ts";

export interface WrittenTrace {
	readonly traceId: string;
	/** Sent one after the other, so that the answer has to be put together from several batches. */
	readonly batches: readonly OtlpTracesData[];
}

export type RandomBytes = (count: number) => Uint8Array;

const SERVICES: readonly string[] = ["meshscope-verify-gateway", "meshscope-verify-cart"];
const TEXTS: readonly string[] = [
	"GET /checkout",
	"größe 注文 🛒",
	'quote " back \\ slash',
	"a=b;c'd--",
	"line\nbreak\ttab",
	"",
	"__proto__",
	"%s {} ${x}",
];

export function makeTrace(random: RandomBytes, nowMs: number): WrittenTrace {
	const traceId = hex(random(16));
	const rootId = hex(random(8));
	const startNs = timeNsFromMs(nowMs) + BigInt(random(1)[0]!);
	const root = makeSpan(random, traceId, rootId, undefined, startNs);
	const children = Array.from({ length: 1 + (random(1)[0]! % 5) }, (_, i) =>
		makeSpan(random, traceId, hex(random(8)), rootId, startNs + BigInt(i * 1_000)),
	);
	return { traceId, batches: [batchOf(SERVICES[0]!, [root]), batchOf(SERVICES[1]!, children)] };
}

function batchOf(service: string, spans: readonly OtlpSpan[]): OtlpTracesData {
	return {
		resourceSpans: [
			{
				resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
				scopeSpans: [{ scope: { name: "meshscope.verify", version: "1" }, spans }],
			},
		],
	};
}

function makeSpan(random: RandomBytes, traceId: string, spanId: string, parent: string | undefined, startNs: bigint): OtlpSpan {
	const [pick = 0, length = 0, kind = 0, status = 0] = random(4);
	return {
		traceId,
		spanId,
		...(parent === undefined ? {} : { parentSpanId: parent }),
		name: textOf(pick),
		kind: 1 + (kind % 5),
		startTimeUnixNano: startNs.toString(),
		endTimeUnixNano: (startNs + BigInt(length) * 12_345n).toString(),
		attributes: Array.from({ length: pick % 8 }, (_, i): OtlpKeyValue => ({
			key: `verify.${i}.${textOf(length + i)}`,
			value: makeValue(random, i),
		})),
		events:
			pick % 3 === 0
				? [
						{
							timeUnixNano: (startNs + 1n).toString(),
							name: textOf(kind),
							attributes: [{ key: "n", value: { intValue: "0" } }],
						},
					]
				: [],
		links: pick % 4 === 0 ? [{ traceId: hex(random(16)), spanId: hex(random(8)), traceState: "a=b" }] : [],
		status: status % 3 === 2 ? { code: 2, message: textOf(status) } : { code: status % 3 },
	};
}

function makeValue(random: RandomBytes, kind: number): OtlpAnyValue {
	const bytes = random(8);
	const word = new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0);
	switch (kind % 7) {
		case 0:
			return { stringValue: textOf(bytes[0]!) };
		case 1:
			return { intValue: word.toString() };
		case 2:
			return { doubleValue: Number(word) / 1_000 };
		case 3:
			return { boolValue: bytes[0]! % 2 === 0 };
		case 4:
			return { arrayValue: { values: [{ intValue: "0" }, { stringValue: "" }, { boolValue: false }] } };
		case 5:
			return { kvlistValue: { values: [{ key: "inner", value: { doubleValue: 0.1 } }] } };
		default:
			return { bytesValue: Buffer.from(bytes).toString("base64") };
	}
}

function textOf(pick: number): string {
	return TEXTS[pick % TEXTS.length]!;
}

/** Never all zero, which OTLP calls invalid. */
function hex(bytes: Uint8Array): string {
	const text = Buffer.from(bytes).toString("hex");
	return /^0+$/.test(text) ? text.replace(/0$/, "1") : text;
}
