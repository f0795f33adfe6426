import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { skimTraces } from "../../collector/decode/skim.ts";
import { RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { decodeResourceGroup, decodeScopeGroup, decodeSpan } from "../../model/otlp/decode.ts";
import type { OtlpKeyValue, OtlpSpan, OtlpTracesData } from "../../model/otlp/types.ts";
import { addDecodedSpan } from "../../model/topology/hops/decoded-spans.ts";
import { FactsBook, SpanColumns } from "../../model/topology/hops/span-columns.ts";
import { resourceAttributes } from "../../model/topology/sources/attributes.ts";
import { NUMBER_KEYS, REQUEST_ID_KEYS, SPAN_KEYS } from "../../model/topology/sources/keys.ts";
import { BlockBuilder } from "../block/builder.ts";
import { BlockReader } from "../block/reader.ts";
import { protobufjsEncode } from "../conformance/otlp-arbitraries.ts";
import { BlockSpans } from "./block-spans.ts";

const numRuns = Math.ceil(Number(process.env["MESHSCOPE_FUZZ_CASES"] ?? 5_000) / 10);

const values = [
	"",
	"-",
	"unknown",
	"cart",
	"cart.shop:8080",
	"http://cart:80/v1/traces",
	"/v1/traces",
	"/a/b?c",
	"8.8.8.8:4000",
	"10.0.0.1:4000",
	"200",
	"1e3",
	"-4",
	"egress",
	"outbound|80||cart.shop.svc.cluster.local",
];
const keys = [...SPAN_KEYS, ...REQUEST_ID_KEYS, ...NUMBER_KEYS.requestBytes, ...NUMBER_KEYS.responseBytes, "other"];
// Few keys, so that some stand twice in a span.
const attribute: fc.Arbitrary<OtlpKeyValue> = fc.record({
	key: fc.oneof(fc.constantFrom(...keys), fc.constantFrom("guid:x-request-id", "request_size", "peer.address", "component")),
	value: fc.oneof(
		fc.constantFrom(...values).map((stringValue) => ({ stringValue })),
		fc.constantFrom("0", "17", "-1").map((intValue) => ({ intValue })),
		fc.boolean().map((boolValue) => ({ boolValue })),
		fc.constant({ arrayValue: { values: [{ stringValue: "a" }] } }),
	),
});
const span: fc.Arbitrary<OtlpSpan> = fc.record({
	traceId: fc.constantFrom("0a".repeat(16), "0b".repeat(16)),
	spanId: fc.constantFrom("01", "02", "03", "04", "05").map((byte) => byte.repeat(8)),
	parentSpanId: fc.constantFrom("", "01".repeat(8), "02".repeat(8)),
	name: fc.constantFrom("GET /", "router cart egress", "kong.dns", "egress cart"),
	kind: fc.integer({ min: 0, max: 5 }),
	startTimeUnixNano: fc.constantFrom("1767225600000000000", "1767225600000000001", "1", "18446744073709551615"),
	endTimeUnixNano: fc.constantFrom("1767225600000000000", "1767225600012345678", "7"),
	traceState: fc.constantFrom("", "ot=th:c", "x=y"),
	status: fc.record({ code: fc.integer({ min: 0, max: 2 }) }),
	attributes: fc.array(attribute, { maxLength: 8 }),
});
const traces: fc.Arbitrary<OtlpTracesData> = fc
	.array(
		fc.record({
			service: fc.constantFrom("web", "cart"),
			scope: fc.constantFrom("", "envoy", "otel"),
			spans: fc.array(span, { minLength: 1, maxLength: 6 }),
		}),
		{ minLength: 1, maxLength: 3 },
	)
	.map((groups) => ({
		resourceSpans: groups.map(({ service, scope, spans }) => ({
			resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
			scopeSpans: [{ scope: { name: scope }, spans }],
		})),
	}));

function blockOf(request: Uint8Array): BlockReader {
	const columns = new RecordColumns(SPAN_SHAPE);
	skimTraces(request, columns, DEFAULT_LIMITS);
	assert.ok(columns.count > 0);
	const builder = new BlockBuilder(SPAN_SHAPE);
	builder.addColumns(columns);
	const { parts } = builder.finish({ level: 1, withFilter: false });
	return new BlockReader((part) => parts[part]);
}

/** As a trace that is read by its id. */
function addRecord(block: BlockReader, row: number, columns: SpanColumns, book: FactsBook): void {
	const { resourceItem, scopeItem } = block.head().scopes[block.head().classes.scope[block.classOfRow(row)]!]!;
	const resource = block.item(resourceItem);
	const scope = block.item(scopeItem);
	const record = block.record(row);
	addDecodedSpan(
		columns,
		book,
		decodeSpan(record, 0, record.length),
		book.resource(resourceAttributes(decodeResourceGroup(resource, 0, resource.length).resource.attributes)),
		decodeScopeGroup(scope, 0, scope.length).scope,
	);
}

function told(columns: SpanColumns): unknown {
	return Array.from({ length: columns.count }, (_, row) => ({
		ref: columns.refOf(row),
		parent: [...columns.parentId.subarray(row * 2, row * 2 + 2)],
		requestId: [...columns.requestId.subarray(row * 2, row * 2 + 2)],
		startMs: columns.startMs[row],
		durationNs: columns.durationNs[row],
		bytes: [columns.requestBytes[row], columns.responseBytes[row]],
		weight: columns.weight[row],
		facts: columns.facts[row],
	}));
}

function assertAlike(request: Uint8Array): number {
	const block = blockOf(request);
	const book = new FactsBook();
	const spans = new BlockSpans(block, book);
	const columns = new SpanColumns();
	const wanted = new SpanColumns();
	const { rows } = block.head();
	for (let row = 0; row < rows; row++) {
		spans.add(row, columns);
		addRecord(block, row, wanted, new FactsBook());
	}
	assert.deepEqual(told(columns), told(wanted));
	return rows;
}

test("the rows of a block state what their records state", () => {
	let rows = 0;
	fc.assert(
		fc.property(traces, (data) => {
			rows += assertAlike(protobufjsEncode("TracesData", data));
		}),
		{ numRuns },
	);
	assert.ok(rows > numRuns);
});

test("a record that says a field twice, or in an unusual encoding, states what its last one says", () => {
	const ids = ["0a10", "0a".repeat(16), "1208", "01".repeat(8)].join("");
	const times = ["39", "0000000000000010", "41", "0100000000000010"].join("");
	for (const fields of [
		// Kind 3, then 2; kind 2 in two bytes; two names; two parents; two starts; no field at all.
		"30033002",
		"308200",
		"2a056b6f6e672e2a01612a0765677265737320",
		`2208${"02".repeat(8)}2208${"03".repeat(8)}`,
		"390000000000000011",
		"",
	]) {
		const record = Buffer.from(ids + times + fields, "hex");
		const scope = Buffer.concat([Buffer.from([0x12, record.length]), record]);
		assert.equal(assertAlike(Buffer.concat([Buffer.from([0x0a, scope.length + 2, 0x12, scope.length]), scope])), 1);
	}
});
