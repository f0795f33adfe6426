/**
 * Batches whose every id is known to the test: what is sent, and what must be found again.
 *
 * A template is encoded once; each batch is a copy of it with fresh random ids and times written over the template's, so that making
 * load costs a few microseconds a span and the generator does not outweigh the server under test.
 */
import { randomFillSync } from "node:crypto";
import { encodeProtobuf } from "../interop/otlp.ts";
import type { KeyValue } from "../interop/otlp.ts";

export interface BatchShape {
	readonly signal: "traces" | "logs";
	readonly traces: number;
	readonly recordsPerTrace: number;
	readonly serviceName: string;
	/** Characters of an attribute that no compression makes small, fresh in every record: what fills a disk. */
	readonly fillerCharacters?: number;
}

export interface Batch {
	readonly signal: "traces" | "logs";
	readonly bytes: Uint8Array<ArrayBuffer>;
	/** Hex; each has `recordsPerTrace` records. */
	readonly traceIds: readonly string[];
	readonly recordsPerTrace: number;
	/** Hex, in the order of the traces; the span ids that the records carry. */
	readonly spanIds: readonly string[];
}

export interface BatchTemplate {
	make(nowMs: number): Batch;
	readonly records: number;
	readonly bytes: number;
}

/** As a sidecar writes them: 17 attributes, about 750 bytes a span. */
const ATTRIBUTES: readonly KeyValue[] = Object.entries({
	node_id: "sidecar~10.1.2.3~checkout-7d9f8b6c5-x2x7k.shop~shop.svc.cluster.local",
	zone: "",
	"guid:x-request-id": "c980a563-030d-9270-b9bb-ac18916c46c4",
	"http.url": "http://checkout.shop.svc.cluster.local:8080/api/v2/orders/8231/items",
	"http.method": "GET",
	downstream_cluster: "-",
	user_agent: "Go-http-client/1.1",
	"http.protocol": "HTTP/1.1",
	"peer.address": "10.1.2.7",
	request_size: "0",
	response_size: "1532",
	component: "proxy",
	upstream_cluster: "outbound|8080||checkout.shop.svc.cluster.local",
	"upstream_cluster.name": "outbound|8080||checkout.shop.svc.cluster.local;",
	"http.status_code": "200",
	response_flags: "-",
	"meshscope.tls.reported": "1",
}).map(([key, stringValue]) => ({ key, value: { stringValue } }));

/** Ids and times of the template start with these, which occur nowhere else in it. */
const TRACE_ID_MARK = "f1e2d3c4b5a6978800000000";
const SPAN_ID_MARK = "a1b2c3d4";
const TIME_MARK = 0x7a7b7c7d_00000000n;
const FILLER_MARK = "<filler>";

