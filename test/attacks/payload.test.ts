/** Attacks by what a payload says: nesting, names, ids, times, numbers, text. Each by name, against the real server. */
import assert from "node:assert/strict";
import { JSON_TYPE } from "../../collector/receivers/test-kit.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import { getJson, getLogs, getSpans, getStatus, queryMetric, searchTraces } from "../interop/api.ts";
import {
	assertRejected,
	attack,
	encode,
	type Json,
	NOW_NS,
	post,
	send,
	sendBytes,
	sendJson,
	server,
	spanId,
	spansOf,
	text,
	traceId,
} from "./payload-target.ts";

/** `levels` lists inside one another, as an AnyValue's fields. */
function nested(writer: WireWriter, levels: number): void {
	const marks: number[] = [];
	for (let i = 0; i < levels; i++) marks.push(writer.begin(5), writer.begin(1));
	writer.stringField(1, "x");
	for (const mark of marks.reverse()) writer.end(mark);
}

attack("AnyValue nesting in protobuf: a span of 20,000 lists in one another is left out, its neighbour is stored", async () => {
	const id = traceId(1, "deeb");
	const writer = new WireWriter();
	const group = writer.begin(1);
	const scope = writer.begin(2);
	for (const levels of [20_000, 1]) {
		const span = writer.begin(2);
		writer.bytesField(1, Buffer.from(id, "hex"));
		writer.bytesField(2, Buffer.from(spanId(levels), "hex"));
		const attribute = writer.begin(9);
		writer.stringField(1, "k");
		const value = writer.begin(2);
		nested(writer, levels);
		for (const mark of [value, attribute, span]) writer.end(mark);
	}
	writer.end(scope);
	writer.end(group);
	assertRejected(await sendBytes(writer.finish()), 1, "too_deep");
	assert.equal((await getSpans(server.addresses.http, id)).length, 1);
});

attack("AnyValue nesting in JSON: 10 MB of [ is refused, and a span that nests 100 levels is left out alone", async () => {
	for (const body of ["[".repeat(10 << 20), `{"resourceSpans":${"[".repeat(10 << 20)}`, `{"a":`.repeat(2 << 20)]) {
		for (const signal of ["traces", "logs", "metrics"] as const)
			assert.equal((await post(body, signal, JSON_TYPE)).status, 400);
	}
	let value: Json = { stringValue: "x" };
	for (let i = 0; i < 100; i++) value = { arrayValue: { values: [value] } };
	const id = traceId(2, "deeb");
	const deep = { traceId: id, spanId: spanId(7), attributes: [{ key: "k", value }] };
	assertRejected(await sendJson(spansOf("deep", [deep, { traceId: id }])), 1, "too_deep");
	assert.equal((await getSpans(server.addresses.http, id)).length, 1);
});

attack(
	"__proto__ and constructor as keys are keys like any other, in JSON and protobuf, of spans, logs and metrics",
	async () => {
		const keys = ["__proto__", "constructor", "toString", "hasOwnProperty"];
		const attributes = [
			...keys.map((key) => text(key, `own ${key}`)),
			{ key: "map", value: { kvlistValue: { values: [text("__proto__", "in")] } } },
		];
		const { http } = server.addresses;
		for (const [i, via] of [send, sendJson].entries()) {
			const id = traceId(1 + i, "9707");
			await via(spansOf("__proto__", [{ traceId: id, attributes }]));
			const [span] = await getSpans(http, id);
			assert.deepEqual(
				span?.span.attributes?.map(({ key, value }) => [key, value?.stringValue]),
				[...keys.map((key) => [key, `own ${key}`]), ["map", undefined]],
			);
			for (const key of keys) {
				const found = await searchTraces(http, { service: "__proto__", attr: `${key}=own ${key}`, limit: "10" });
				assert.ok(
					found.some(({ traceId: each }) => each === id),
					key,
				);
			}
			const resource = { attributes: [text("service.name", "__proto__")] };
			const record = { timeUnixNano: String(NOW_NS + BigInt(i)), body: { stringValue: `proto ${i}` }, attributes };
			await via({ resourceLogs: [{ resource, scopeLogs: [{ logRecords: [record] }] }] }, "logs");
			const answer = await fetch(`http://${http}/api/v1/logs?service=__proto__&text=proto%20${i}`);
			const raw = await answer.text();
			for (const key of keys) assert.ok(raw.includes(`"${key}":"own ${key}"`), `${key} in ${raw}`);
			const point = { timeUnixNano: String(NOW_NS + BigInt(i)), asInt: "1", attributes };
			const metric = { name: `proto.${i}`, gauge: { dataPoints: [point] } };
			await via({ resourceMetrics: [{ resource, scopeMetrics: [{ metrics: [metric] }] }] }, "metrics");
			assert.equal((await queryMetric(http, { name: `proto.${i}`, attr: "__proto__=own __proto__" })).length, 1);
		}
		assert.equal(
			((await getJson(http, "/api/v1/services/__proto__/operations")) as { operations: unknown[] }).operations.length,
			1,
		);
	},
);

