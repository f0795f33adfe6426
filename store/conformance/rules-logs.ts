/** Log records: every filter, every field. */
import assert from "node:assert/strict";
import type { OtlpLogRecord } from "../../model/otlp/types.ts";
import type { Rule } from "./kit.ts";
import { ALL_TIME, at, logsFrom, NOW_MS, spanId, string, T0, traceId } from "./workbench.ts";

function log(body: string, rest: Partial<OtlpLogRecord> & { readonly atMs?: number } = {}): OtlpLogRecord {
	const { atMs = 0, ...fields } = rest;
	return { timeUnixNano: String(T0 + BigInt(atMs) * 1_000_000n), body: { stringValue: body }, ...fields };
}

export const LOG_RULES: readonly Rule[] = [
	{
		title: "a log record comes back with every field",
		async run(bench) {
			const record: OtlpLogRecord = {
				timeUnixNano: "1700000000000000001",
				observedTimeUnixNano: "1700000000000000002",
				severityNumber: 17,
				severityText: "ERROR",
				body: { kvlistValue: { values: [string("message", "boom"), { key: "n", value: { intValue: "5" } }] } },
				attributes: [
					string("__proto__", "x"),
					{ key: "list", value: { arrayValue: { values: [{ boolValue: true }, { doubleValue: 0.5 }] } } },
				],
				traceId: traceId(1),
				spanId: spanId(1),
			};
			const { resourceLogs } = logsFrom("a", [record], [string("zone", "eu")]);
			const scoped = { ...resourceLogs![0]!, scopeLogs: [{ scope: { name: "envoy.access_log" }, logRecords: [record] }] };
			bench.append({ logs: [{ resourceLogs: [scoped] }] });
			const { logs } = await bench.reader.searchLogs({ attributes: [], limit: 10, ...ALL_TIME });
			assert.equal(logs.length, 1);
			assert.deepEqual(JSON.parse(JSON.stringify(logs[0])), {
				timeUnixNano: "1700000000000000001",
				observedTimeUnixNano: "1700000000000000002",
				service: "a",
				severityNumber: 17,
				severityText: "ERROR",
				traceId: traceId(1),
				spanId: spanId(1),
				body: { message: "boom", n: "5" },
				attributes: JSON.parse('{"__proto__":"x","list":[true,0.5]}') as unknown,
				resource: { "service.name": "a", zone: "eu" },
				scope: "envoy.access_log",
			});
		},
	},
	{
		title: "logs come newest first, at most `limit`, from inclusive and to exclusive",
		async run(bench) {
			for (const i of [2, 4, 1, 3])
				bench.append({ logs: [logsFrom("a", [log(`l${i}`, { atMs: i })])], arrivedMs: NOW_MS + i * 3_600_000 });
			assert.deepEqual(await bench.logBodies({}), ["l4", "l3", "l2", "l1"]);
			assert.deepEqual(await bench.logBodies({ limit: 2 }), ["l4", "l3"]);
			assert.deepEqual(await bench.logBodies({ fromNs: at(T0 + 2_000_000n), toNs: at(T0 + 4_000_000n) }), ["l3", "l2"]);
			bench.maintain(NOW_MS + 5 * 3_600_000);
			assert.deepEqual(await bench.logBodies({ limit: 3 }), ["l4", "l3", "l2"]);
		},
	},
	{
		title: "a record without a time is placed by when it was observed",
		async run(bench) {
			const { timeUnixNano: _, ...untimed } = log("observed");
			bench.append({
				logs: [
					logsFrom("a", [
						{ ...untimed, observedTimeUnixNano: String(T0 + 5_000_000n) },
						log("early"),
						log("late", { atMs: 9 }),
					]),
				],
			});
			assert.deepEqual(await bench.logBodies({}), ["late", "observed", "early"]);
			assert.deepEqual(await bench.logBodies({ fromNs: at(T0 + 5_000_000n), toNs: at(T0 + 5_000_001n) }), ["observed"]);
		},
	},
	{
		title: "trace, service, severity and attributes filter exactly",
		async run(bench) {
			bench.append({
				logs: [
					logsFrom("a", [
						log("1", { traceId: traceId(1), severityNumber: 9 }),
						log("2", { atMs: 1, traceId: traceId(2), severityNumber: 17 }),
					]),
					logsFrom(
						"b",
						[log("3", { atMs: 2, attributes: [{ key: "code", value: { intValue: "503" } }] })],
						[string("zone", "eu")],
					),
				],
			});
			assert.deepEqual(await bench.logBodies({ traceId: traceId(1) }), ["1"]);
			assert.deepEqual(await bench.logBodies({ traceId: traceId(9) }), []);
			assert.deepEqual(await bench.logBodies({ service: "b" }), ["3"]);
			assert.deepEqual(await bench.logBodies({ minSeverity: 9 }), ["2", "1"]);
			assert.deepEqual(await bench.logBodies({ minSeverity: 10 }), ["2"]);
			assert.deepEqual(await bench.logBodies({ attributes: [{ key: "code", value: "503", type: "int" }] }), ["3"]);
			assert.deepEqual(await bench.logBodies({ attributes: [{ key: "code", value: "503", type: "string" }] }), []);
			assert.deepEqual(await bench.logBodies({ attributes: [{ key: "zone", value: "eu", type: "text" }] }), ["3"]);
			assert.deepEqual(await bench.logBodies({ service: "a", minSeverity: 10, traceId: traceId(2) }), ["2"]);
		},
	},
	{
		title: "text is a substring of the body whatever its case, and metacharacters mean themselves",
		async run(bench) {
			const bodies = [
				"GET /Cart 200",
				"100% sure",
				"a_b",
				"back\\slash",
				"'; DROP TABLE logs;--",
				"(a+)+$",
				"日本語 ÄÖ",
				"\u0000nul",
				"*?[x]",
			];
			bench.append({
				logs: [
					logsFrom(
						"a",
						bodies.map((body, i) => log(body, { atMs: -i })),
					),
				],
			});
			for (const body of bodies) assert.deepEqual(await bench.logBodies({ text: body }), [body]);
			assert.deepEqual(await bench.logBodies({ text: "get /cart" }), ["GET /Cart 200"]);
			assert.deepEqual(await bench.logBodies({ text: "%" }), ["100% sure"]);
			assert.deepEqual(await bench.logBodies({ text: "_" }), ["a_b"]);
			assert.deepEqual(await bench.logBodies({ text: "[x" }), ["*?[x]"]);
			assert.deepEqual(await bench.logBodies({ text: "äö" }), ["日本語 ÄÖ"]);
			assert.deepEqual(await bench.logBodies({ text: "absent" }), []);
			assert.equal((await bench.logBodies({ text: "" })).length, bodies.length);
		},
	},
	{
		title: "log times of 0 and 2^64−1 are kept",
		async run(bench) {
			const { timeUnixNano: _, ...untimed } = log("zero");
			bench.append({ logs: [logsFrom("a", [untimed, log("last", { timeUnixNano: "18446744073709551615" })])] });
			assert.deepEqual(await bench.logBodies({}), ["last", "zero"]);
		},
	},
];
