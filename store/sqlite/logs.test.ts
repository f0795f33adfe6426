import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { timeNs } from "../../model/time.ts";
import type { TraceId } from "../../model/ids.ts";
import type { LogQuery, LogSearchResult } from "../store.ts";
import { searchLogs } from "./logs.ts";
import { HOUR_MS, NOW_MS, NOW_NS, openTestStore, type TestGroup } from "../../test/store/sqlite-directory.ts";
import { WindowSet } from "./window-set.ts";

interface TestLog {
	readonly at: number;
	readonly body?: object;
	readonly severityNumber?: number;
	readonly traceId?: string;
	readonly attributes?: readonly object[];
}

/** Milliseconds after NOW. */
function logs(service: string, ...records: readonly TestLog[]): NonNullable<TestGroup["logs"]> {
	const logRecords = records.map(({ at, ...rest }) => ({
		timeUnixNano: String(NOW_NS + BigInt(at) * 1_000_000n),
		observedTimeUnixNano: String(NOW_NS + 60_000_000_000n),
		body: { stringValue: `at ${at}` },
		...rest,
	}));
	const resource = {
		attributes: [
			{ key: "service.name", value: { stringValue: service } },
			{ key: "host", value: { stringValue: `${service}-host` } },
		],
	};
	return { resourceLogs: [{ resource, scopeLogs: [{ scope: { name: "lib" }, logRecords }] }] };
}

function search(t: TestContext, directory: string, query: Partial<LogQuery>, now?: () => number): LogSearchResult {
	const windows = new WindowSet(directory);
	t.after(() => windows.close());
	const everything = { attributes: [], fromNs: timeNs(0n), toNs: timeNs(1n << 62n), limit: 100 };
	return searchLogs(windows, { ...everything, ...query }, 1_000, now ?? (() => 0));
}

function bodies(result: LogSearchResult): unknown[] {
	return result.logs.map(({ body }) => body);
}

test("the newest logs come first, whatever block and window they lie in", (t) => {
	const store = openTestStore(t);
	store.append({ logs: logs("a", { at: 5 }, { at: 1 }) });
	store.append({ logs: logs("a", { at: 3 }) });
	store.append({ logs: logs("a", { at: 4 }, { at: 2 }), arrivedMs: NOW_MS + HOUR_MS });
	for (const merge of [false, true]) {
		if (merge) store.maintain();
		assert.deepEqual(bodies(search(t, store.directory, {})), ["at 5", "at 4", "at 3", "at 2", "at 1"]);
		assert.deepEqual(bodies(search(t, store.directory, { limit: 2 })), ["at 5", "at 4"]);
		const range = { fromNs: timeNs(NOW_NS + 2_000_000n), toNs: timeNs(NOW_NS + 4_000_000n) };
		assert.deepEqual(bodies(search(t, store.directory, range)), ["at 3", "at 2"]);
	}
});