attack("ids of 0, 15, 17 and 32 bytes or all zero cost only their own span", async () => {
	const good = traceId(1, "1d");
	const bad = ["", good.slice(2), `${good}00`, good + good, "0".repeat(32)];
	const spans = [...bad.map((id) => ({ traceId: id })), { traceId: good }];
	assertRejected(await send(spansOf("ids", spans)), bad.length, "invalid_trace_id");
	const badSpanIds = ["", "0102030405060", "01020304050607", "010203040506070809", good, "0".repeat(16)].filter(
		(id) => id.length % 2 === 0,
	);
	const second = [...badSpanIds.map((id) => ({ traceId: good, spanId: id })), { traceId: good, spanId: spanId(99) }];
	assertRejected(await send(spansOf("ids", second)), badSpanIds.length, "invalid_span_id");
	const third = ["01", good].map((id, i) => ({ traceId: good, spanId: spanId(200 + i), parentSpanId: id }));
	assertRejected(await send(spansOf("ids", third)), 2, "invalid_parent_id");
	assert.equal((await getSpans(server.addresses.http, good)).length, 2);
	const jsonGood = traceId(2, "1d");
	const json = [...bad.map((id) => ({ traceId: id })), { traceId: "zz".repeat(16) }, { traceId: jsonGood }];
	const answer = (await sendJson(spansOf("ids", json))) as { readonly partialSuccess?: { readonly rejectedSpans?: unknown } };
	assert.equal(String(answer.partialSuccess?.rejectedSpans), "6");
	assert.equal((await getSpans(server.addresses.http, jsonGood)).length, 1);
});

const YEAR_NS = 31_557_600_000_000_000n;

attack("times of 0, 2^63 - 1, 2^64 - 1, ten years off, and ends before starts come back exactly", async () => {
	const max = (1n << 63n) - 1n;
	const pairs: readonly (readonly [bigint, bigint])[] = [
		[0n, 0n],
		[0n, max],
		[max, max],
		[max, 0n],
		[(1n << 64n) - 1n, 1n],
		[1n, (1n << 64n) - 1n],
		[NOW_NS - 10n * YEAR_NS, NOW_NS + 10n * YEAR_NS],
		[NOW_NS + 10n * YEAR_NS, NOW_NS - 10n * YEAR_NS],
		[NOW_NS, NOW_NS - 1n],
	];
	const id = traceId(1, "71e5");
	const spans = pairs.map(([start, end]) => ({ traceId: id, startTimeUnixNano: String(start), endTimeUnixNano: String(end) }));
	assert.deepEqual(await send(spansOf("times", spans)), {});
	const { http } = server.addresses;
	const stored = await getSpans(http, id);
	const times = new Map(
		stored.map(({ span }) => [span.spanId, [BigInt(span.startTimeUnixNano ?? 0), BigInt(span.endTimeUnixNano ?? 0)]]),
	);
	for (const [i, pair] of pairs.entries()) assert.deepEqual(times.get(spanId(i)), pair, `span ${i}`);
	for (const query of [{ minDuration: "1h" }, { maxDuration: "1ns" }, {}])
		assert.ok(Array.isArray(await searchTraces(http, { service: "times", ...query })));
	const [found] = await searchTraces(http, { service: "times", from: "0", to: "4102444800000" }).catch(() => []);
	if (found !== undefined) assert.equal(found.spanCount, pairs.length);
});

