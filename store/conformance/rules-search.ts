/** Trace search: every filter by itself, together, and with what people and attackers write. */
import assert from "node:assert/strict";
import type { OtlpSpan } from "../../model/otlp/types.ts";
import { durationNs } from "../../model/time.ts";
import type { AttributeFilter } from "../store.ts";
import type { Rule } from "./kit.ts";
import { at, from, NOW_MS, span, spanId, string, T0, traceId, type Workbench } from "./workbench.ts";

const ms = (value: number) => durationNs(BigInt(value) * 1_000_000n);

function attr(key: string, value: string, type: AttributeFilter["type"] = "text"): { attributes: AttributeFilter[] } {
	return { attributes: [{ key, value, type }] };
}

async function sorted(bench: Workbench, query: Parameters<Workbench["found"]>[0]): Promise<number[]> {
	return (await bench.found(query)).sort((a, b) => a - b);
}

function lasting(started: OtlpSpan, durationMs: number): OtlpSpan {
	return { ...started, endTimeUnixNano: String(BigInt(started.startTimeUnixNano!) + BigInt(durationMs) * 1_000_000n) };
}

/** Texts that mean something to a regex, to SQL, to LIKE, to JSON or to a shell. */
const METACHARACTERS = [
	".*",
	"(a+)+$",
	"[",
	"\\",
	"%",
	"_",
	"'; DROP TABLE spans;--",
	'" OR 1=1',
	"*",
	"?",
	"a=b",
	"\u0000",
	"${HOME}",
	"__proto__",
	"constructor",
	"null",
	"",
	" ",
	"日本語 🚀",
	"e\u0301",
	"\u00e9",
];

