import assert from "node:assert/strict";
import { test } from "node:test";
import type { OtlpKeyValue, OtlpSpan } from "../../otlp/types.ts";
import { DecodedSpans } from "./decoded-spans.ts";
import { MAX_SPANS_OF_HOPS } from "./span-columns.ts";

const SERVER = 2;
const CLIENT = 3;
const START_NS = 1_767_225_600_000_000_000n;

function span(id: number, parent: number, kind: number, more: Partial<OtlpSpan> = {}): OtlpSpan {
	return {
		spanId: id.toString(16).padStart(16, "a"),
		...(parent === 0 ? {} : { parentSpanId: parent.toString(16).padStart(16, "a") }),
		kind,
		startTimeUnixNano: String(START_NS + BigInt(id) * 1_000_000n),
		endTimeUnixNano: String(START_NS + 20_000_000n),
		...more,
	};
}

function resource(service: string) {
	return { attributes: [text("service.name", service)] };
}

function text(key: string, value: string): OtlpKeyValue {
	return { key, value: { stringValue: value } };
}

function hopsOf(...spans: readonly (readonly [service: string, span: OtlpSpan])[]) {
	const decoded = new DecodedSpans();
	for (const [service, one] of spans) decoded.add(one, resource(service), {});
	return { decoded, hops: decoded.hops() };
}

test("a caller's and a callee's span are a hop, with bytes and weight of what they say", () => {
	const bytes = [{ key: "http.request.body.size", value: { intValue: "120" } }, text("http.response.body.size", "4000")];
	const { decoded, hops } = hopsOf(
		["web", span(1, 0, CLIENT, { attributes: bytes, traceState: "x=y,ot=th:c" })],
		["cart", span(2, 1, SERVER)],
	);
	assert.equal(hops.length, 1);
	const [hop] = hops;
	assert.ok(hop !== undefined);
	assert.deepEqual([hop.shape.evidence, hop.requestBytes, hop.responseBytes, hop.weight], ["pair", 120, 4000, 4]);
	assert.deepEqual([hop.sourceLatencyNs, hop.destinationLatencyNs], [19_000_000, 18_000_000]);
	assert.equal(hop.startMs, 1_767_225_600_001);
	assert.deepEqual(decoded.refOf(hop.sourceRow), { spanId: "aaaaaaaaaaaaaaa1", kind: CLIENT });
	assert.equal(decoded.refOf(-1), undefined);
});

test("spans of one request id are a hop where parentage broke, and those of two are not", () => {
	const envoy = (id: string) => ({
		attributes: [text("component", "proxy"), text("guid:x-request-id", id), text("upstream_cluster.name", "cart")],
	});
	const evidence = (a: string, b: string): string[] =>
		hopsOf(["web", span(1, 0, CLIENT, envoy(a))], ["cart", span(2, 9, SERVER, envoy(b))]).hops.map(
			(hop) => hop.shape.evidence,
		);
	assert.deepEqual(evidence("r-1", "r-1"), ["request-id"]);
	assert.deepEqual(evidence("r-1", "r-2").toSorted(), ["client-only", "server-only"]);
	assert.deepEqual(evidence("-", "-").toSorted(), ["client-only", "server-only"]);
});

test("what no span says is nothing, and spans that end before they start last no time", () => {
	const { hops } = hopsOf(["a", span(1, 0, SERVER, { endTimeUnixNano: "5", attributes: [text("request_size", "-7")] })]);
	assert.deepEqual(
		hops.map((hop) => [hop.requestBytes, hop.responseBytes, hop.weight, hop.destinationLatencyNs, hop.sourceLatencyNs]),
		[[0, 0, 0, 0, -1]],
	);
	assert.deepEqual(hopsOf(["a", {}]).hops, []);
});

test("spans beyond the bound are counted and left", () => {
	const decoded = new DecodedSpans();
	const one = span(1, 0, 1);
	for (let i = 0; i < MAX_SPANS_OF_HOPS + 5; i++) decoded.add(one, resource("a"), {});
	assert.equal(decoded.left, 5);
});

test("spans that say the same of another resource or with other attributes are not taken for one another", () => {
	const names = (...spans: readonly (readonly [service: string, span: OtlpSpan])[]) =>
		hopsOf(...spans).hops.map(({ shape }) => [shape.source.service, shape.target.service, shape.outcome, shape.code]);
	const code = (value: string) => ({
		attributes: [text("http.response.status_code", value), text("service.peer.name", "cart")],
	});
	assert.deepEqual(
		names(
			["a", span(1, 0, CLIENT, code("200"))],
			["b", span(2, 0, CLIENT, code("200"))],
			["a", span(3, 0, CLIENT, code("503"))],
		),
		[
			["a", "cart", "ok", "200"],
			["b", "cart", "ok", "200"],
			["a", "cart", "server_error", "503"],
		],
	);
});
