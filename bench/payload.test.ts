/**
 * The payload must be what it is said to be: were it smaller, simpler or repeated, every figure of the benchmark would flatter.
 * Decoded by protobufjs, which shares no code with the writer of the templates.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";
import { HOPS_PER_TRACE, SPANS_PER_TRACE } from "./mesh.ts";
import { GRPC_PREFIX_BYTES, type Layout, type Payload, PayloadFiller, createPayload } from "./payload.ts";

interface DecodedSpan {
	readonly service: string;
	readonly traceId: string;
	readonly spanId: string;
	readonly parentSpanId: string;
	readonly name: string;
	readonly kind: number;
	readonly startNs: bigint;
	readonly endNs: bigint;
	readonly attributes: ReadonlyMap<string, string>;
}

const NOW_MS = 1_780_000_000_123;
const requestType = protobuf
	.loadSync(fileURLToPath(new URL("trace.proto", import.meta.url)))
	.lookupType("meshscope.bench.ExportTraceServiceRequest");

interface RawAttribute {
	readonly key: string;
	readonly value: { readonly stringValue?: string };
}

function decode(message: Buffer): DecodedSpan[] {
	assert.equal(message.readUInt32BE(1), message.length - GRPC_PREFIX_BYTES);
	const request = requestType.toObject(requestType.decode(message.subarray(GRPC_PREFIX_BYTES)), {
		longs: String,
		arrays: true,
	});
	const spans: DecodedSpan[] = [];
	for (const { resource, scopeSpans } of request["resourceSpans"]) {
		const service = textOf(resource.attributes).get("service.name")!;
		for (const scope of scopeSpans) {
			for (const span of scope.spans) {
				spans.push({
					service,
					traceId: Buffer.from(span.traceId).toString("hex"),
					spanId: Buffer.from(span.spanId).toString("hex"),
					parentSpanId: Buffer.from(span.parentSpanId ?? []).toString("hex"),
					name: span.name,
					kind: span.kind,
					startNs: BigInt(span.startTimeUnixNano),
					endNs: BigInt(span.endTimeUnixNano),
					attributes: textOf(span.attributes),
				});
			}
		}
	}
	return spans;
}

function textOf(attributes: readonly RawAttribute[]): Map<string, string> {
	return new Map(attributes.map(({ key, value }) => [key, value.stringValue ?? ""]));
}

function fillGroup(payload: Payload, filler: PayloadFiller, index: number): { requests: DecodedSpan[][]; spans: DecodedSpan[] } {
	const group = payload.groups[index]!;
	const buffers = group.requests.map((request) => Buffer.alloc(request.bytes.length));
	filler.fill(group, buffers, NOW_MS);
	const requests = buffers.map(decode);
	return { requests, spans: requests.flat() };
}

function payloadOf(layout: Layout, templates = 2): Payload {
	return createPayload({ layout, spansPerRequest: 500, templates, seed: 1 });
}

test("a span is 740 to 760 bytes on the wire and has 17 attributes, 18 where the call failed", () => {
	const payload = createPayload({ layout: "mixed", spansPerRequest: 1_500, templates: 48, seed: 1 });
	assert.ok(payload.meanSpanBytes >= 740 && payload.meanSpanBytes <= 760, `mean ${payload.meanSpanBytes}`);
	const { spans } = fillGroup(payload, new PayloadFiller(), 0);
	for (const span of spans) assert.equal(span.attributes.size, span.attributes.get("error") === "true" ? 18 : 17);
});

test("about two spans in a hundred failed", () => {
	const payload = createPayload({ layout: "mixed", spansPerRequest: 1_500, templates: 16, seed: 1 });
	const hops = payload.groups.flatMap((group) => group.traces.flatMap((trace) => trace.hops));
	const share = hops.filter((hop) => hop.statusCode >= 500).length / hops.length;
	assert.ok(share > 0.005 && share < 0.035, `share ${share}`);
});

test("a trace is a tree of ten spans, two a hop, that share one request id and nest in time", () => {
	const { spans } = fillGroup(payloadOf("mixed"), new PayloadFiller(), 0);
	const traces = Map.groupBy(spans, (span) => span.traceId);
	assert.equal(traces.size, 50);
	for (const trace of traces.values()) {
		assert.equal(trace.length, SPANS_PER_TRACE);
		assert.equal(new Set(trace.map((span) => span.attributes.get("guid:x-request-id"))).size, 1);
		const byId = new Map(trace.map((span) => [span.spanId, span]));
		assert.equal(trace.filter((span) => span.parentSpanId === "").length, 1);
		assert.equal(trace.filter((span) => span.kind === 2).length, HOPS_PER_TRACE);
		for (const span of trace) {
			assert.ok(span.endNs > span.startNs);
			if (span.parentSpanId === "") continue;
			const parent = byId.get(span.parentSpanId);
			assert.ok(parent !== undefined, "the parent is in the trace");
			assert.ok(span.startNs >= parent.startNs && span.endNs <= parent.endNs, "a child lies within its parent");
			// The two halves of a hop describe one call; a CLIENT below a SERVER leaves from the same workload.
			if (span.kind === 2) assert.equal(span.attributes.get("http.url"), parent.attributes.get("http.url"));
			else assert.equal(span.service, parent.service);
		}
	}
});

test("times are now, with digits below the microsecond", () => {
	const { spans } = fillGroup(payloadOf("mixed"), new PayloadFiller(), 0);
	const nowNs = BigInt(NOW_MS) * 1_000_000n;
	for (const span of spans) assert.ok(span.endNs <= nowNs + 10_000n && span.startNs > nowNs - 60_000_000_000n);
	assert.ok(new Set(spans.map((span) => span.startNs % 1_000n)).size > 300);
});

test("every request has ids of its own", () => {
	const payload = payloadOf("mixed", 1);
	const filler = new PayloadFiller();
	const first = fillGroup(payload, filler, 0).spans;
	const second = fillGroup(payload, filler, 0).spans;
	for (const field of ["traceId", "spanId"] as const) {
		const seen = new Set(first.map((span) => span[field]));
		assert.ok(second.every((span) => !seen.has(span[field])));
	}
	assert.equal(new Set([...first, ...second].map((span) => span.spanId)).size, first.length * 2);
	const requestId = first[0]!.attributes.get("guid:x-request-id")!;
	assert.match(requestId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("mixed requests hold whole traces, scattered ones a part of them", () => {
	const filler = new PayloadFiller();
	const mixed = fillGroup(payloadOf("mixed"), filler, 0);
	assert.equal(mixed.requests.length, 1);
	const scattered = fillGroup(payloadOf("scattered"), filler, 0);
	assert.equal(scattered.requests.length, 8);
	assert.ok(scattered.requests.every((spans) => spans.length === 500));
	const requestsOfTrace = [
		...Map.groupBy(
			scattered.requests.flatMap((spans, index) => spans.map((span) => ({ id: span.traceId, index }))),
			(entry) => entry.id,
		).values(),
	].map((entries) => new Set(entries.map((entry) => entry.index)).size);
	const mean = requestsOfTrace.reduce((sum, count) => sum + count, 0) / requestsOfTrace.length;
	assert.ok(mean >= 3, `a trace lies in ${mean} requests on average`);
	assert.ok(
		[...Map.groupBy(scattered.spans, (span) => span.traceId).values()].every((trace) => trace.length === SPANS_PER_TRACE),
	);
});
