import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { skimTraces } from "../../collector/decode/skim.ts";
import { RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { decodeTracesData } from "../../model/otlp/decode.ts";
import { DecodedSpans } from "../../model/topology/hops/decoded-spans.ts";
import type { TraceHopSpans } from "../../model/topology/hops/span-columns.ts";
import { BlockBuilder } from "../block/builder.ts";
import { BlockReader } from "../block/reader.ts";
import { oddRequest, requestOf, type Write } from "../conformance/odd-spans.ts";
import { protobufjsEncode, tracesData } from "../conformance/otlp-arbitraries.ts";
import { RecordGroups } from "./record-groups.ts";
import { StoredSpans } from "./stored-spans.ts";
import { TraceJson } from "./trace-json.ts";
import { summarySpan, traceIdAt } from "./trace-rows.ts";

const numRuns = Math.ceil(Number(process.env["MESHSCOPE_FUZZ_CASES"] ?? 5_000) / 10);
const builder = new BlockBuilder(SPAN_SHAPE);

function blockOf(requests: readonly Uint8Array[]): BlockReader | undefined {
	const columns = new RecordColumns(SPAN_SHAPE);
	for (const request of requests) skimTraces(request, columns, DEFAULT_LIMITS);
	if (columns.count === 0) return undefined;
	builder.addColumns(columns);
	const { parts } = builder.finish({ level: 1, withFilter: false });
	return new BlockReader((part) => parts[part]);
}

/** Each trace of the blocks, once by {@link TraceJson} and once decoded record by record. */
function assertSame(blocks: readonly BlockReader[], readsWhole: boolean): void {
	const ids = new Set(blocks.flatMap((block) => Array.from({ length: block.traces().count }, (_, at) => traceIdAt(block, at))));
	for (const id of ids) {
		const words = [0, 8, 16, 24].map((at) => Number.parseInt(id.slice(at, at + 8), 16));
		const hops = new StoredSpans();
		const json = new TraceJson(id);
		const groups = new RecordGroups();
		for (const block of blocks) {
			const [first, end] = block.findTrace(words[0]!, words[1]!, words[2]!, words[3]!) ?? [0, 0];
			// Both ways of the hop rules: a few rows are read whole.
			hops.begin(block, readsWhole ? 1 : Infinity);
			for (let row = first; row < end; row++) {
				hops.add(row);
				json.add(block, row, summarySpan(block, row));
				groups.add(block, row);
			}
		}
		const data = decodeTracesData(groups.message().joined());
		const pieces = json.finish();
		assert.ok(pieces.every(({ length }) => length > 0));
		assert.equal(Buffer.concat(pieces).toString(), JSON.stringify(data));
		const decoded = new DecodedSpans();
		for (const { resource, scopeSpans = [] } of data.resourceSpans ?? [])
			for (const { scope, spans = [] } of scopeSpans) for (const span of spans) decoded.add(span, resource!, scope!);
		assert.deepEqual(toldOf(hops), toldOf(decoded));
	}
}

/** Numbers of shapes are in the order in which they were met. */
function toldOf(spans: TraceHopSpans): string[] {
	const told = spans.hops().map(({ sourceRow, destinationRow, sourceAppRow, destinationAppRow, waypointRow, ...hop }) => {
		const refs = [sourceRow, destinationRow, sourceAppRow, destinationAppRow, waypointRow].map((row) => spans.refOf(row));
		return JSON.stringify({ ...hop, shape: { ...hop.shape, number: 0 }, refs });
	});
	return told.sort();
}

const request = fc.oneof(
	oddRequest,
	tracesData.map((json) => protobufjsEncode("TracesData", json)),
);

test("a trace out of columns is the text of its records decoded, and gives the hop rules the same", () => {
	fc.assert(
		fc.property(fc.array(request, { minLength: 1, maxLength: 4 }), fc.nat({ max: 3 }), (requests, cut) => {
			const groups = [requests.slice(0, cut), requests.slice(cut)];
			assertSame(
				groups.map((group) => blockOf(group)).filter((block) => block !== undefined),
				cut % 2 === 0,
			);
		}),
		{ numRuns },
	);
});

const text =
	(key: string, value: string): Write =>
	(writer) => {
		const attribute = writer.begin(9);
		writer.stringField(1, key);
		const mark = writer.begin(2);
		writer.stringField(1, value);
		writer.end(mark);
		writer.end(attribute);
	};

const telling = fc.constantFrom(
	text("component", "proxy"),
	text("component", "-"),
	text("upstream_cluster", "outbound|80||cart.shop.svc.cluster.local"),
	text("guid:x-request-id", "r-1"),
	text("guid:x-request-id", "r-2"),
	text("guid:x-request-id", ""),
	text("http.request.body.size", "120"),
	text("http.request.body.size", "many"),
	text("request_size", "7"),
	text("http.response.body.size", "4000"),
	text("http.response.status_code", "503"),
	text("http.response.status_code", "200"),
	text("server.address", "cart"),
	text("server.address", "10.0.0.7:80"),
	text("peer.service", "cart"),
	text("meshscope.mtls.status", "mutual_tls"),
	text("url.full", "http://cart/a?b"),
	text("says", "nothing"),
);

const telltale = fc
	.tuple(fc.nat({ max: 5 }), fc.integer({ min: -1, max: 5 }), fc.constantFrom(1, 2, 3), fc.array(telling, { maxLength: 7 }))
	.map(([id, parent, kind, attributes]): readonly Write[] => [
		(writer) => writer.bytesField(1, Buffer.alloc(16, 1)),
		(writer) => writer.bytesField(2, Buffer.alloc(8, id + 1)),
		...(parent < 0 ? [] : [(writer: Parameters<Write>[0]) => writer.bytesField(4, Buffer.alloc(8, parent + 1))]),
		(writer) => writer.stringField(3, id % 2 === 0 ? "ot=th:c" : "x=y"),
		(writer) => writer.varintField(6, kind),
		(writer) => writer.fixed64Field(7, 1_800_000_000_000_000_000n + BigInt(id) * 1_000_000n),
		(writer) => writer.fixed64Field(8, 1_800_000_000_030_000_000n),
		...attributes,
	]);

test("attributes that tell of hops count the same out of columns, given twice or as what says nothing", () => {
	const spans = fc
		.tuple(fc.constantFrom("cart", "web"), fc.array(telltale, { minLength: 1, maxLength: 6 }))
		.map(([service, all]) => requestOf(service, all));
	fc.assert(
		fc.property(fc.array(spans, { minLength: 1, maxLength: 3 }), fc.nat({ max: 2 }), (requests, cut) => {
			const groups = [requests.slice(0, cut), requests.slice(cut)];
			assertSame(
				groups.map((group) => blockOf(group)).filter((block) => block !== undefined),
				cut % 2 === 0,
			);
		}),
		{ numRuns },
	);
});

test("a trace of megabytes comes in pieces, whatever its characters", () => {
	const long = Array.from({ length: 40 }, (_, i): readonly Write[] => [
		(writer) => writer.bytesField(1, Buffer.alloc(16, 1)),
		(writer) => writer.bytesField(2, Buffer.alloc(8, i + 1)),
		(writer) => writer.stringField(5, "日本".repeat(10_000)),
	]);
	const block = blockOf([requestOf("cart", long), requestOf("web", long.slice(0, 1))]);
	assert.ok(block !== undefined);
	assertSame([block], false);
});