export const SEARCH_RULES: readonly Rule[] = [
	{
		title: "a search without conditions finds every trace once, newest first",
		async run(bench) {
			for (let i = 1; i <= 5; i++)
				bench.append({ traces: [from("a", [span(i, 1, { startMs: i * 1000 }), span(i, 2, { startMs: i * 1000 })])] });
			assert.deepEqual(await bench.found({}), [5, 4, 3, 2, 1]);
			bench.maintain();
			assert.deepEqual(await bench.found({}), [5, 4, 3, 2, 1]);
			assert.deepEqual(await bench.found({ limit: 2 }), [5, 4]);
			assert.deepEqual(await bench.found({ limit: 1 }), [5]);
		},
	},
	{
		title: "newest is by the spans' own times, not by arrival",
		async run(bench) {
			for (const i of [3, 1, 4, 2])
				bench.append({
					traces: [from("a", [span(i, 1, { startMs: i * 1000 })])],
					arrivedMs: NOW_MS + (5 - i) * 3_600_000,
				});
			assert.deepEqual(await bench.found({}), [4, 3, 2, 1]);
			assert.deepEqual(await bench.found({ limit: 2 }), [4, 3]);
		},
	},
	{
		title: "service and operation match exactly, whole and with their case",
		async run(bench) {
			bench.append({ traces: [from("cart", [span(1, 1, { name: "GET" })]), from("Cart", [span(2, 1, { name: "get" })])] });
			bench.append({
				traces: [from("cart-db", [span(3, 1, { name: "GET /" })]), from("cart", [span(4, 1, { name: "PUT" })])],
			});
			assert.deepEqual(await sorted(bench, { service: "cart" }), [1, 4]);
			assert.deepEqual(await sorted(bench, { operation: "GET" }), [1]);
			assert.deepEqual(await sorted(bench, { service: "cart", operation: "PUT" }), [4]);
			assert.deepEqual(await sorted(bench, { service: "car" }), []);
			assert.deepEqual(await sorted(bench, { service: "Cart", operation: "GET" }), []);
		},
	},
	{
		title: "all conditions hold on one and the same span",
		async run(bench) {
			const slow = { endTimeUnixNano: String(T0 + 500_000_000n) };
			bench.append({
				traces: [
					from("a", [span(1, 1, { name: "x" }), span(1, 2, { ...slow, name: "y", attributes: [string("k", "1")] })]),
					from("a", [span(2, 1, { ...slow, name: "x", attributes: [string("k", "1"), string("l", "2")] })]),
					from("b", [span(1, 3, { name: "z", attributes: [string("l", "2")] })]),
				],
			});
			assert.deepEqual(await bench.found({ operation: "x", minDurationNs: ms(100) }), [2]);
			assert.deepEqual(await bench.found({ service: "b", operation: "y" }), []);
			const both = [attr("k", "1"), attr("l", "2")].flatMap(({ attributes }) => attributes);
			assert.deepEqual(await bench.found({ attributes: both }), [2]);
			assert.deepEqual(await sorted(bench, attr("k", "1")), [1, 2]);
		},
	},
	{
		title: "duration bounds are inclusive, to the nanosecond, and a span that ends before it starts has a negative one",
		async run(bench) {
			const lasting = (trace: number, ns: bigint) => span(trace, 1, { endTimeUnixNano: String(T0 + ns) });
			bench.append({
				traces: [from("a", [lasting(1, 999n), lasting(2, 1_000n), lasting(3, 1_001n), lasting(4, -5n), lasting(5, 0n)])],
			});
			assert.deepEqual(await sorted(bench, { minDurationNs: durationNs(1_000n) }), [2, 3]);
			assert.deepEqual(await sorted(bench, { maxDurationNs: durationNs(1_000n) }), [1, 2, 4, 5]);
			assert.deepEqual(await sorted(bench, { minDurationNs: durationNs(1_000n), maxDurationNs: durationNs(1_000n) }), [2]);
			assert.deepEqual(await sorted(bench, { minDurationNs: durationNs(0n) }), [1, 2, 3, 5]);
		},
	},
	{
		title: "durations of hours and of centuries are compared exactly",
		async run(bench) {
			const hours = 5n * 3_600_000_000_000n;
			bench.append({
				traces: [
					from("a", [
						span(1, 1, { endTimeUnixNano: String(T0 + hours) }),
						span(2, 1, { endTimeUnixNano: String(T0 + hours + 1n) }),
						span(3, 1, { startTimeUnixNano: "0", endTimeUnixNano: "18446744073709551615" }),
					]),
				],
			});
			assert.deepEqual(await sorted(bench, { minDurationNs: durationNs(hours + 1n) }), [2, 3]);
			assert.deepEqual(await sorted(bench, { minDurationNs: durationNs(hours), maxDurationNs: durationNs(hours) }), [1]);
			assert.deepEqual(await sorted(bench, { minDurationNs: durationNs(1n << 63n) }), [3]);
		},
	},
	{
		title: "status is the span's own, unset where none was sent",
		async run(bench) {
			bench.append({
				traces: [
					from("a", [
						span(1, 1),
						span(2, 1, { status: { code: 1 } }),
						span(3, 1, { status: { code: 2, message: "no" } }),
						span(4, 1, { status: {} }),
					]),
				],
			});
			assert.deepEqual(await sorted(bench, { status: "unset" }), [1, 4]);
			assert.deepEqual(await sorted(bench, { status: "ok" }), [2]);
			assert.deepEqual(await sorted(bench, { status: "error" }), [3]);
		},
	},
	{
		title: "time is the span's start, from inclusive, to exclusive, and the summary is of the whole trace",
		async run(bench) {
			bench.append({
				traces: [from("a", [span(1, 1, { startMs: 0 }), span(2, 1, { startMs: 10 }), span(2, 2, { startMs: 60_000 })])],
			});
			assert.deepEqual(await bench.found({ fromNs: at(T0), toNs: at(T0 + 1n) }), [1]);
			assert.deepEqual(await bench.found({ fromNs: at(T0 + 1n), toNs: at(T0 + 10_000_000n) }), []);
			const found = await bench.search({ fromNs: at(T0 + 10_000_000n), toNs: at(T0 + 10_000_001n) });
			assert.deepEqual(
				found.map(({ traceId: id, spanCount }) => [id, spanCount]),
				[[traceId(2), 2]],
			);
			assert.deepEqual(await bench.found({ fromNs: at(T0 + 5n), toNs: at(T0 + 5n) }), []);
		},
	},
	{
		title: "untyped attribute filters match the value's text whatever its type, typed ones that type only",
		async run(bench) {
			const values = [
				{ stringValue: "200" },
				{ intValue: "200" },
				{ doubleValue: 200 },
				{ boolValue: true },
				{ stringValue: "true" },
				{ doubleValue: 0.5 },
				{ intValue: "-9223372036854775808" },
				{ bytesValue: "AAAA" },
				{ arrayValue: { values: [{ stringValue: "200" }] } },
				{},
			];
			bench.append({
				traces: [
					from(
						"a",
						values.map((value, i) => span(i + 1, 1, { attributes: [{ key: "k", value }] })),
					),
				],
			});
			assert.deepEqual(await sorted(bench, attr("k", "200")), [1, 2, 3]);
			assert.deepEqual(await sorted(bench, attr("k", "200", "string")), [1]);
			assert.deepEqual(await sorted(bench, attr("k", "200", "int")), [2]);
			assert.deepEqual(await sorted(bench, attr("k", "200", "double")), [3]);
			assert.deepEqual(await sorted(bench, attr("k", "true")), [4, 5]);
			assert.deepEqual(await sorted(bench, attr("k", "true", "bool")), [4]);
			assert.deepEqual(await sorted(bench, attr("k", "0.5")), [6]);
			assert.deepEqual(await sorted(bench, attr("k", "-9223372036854775808", "int")), [7]);
			assert.deepEqual(await sorted(bench, attr("k", "AAAA")), []);
			assert.deepEqual(await sorted(bench, attr("K", "200")), []);
			assert.deepEqual(await sorted(bench, attr("k", "20")), []);
		},
	},
	{
		title: "resource attributes count as the span's own",
		async run(bench) {
			bench.append({
				traces: [from("a", [span(1, 1), span(2, 1, { attributes: [string("zone", "eu")] })], [string("zone", "us")])],
			});
			bench.append({ traces: [from("a", [span(3, 1)], [string("zone", "eu")])] });
			assert.deepEqual(await sorted(bench, attr("zone", "us")), [1, 2]);
			assert.deepEqual(await sorted(bench, attr("zone", "eu")), [2, 3]);
			assert.deepEqual(await sorted(bench, attr("service.name", "a")), [1, 2, 3]);
			const both = [...attr("zone", "us").attributes, ...attr("zone", "eu").attributes];
			assert.deepEqual(await sorted(bench, { attributes: both }), [2]);
		},
	},
	{
		title: "operations are counted by name and kind, with failures and durations, within the range and of one service",
		async run(bench) {
			const spans = Array.from({ length: 100 }, (_, i) =>
				lasting(span(i + 1, 1, { name: "GET /", startMs: i, ...(i < 5 ? { status: { code: 2 } } : {}) }), i + 1),
			);
			bench.append({ traces: [from("cart", spans), from("other", [span(300, 1, { name: "GET /" })])] });
			bench.append({ traces: [from("cart", [span(301, 1, { name: "GET /", kind: 3, startMs: 10 })])] });
			bench.append({ traces: [from("cart", [span(302, 1, { name: "late", startMs: 5_000 })])] });
			const query = { service: "cart", fromNs: at(T0), toNs: at(T0 + 1_000_000_000n), limit: 10 };
			for (const isMerged of [false, true]) {
				if (isMerged) bench.maintain();
				const { operations, searched } = await bench.reader.operationFigures(query);
				assert.equal(searched.truncated, false);
				assert.deepEqual(
					operations.map(({ name, kind, spans: count, errors }) => ({ name, kind, count, errors })),
					[
						{ name: "GET /", kind: 2, count: 100, errors: 5 },
						{ name: "GET /", kind: 3, count: 1, errors: 0 },
					],
				);
				const [{ latencyMs, lastSeenMs }] = operations as [(typeof operations)[number]];
				assert.ok(Math.abs(latencyMs.p95 - 95) < 1.1 && Math.abs(latencyMs.mean - 50.5) < 0.01);
				assert.equal(lastSeenMs, NOW_MS + 99);
				assert.equal((await bench.reader.operationFigures({ ...query, limit: 1 })).operations.length, 1);
			}
			assert.deepEqual((await bench.reader.operationFigures({ ...query, service: "nobody" })).operations, []);
		},
	},
	{
		title: "a span that came in several batches is one of its operation, in whatever block or window its records lie",
		async run(bench) {
			const request = (...spans: readonly OtlpSpan[]) => ({ traces: [from("cart", spans)] });
			const sent = span(1, 1, { name: "GET /", status: { code: 2 } });
			const also = span(1, 2, { name: "GET /" });
			const later = span(2, 1, { name: "GET /", startMs: 500 });
			bench.append(request(sent, also, later));
			bench.append(request(sent));
			bench.append(request(sent, sent, span(3, 1, { name: "GET /", startMs: 900 })));
			bench.append({ ...request(also, later), arrivedMs: NOW_MS + 7_200_000 });
			// One id of an operation, but not one span: these are halves, or an id that was used again.
			bench.append(request({ ...sent, kind: 3 }, lasting(sent, 77), span(1, 1, { name: "GET /", startMs: 1 })));
			bench.append({ traces: [from("other", [sent])] });
			const query = { service: "cart", fromNs: at(T0), toNs: at(T0 + 1_000_000_000n), limit: 10 };
			const durations = { attributes: [], ...query, columns: 10 };
			for (const isMerged of [false, true]) {
				if (isMerged) bench.maintain(NOW_MS + 8_000_000);
				const { operations } = await bench.reader.operationFigures(query);
				assert.deepEqual(
					operations.map(({ kind, spans, errors }) => ({ kind, spans, errors })),
					[
						{ kind: 2, spans: 6, errors: 2 },
						{ kind: 3, spans: 1, errors: 1 },
					],
				);
				assert.equal((await bench.reader.spanDurations(durations)).spans, 7);
				const { selected, others } = await bench.reader.traceDifferences({
					...durations,
					selection: { status: "error" },
				});
				assert.deepEqual([selected.spans, others.spans], [3, 4]);
			}
		},
	},
	{
		title: "metacharacters, unicode and __proto__ mean themselves in every filter",
		async run(bench) {
			const request = (text: string, i: number) =>
				from(text === "" ? "no name" : text, [span(i + 1, 1, { name: text, attributes: [string(text, text)] })]);
			for (const half of [0, 1]) bench.append({ traces: METACHARACTERS.map(request).filter((_, i) => i % 2 === half) });
			bench.maintain();
			for (const [i, text] of METACHARACTERS.entries()) {
				const expected = [i + 1];
				assert.deepEqual(await bench.found(attr(text, text)), expected, `attribute ${JSON.stringify(text)}`);
				assert.deepEqual(await bench.found({ operation: text }), expected, `operation ${JSON.stringify(text)}`);
				if (text !== "")
					assert.deepEqual(await bench.found({ service: text }), expected, `service ${JSON.stringify(text)}`);
				assert.deepEqual(await bench.found(attr(text, `${text}x`)), []);
			}
		},
	},
	{
		title: "one rare attribute is found among many spans, before and after merging",
		async run(bench) {
			for (let part = 0; part < 10; part++) {
				const spans = Array.from({ length: 200 }, (_, i) =>
					span(part * 200 + i + 1, 1, {
						startMs: part * 200 + i,
						attributes: [string("id", `v${part * 200 + i}`), string("common", "c")],
					}),
				);
				bench.append({ traces: [from("a", spans)], arrivedMs: NOW_MS + part * 900_000 });
			}
			for (const id of [0, 777, 1999]) assert.deepEqual(await bench.found(attr("id", `v${id}`)), [id + 1]);
			assert.deepEqual(await bench.found(attr("id", "v2000")), []);
			bench.maintain(NOW_MS + 10 * 900_000);
			for (const id of [0, 777, 1999]) assert.deepEqual(await bench.found(attr("id", `v${id}`)), [id + 1]);
			assert.equal((await bench.found({ ...attr("common", "c"), limit: 1_000 })).length, 1_000);
			assert.deepEqual(await bench.found({ ...attr("common", "c"), limit: 3 }), [2000, 1999, 1998]);
		},
	},
	{
		title: "a long value and a value of 1 MiB are found by their whole text",
		async run(bench) {
			const long = "x".repeat(300);
			const huge = "y".repeat(1 << 20);
			bench.append({
				traces: [
					from("a", [span(1, 1, { attributes: [string("k", long)] }), span(2, 1, { attributes: [string("k", huge)] })]),
				],
			});
			assert.deepEqual(await bench.found(attr("k", long)), [1]);
			assert.deepEqual(await bench.found(attr("k", `${long}x`)), []);
			assert.deepEqual(await bench.found(attr("k", huge)), [2]);
		},
	},
	{
		title: "a summary found by search is the one the trace gives",
		async run(bench) {
			bench.append({ traces: [from("a", [span(1, 1), span(1, 2, { parentSpanId: spanId(1), status: { code: 2 } })])] });
			bench.append({
				traces: [from("b", [span(1, 3, { parentSpanId: spanId(2), startMs: 5 })])],
				arrivedMs: NOW_MS + 7_200_000,
			});
			assert.deepEqual(await bench.search({ service: "b" }), [await bench.summary(traceId(1))]);
		},
	},
];
