import assert from "node:assert/strict";
import { test } from "node:test";
import type { OtlpSpan, TracesData } from "../../ui/base/otlp.ts";
import { textWidth } from "./text-width.ts";
import { formatLocalTime, waterfallLines } from "./waterfall.ts";

const START = 1_767_225_600_000_000_000n;

function span(
	id: number,
	parent: number,
	name: string,
	startMs: number,
	lengthMs: number,
	more: Partial<OtlpSpan> = {},
): OtlpSpan {
	const at = START + BigInt(startMs * 1_000_000);
	return {
		traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
		spanId: id.toString(16).padStart(16, "0"),
		...(parent === 0 ? {} : { parentSpanId: parent.toString(16).padStart(16, "0") }),
		name,
		startTimeUnixNano: at.toString(),
		endTimeUnixNano: (at + BigInt(lengthMs * 1_000_000)).toString(),
		...more,
	};
}

function traceOf(spansByService: Record<string, OtlpSpan[]>): TracesData {
	return {
		resourceSpans: Object.entries(spansByService).map(([name, spans]) => ({
			resource: { attributes: [{ key: "service.name", value: { stringValue: name } }] },
			scopeSpans: [{ spans }],
		})),
	};
}

const OPTIONS = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", columns: 80, colour: false, timeZone: "UTC" };

test("a trace is drawn as tree, durations and bars in proportion", () => {
	const trace = traceOf({
		frontend: [span(1, 0, "GET /checkout", 0, 100, { kind: 2 }), span(2, 1, "router cart egress", 10, 50, { kind: 3 })],
		cart: [span(3, 2, "ingress", 20, 25, { kind: 2, status: { code: 2 } }), span(4, 1, "render", 75, 25)],
	});
	assert.deepEqual(waterfallLines(trace, OPTIONS), [
		"trace 4bf92f3577b34da6a3ce929d0e0e4736",
		"2026-01-01 00:00:00.000000 +00:00   100 ms   4 spans   2 services   1 error",
		"",
		"service  span                     duration 0                              100 ms",
		"frontend GET /checkout        S     100 ms █████████████████████████████████████",
		"frontend ├ router cart egress C      50 ms    ███████████████████",
		"cart     │ └ ingress          SE     25 ms        █████████",
		"cart     └ render                    25 ms                            █████████",
		"",
		"S server   C client   E error",
	]);
});

test("each end of a call says how it was secured, in words", () => {
	const trace = traceOf({
		web: [
			span(1, 0, "GET /", 0, 100, { kind: 2 }),
			span(2, 1, "call", 10, 50, { kind: 3 }),
			span(4, 1, "call", 60, 30, { kind: 3 }),
		],
		cart: [span(3, 2, "in", 20, 25, { kind: 2 })],
	});
	const id = (number: number): string => number.toString(16).padStart(16, "0");
	const hops = [
		{ mtls: { status: "unknown" }, spans: { destination: id(1) } },
		{ mtls: { status: "mutual_tls" }, spans: { source: id(2), destination: id(3) } },
		{ mtls: { status: "plaintext" }, spans: { source: id(4), destination: "ffffffffffffffff" } },
	] as const;
	const lines = waterfallLines(trace, { ...OPTIONS, hops });
	assert.deepEqual(
		lines.slice(4, 8).map((line) => line.slice(0, 40).trimEnd()),
		[
			"web     GET /  S          100 ms ███████",
			"web     ├ call C mTLS      50 ms     ███",
			"cart    │ └ in S mTLS      25 ms",
			"web     └ call C plain     30 ms",
		],
	);
	assert.equal(lines.at(-1), "S server   C client   mTLS mutual TLS   plain plaintext");
	for (const columns of [30, 40, 57, 200])
		for (const line of waterfallLines(trace, { ...OPTIONS, columns, hops })) assert.ok(textWidth(line) <= columns, line);
});

test("no line is wider than the terminal, whatever the names and the depth", () => {
	const deep = Array.from({ length: 60 }, (_, i) => span(i + 1, i, `操作${"名".repeat(i % 40)}`, i, 60 - i, { kind: 2 }));
	const trace = traceOf({ "注文サービス-with-a-very-long-name-indeed": deep, "👩‍👩‍👧‍👦": [span(99, 7, "❤️ x", 3, 1)] });
	for (const columns of [30, 40, 57, 80, 120, 200]) {
		for (const line of waterfallLines(trace, { ...OPTIONS, columns })) {
			assert.ok(textWidth(line) <= columns, `${columns}: ${textWidth(line)} ${line}`);
		}
	}
	assert.ok(waterfallLines(trace, OPTIONS).some((line) => line.includes("…59 ")));
});

test("control characters in names are escaped, and colour is only ours", () => {
	const trace = traceOf({ "svc\u001b]0;x\u0007": [span(1, 0, "a\u001b[2Jb\nc", 0, 1)] });
	const lines = waterfallLines(trace, OPTIONS);
	assert.ok(lines.some((line) => line.includes("a\\x1b[2Jb\\x0ac")));
	assert.ok(lines.every((line) => ![...line].some((character) => character < " ")));
	const coloured = waterfallLines(trace, { ...OPTIONS, colour: true }).join("");
	assert.ok(coloured.includes("\u001b[38;5;39m"));
	assert.doesNotMatch(coloured.replaceAll(/\p{Cc}\[(?:2|0|38;5;39)m/gu, ""), /\p{Cc}/u);
});

test("what senders got wrong is marked by a letter that the legend explains", () => {
	const trace = traceOf({
		a: [
			span(1, 9, "orphan", 0, 10),
			span(2, 1, "early", -5, 3),
			span(3, 1, "backwards", 2, -1),
			span(5, 6, "x", 1, 1),
			span(6, 5, "y", 2, 1),
		],
	});
	const lines = waterfallLines(trace, OPTIONS);
	const legend = lines.slice(-2).join(" ");
	for (const meaning of [
		"parent not in the trace",
		"starts before its parent",
		"ends before it starts",
		"was its own ancestor",
	]) {
		assert.ok(legend.includes(meaning), meaning);
	}
	assert.equal(lines.filter((line) => line.startsWith("a ")).length, 5, "every span has its line");
});

test("a trace without spans, names or times is still drawn", () => {
	assert.ok(waterfallLines({}, OPTIONS).join("\n").includes("0 spans"));
	const lines = waterfallLines({ resourceSpans: [{ scopeSpans: [{ spans: [{ spanId: "1" }] }] }] }, OPTIONS).join("\n");
	assert.match(lines, /no time/);
	assert.match(lines, /\(no service\) \(no name\)/);
});

test("the root's time is local with its offset", () => {
	assert.equal(formatLocalTime(START + 123_456_789n, "Europe/Berlin"), "2026-01-01 01:00:00.123456 +01:00");
	assert.equal(formatLocalTime(START, "America/St_Johns"), "2025-12-31 20:30:00.000000 -03:30");
	assert.equal(formatLocalTime(0n, "UTC"), "no time");
	assert.equal(formatLocalTime((1n << 63n) - 1n, "UTC").slice(0, 4), "2262");
});
