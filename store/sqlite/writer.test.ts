import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
	closeSync,
	cpSync,
	existsSync,
	openSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	writeFileSync,
	writeSync,
} from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import Database from "better-sqlite3";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { skimTraces } from "../../collector/decode/skim.ts";
import { LOG_SHAPE, RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import type { TraceId } from "../../model/ids.ts";
import { EMPTY_METRIC_BATCH } from "../../model/metric.ts";
import { timeNs } from "../../model/time.ts";
import { HOUR_MS, NOW_MS, temporaryDirectory } from "../../test/store/sqlite-directory.ts";
import { protobufjsEncode } from "../conformance/otlp-arbitraries.ts";
import { PART, PARTS_PER_BLOCK } from "../block/format.ts";
import type { StoreReader, StoreWriter, WindowInfo } from "../store.ts";
import { SCHEMA_VERSION, SchemaVersionError } from "./database.ts";
import { DirectoryLockedError } from "./lock.ts";
import { LARGE_BYTES, LARGE_ROWS } from "./merge-plan.ts";
import { openSqliteReader } from "./reader.ts";
import { verifyDirectory } from "./verify.ts";
import { openSqliteWriter, type SqliteWriterOptions } from "./writer.ts";

const EVERYTHING = { attributes: [], limit: 1_000, fromNs: timeNs(0n), toNs: timeNs((1n << 63n) - 1n) } as const;

interface Bench {
	readonly directory: string;
	readonly writer: StoreWriter;
	readonly log: string[];
	clockMs: number;
}

function open(t: TestContext, options: Partial<SqliteWriterOptions> = {}): Bench {
	const directory = options.directory ?? temporaryDirectory(t);
	const log: string[] = [];
	const bench = { directory, log, clockMs: NOW_MS } as { -readonly [key in keyof Bench]: Bench[key] };
	bench.writer = openSqliteWriter({
		directory,
		windowMs: HOUR_MS,
		maxAgeMs: 1_000 * HOUR_MS,
		maxBytes: 1 << 30,
		now: () => bench.clockMs,
		log: (level, message) => log.push(`${level}: ${message}`),
		failpoint: () => {},
		...options,
	});
	t.after(() => bench.writer.close());
	return bench;
}

function reader(t: TestContext, directory: string): StoreReader {
	const opened = openSqliteReader({ directory, cacheBytes: 1 << 20, searchBudgetMs: 60_000, now: Date.now });
	t.after(() => opened.close());
	return opened;
}

function traceId(number: number): TraceId {
	return number.toString(16).padStart(32, "f") as TraceId;
}

/** One trace of `spans` spans, each with so many bytes that no two have in common. */
function append({ writer }: Bench, number: number, arrivedMs: number, service = "cart", spans = 10, ownBytes = 0): void {
	const columns = new RecordColumns(SPAN_SHAPE);
	const json = {
		resourceSpans: [
			{
				resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
				scopeSpans: [
					{
						spans: Array.from({ length: spans }, (_, i) => ({
							traceId: traceId(number),
							spanId: (i + 1).toString(16).padStart(16, "0"),
							name: "op",
							startTimeUnixNano: String(BigInt(NOW_MS + number) * 1_000_000n),
							endTimeUnixNano: String(BigInt(NOW_MS + number) * 1_000_000n + 5n),
							...(ownBytes === 0 ? {} : { traceState: randomBytes(ownBytes).toString("base64") }),
						})),
					},
				],
			},
		],
	};
	skimTraces(protobufjsEncode("TracesData", json), columns, DEFAULT_LIMITS);
	const fingerprints = new Uint8Array(16).fill(number);
	const group = { spans: columns, logs: new RecordColumns(LOG_SHAPE), metrics: EMPTY_METRIC_BATCH };
	const { ref } = writer.append({ ...group, fingerprints, topologyMetrics: new Uint8Array(0), arrivedMs });
	writer.release(ref);
}

function maintain(bench: Bench, atMs = bench.clockMs): void {
	for (let i = 0; i < 1_000 && bench.writer.maintain(atMs); i++);
}

function windows(bench: Bench): readonly WindowInfo[] {
	return bench.writer.stats().windows;
}

function spansOf(bench: Bench): number[] {
	return windows(bench).map(({ spans }) => spans);
}

/** Numbers of the traces that a search finds. */
async function found(read: StoreReader): Promise<{ readonly traces: number[]; readonly damaged: readonly string[] }> {
	const { traces, searched } = await read.searchTraces(EVERYTHING);
	const numbers = traces.map((each) => Number.parseInt(each.traceId.replace(/^f+/, ""), 16));
	return { traces: numbers.sort((a, b) => a - b), damaged: searched.damagedWindows };
}

function overwrite(path: string, at: number, bytes: number): void {
	const file = openSync(path, "r+");
	writeSync(file, Buffer.alloc(bytes, 0x55), 0, bytes, at);
	closeSync(file);
}

function pathOf(bench: Bench, name: string): string {
	return join(bench.directory, "windows", `${name}.db`);
}

function blocksOf(bench: Bench): unknown[] {
	const database = new Database(pathOf(bench, windows(bench)[0]!.name), { readonly: true });
	try {
		const filters = `SELECT count(*) FROM parts WHERE id = blocks.id * ${PARTS_PER_BLOCK} + ${PART.filter}`;
		return database.prepare(`SELECT id, final, (${filters}) AS filters FROM blocks ORDER BY id`).all();
	} finally {
		database.close();
	}
}

test("a window ends with its hour; what came in it is sealed, and both are read", async (t) => {
	const bench = open(t);
	append(bench, 1, NOW_MS);
	append(bench, 2, NOW_MS + HOUR_MS - 1);
	append(bench, 3, NOW_MS + HOUR_MS);
	assert.deepEqual(spansOf(bench), [20, 10]);
	maintain(bench);
	assert.deepEqual(
		windows(bench).map(({ state, fromMs, toMs }) => [state, fromMs - NOW_MS, toMs - NOW_MS]),
		[
			["sealed", 0, HOUR_MS],
			["open", HOUR_MS, 2 * HOUR_MS],
		],
	);
	assert.deepEqual(await found(reader(t, bench.directory)), { traces: [1, 2, 3], damaged: [] });
});

test("a window also ends at an eighth of the byte budget, so that there is something to remove", (t) => {
	const bench = open(t, { maxBytes: 64 << 20 });
	for (let number = 1; number <= 25; number++) {
		bench.clockMs += 1_000;
		append(bench, number, NOW_MS + number, "cart", 100, 8_000);
	}
	assert.ok(windows(bench).length >= 2, `${windows(bench).length} windows`);
	assert.equal(new Set(windows(bench).map(({ name }) => name)).size, windows(bench).length);
	assert.deepEqual(
		windows(bench).map(({ name }) => name),
		windows(bench)
			.map(({ name }) => name)
			.toSorted(),
	);
});

test("a clock that goes back stays in the open window, and after a restart goes on behind the newest one", async (t) => {
	const bench = open(t);
	append(bench, 1, NOW_MS + 5 * HOUR_MS);
	append(bench, 2, NOW_MS);
	assert.deepEqual(spansOf(bench), [20]);
	append(bench, 3, NOW_MS + 6 * HOUR_MS);
	maintain(bench);
	bench.writer.close();
	const again = open(t, { directory: bench.directory });
	append(again, 4, NOW_MS - 30 * HOUR_MS);
	append(again, 5, NOW_MS + 9 * HOUR_MS);
	maintain(again);
	again.writer.close();
	const third = open(t, { directory: bench.directory });
	append(third, 6, NOW_MS - 90 * HOUR_MS);
	const names = windows(third).map(({ name }) => name);
	assert.deepEqual(names, names.toSorted());
	assert.deepEqual(await found(reader(t, bench.directory)), { traces: [1, 2, 3, 4, 5, 6], damaged: [] });
});

test("what was committed is there after a restart without a close", async (t) => {
	const bench = open(t);
	for (let number = 1; number <= 40; number++) append(bench, number, NOW_MS);
	const copy = temporaryDirectory(t);
	// As a crash leaves it: files as they are, nothing checkpointed.
	cpSync(bench.directory, copy, { recursive: true });
	const after = open(t, { directory: copy });
	assert.deepEqual(spansOf(after), [400]);
	assert.equal(after.writer.recentFingerprints(1_000).length, 40 * 16);
	assert.deepEqual(
		after.writer.recentFingerprints(2),
		new Uint8Array([...Array(16).fill(39), ...Array(16).fill(40)] as number[]),
	);
	assert.equal((await found(reader(t, copy))).traces.length, 40);
});

test("large blocks become final as they are, eight at a time, and a reader that knew them before goes on finding all", async (t) => {
	const bench = open(t);
	for (let number = 1; number <= 7; number++) append(bench, number, NOW_MS, `service ${number}`, LARGE_ROWS);
	maintain(bench);
	const read = reader(t, bench.directory);
	const ofService = async (service: string): Promise<number> =>
		(await read.searchTraces({ ...EVERYTHING, attributes: [{ key: "service.name", type: "text", value: service }] })).traces
			.length;
	const check = async (): Promise<void> => {
		assert.equal(await ofService("service 5"), 1);
		assert.equal(await ofService("nobody"), 0);
		assert.equal((await read.trace(traceId(3), "json")).trace?.summary.spanCount, LARGE_ROWS);
	};
	await check();
	assert.deepEqual(
		blocksOf(bench),
		[1, 2, 3, 4, 5, 6, 7].map((id) => ({ id, final: 0, filters: 0 })),
	);
	append(bench, 8, NOW_MS, "service 8", LARGE_ROWS);
	append(bench, 9, NOW_MS, "service 9", LARGE_ROWS - 1);
	maintain(bench);
	assert.deepEqual(
		blocksOf(bench),
		[1, 2, 3, 4, 5, 6, 7, 8, 9].map((id) => ({ id, final: id < 9 ? 1 : 0, filters: id < 9 ? 1 : 0 })),
	);
	assert.deepEqual((await found(read)).traces, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
	await check();
	bench.clockMs += HOUR_MS;
	append(bench, 10, bench.clockMs);
	maintain(bench);
	assert.deepEqual(
		verifyDirectory(bench.directory).windows.map(({ ok, spans }) => [ok, spans]),
		[
			[true, LARGE_ROWS * 9 - 1],
			[true, 10],
		],
	);
});

test("a block of long texts becomes final as it is, though it is small when packed, and its filter is used", async (t) => {
	const bench = open(t);
	append(bench, 1, NOW_MS, "x".repeat(LARGE_BYTES));
	maintain(bench);
	assert.deepEqual(blocksOf(bench), [{ id: 1, final: 1, filters: 1 }]);
	const read = reader(t, bench.directory);
	const absent = [{ key: "nowhere", type: "text", value: "at all" } as const];
	const { traces, searched } = await read.searchTraces({ ...EVERYTHING, attributes: absent });
	assert.deepEqual([traces.length, searched.blocks, searched.blocksSkipped], [0, 1, 1]);
	assert.deepEqual((await found(read)).traces, [1]);
	bench.clockMs += HOUR_MS;
	append(bench, 2, bench.clockMs);
	maintain(bench);
	assert.deepEqual(
		verifyDirectory(bench.directory).windows.map(({ ok, spans }) => [ok, spans]),
		[
			[true, 10],
			[true, 10],
		],
	);
});

test("a second writer on the directory is refused, and let in when the first is gone", (t) => {
	const bench = open(t);
	append(bench, 1, NOW_MS);
	assert.throws(
		() => open(t, { directory: bench.directory }),
		(error) => error instanceof DirectoryLockedError && /in use by another meshscope.*--data/.test(error.message),
	);
	append(bench, 2, NOW_MS);
	bench.writer.close();
	assert.deepEqual(spansOf(open(t, { directory: bench.directory })), [20]);
});

test("retention by age removes the windows that are too old, files and all, and nothing else", async (t) => {
	const bench = open(t, { maxAgeMs: 5 * HOUR_MS });
	for (let hour = 0; hour < 10; hour++) append(bench, hour + 1, NOW_MS + hour * HOUR_MS);
	bench.clockMs = NOW_MS + 10 * HOUR_MS - 60_000;
	maintain(bench);
	// Windows are sealed by then; the next look at the retention is a second later.
	bench.clockMs += 5_000;
	maintain(bench);
	assert.deepEqual(
		windows(bench).map(({ fromMs }) => (fromMs - NOW_MS) / HOUR_MS),
		[4, 5, 6, 7, 8, 9],
	);
	const files = readdirSync(join(bench.directory, "windows")).filter((file) => file.endsWith(".db"));
	assert.equal(files.length, 6);
	assert.deepEqual((await found(reader(t, bench.directory))).traces, [5, 6, 7, 8, 9, 10]);
	bench.clockMs = NOW_MS + 100 * HOUR_MS;
	maintain(bench);
	assert.deepEqual(
		windows(bench).map(({ state }) => state),
		["open"],
		"the open window stays, however old",
	);
});

test("retention by bytes removes the oldest until the rest fits", (t) => {
	const bench = open(t, { maxBytes: 1_200_000 });
	for (let hour = 0; hour < 10; hour++) append(bench, hour + 1, NOW_MS + hour * HOUR_MS, "cart", 50, 4_000);
	maintain(bench);
	bench.clockMs += 5_000;
	maintain(bench);
	const { bytesOnDisk } = bench.writer.stats();
	const left = windows(bench).map(({ fromMs }) => (fromMs - NOW_MS) / HOUR_MS);
	assert.ok(left.length >= 2 && left.length < 10, `${left.length} windows of ${bytesOnDisk} bytes`);
	assert.deepEqual(
		left,
		Array.from({ length: left.length }, (_, i) => 10 - left.length + i),
		"the newest are left",
	);
	assert.ok(bytesOnDisk <= 1_200_000 + (windows(bench).at(-1)?.bytes ?? 0));
	assert.ok(bench.log.some((line) => line.includes("over the byte budget")));
});

const DAMAGE: readonly (readonly [string, (path: string) => void])[] = [
	["a header of garbage", (path) => overwrite(path, 0, 200)],
	["a file of garbage", (path) => writeFileSync(path, Buffer.alloc(50_000, 0x55))],
	["every page after the first overwritten", (path) => overwrite(path, 8_192, statSync(path).size - 8_192)],
];

test("traces, their hops and the search by mTLS status need no topology that can be read", async (t) => {
	const bench = open(t);
	append(bench, 1, NOW_MS);
	writeFileSync(join(bench.directory, "topology.db"), Buffer.alloc(50_000, 0x55));
	const read = reader(t, bench.directory);
	assert.equal((await read.trace(traceId(1), "json")).trace?.hops?.hopCount, 0);
	const range = { fromNs: timeNs(0n), toNs: timeNs(1n << 63n) };
	const { traces, searched } = await read.searchTraces({ mtls: "unknown", attributes: [], limit: 10, ...range });
	assert.deepEqual([traces.length, searched.hops?.skippedMs, searched.hops?.tracesChecked], [0, 0, 1]);
	await assert.rejects(read.graph({ fromMs: 0, toMs: NOW_MS, groupBy: "service" }));
});

for (const [what, damage] of DAMAGE) {
	test(`a sealed window with ${what} is named in answers, and the others are served`, async (t) => {
		const bench = open(t);
		for (let hour = 0; hour < 3; hour++) append(bench, hour + 1, NOW_MS + hour * HOUR_MS);
		maintain(bench);
		const [, middle] = windows(bench);
		bench.writer.close();
		damage(pathOf(bench, middle!.name));
		const again = open(t, { directory: bench.directory });
		const read = reader(t, bench.directory);
		assert.deepEqual(await found(read), { traces: [1, 3], damaged: [middle!.name] });
		assert.equal((await read.trace(traceId(1), "json")).trace?.summary.spanCount, 10);
		assert.deepEqual(await read.trace(traceId(2), "json"), { trace: undefined, damagedWindows: [middle!.name] });
		append(again, 9, NOW_MS + 2 * HOUR_MS);
		maintain(again);
		assert.deepEqual((await found(read)).traces, [1, 3, 9]);
	});

	test(`the open window with ${what} is set aside at start with a clear message, and ingest goes on`, async (t) => {
		const bench = open(t);
		append(bench, 1, NOW_MS);
		maintain(bench);
		append(bench, 2, NOW_MS + HOUR_MS);
		maintain(bench);
		const last = windows(bench).at(-1)!.name;
		bench.writer.close();
		damage(pathOf(bench, last));
		const again = open(t, { directory: bench.directory });
		assert.match(
			again.log.join("\n"),
			new RegExp(`error: window ${last} is damaged and was set aside \\(.+\\); the others are served`),
		);
		append(again, 3, NOW_MS + HOUR_MS);
		maintain(again);
		assert.deepEqual(
			windows(again).map(({ state }) => state),
			["sealed", "damaged", "open"],
		);
		assert.ok((windows(again)[1]!.problem ?? "").length > 0);
		assert.deepEqual(await found(reader(t, bench.directory)), { traces: [1, 3], damaged: [last] });
		assert.ok(existsSync(pathOf(bench, last)), "the file is kept for whoever can save it");
	});
}

test("a block damaged in the open window sets it aside when it is merged, and the next batch goes to a new one", async (t) => {
	const bench = open(t);
	for (let number = 1; number <= 20; number++) append(bench, number, NOW_MS);
	const [only] = windows(bench);
	const database = new Database(pathOf(bench, only!.name));
	database.exec("UPDATE parts SET data = CAST(substr(data, 1, 30) || x'ff00ff' || substr(data, 34) AS BLOB)");
	database.close();
	maintain(bench);
	assert.match(bench.log.join("\n"), /is damaged and was set aside/);
	append(bench, 30, NOW_MS);
	assert.deepEqual(
		windows(bench).map(({ state }) => state),
		["damaged", "open"],
	);
	assert.deepEqual(await found(reader(t, bench.directory)), { traces: [30], damaged: [only!.name] });
});

test("a group that meets damage in the open window is stored in a new one: a sender must not drop it", async (t) => {
	const bench = open(t);
	append(bench, 1, NOW_MS);
	const [only] = windows(bench);
	bench.writer.close();
	const path = pathOf(bench, only!.name);
	const database = new Database(path);
	const page = database.prepare<[], number>("SELECT rootpage FROM sqlite_schema WHERE name = 'commits'").pluck().get()!;
	database.close();
	overwrite(path, (page - 1) * 8_192, 8_192);
	const again = open(t, { directory: bench.directory });
	append(again, 2, NOW_MS);
	assert.match(again.log.join("\n"), /is damaged and was set aside/);
	assert.deepEqual(
		windows(again).map(({ state }) => state),
		["damaged", "open"],
	);
	assert.deepEqual((await found(reader(t, bench.directory))).traces, [2]);
});

for (const kind of ["deleted", "garbage", "truncated"] as const) {
	test(`a catalog that is ${kind} is rebuilt from the windows, names and all`, async (t) => {
		const bench = open(t);
		for (let hour = 0; hour < 4; hour++) append(bench, hour + 1, NOW_MS + hour * HOUR_MS, `service ${hour}`);
		maintain(bench);
		const before = windows(bench).map(({ name, spans, state }) => [name, spans, state]);
		bench.writer.close();
		const path = join(bench.directory, "catalog.db");
		for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
		if (kind === "deleted") rmSync(path);
		else if (kind === "garbage") writeFileSync(path, Buffer.alloc(40_000, 0x55));
		else writeFileSync(path, readFileSync(path).subarray(0, 9_000));
		const again = open(t, { directory: bench.directory });
		maintain(again);
		assert.deepEqual(
			windows(again).map(({ name, spans, state }) => [name, spans, state]),
			before,
		);
		if (kind !== "deleted")
			assert.match(again.log.join("\n"), /catalog\.db is damaged and was set aside as .*rebuilt from the windows/);
		const read = reader(t, bench.directory);
		assert.deepEqual(await found(read), { traces: [1, 2, 3, 4], damaged: [] });
		assert.deepEqual(
			(await read.services()).map(({ name }) => name),
			["service 0", "service 1", "service 2", "service 3"],
		);
	});
}

test("a window whose removal was cut short behind its files is gone from the list at the next start", (t) => {
	let armed = false;
	const failpoint = (name: string): void => {
		if (armed && name === "mid-unlink") throw new Error("power cut");
	};
	const bench = open(t, { maxAgeMs: 2 * HOUR_MS, failpoint });
	append(bench, 1, NOW_MS);
	append(bench, 2, NOW_MS + HOUR_MS);
	maintain(bench);
	armed = true;
	bench.clockMs = NOW_MS + 4 * HOUR_MS;
	assert.throws(() => maintain(bench), /power cut/);
	bench.writer.close();
	const again = open(t, { directory: bench.directory, maxAgeMs: 2 * HOUR_MS });
	assert.equal(windows(again).length, 1);
	assert.deepEqual(spansOf(again), [10]);
	assert.equal(readdirSync(join(bench.directory, "windows")).filter((file) => file.endsWith(".db")).length, 1);
});

test("a window file that the catalog does not list is taken in again", (t) => {
	const bench = open(t);
	append(bench, 1, NOW_MS);
	bench.writer.close();
	const catalog = new Database(join(bench.directory, "catalog.db"));
	catalog.exec("DELETE FROM windows");
	catalog.close();
	const again = open(t, { directory: bench.directory });
	assert.match(again.log.join("\n"), /was not in the catalog and is taken in again/);
	assert.deepEqual(spansOf(again), [10]);
});

test("a directory of a newer meshscope is refused with a clear message, and left as it is", (t) => {
	for (const file of ["catalog", "window"]) {
		const bench = open(t);
		append(bench, 1, NOW_MS);
		const path = file === "catalog" ? join(bench.directory, "catalog.db") : pathOf(bench, windows(bench)[0]!.name);
		bench.writer.close();
		const database = new Database(path);
		database.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
		database.close();
		assert.throws(
			() => open(t, { directory: bench.directory }),
			(error) =>
				error instanceof SchemaVersionError &&
				/written by a newer meshscope.*upgrade meshscope or use another --data/.test(error.message),
			file,
		);
		const after = new Database(path, { readonly: true });
		assert.equal(after.pragma("user_version", { simple: true }), SCHEMA_VERSION + 1);
		after.close();
	}
});

test("a window of another schema is named to readers and left as it is, and the others are served", async (t) => {
	const bench = open(t);
	for (let i = 1; i <= 3; i++) append(bench, i, NOW_MS + i * HOUR_MS);
	const [, other] = windows(bench);
	bench.writer.close();
	for (const version of [SCHEMA_VERSION + 1, SCHEMA_VERSION - 1].filter((each) => each > 0)) {
		const database = new Database(pathOf(bench, other!.name));
		database.pragma(`user_version = ${version}`);
		database.close();
		const read = reader(t, bench.directory);
		assert.deepEqual(await found(read), { traces: [1, 3], damaged: [other!.name] }, `schema ${version}`);
		const logs = await read.searchLogs(EVERYTHING);
		assert.deepEqual(logs.searched.damagedWindows, [other!.name]);
		const points = await read.metricPoints({
			name: "up",
			attributes: [],
			limit: 10,
			maxPoints: 10,
			fromNs: EVERYTHING.fromNs,
			toNs: EVERYTHING.toNs,
		});
		assert.deepEqual(points.damagedWindows, [other!.name]);
		const series = await read.metricSeries({ name: "up", attributes: [], limit: 10 });
		assert.deepEqual(series.damagedWindows, [other!.name]);
		const whole = await read.trace(traceId(3), "json");
		assert.deepEqual([whole.trace?.summary.spanCount, whole.damagedWindows], [10, [other!.name]]);
		assert.deepEqual(await read.trace(traceId(2), "json"), { trace: undefined, damagedWindows: [other!.name] });
	}
	assert.ok(existsSync(pathOf(bench, other!.name)));
});