test("an answer has 32 MiB of records at most, each with its resource, and says that it was cut", (t) => {
	const store = openTestStore(t);
	const large = (at: number): TestLog => ({ at, body: { stringValue: `${at} `.padEnd(3 << 20, "x") } });
	for (let i = 0; i < 4; i++) store.append({ logs: logs("a", ...Array.from({ length: 5 }, (_, j) => large(i * 5 + j))) });
	const newest = (result: LogSearchResult): string[] => bodies(result).map((body) => String(body).split(" ")[0]!);
	const cut = search(t, store.directory, {});
	assert.deepEqual(newest(cut), ["19", "18", "17", "16", "15", "14", "13", "12", "11", "10"]);
	assert.equal(cut.searched.truncated, true);
	const rest = search(t, store.directory, { toNs: timeNs(NOW_NS + 10_000_000n) });
	assert.deepEqual(newest(rest), ["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]);
	assert.equal(search(t, store.directory, { limit: 3 }).searched.truncated, false);
});

test("records under one large resource count with it: each is answered with a copy", (t) => {
	const store = openTestStore(t);
	const [own] = logs("a", ...Array.from({ length: 100 }, (_, at) => ({ at }))).resourceLogs!;
	const resource = { attributes: [{ key: "k", value: { stringValue: "x".repeat(1 << 20) } }] };
	store.append({ logs: { resourceLogs: [{ ...own!, resource }] } });
	const { logs: found, searched } = search(t, store.directory, {});
	assert.ok(found.length > 20 && found.length < 32, `${found.length} records`);
	assert.equal(searched.truncated, true);
	assert.equal(found[0]!.body, "at 99");
});

test("blocks that can hold nothing newer are not opened once the limit is reached", (t) => {
	const store = openTestStore(t);
	for (let i = 0; i < 6; i++) store.append({ logs: logs("a", { at: i }) });
	const { searched } = search(t, store.directory, { limit: 2 });
	assert.deepEqual([searched.blocks, searched.blocksSkipped, searched.spansScanned], [2, 4, 2]);
});

test("logs are found by service, severity, attribute of record and resource, body text and trace", (t) => {
	const store = openTestStore(t);
	const traceId = "7a5c3e1f9b8d6e4c0000000000000001" as TraceId;
	const code = { attributes: [{ key: "code", value: { intValue: "503" } }] };
	store.append({ logs: logs("a", { at: 1, severityNumber: 9, ...code }, { at: 2, severityNumber: 17, traceId }) });
	store.append({
		logs: logs("b", { at: 3, severityNumber: 13, body: { stringValue: "Upstream TIMEOUT İstanbul" } }, { at: 4, traceId }),
	});
	store.append({
		logs: logs("b", { at: 5, body: { kvlistValue: { values: [{ key: "Reason", value: { stringValue: "reset" } }] } } }),
	});
	for (const merge of [false, true]) {
		if (merge) store.maintain();
		const times = (query: Partial<LogQuery>): number[] =>
			search(t, store.directory, query).logs.map(({ timeUnixNano }) =>
				Number((BigInt(timeUnixNano) - NOW_NS) / 1_000_000n),
			);
		assert.deepEqual(times({ service: "a" }), [2, 1]);
		assert.deepEqual(times({ service: "A" }), []);
		assert.deepEqual(times({ minSeverity: 13 }), [3, 2]);
		assert.deepEqual(times({ attributes: [{ key: "code", value: "503", type: "int" }] }), [1]);
		assert.deepEqual(times({ attributes: [{ key: "host", value: "b-host", type: "text" }], minSeverity: 1 }), [3]);
		assert.deepEqual(times({ text: "timeout" }), [3]);
		assert.deepEqual(times({ text: "i̇stanbul" }), [3]);
		assert.deepEqual(times({ text: '"reason":"RESET"' }), [5]);
		assert.deepEqual(times({ text: "" }), [5, 4, 3, 2, 1]);
		assert.deepEqual(times({ text: "%" }), []);
		assert.deepEqual(times({ traceId }), [4, 2]);
		assert.deepEqual(times({ traceId, service: "b" }), [4]);
		assert.deepEqual(times({ traceId: "00000000000000000000000000000009" as TraceId }), []);
	}
});

test("an entry says everything of the record, its resource and its scope", (t) => {
	const store = openTestStore(t);
	const attributes = [{ key: "__proto__", value: { stringValue: "p" } }];
	store.append({ logs: logs("a", { at: 0, severityNumber: 9, attributes, body: { intValue: "7" } }) });
	const [entry] = search(t, store.directory, {}).logs;
	assert.deepEqual(
		{ ...entry, attributes: Object.entries(entry!.attributes), resource: { ...entry!.resource } },
		{
			timeUnixNano: NOW_NS.toString(),
			observedTimeUnixNano: String(NOW_NS + 60_000_000_000n),
			service: "a",
			severityNumber: 9,
			severityText: "",
			traceId: "",
			spanId: "",
			body: "7",
			attributes: [["__proto__", "p"]],
			resource: { "service.name": "a", host: "a-host" },
			scope: "lib",
		},
	);
});

test("a log without a time stands at its observed time, and far times are found", (t) => {
	const store = openTestStore(t);
	const observed = { timeUnixNano: "0", observedTimeUnixNano: String(NOW_NS + 7n), body: { stringValue: "observed" } };
	store.append({
		logs: {
			resourceLogs: [{ scopeLogs: [{ logRecords: [observed, { timeUnixNano: "1", body: { stringValue: "early" } }] }] }],
		},
	});
	assert.deepEqual(bodies(search(t, store.directory, {})), ["observed", "early"]);
	assert.deepEqual(bodies(search(t, store.directory, { fromNs: timeNs(NOW_NS), toNs: timeNs(NOW_NS + 8n) })), ["observed"]);
	assert.deepEqual(bodies(search(t, store.directory, { toNs: timeNs(2n) })), ["early"]);
});

test("a search that runs out of time answers what it has, and says so", (t) => {
	const store = openTestStore(t);
	for (let i = 0; i < 5; i++) store.append({ logs: logs("a", { at: i }) });
	let clock = 997;
	const result = search(t, store.directory, {}, () => clock++);
	assert.equal(result.searched.truncated, true);
	assert.deepEqual(bodies(result), ["at 4", "at 3", "at 2"]);
});
