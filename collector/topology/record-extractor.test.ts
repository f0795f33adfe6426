import assert from "node:assert/strict";
import { test } from "node:test";
import { RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import { BlockBuilder } from "../../store/block/builder.ts";
import { DEFAULT_LIMITS } from "../decode/limits.ts";
import { skimTraces } from "../decode/skim.ts";
import { NUMBER, NUMBERS_A_ROW, type RecordRows, WORD, WORDS_A_ROW } from "./record-rows.ts";
import { spanExtractor } from "./span-profile.ts";

const SERVER = 2;
const CLIENT = 3;

interface SentSpan {
	readonly id: number;
	readonly kind: number;
	readonly name?: string;
	readonly attributes: Readonly<Record<string, string | number>>;
	readonly traceState?: string;
}

function attribute(writer: WireWriter, field: number, key: string, value: string | number): void {
	const pair = writer.begin(field);
	writer.stringField(1, key);
	const any = writer.begin(2);
	if (typeof value === "string") writer.stringField(1, value);
	else writer.varintField(3, value);
	writer.end(any);
	writer.end(pair);
}

/** One ResourceSpans a service, all in one scope. */
function tracesData(services: Readonly<Record<string, readonly SentSpan[]>>): Uint8Array<ArrayBuffer> {
	const writer = new WireWriter(4_096);
	for (const [service, spans] of Object.entries(services)) {
		const resourceSpans = writer.begin(1);
		const resource = writer.begin(1);
		attribute(writer, 1, "service.name", service);
		attribute(writer, 1, "host.name", `node-of-${service}`);
		writer.end(resource);
		const scopeSpans = writer.begin(2);
		for (const span of spans) {
			const mark = writer.begin(2);
			writer.bytesField(
				1,
				Uint8Array.from({ length: 16 }, (_, i) => i + 1),
			);
			writer.bytesField(
				2,
				Uint8Array.from({ length: 8 }, () => span.id),
			);
			if (span.traceState !== undefined) writer.stringField(3, span.traceState);
			writer.stringField(5, span.name ?? "GET /");
			writer.varintField(6, span.kind);
			for (const [key, value] of Object.entries(span.attributes)) attribute(writer, 9, key, value);
			writer.end(mark);
		}
		writer.end(scopeSpans);
		writer.end(resourceSpans);
	}
	return writer.finish();
}

function extracted(data: Uint8Array<ArrayBuffer>, withEntries: boolean): RecordRows {
	const columns = new RecordColumns(SPAN_SHAPE);
	skimTraces(data, columns, DEFAULT_LIMITS);
	const builder = new BlockBuilder(SPAN_SHAPE);
	builder.addColumns(columns);
	const extractor = spanExtractor([1, 2], 1);
	return withEntries ? extractor.extract(columns, builder.fieldEntries())! : extractor.extract(columns)!;
}

function profilesOf({ words, count }: RecordRows): number[] {
	return Array.from({ length: count }, (_, row) => words[row * WORDS_A_ROW + WORD.profile]!);
}

const attributes = { "http.request.method": "GET", "http.response.status_code": 200, "peer.service": "b", "user.id": "u1" };

const SERVICES: Readonly<Record<string, readonly SentSpan[]>> = {
	a: [
		{ id: 1, kind: CLIENT, attributes: { ...attributes, "guid:x-request-id": "r1", request_size: 12, response_size: "34" } },
		{ id: 2, kind: CLIENT, attributes: { ...attributes, "user.id": "u2" }, traceState: "ot=th:8" },
		{ id: 3, kind: CLIENT, attributes: { ...attributes, "http.response.status_code": 500 } },
		{ id: 4, kind: CLIENT, attributes: { ...attributes, "network.peer.address": "10.0.0.1:4711" } },
		{ id: 5, kind: CLIENT, attributes: { ...attributes, "network.peer.address": "10.0.0.1:4712" } },
		{ id: 6, kind: SERVER, attributes: { ...attributes, "url.full": "http://b/one" } },
		{ id: 7, kind: SERVER, attributes: { ...attributes, "url.full": "http://c/two" } },
		{ id: 8, kind: CLIENT, attributes: { ...attributes, "url.full": "http://b/one" } },
		{ id: 9, kind: CLIENT, attributes: { ...attributes, "url.full": "http://c/two" } },
		{ id: 10, kind: CLIENT, attributes, name: "router outbound|80||b.ns.svc.cluster.local; egress" },
	],
	b: [{ id: 11, kind: CLIENT, attributes }],
};

test("spans that differ in what edges are made of have different profiles, and no others do", () => {
	const [first, second, failed, port, otherPort, server, otherServer, url, otherUrl, named, elsewhere] = profilesOf(
		extracted(tracesData(SERVICES), true),
	);
	assert.equal(first, second);
	assert.equal(port, otherPort);
	// The host that a server was asked for is anybody's word.
	assert.equal(server, otherServer);
	assert.equal(new Set([first, failed, port, server, url, otherUrl, named, elsewhere]).size, 8);
});

test("what the store found equal changes how often fields are read, and nothing of what is read", () => {
	const data = tracesData(SERVICES);
	assert.deepEqual(extracted(data, true), extracted(data, false));
});

test("numbers travel beside the profile, and a profile is told once", () => {
	const rows = extracted(tracesData(SERVICES), true);
	assert.deepEqual(
		[rows.numbers[NUMBER.requestBytes], rows.numbers[NUMBER.responseBytes], rows.numbers[NUMBER.weight]],
		[12, 34, 0],
	);
	assert.equal(rows.numbers[NUMBERS_A_ROW + NUMBER.weight], 2);
	assert.notEqual(rows.words[WORD.requestId], 0);
	assert.equal(rows.words[WORDS_A_ROW + WORD.requestId], 0);
	assert.deepEqual(
		rows.profiles.map(({ id }) => id),
		[...new Set(profilesOf(rows))],
	);
	assert.deepEqual(rows.profiles[0]!.resource, [["service.name", "a"]]);
});

test("an extractor tells no profile again in the next group", () => {
	const columns = new RecordColumns(SPAN_SHAPE);
	const extractor = spanExtractor([1, 2], 1);
	const groups = [0, 1].map(() => {
		columns.reset();
		skimTraces(tracesData(SERVICES), columns, DEFAULT_LIMITS);
		return extractor.extract(columns)!;
	});
	assert.deepEqual(profilesOf(groups[1]!), profilesOf(groups[0]!));
	assert.deepEqual(groups[1]!.profiles, []);
});

test("of a mesh of 20,000 profiles each is told once, and never again while no others come", () => {
	const columns = new RecordColumns(SPAN_SHAPE);
	const extractor = spanExtractor([1, 2], 1);
	const told = [0, 1].map(() => {
		let profiles = 0;
		for (let service = 0; service < 100; service++) {
			const spans = Array.from({ length: 200 }, (_, peer) => ({
				id: 1,
				kind: CLIENT,
				attributes: { "peer.service": `s${peer}` },
			}));
			columns.reset();
			skimTraces(tracesData({ [`s${service}`]: spans }), columns, DEFAULT_LIMITS);
			profiles += extractor.extract(columns)!.profiles.length;
		}
		return profiles;
	});
	assert.deepEqual(told, [20_000, 0]);
});
