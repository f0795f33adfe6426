import assert from "node:assert/strict";
import { closeSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import Database from "better-sqlite3";
import { timeNs } from "../../model/time.ts";
import { openScanner } from "./scan.ts";
import { HOUR_MS, NOW_MS, NOW_NS, openTestStore, type TestGroup, type TestStore } from "../../test/store/sqlite-directory.ts";
import { verifyDirectory } from "./verify.ts";
import { windowPath, WindowSet } from "./window-set.ts";

const range = { fromNs: timeNs(0n), toNs: timeNs(1n << 62n) };

/** Spans, a log and a metric point a group; `number` tells groups apart. */
function group(number: number, service = "cart"): TestGroup {
	const resource = { attributes: [{ key: "service.name", value: { stringValue: service } }] };
	const time = String(NOW_NS + BigInt(number) * 1_000_000n);
	const spans = Array.from({ length: 20 }, (_, i) => ({
		traceId: (number * 100 + (i >> 1) + 1).toString(16).padStart(32, "a"),
		spanId: (number * 100 + i + 1).toString(16).padStart(16, "0"),
		name: "GET /",
		kind: 2,
		startTimeUnixNano: time,
		endTimeUnixNano: String(BigInt(time) + 5n),
		attributes: [{ key: "number", value: { intValue: String(number) } }],
	}));
	return {
		traces: { resourceSpans: [{ resource, scopeSpans: [{ spans }] }] },
		logs: {
			resourceLogs: [
				{ resource, scopeLogs: [{ logRecords: [{ timeUnixNano: time, body: { stringValue: `log ${number}` } }] }] },
			],
		},
		metrics: {
			resourceMetrics: [
				{
					resource,
					scopeMetrics: [
						{ metrics: [{ name: "m", gauge: { dataPoints: [{ timeUnixNano: time, asInt: String(number) }] } }] },
					],
				},
			],
		},
	};
}

/** Two windows, the first sealed with final blocks. */
function filledStore(t: TestContext): TestStore {
	const store = openTestStore(t);
	for (let i = 0; i < 5; i++) store.append({ ...group(i) });
	for (let i = 5; i < 8; i++) store.append({ ...group(i, "shop"), arrivedMs: NOW_MS + HOUR_MS });
	store.maintain();
	return store;
}

function windowNames(directory: string): string[] {
	const windows = new WindowSet(directory);
	const names = windows.list().map(({ name }) => name);
	windows.close();
	return names.reverse();
}

test("a healthy directory verifies, beside its writer and after it", (t) => {
	const store = filledStore(t);
	for (const open of [true, false]) {
		if (!open) store.writer.close();
		const report = verifyDirectory(store.directory);
		assert.deepEqual(
			report.windows.flatMap(({ problems }) => problems),
			[],
		);
		assert.equal(report.ok, true);
		assert.deepEqual(
			report.windows.map(({ spans }) => spans),
			[100, 60],
		);
	}
});

/** Each change breaks one promise of a window; the report must name it. */
const FAULTS: readonly (readonly [string, string, RegExp])[] = [
	[
		"a flipped byte in a part",
		"UPDATE parts SET data = CAST(substr(data, 1, 20) || x'ff' || substr(data, 22) AS BLOB) WHERE id = (SELECT min(id) FROM parts)",
		/block \d+: /,
	],
	["a missing part", "DELETE FROM parts WHERE id = (SELECT min(id) FROM parts)", /block \d+: .*missing/],
	[
		"a wrong count of records",
		"UPDATE blocks SET record_count = record_count + 1 WHERE signal = 0",
		/record_count is 101, found 100/,
	],
	["a wrong count of traces", "UPDATE blocks SET trace_count = 3 WHERE signal = 0", /trace_count is 3, found 50/],
	[
		"a zone map that hides a service",
		"UPDATE blocks SET services = '[]' WHERE signal = 1",
		/services is \[\], found \["cart"\]/,
	],
	["a zone map that hides a time", "UPDATE blocks SET max_time = min_time - 1 WHERE signal = 0", /max_time is/],
	["a trace index without its traces", "DELETE FROM trace_pages", /not in the trace index/],
	["parts of no block", "INSERT INTO parts SELECT 16 * 999, data FROM parts LIMIT 1", /parts of block 999/],
	["slices of no block", "INSERT INTO slices SELECT 16 * 65536 * 999 + 1, data FROM parts LIMIT 1", /parts of block 999/],
	["points of no series", "DELETE FROM metric_series", /points without a series is 0, found 5/],
	["a series that is no JSON", "UPDATE metric_series SET attributes = 'x'", /metrics: .*JSON/],
	["fingerprints cut short", "UPDATE commits SET fingerprints = x'00'", /fingerprints that are cut short/],
];

for (const [name, sql, problem] of FAULTS) {
	test(`${name} is found and named`, (t) => {
		const store = filledStore(t);
		const [first, second] = windowNames(store.directory);
		store.writer.close();
		const database = new Database(windowPath(store.directory, first!));
		database.exec(sql);
		database.close();
		const report = verifyDirectory(store.directory);
		assert.equal(report.ok, false);
		assert.deepEqual(
			report.windows.map((window) => [window.name, window.ok]),
			[
				[first, false],
				[second, true],
			],
		);
		assert.match(report.windows[0]!.problems.join("\n"), problem);
	});
}

test("a file that is no database, or cut off, or missing, is reported and the others are read", (t) => {
	for (const damage of ["garbage", "cut", "missing"]) {
		const store = filledStore(t);
		const [first] = windowNames(store.directory);
		store.writer.close();
		const path = windowPath(store.directory, first!);
		if (damage === "missing") rmSync(path);
		else {
			const file = openSync(path, "r+");
			if (damage === "garbage") writeSync(file, Buffer.alloc(statSync(path).size, 0x55), 0, undefined, 0);
			else writeSync(file, Buffer.alloc(8192 * 3, 0), 0, undefined, 8192);
			closeSync(file);
		}
		const report = verifyDirectory(store.directory);
		assert.deepEqual(
			report.windows.map(({ ok }) => ok),
			[false, true],
			damage,
		);
		assert.ok(report.windows[0]!.problems.length > 0);
		const damaged: string[] = [];
		const scanner = openScanner(store.directory, { onDamaged: (window) => damaged.push(window) });
		t.after(() => scanner.close());
		const services = new Set([...scanner.scanSpans(range)].map(({ service }) => service));
		assert.deepEqual([...services], ["shop"], damage);
		assert.deepEqual(damaged, damage === "missing" ? [] : [first]);
	}
});

test("a damaged or missing catalog is reported or not needed, and windows are verified by their files", (t) => {
	const store = filledStore(t);
	store.writer.close();
	const path = join(store.directory, "catalog.db");
	const file = openSync(path, "r+");
	writeSync(file, Buffer.alloc(100, 0x55), 0, undefined, 0);
	closeSync(file);
	const report = verifyDirectory(store.directory);
	assert.deepEqual(
		report.windows.map(({ ok }) => ok),
		[false, true, true],
	);
	assert.equal(report.windows[0]!.name, "catalog.db");
	const scanner = openScanner(store.directory);
	t.after(() => scanner.close());
	assert.equal([...scanner.scanSpans(range)].length, 160);
});

test("scans give every record in range once, and read the range's windows only", (t) => {
	const store = filledStore(t);
	store.append(group(3));
	const scanner = openScanner(store.directory);
	t.after(() => scanner.close());
	const rows = [...scanner.scanSpans(range)];
	assert.equal(rows.length, 160);
	assert.deepEqual(
		{ ...rows[0], attributes: { ...rows[0]!.attributes }, resource: { ...rows[0]!.resource } },
		{
			traceId: rows[0]!.traceId,
			spanId: rows[0]!.spanId,
			parentSpanId: "",
			service: "cart",
			name: "GET /",
			kind: 2,
			statusCode: 0,
			startNs: rows[0]!.startNs,
			durationNs: 5n,
			attributes: { number: Number((rows[0]!.startNs - NOW_NS) / 1_000_000n) },
			resource: { "service.name": "cart" },
		},
	);
	const one = { fromNs: timeNs(NOW_NS + 6_000_000n), toNs: timeNs(NOW_NS + 7_000_000n) };
	assert.deepEqual([...scanner.scanSpans(one)].length, 20);
	assert.equal([...scanner.scanSpans({ ...range, service: "shop" })].length, 60);
	assert.deepEqual(
		[...scanner.scanLogs(one)].map(({ body }) => body),
		["log 6"],
	);
	assert.deepEqual(
		[...scanner.scanMetricPoints({ ...range, service: "shop" })].map(({ series, point }) => [series.name, point.value]),
		[
			["m", "5"],
			["m", "6"],
			["m", "7"],
		],
	);
	for (const row of scanner.scanSpans(range)) {
		// A scan may be left in the middle.
		assert.ok(row.traceId.length === 32);
		break;
	}
});
