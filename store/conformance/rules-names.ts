/** Services and their operations. */
import assert from "node:assert/strict";
import type { Rule } from "./kit.ts";
import { from, logsFrom, NOW_MS, span } from "./workbench.ts";

const OVERFLOW = "(overflow)";

export const NAME_RULES: readonly Rule[] = [
	{
		title: "services are sorted by name, with the first and last time they were seen",
		async run(bench) {
			assert.deepEqual(await bench.reader.services(), []);
			bench.append({ traces: [from("b", [span(1, 1)]), from("__proto__", [span(1, 2)])] });
			bench.append({ traces: [from("a", [span(2, 1)]), from("b", [span(2, 2)])], arrivedMs: NOW_MS + 3_600_000 });
			assert.deepEqual(await bench.reader.services(), [
				{ name: "__proto__", firstSeenMs: NOW_MS, lastSeenMs: NOW_MS },
				{ name: "a", firstSeenMs: NOW_MS + 3_600_000, lastSeenMs: NOW_MS + 3_600_000 },
				{ name: "b", firstSeenMs: NOW_MS, lastSeenMs: NOW_MS + 3_600_000 },
			]);
		},
	},
	{
		title: "services that send only logs or metrics are listed too, and have no operations",
		async run(bench) {
			const gauge = { dataPoints: [{ asInt: "1" }] };
			const resource = { attributes: [{ key: "service.name", value: { stringValue: "gauges" } }] };
			bench.append({
				logs: [logsFrom("logger", [{ body: { stringValue: "x" } }])],
				metrics: [{ resourceMetrics: [{ resource, scopeMetrics: [{ metrics: [{ name: "m", gauge }] }] }] }],
			});
			assert.deepEqual(
				(await bench.reader.services()).map(({ name }) => name),
				["gauges", "logger"],
			);
			assert.deepEqual(await bench.reader.operations("logger"), []);
		},
	},
	{
		title: "operations are sorted by name, then kind, and belong to their service",
		async run(bench) {
			bench.append({
				traces: [
					from("a", [
						span(1, 1, { name: "y", kind: 3 }),
						span(1, 2, { name: "y", kind: 2 }),
						span(1, 3, { name: "x" }),
					]),
					from("b", [span(1, 4, { name: "z" })]),
				],
			});
			const operations = await bench.reader.operations("a");
			assert.deepEqual(
				operations.map(({ name, kind }) => [name, kind]),
				[
					["x", 2],
					["y", 2],
					["y", 3],
				],
			);
			assert.deepEqual(operations[0], { name: "x", kind: 2, lastSeenMs: NOW_MS });
			for (const unknown of ["c", "", "__proto__", "'"]) assert.deepEqual(await bench.reader.operations(unknown), []);
		},
	},
	{
		title: "beyond 10,000 services the rest are gathered under (overflow), and are still found by search",
		async run(bench) {
			const traces = Array.from({ length: 10_020 }, (_, i) => from(`service-${i}`, [span(i + 1, 1)]));
			bench.append({ traces: traces.slice(0, 6_000) });
			bench.append({ traces: traces.slice(6_000) });
			const names = (await bench.reader.services()).map(({ name }) => name);
			assert.ok(names.length <= 10_001);
			assert.ok(names.includes(OVERFLOW));
			assert.ok(names.includes("service-0"));
			assert.deepEqual(await bench.found({ service: "service-10019" }), [10_020]);
		},
	},
	{
		title: "beyond 1,000 operations of a service the rest are gathered under (overflow)",
		async run(bench) {
			const spans = Array.from({ length: 1_020 }, (_, i) => span(i + 1, 1, { name: `op-${i}` }));
			bench.append({ traces: [from("a", spans), from("b", spans.slice(0, 1))] });
			const names = (await bench.reader.operations("a")).map(({ name }) => name);
			assert.ok(names.length <= 1_001);
			assert.ok(names.includes(OVERFLOW));
			assert.ok(names.includes("op-0"));
			assert.equal((await bench.reader.operations("b")).length, 1);
			assert.deepEqual(await bench.found({ operation: "op-1019" }), [1_020]);
		},
	},
	{
		title: "a name of more than 1,024 characters is in no list but gathered under (overflow), and is still found by search",
		async run(bench) {
			const long = (letter: string): string => letter.repeat(1_025);
			bench.append({
				traces: [
					from(long("s"), [span(1, 1, { name: "hidden" })]),
					from("a", [span(2, 1, { name: long("o") }), span(3, 1, { name: "o".repeat(1_024) })]),
				],
				logs: [logsFrom(long("l"), [{ body: { stringValue: "x" } }])],
			});
			const namesOf = (list: readonly { readonly name: string }[]): string[] => list.map(({ name }) => name);
			assert.deepEqual(namesOf(await bench.reader.services()), [OVERFLOW, "a"]);
			assert.deepEqual(namesOf(await bench.reader.operations("a")), [OVERFLOW, "o".repeat(1_024)]);
			assert.deepEqual(await bench.reader.operations(long("s")), []);
			assert.deepEqual(await bench.found({ service: long("s") }), [1]);
			assert.deepEqual(await bench.found({ operation: long("o") }), [2]);
		},
	},
];
