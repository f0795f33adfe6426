import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogEntry } from "../../../api/contract/logs.ts";
import { buildWaterfall } from "../waterfall.ts";
import type { Waterfall } from "../waterfall.ts";
import { drawnMarks, gatheredMarks, logMarks, logTime, recordsText, weightOf } from "./log-marks.ts";

const START_NS = 1_790_000_000_000_000_000n;
const VIEW = { fromNs: 0, toNs: 1_000 };

function waterfall(): Waterfall {
	const span = (id: string, from: bigint, parentSpanId?: string) => ({
		spanId: id.repeat(16),
		...(parentSpanId === undefined ? {} : { parentSpanId: parentSpanId.repeat(16) }),
		startTimeUnixNano: String(START_NS + from),
		endTimeUnixNano: String(START_NS + 1_000n),
	});
	return buildWaterfall({
		resourceSpans: [{ scopeSpans: [{ spans: [span("a", 0n), span("b", 10n, "a"), span("c", 20n, "a")] }] }],
	});
}

function log(spanId: string, at: bigint, more: Partial<LogEntry> = {}): LogEntry {
	return {
		timeUnixNano: String(START_NS + at),
		observedTimeUnixNano: "0",
		service: "cart",
		severityNumber: 9,
		severityText: "",
		traceId: "",
		spanId: spanId.repeat(16),
		body: "said",
		attributes: {},
		resource: {},
		scope: "",
		...more,
	};
}

test("a record stands at the row of its span and at its own time", () => {
	const marks = logMarks(waterfall(), [log("c", 5n), log("a", 70n), log("C", 100n, { severityNumber: 17 })]);
	assert.deepEqual(
		[...marks].map(([row, own]) => [row, own.map(({ log: index, atNs, weight }) => [index, atNs, weight])]),
		[
			[
				2,
				[
					[0, 5, "info"],
					[2, 100, "error"],
				],
			],
			[0, [[1, 70, "info"]]],
		],
	);
});

test("a record that names no span of the trace has no mark, one from outside of its time stands at its end", () => {
	const marks = logMarks(waterfall(), [log("", 5n), log("d", 5n), log("b", -9_000n), log("b", 9_000n)]);
	assert.deepEqual(
		[...marks.values()].flat().map(({ atNs }) => atNs),
		[0, 1_000],
	);
});

test("a row that stands for several has the marks of all, in order of time", () => {
	const marks = logMarks(waterfall(), [log("b", 5n), log("b", 90n), log("c", 40n)]);
	const gathered = gatheredMarks(marks, Uint32Array.of(0, 1, 1));
	assert.deepEqual(
		gathered.get(1)?.map(({ atNs, row }) => [atNs, row]),
		[
			[5, 1],
			[40, 2],
			[90, 1],
		],
	);
});

test("marks that would cover each other are one, as heavy as the heaviest", () => {
	const own = [
		...logMarks(waterfall(), [
			log("b", 500n),
			log("b", 501n, { severityNumber: 13 }),
			log("b", 502n),
			log("b", 900n),
		]).values(),
	];
	const drawn = drawnMarks(own[0]!, VIEW);
	assert.deepEqual(
		drawn.map(({ left, count, mark }) => [left, count, mark.weight]),
		[
			[50, 3, "warn"],
			[90, 1, "info"],
		],
	);
	assert.equal(drawnMarks(own[0]!, { fromNs: 495, toNs: 505 }).length, 3, "closer they are told apart");
	assert.equal(drawnMarks(own[0]!, { fromNs: 0, toNs: 100 }).length, 0);
});

test("warnings begin at 13 and errors at 17, and the time of observation stands in for none", () => {
	const weights = [0, 12, 13, 16, 17, 24].map((severityNumber) => weightOf({ severityNumber }));
	assert.deepEqual(weights, ["info", "info", "warn", "warn", "error", "error"]);
	assert.equal(logTime({ timeUnixNano: "0", observedTimeUnixNano: "7" }), "7");
	assert.equal(logTime({ timeUnixNano: "no number", observedTimeUnixNano: "7" }), "0");
});

test("a row says how many records it has and how many are errors", () => {
	const told = (...severities: readonly number[]): string => {
		const logs = severities.map((severityNumber) => log("a", 1n, { severityNumber }));
		return recordsText(logMarks(waterfall(), logs).get(0) ?? []);
	};
	assert.deepEqual(
		[told(), told(9), told(17), told(9, 17), told(17, 17)],
		["", "1 log record", "1 log record, an error", "2 log records, 1 of them an error", "2 log records, all of them errors"],
	);
});
