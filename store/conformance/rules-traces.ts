/** A trace by its ID: whole, once, and to the byte. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeTracesData } from "../../model/otlp/decode.ts";
import type { OtlpSpan } from "../../model/otlp/types.ts";
import { WireReader } from "../../model/protobuf/reader.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import type { Rule } from "./kit.ts";
import { protobufjsEncode, tracesData } from "./otlp-arbitraries.ts";
import { decodedSpans, from, NOW_MS, span, spanId, string, traceId, traceRequests, wireSpans } from "./workbench.ts";

export const TRACE_RULES: readonly Rule[] = [
	{
		title: "a trace that does not exist is undefined, in an empty store and in a full one",
		async run(bench) {
			assert.equal(await bench.body(traceId(1), "protobuf"), undefined);
			bench.append({ traces: [from("a", [span(1, 1)])] });
			assert.equal(await bench.body(traceId(2), "json"), undefined);
		},
	},
	{
		title: "spans of a trace that came in different groups, hours apart, come back as one trace",
		async run(bench) {
			const parts = [0, 1, 3_600_000, 5 * 3_600_000].map((delayMs, i) => ({
				traces: [from(`service ${i % 2}`, [span(1, 10 + i, { parentSpanId: spanId(10) }), span(2 + i, 1)])],
				arrivedMs: NOW_MS + delayMs,
			}));
			for (const part of parts) bench.append(part);
			const expected = wireSpans(...parts.flatMap(traceRequests)).filter((line) => line.includes(traceId(1)));
			assert.equal(expected.length, 4);
			assert.deepEqual(await bench.spans(traceId(1)), expected);
			bench.maintain(NOW_MS + 5 * 3_600_000);
			assert.deepEqual(await bench.spans(traceId(1)), expected);
			assert.equal((await bench.summary(traceId(1))).spanCount, 4);
		},
	},
	{
		title: "a span that was sent twice is there once, in one group and across groups",
		async run(bench) {
			const request = from("a", [span(1, 1), span(1, 2)]);
			bench.append({ traces: [request, request] });
			bench.append({ traces: [request], arrivedMs: NOW_MS + 3_600_000 });
			assert.equal((await bench.spans(traceId(1)))!.length, 2);
			assert.equal(decodedSpans((await bench.body(traceId(1), "protobuf"))!).length, 2);
			assert.equal((await bench.summary(traceId(1))).spanCount, 2);
			bench.maintain();
			assert.equal(decodedSpans((await bench.body(traceId(1), "protobuf"))!).length, 2);
			assert.equal((await bench.search({}))[0]!.spanCount, 2);
		},
	},
	{
		title: "two spans that share an id but not kind, times, service or name stay two",
		async run(bench) {
			const one = span(1, 1, { kind: 3 });
			const others: readonly Partial<OtlpSpan>[] = [
				{ kind: 2 },
				{ startTimeUnixNano: "5" },
				{ endTimeUnixNano: "18446744073709551615" },
				{ name: "another" },
			];
			bench.append({
				traces: [from("client", [one, ...others.map((change) => ({ ...one, ...change }))]), from("server", [one])],
			});
			assert.equal((await bench.spans(traceId(1)))!.length, 6);
			assert.equal((await bench.summary(traceId(1))).spanCount, 6);
		},
	},
	{
		title: "ids that differ in one digit only are different traces",
		async run(bench) {
			const ids = [
				"00000000000000000000000000000001",
				"10000000000000000000000000000000",
				"00000000000000010000000000000000",
			];
			ids.push("ffffffffffffffffffffffffffffffff", "7fffffffffffffffffffffffffffffff", "fffffffffffffffffffffffffffffffe");
			bench.append({
				traces: [
					from(
						"a",
						ids.map((id, i) => ({ ...span(1, i), traceId: id })),
					),
				],
			});
			for (const [i, id] of ids.entries()) {
				const spans = decodedSpans((await bench.body(id, "protobuf"))!);
				assert.deepEqual(
					spans.map((found) => [found.traceId, found.spanId]),
					[[id, spanId(i)]],
				);
			}
		},
	},
	{
		title: "every field comes back as it was sent, unknown fields and odd encodings included",
		async run(bench) {
			const requests = oddRequests();
			bench.append({ traceBytes: requests });
			const expected = wireSpans(...requests);
			assert.deepEqual(await bench.spans(traceId(1)), expected);
			bench.maintain();
			assert.deepEqual(await bench.spans(traceId(1)), expected);
		},
	},
	{
		title: "random traces come back to the byte, each under its own resource and scope",
		async run(bench) {
			const random = fc.sample(fc.array(tracesData, { minLength: 1, maxLength: 4 }), { numRuns: 40, seed: 7 });
			const expected = new Map<string, Set<string>>();
			for (const [i, traces] of random.entries()) {
				const parts = { traces, arrivedMs: NOW_MS + i * 600_000 };
				bench.append(parts);
				for (const request of traceRequests(parts)) {
					for (const line of wireSpans(request)) {
						const id = traceIdOf(line);
						expected.set(id, (expected.get(id) ?? new Set()).add(line));
					}
				}
				if (i % 10 === 9) bench.maintain(parts.arrivedMs);
			}
			assert.ok(expected.size > 50);
			for (const [id, lines] of expected) assert.deepEqual(await bench.spans(id), [...lines].sort());
		},
	},
	{
		title: "the JSON answer says what the protobuf answer says",
		async run(bench) {
			const attributes = [string("__proto__", "x"), { key: "big", value: { intValue: "9223372036854775807" } }];
			bench.append({
				traces: [from("a", [span(1, 1, { attributes }), span(1, 2, { status: { code: 2, message: "<b>日本</b>" } })])],
			});
			const json = (await bench.body(traceId(1), "json"))!;
			const wire = (await bench.body(traceId(1), "protobuf"))!;
			assert.equal(new TextDecoder().decode(json), JSON.stringify(decodeTracesData(wire)));
		},
	},
	{
		title: "a summary names the root, the whole time, the errors and the services",
		async run(bench) {
			bench.append({
				traces: [from("backend", [span(1, 2, { parentSpanId: spanId(1), startMs: -5, status: { code: 2 } })])],
			});
			bench.append({
				traces: [from("frontend", [span(1, 1, { name: "GET /", startMs: 0 })])],
				arrivedMs: NOW_MS + 3_600_000,
			});
			const { startTimeUnixNano } = span(1, 2, { startMs: -5 });
			assert.deepEqual(await bench.summary(traceId(1)), {
				traceId: traceId(1),
				rootService: "frontend",
				rootName: "GET /",
				startTimeUnixNano,
				durationNs: 15_000_000,
				spanCount: 2,
				errorCount: 1,
				services: ["backend", "frontend"],
			});
		},
	},
	{
		title: "without a span that has no parent the earliest whose parent is not known is the root; cycles end",
		async run(bench) {
			bench.append({
				traces: [
					from("a", [
						span(1, 1, { parentSpanId: spanId(99), name: "late", startMs: 9 }),
						span(1, 2, { parentSpanId: spanId(98), name: "early", startMs: 3 }),
						span(1, 3, { parentSpanId: spanId(2), name: "child", startMs: 1 }),
						span(2, 1, { parentSpanId: spanId(2), name: "egg", startMs: 1 }),
						span(2, 2, { parentSpanId: spanId(1), name: "hen", startMs: 0 }),
						span(3, 1, { parentSpanId: spanId(1), name: "self" }),
					]),
				],
			});
			assert.equal((await bench.summary(traceId(1))).rootName, "early");
			assert.equal((await bench.summary(traceId(2))).rootName, "hen");
			assert.equal((await bench.summary(traceId(3))).rootName, "self");
		},
	},
	{
		title: "times of 0, 2^63−1 and 2^64−1 and ends before starts are kept as they are",
		async run(bench) {
			const times = ["0", "1", "9223372036854775807", "9223372036854775808", "18446744073709551615"];
			const pairs = times.flatMap((start) => times.map((end) => [start, end] as const));
			bench.append({
				traces: [
					from(
						"a",
						pairs.map(([start, end], i) => span(i + 1, i, { startTimeUnixNano: start, endTimeUnixNano: end })),
					),
				],
			});
			for (const [i, [start, end]] of pairs.entries()) {
				const summary = await bench.summary(traceId(i + 1));
				const [only] = decodedSpans((await bench.body(traceId(i + 1), "protobuf"))!);
				assert.deepEqual([only!.startTimeUnixNano ?? "0", only!.endTimeUnixNano ?? "0"], [start, end]);
				assert.equal(summary.startTimeUnixNano, start);
				assert.equal(summary.durationNs, Math.max(0, Number(BigInt(end) - BigInt(start))));
			}
			const found = await bench.search({});
			assert.equal(found.length, pairs.length);
		},
	},
	{
		title: "a trace of 6,000 spans over several groups comes back whole",
		async run(bench) {
			for (let part = 0; part < 6; part++) {
				const spans = Array.from({ length: 1_000 }, (_, i) =>
					span(1, part * 1_000 + i, { parentSpanId: spanId(0), startMs: i }),
				);
				bench.append({ traces: [from(`s${part}`, spans)], arrivedMs: NOW_MS + part * 1_800_000 });
			}
			assert.equal((await bench.spans(traceId(1)))!.length, 6_000);
			bench.maintain(NOW_MS + 6 * 1_800_000);
			const summary = await bench.summary(traceId(1));
			assert.equal(summary.spanCount, 6_000);
			assert.equal(summary.services.length, 6);
		},
	},
];

/** The trace id in a line of `wireSpans`, whose span may have its fields in any order. */
function traceIdOf(line: string): string {
	const bytes = Buffer.from(line.slice(line.lastIndexOf("|") + 1), "hex");
	return decodedSpanId(bytes);
}