attack("NaN and infinities in attributes and points leave as valid JSON", async () => {
	const { http } = server.addresses;
	const id = traceId(1, "0a0");
	const values = ["NaN", "Infinity", "-Infinity", Number.MAX_VALUE, 5e-324];
	const attributes = values.map((doubleValue, i) => ({ key: `d${i}`, value: { doubleValue } }));
	assert.deepEqual(await send(spansOf("nan", [{ traceId: id, attributes }])), {});
	const [span] = await getSpans(http, id);
	assert.deepEqual(
		span?.span.attributes?.map(({ value }) => Number(value?.doubleValue)),
		values.map(Number),
	);
	assert.equal((await searchTraces(http, { service: "nan", attr: "d0=double:NaN" })).length, 1);
	const dataPoints = values.map((asDouble, i) => ({ timeUnixNano: String(NOW_NS + BigInt(i)), asDouble }));
	const histogram = {
		dataPoints: [
			{ timeUnixNano: String(NOW_NS), count: "1", sum: "NaN", min: "-Infinity", max: "Infinity", bucketCounts: ["1"] },
			{ timeUnixNano: String(NOW_NS + 1n), count: "1", sum: 1, bucketCounts: ["1", "0"], explicitBounds: ["NaN"] },
		],
		aggregationTemporality: 2,
	};
	const metrics = [
		{ name: "nan.gauge", gauge: { dataPoints } },
		{ name: "nan.histogram", histogram },
	];
	await send({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }, "metrics");
	const [gauge] = await queryMetric(http, { name: "nan.gauge" });
	assert.equal(gauge?.points.length, values.length);
	assert.ok((await queryMetric(http, { name: "nan.histogram" })).length <= 1);
});

attack(
	"histograms whose bounds contradict their counts, and absurd scales and offsets, are left out or kept, never unfolded",
	async () => {
		const time = String(NOW_NS);
		const base = { timeUnixNano: time, count: "3" };
		const exponential = (scale: number, offset: number): Json => ({
			...base,
			scale,
			positive: { offset, bucketCounts: ["1", "2"] },
		});
		const metrics = [
			{
				name: "h.bad",
				histogram: {
					dataPoints: [{ ...base, bucketCounts: ["1", "2"], explicitBounds: [1, 2, 3] }],
					aggregationTemporality: 2,
				},
			},
			{
				name: "h.falling",
				histogram: {
					dataPoints: [{ ...base, bucketCounts: ["1", "1", "1"], explicitBounds: [5, 1] }],
					aggregationTemporality: 2,
				},
			},
			{
				name: "h.good",
				histogram: {
					dataPoints: [{ ...base, bucketCounts: ["1", "2"], explicitBounds: [1] }],
					aggregationTemporality: 2,
				},
			},
			...[100, -100].map((scale) => ({
				name: `e.scale.${scale}`,
				exponentialHistogram: { dataPoints: [exponential(scale, 0)], aggregationTemporality: 2 },
			})),
			...[2 ** 31 - 1, -(2 ** 31)].map((offset) => ({
				name: `e.offset.${offset}`,
				exponentialHistogram: { dataPoints: [exponential(0, offset)], aggregationTemporality: 2 },
			})),
		];
		const answer = (await send({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }, "metrics")) as {
			readonly partialSuccess?: { readonly rejectedDataPoints?: string; readonly errorMessage?: string };
		};
		assert.match(answer.partialSuccess?.errorMessage ?? "", /invalid_metric_point/);
		const { http } = server.addresses;
		const stored = await Promise.all(
			metrics.map(async ({ name }) => ((await queryMetric(http, { name })).length === 1 ? name : undefined)),
		);
		const kept = stored.filter((name) => name !== undefined);
		assert.ok(kept.includes("h.good"));
		assert.ok(!kept.includes("h.bad") && !kept.includes("h.falling"));
		assert.equal(
			kept.length + Number(answer.partialSuccess?.rejectedDataPoints),
			metrics.length,
			"each is stored or counted",
		);
	},
);

