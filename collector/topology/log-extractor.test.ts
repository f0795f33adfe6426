import assert from "node:assert/strict";
import { test } from "node:test";
import { LOG_SHAPE, RecordColumns } from "../../model/columns.ts";
import { protobufjsEncode } from "../../store/conformance/otlp-arbitraries.ts";
import { DEFAULT_LIMITS } from "../decode/limits.ts";
import { skimLogs } from "../decode/skim.ts";
import { factsOfLogProfile, LogExtractor } from "./log-extractor.ts";
import { NUMBER, NUMBERS_A_ROW, type RecordRows, WORD, WORDS_A_ROW } from "./record-rows.ts";

type Value = string | { readonly [key: string]: Value };

function valueOf(value: Value): object {
	if (typeof value === "string") return { stringValue: value };
	return { kvlistValue: { values: pairsOf(value) } };
}

function pairsOf(values: Readonly<Record<string, Value>>): object[] {
	return Object.entries(values).map(([key, value]) => ({ key, value: valueOf(value) }));
}

function extract(
	records: readonly { readonly attributes?: Readonly<Record<string, Value>>; readonly body?: string }[],
	extractor = new LogExtractor(1),
): RecordRows | undefined {
	const columns = new RecordColumns(LOG_SHAPE);
	const logRecords = records.map(({ attributes = {}, body }) => ({
		timeUnixNano: "1800000000000000000",
		attributes: pairsOf(attributes),
		...(body === undefined ? {} : { body: { stringValue: body } }),
	}));
	const resource = { attributes: pairsOf({ "service.name": "frontend", "meshscope.direction": "outbound" }) };
	skimLogs(
		protobufjsEncode("LogsData", { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] }),
		columns,
		DEFAULT_LIMITS,
	);
	return extractor.extract(columns);
}

const ENVOY = {
	log_type: "DownstreamEnd",
	response_code: "503",
	upstream_cluster: "backend",
	upstream_host: "10.0.0.7:8080",
	upstream_tls_version: "-",
	duration_ms: "12",
	bytes_sent: "2000",
	bytes_received: "100",
};

test("records that are no access logs leave no row", () => {
	const others = [
		{ body: "listening on :8080" },
		{ attributes: { "http.method": "GET", error: "timed out" } },
		{ body: '{"src":"me"}' },
	];
	assert.equal(extract(others), undefined);
	assert.equal(extract([...others, { attributes: ENVOY }])?.count, 1);
});

test("an access log of Envoy gives facts, and its numbers beside them", () => {
	const rows = extract([{ attributes: ENVOY }])!;
	const facts = factsOfLogProfile(rows.profiles[0]!)!;
	assert.equal(facts.source.service, "frontend");
	assert.equal(facts.target.service, "backend");
	assert.equal(facts.reporter, "source");
	assert.equal(facts.code, "503");
	assert.equal(facts.tls.status, "plaintext", "the field is there and empty");
	assert.equal(rows.numbers[NUMBER.durationNs], 12e6);
	assert.equal(rows.numbers[NUMBER.requestBytes], 2000);
	assert.equal(rows.numbers[NUMBER.responseBytes], 100);
});

test("records that differ in numbers and in clients' ports share a profile", () => {
	const extractor = new LogExtractor(7);
	const first = { ...ENVOY, downstream_remote: "10.0.0.3:41000" };
	const second = { ...first, downstream_remote: "10.0.0.3:41001", duration_ms: "77", bytes_sent: "1" };
	const rows = extract([{ attributes: first }, { attributes: second }], extractor)!;
	assert.equal(rows.profiles.length, 1);
	assert.equal(rows.words[WORD.profile], 7);
	assert.equal(rows.words[WORDS_A_ROW + WORD.profile], 7);
	assert.equal(rows.numbers[NUMBERS_A_ROW + NUMBER.durationNs], 77e6);
	assert.equal(extract([{ attributes: first }], extractor)!.profiles.length, 0, "told once");
});

test("ztunnel's record is read from attributes, from nested lists and from a JSON body alike", () => {
	const src = {
		addr: "10.0.0.1:4000",
		workload: "web-1",
		namespace: "shop",
		identity: "spiffe://cluster.local/ns/shop/sa/web",
	};
	const dst = { addr: "10.0.0.2:15008", service: "cart.shop.svc.cluster.local", workload: "cart-1", namespace: "shop" };
	const rest = { direction: "outbound", bytes_sent: "84", bytes_recv: "358", duration: "15ms" };
	const flat = Object.fromEntries([
		...Object.entries(src).map(([key, value]) => [`src.${key}`, value]),
		...Object.entries(dst).map(([key, value]) => [`dst.${key}`, value]),
		...Object.entries(rest),
	]) as Record<string, string>;
	const all = [
		extract([{ attributes: flat }]),
		extract([{ attributes: { src, dst, ...rest } }]),
		extract([{ body: JSON.stringify(flat) }]),
		extract([{ body: JSON.stringify({ src, dst, ...rest }) }]),
	];
	for (const rows of all) {
		assert.equal(rows?.count, 1);
		const facts = factsOfLogProfile(rows.profiles[0]!)!;
		assert.equal(facts.emitter, "ztunnel");
		assert.equal(facts.target.service, "cart");
		assert.equal(rows.numbers[NUMBER.durationNs], 15e6);
		assert.equal(rows.numbers[NUMBER.responseBytes], 358);
	}
});

test("profiles of long texts are forgotten before they fill the memory, and told again", () => {
	const extractor = new LogExtractor(1);
	const long = "x".repeat(1 << 20);
	const told = (i: number): number =>
		extract([{ attributes: { ...ENVOY, upstream_cluster: `${i}${long}` } }], extractor)!.profiles.length;
	for (let i = 0; i < 8; i++) assert.equal(told(i), 1);
	assert.equal(told(0), 0);
	for (let i = 8; i < 20; i++) assert.equal(told(i), 1);
	assert.equal(told(0), 1);
});