function decodedSpanId(bytes: Uint8Array): string {
	const reader = new WireReader(bytes);
	while (reader.next()) {
		if (reader.field === 1) return Buffer.from(reader.view()).toString("hex");
		reader.skip();
	}
	return "";
}

/** Requests of trace 1 that no JSON can express, each well-formed. */
function oddRequests(): Uint8Array[] {
	const plain = protobufjsEncode("Span", span(1, 1, { attributes: [string("k", "v")] }));
	const spans = [
		// Unknown fields of every wire type, before and behind the known ones.
		build((w) => {
			w.varint64Field(1_000, 1n << 63n);
			w.raw(plain);
			w.stringField(50, "from the future");
			w.fixed64Field(51, 7n);
			w.fixed32Field(536_870_911, 9);
		}),
		// Known fields behind one another in reverse order.
		build((w) => {
			w.fixed64Field(8, 20n);
			w.fixed64Field(7, 10n);
			w.varintField(6, 1);
			w.stringField(5, "reverse");
			w.bytesField(2, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
			w.bytesField(1, Buffer.from(traceId(1), "hex"));
		}),
		// A name and a kind given twice, explicit defaults, and a kind in a varint longer than needed.
		build((w) => {
			w.raw(protobufjsEncode("Span", span(1, 3)));
			w.stringField(5, "the last name");
			w.raw(Uint8Array.of(0x30, 0x83, 0x00));
			w.stringField(3, "");
			w.varintField(10, 0);
			w.fixed32Field(16, 0);
		}),
		// A kind beyond a byte, a negative kind, and a wrong wire type for an attribute.
		build((w) => {
			w.raw(protobufjsEncode("Span", { ...span(1, 4), kind: 0 }));
			w.varintField(6, 70_000);
			w.varintField(9, 5);
		}),
		build((w) => {
			w.raw(protobufjsEncode("Span", { ...span(1, 5), kind: 0 }));
			w.varint64Field(6, -1n);
		}),
		// Bytes that are not UTF-8, as name and as attribute.
		build((w) => {
			w.raw(protobufjsEncode("Span", { ...span(1, 6), name: "" }));
			w.bytesField(5, Uint8Array.of(0xff, 0xfe, 0x41));
			w.bytesField(9, Uint8Array.of(0x0a, 1, 0xff, 0x12, 3, 0x0a, 1, 0x80));
		}),
	];
	return spans.map((bytes, i) =>
		build((w) => {
			const resourceSpans = w.begin(1);
			w.bytesField(1, protobufjsEncode("Resource", { attributes: [string("service.name", `odd ${i}`)] }));
			w.stringField(77, "unknown in the resource group");
			const scopeSpans = w.begin(2);
			w.bytesField(1, protobufjsEncode("InstrumentationScope", { name: "scope" }));
			w.bytesField(2, bytes);
			w.varintField(88, 3);
			w.end(scopeSpans);
			w.stringField(3, "https://schema");
			w.end(resourceSpans);
		}),
	);
}

function build(write: (writer: WireWriter) => void): Uint8Array<ArrayBuffer> {
	const writer = new WireWriter();
	write(writer);
	return writer.finish();
}