attack("10,000 attributes cost their span, and 1 MiB values come back whole", async () => {
	const id = traceId(1, "b16");
	const attributes = Array.from({ length: 10_000 }, (_, i) => text(`k${i}`, "v"));
	const large = "x".repeat((1 << 20) - 1) + "é";
	const spans = [
		{ traceId: id, attributes },
		{ traceId: id, name: large },
		{ traceId: id, attributes: [text("large", large), text(large, "key")] },
	];
	assertRejected(await send(spansOf("big", spans)), 1, "too_many_attributes");
	const stored = await getSpans(server.addresses.http, id);
	assert.equal(stored.find(({ span }) => span.name !== "op")!.span.name, large);
	const withLarge = stored.find(({ span }) => span.name === "op")!.span.attributes!;
	assert.ok(withLarge[0]!.value?.stringValue === large && withLarge[1]!.key === large);
	assert.equal((await searchTraces(server.addresses.http, { service: "big" })).length, 1);
});

const METACHARACTERS = [
	"'; DROP TABLE blocks; --",
	'" OR 1=1 --',
	"%' UNION SELECT * FROM meta --",
	"%",
	"_",
	"\\",
	".*",
	"(a+)+$",
	"[",
	"^.*$(?<x>",
	"a\u0000b",
	"*",
	"?",
	"%00",
	"${7*7}",
	"x'00'",
];

attack("SQL and regex metacharacters in every search filter match themselves and nothing else", async () => {
	const { http } = server.addresses;
	const id = traceId(1, "5919");
	await send(spansOf("plain", [{ traceId: id, name: "plain", attributes: [text("plain", "plain")] }]));
	const status = await getStatus(http);
	for (const [i, value] of METACHARACTERS.entries()) {
		for (const query of [
			{ service: value },
			{ service: "plain", operation: value },
			{ service: "plain", attr: `plain=${value}` },
		])
			assert.deepEqual(await searchTraces(http, query), [], JSON.stringify(query));
		assert.deepEqual(await getLogs(http, { text: value, service: "plain" }), []);
		assert.deepEqual(await queryMetric(http, { name: value }), []);
		const own = traceId(100 + i, "5919");
		await send(spansOf(value, [{ traceId: own, name: value, attributes: [text(value.replace("=", ""), value)] }]));
		const found = await searchTraces(http, { service: value, operation: value, attr: `${value.replace("=", "")}=${value}` });
		assert.deepEqual(
			found.map((trace) => trace.traceId),
			[own],
			value,
		);
		const { operations } = (await getJson(http, `/api/v1/services/${encodeURIComponent(value)}/operations`)) as {
			readonly operations: readonly { readonly name: string }[];
		};
		assert.ok(operations.length <= 1);
	}
	assert.ok((await getStatus(http)).store.spans >= status.store.spans + METACHARACTERS.length, "every table is still there");
	assert.equal((await getSpans(http, id)).length, 1);
});