export function makeTemplate(shape: BatchShape): BatchTemplate {
	const resource = { attributes: [{ key: "service.name", value: { stringValue: shape.serviceName } }] };
	const records = shape.traces * shape.recordsPerTrace;
	const fillerCharacters = shape.fillerCharacters ?? 0;
	const attributes =
		fillerCharacters === 0
			? ATTRIBUTES
			: [...ATTRIBUTES, { key: "filler", value: { stringValue: FILLER_MARK.padEnd(fillerCharacters, " ") } }];
	const ids = Array.from({ length: records }, (_, i) => ({
		traceId:
			TRACE_ID_MARK +
			Math.floor(i / shape.recordsPerTrace)
				.toString(16)
				.padStart(8, "0"),
		spanId: SPAN_ID_MARK + i.toString(16).padStart(8, "0"),
		first: i - (i % shape.recordsPerTrace),
	}));
	const template =
		shape.signal === "traces"
			? encodeProtobuf("traces", {
					resourceSpans: [
						{
							resource,
							scopeSpans: [
								{
									scope: { name: "load" },
									spans: ids.map(({ traceId, spanId, first }, i) => ({
										traceId,
										spanId,
										...(i === first ? {} : { parentSpanId: ids[first]!.spanId }),
										name: i === first ? "ingress" : `step ${i - first}`,
										kind: i === first ? 2 : 3,
										startTimeUnixNano: String(TIME_MARK + 1n),
										endTimeUnixNano: String(TIME_MARK + 2n),
										attributes,
									})),
								},
							],
						},
					],
				})
			: encodeProtobuf("logs", {
					resourceLogs: [
						{
							resource,
							scopeLogs: [
								{
									scope: { name: "load" },
									logRecords: ids.map(({ traceId, spanId }) => ({
										traceId,
										spanId,
										timeUnixNano: String(TIME_MARK + 1n),
										severityNumber: 9,
										body: { stringValue: "GET /api/v2/orders/8231/items 200" },
										attributes,
									})),
								},
							],
						},
					],
				});
	const traceSpots = findSpots(template, Buffer.from(TRACE_ID_MARK, "hex"), (spot) => readUint32(template, spot + 12));
	const spanSpots = findSpots(template, Buffer.from(SPAN_ID_MARK, "hex"), (spot) => readUint32(template, spot + 4));
	// fixed64 is little-endian: the mark's four bytes come last, reversed.
	const timeSpots = findSpots(template, Buffer.from("7d7c7b7a", "hex"), (spot) => template[spot - 4]!);
	const fillerSpots = findSpots(template, Buffer.from(FILLER_MARK), () => 0);
	return {
		records,
		bytes: template.length,
		make(nowMs) {
			const batch = fill(shape, template, traceSpots, spanSpots, timeSpots, nowMs);
			for (const { offset } of fillerSpots) fillText(batch.bytes.subarray(offset, offset + fillerCharacters));
			return batch;
		},
	};
}

/** Random text of 64 different characters. */
function fillText(target: Uint8Array): void {
	randomFillSync(target);
	for (let i = 0; i < target.length; i++) target[i] = 0x30 + (target[i]! & 0x3f);
}

interface Spot {
	readonly offset: number;
	readonly index: number;
}

function findSpots(template: Uint8Array, mark: Buffer, indexAt: (offset: number) => number): Spot[] {
	const bytes = Buffer.from(template.buffer, template.byteOffset, template.length);
	const spots: Spot[] = [];
	for (let offset = bytes.indexOf(mark); offset >= 0; offset = bytes.indexOf(mark, offset + mark.length)) {
		spots.push({ offset, index: indexAt(offset) });
	}
	return spots;
}

function readUint32(bytes: Uint8Array, offset: number): number {
	return new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset);
}

function fill(
	shape: BatchShape,
	template: Uint8Array,
	traceSpots: readonly Spot[],
	spanSpots: readonly Spot[],
	timeSpots: readonly Spot[],
	nowMs: number,
): Batch {
	const bytes = Uint8Array.from(template);
	const view = new DataView(bytes.buffer);
	const traceIds = randomFillSync(Buffer.alloc(16 * shape.traces));
	const spanIds = randomFillSync(Buffer.alloc(8 * shape.traces * shape.recordsPerTrace));
	for (const { offset, index } of traceSpots) bytes.set(traceIds.subarray(16 * index, 16 * index + 16), offset);
	for (const { offset, index } of spanSpots) bytes.set(spanIds.subarray(8 * index, 8 * index + 8), offset);
	for (const { offset, index } of timeSpots)
		view.setBigUint64(offset - 4, BigInt(nowMs) * 1_000_000n + BigInt(index) * 1_500_000n, true);
	return {
		signal: shape.signal,
		bytes,
		traceIds: hexIds(traceIds, 16),
		recordsPerTrace: shape.recordsPerTrace,
		spanIds: hexIds(spanIds, 8),
	};
}

function hexIds(bytes: Buffer, length: number): string[] {
	return Array.from({ length: bytes.length / length }, (_, i) => bytes.toString("hex", i * length, (i + 1) * length));
}