attack("parents in cycles, of themselves and of nobody end in one trace with one root", async () => {
	const { http } = server.addresses;
	const id = traceId(1, "c1c1e");
	const spans = [
		{ traceId: id, parentSpanId: spanId(0), name: "self" },
		{ traceId: id, parentSpanId: spanId(2), name: "a" },
		{ traceId: id, parentSpanId: spanId(3), name: "b" },
		{ traceId: id, parentSpanId: spanId(1), name: "c" },
		{ traceId: id, parentSpanId: "ffffffffffffffff", name: "orphan" },
	];
	assert.deepEqual(await send(spansOf("cycle", spans)), {});
	assert.equal((await getSpans(http, id)).length, spans.length);
	const [summary] = await searchTraces(http, { service: "cycle" });
	assert.deepEqual([summary?.spanCount, summary?.rootName], [spans.length, "orphan"]);
	const loop = traceId(2, "c1c1e");
	const ring = [
		{ traceId: loop, parentSpanId: spanId(1), name: "x" },
		{ traceId: loop, parentSpanId: spanId(0), name: "y" },
	];
	assert.deepEqual(await send(spansOf("ring", ring)), {});
	assert.equal((await searchTraces(http, { service: "ring" }))[0]?.spanCount, 2);
});

attack("stored XSS: markup in names, keys and values comes back as JSON text that no browser takes for a page", async () => {
	const markup = '"><script>alert(1)</script><img src=x onerror=alert(1)>';
	const { http } = server.addresses;
	const id = traceId(1, "55");
	await send(spansOf(markup, [{ traceId: id, name: markup, attributes: [text(markup, markup)] }]));
	const paths = [
		`/api/v1/traces/${id}`,
		`/api/v1/traces?service=${encodeURIComponent(markup)}`,
		"/api/v1/services",
		`/api/v1/services/${encodeURIComponent(markup)}/operations`,
	];
	for (const each of paths) {
		const answer = await fetch(`http://${http}${each}`, { headers: { accept: "text/html" } });
		const body = await answer.text();
		assert.equal(answer.status, 200, body);
		assert.match(answer.headers.get("content-type") ?? "", /^application\/json/);
		assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
		assert.ok(JSON.stringify(JSON.parse(body)).includes(JSON.stringify(markup).slice(1, -1)), each);
	}
});

attack("invalid UTF-8 does not cost the batch, comes back as U+FFFD, and is counted", async () => {
	const { http } = server.addresses;
	const id = traceId(1, "07f8");
	const marker = "MARKER";
	const spoil = (bytes: Uint8Array): Uint8Array => {
		const out = Buffer.from(bytes);
		for (let at = out.indexOf(marker); at >= 0; at = out.indexOf(marker)) out.set([0xff, 0xfe, 0x41, 0xc3, 0x28, 0x80], at);
		return out;
	};
	const counted = async (): Promise<number> => (await getStatus(http)).ingest.invalidUtf8Strings;
	const countAtFirst = await counted();
	assert.deepEqual(
		await sendBytes(spoil(encode("traces", spansOf("utf8", [{ traceId: id, name: marker }, { traceId: id }])))),
		{},
	);
	const names = (await getSpans(http, id)).map(({ span }) => span.name).sort();
	assert.deepEqual(names, ["op", "\ufffd\ufffdA\ufffd(\ufffd"]);
	assert.equal(await counted(), countAtFirst + 1);
	const jsonId = traceId(2, "07f8");
	const json = spoil(Buffer.from(JSON.stringify(spansOf("utf8", [{ traceId: jsonId, name: marker }]))));
	assert.equal((await post(json, "traces", JSON_TYPE)).status, 200);
	assert.equal((await getSpans(http, jsonId))[0]?.span.name, "\ufffd\ufffdA\ufffd(\ufffd");
	const point = { timeUnixNano: String(NOW_NS), asInt: "1", attributes: [text("k", marker)] };
	const metrics = [{ name: "utf8", gauge: { dataPoints: [point] } }];
	await sendBytes(spoil(encode("metrics", { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] })), "metrics");
	assert.equal((await queryMetric(http, { name: "utf8", attr: "k=\ufffd\ufffdA\ufffd(\ufffd" })).length, 1);
	assert.equal(await counted(), countAtFirst + 3);
});
