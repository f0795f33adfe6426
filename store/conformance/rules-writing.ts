/** Groups: all or nothing, in order, and kept. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MetricBatch } from "../../model/metric.ts";
import type { Rule, StoreUnderTest } from "./kit.ts";
import { ALL_TIME, from, logsFrom, NOW_MS, span, string, T0, traceId, type Workbench } from "./workbench.ts";

function fingerprint(number: number): Uint8Array {
	return new Uint8Array(16).fill(number);
}

function oneOfEach(number: number): Parameters<Workbench["append"]>[0] {
	const gauge = { dataPoints: [{ asInt: String(number), timeUnixNano: String(T0) }] };
	return {
		traces: [from("a", [span(number, 1)])],
		logs: [logsFrom("a", [{ timeUnixNano: String(T0), body: { stringValue: `log ${number}` }, traceId: traceId(number) }])],
		metrics: [{ resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: `metric ${number}`, gauge }] }] }] }],
		fingerprints: fingerprint(number),
	};
}

/** A span and a log with the text in nine places: name, keys, values and body, some of them nested. */
function textGroup(text: string): Parameters<Workbench["append"]>[0] {
	const nested = {
		arrayValue: { values: [{ kvlistValue: { values: [{ key: `n${text}`, value: { stringValue: `v${text}` } }] } }] },
	};
	const attributes = [string(`k${text}`, "plain"), string("plain", `s${text}`), { key: "nested", value: nested }];
	const numbers = [
		{ key: "double", value: { doubleValue: -1.7e308 } },
		{ key: "int", value: { intValue: "-1" } },
	];
	const log = {
		timeUnixNano: String(T0),
		body: { stringValue: `b${text}` },
		attributes: [string("other", `o${text}`), ...numbers],
	};
	return {
		traces: [from("a", [span(1, 1, { name: `o${text}`, attributes: [...attributes, ...numbers] })])],
		logs: [
			logsFrom("a", [
				{ ...log, eventName: `e${text}` },
				{ ...log, body: { stringValue: "x".repeat(200) }, attributes: [string("last", text)] },
			]),
		],
	};
}

/** Numbers of the groups of {@link oneOfEach} that each kind of read sees. */
async function visible(bench: Workbench): Promise<Record<string, number[]>> {
	const numbers = (texts: readonly string[]) => texts.map((text) => Number(text.split(" ")[1])).sort((a, b) => a - b);
	const { series } = await bench.reader.metricSeries({ attributes: [], limit: 1_000 });
	const points = await bench.reader.metricPoints({ attributes: [], limit: 1_000, maxPoints: 1_000, ...ALL_TIME });
	return {
		traces: (await bench.found({})).sort((a, b) => a - b),
		logs: numbers((await bench.logBodies({})).map(String)),
		series: numbers(series.map(({ name }) => name)),
		points: points.series.flatMap((entry) => entry.points.map(({ value }) => Number(value))).sort((a, b) => a - b),
	};
}

function all(numbers: number[]): Record<string, number[]> {
	return { traces: numbers, logs: numbers, series: numbers, points: numbers };
}

function newestFingerprints(bench: Workbench, max: number): number[] {
	return [...bench.writer.recentFingerprints(max)].filter((_, i) => i % 16 === 0);
}

const needsReopen = ({ reopen }: StoreUnderTest) =>
	reopen === undefined ? "the engine's data ends with the process" : undefined;

export const WRITING_RULES: readonly Rule[] = [
	{
		title: "each group is visible, whole, as soon as it is appended",
		async run(bench) {
			const numbers: number[] = [];
			for (let i = 1; i <= 12; i++) {
				bench.append({ ...oneOfEach(i), arrivedMs: NOW_MS + i * 700_000 });
				numbers.push(i);
				assert.deepEqual(await visible(bench), all(numbers));
				assert.deepEqual(newestFingerprints(bench, 1), [i]);
			}
			bench.maintain(NOW_MS + 12 * 700_000);
			assert.deepEqual(await visible(bench), all(numbers));
		},
	},
	{
		title: "of a group whose append throws nothing is visible, then or later, and the next one succeeds",
		async run(bench) {
			bench.append(oneOfEach(1));
			const group = bench.group(oneOfEach(2));
			const [good] = group.metrics.points;
			const poisoned = {
				...good!,
				get timeNs(): bigint {
					throw new Error("a fault in the middle of a group");
				},
			};
			const metrics: MetricBatch = { series: group.metrics.series, points: [good!, poisoned] };
			assert.throws(() => bench.writer.append({ ...group, metrics }), /in the middle of a group/);
			assert.deepEqual(await visible(bench), all([1]));
			bench.append(oneOfEach(3));
			assert.deepEqual(await visible(bench), all([1, 3]));
			assert.deepEqual(
				(await bench.reader.services()).map(({ name }) => name),
				["a"],
			);
		},
	},
	{
		title: "an engine keeps no reference to the caller's columns",
		async run(bench) {
			const group = bench.group(oneOfEach(1));
			const { fingerprints } = group;
			bench.writer.append(group);
			for (const columns of [group.spans, group.logs]) {
				columns.bytes.fill(0xee);
				columns.traceId.fill(0);
				columns.fieldStart.fill(0);
				columns.reset();
			}
			fingerprints.fill(0xee);
			assert.deepEqual(await visible(bench), all([1]));
			assert.equal((await bench.spans(traceId(1)))!.length, 1);
			bench.maintain();
			assert.equal((await bench.spans(traceId(1)))!.length, 1);
		},
	},
	{
		title: "an empty group is stored, and its fingerprints with it",
		async run(bench) {
			bench.append({ fingerprints: fingerprint(7) });
			bench.append({});
			assert.deepEqual(bench.writer.recentFingerprints(10), fingerprint(7));
			assert.deepEqual(await bench.search({}), []);
		},
	},
	{
		title: "the newest fingerprints come last, and no more than were asked for",
		async run(bench) {
			assert.equal(bench.writer.recentFingerprints(10).length, 0);
			for (let i = 1; i <= 5; i++) {
				bench.append({
					fingerprints: Buffer.concat([fingerprint(2 * i - 1), fingerprint(2 * i)]),
					arrivedMs: NOW_MS + i * 1_000,
				});
			}
			const newest = (max: number) => newestFingerprints(bench, max);
			assert.deepEqual(newest(100), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
			assert.deepEqual(newest(3), [8, 9, 10]);
			assert.deepEqual(newest(0), []);
		},
	},
	{
		title: "statistics count what was stored",
		async run(bench) {
			for (let i = 1; i <= 3; i++) bench.append(oneOfEach(i));
			const stats = bench.writer.stats();
			assert.deepEqual([stats.spans, stats.logs, stats.metricPoints], [3, 3, 3]);
			const [window] = stats.windows;
			assert.ok(window !== undefined && window.fromMs <= NOW_MS && window.toMs >= NOW_MS);
			assert.deepEqual([window.spans, window.logs, window.metricPoints], [3, 3, 3]);
			assert.deepEqual(stats.capabilities, bench.underTest.capabilities);
		},
	},
	{
		title: "the scanner sees what the reader sees, bounded by time and service",
		skip: ({ scanner }) => (scanner === undefined ? "the engine has no scanner" : undefined),
		async run(bench) {
			for (let i = 1; i <= 3; i++) bench.append(oneOfEach(i));
			bench.append({
				traces: [
					from("b", [
						span(9, 1, {
							startMs: 5,
							kind: 3,
							status: { code: 2 },
							attributes: [{ key: "n", value: { intValue: "5" } }],
						}),
					]),
				],
			});
			const scanner = bench.underTest.scanner!;
			const rows = [...scanner.scanSpans({ ...ALL_TIME, service: "b" })];
			assert.equal(rows.length, 1);
			const { attributes, resource, ...rest } = rows[0]!;
			assert.deepEqual(rest, {
				traceId: traceId(9),
				spanId: "0000000010000001",
				parentSpanId: "",
				service: "b",
				name: "op",
				kind: 3,
				statusCode: 2,
				startNs: T0 + 5_000_000n,
				durationNs: 10_000_000n,
			});
			assert.deepEqual({ ...attributes }, { n: 5 });
			assert.deepEqual({ ...resource }, { "service.name": "b" });
			assert.equal([...scanner.scanSpans(ALL_TIME)].length, 4);
			assert.equal([...scanner.scanSpans({ ...ALL_TIME, fromNs: ALL_TIME.toNs })].length, 0);
			assert.deepEqual([...scanner.scanLogs(ALL_TIME)].map(({ body }) => body).sort(), ["log 1", "log 2", "log 3"]);
			assert.deepEqual(
				[...scanner.scanMetricPoints(ALL_TIME)].map(({ series, point }) => `${series.name} ${point.value}`).sort(),
				["metric 1 1", "metric 2 2", "metric 3 3"],
			);
			const report = scanner.verify();
			assert.equal(report.ok, true);
			assert.equal(
				report.windows.reduce((total, window) => total + window.spans, 0),
				4,
			);
		},
	},
	{
		title: "what was appended is there after a reopen, merged or not",
		skip: needsReopen,
		async run(bench) {
			for (let i = 1; i <= 6; i++) bench.append({ ...oneOfEach(i), arrivedMs: NOW_MS + i * 1_800_000 });
			await bench.reopen();
			assert.deepEqual(await visible(bench), all([1, 2, 3, 4, 5, 6]));
			assert.deepEqual(newestFingerprints(bench, 1), [6]);
			bench.maintain(NOW_MS + 6 * 1_800_000);
			await bench.reopen();
			// How far back fingerprints reach is the engine's to say, not that the newest are there.
			assert.deepEqual(newestFingerprints(bench, 1), [6]);
			bench.append({ ...oneOfEach(7), arrivedMs: NOW_MS + 7 * 1_800_000 });
			assert.deepEqual(await visible(bench), all([1, 2, 3, 4, 5, 6, 7]));
			assert.deepEqual(newestFingerprints(bench, 2), [6, 7]);
			assert.deepEqual(
				(await bench.reader.services()).map(({ name }) => name),
				["a"],
			);
			assert.equal((await bench.reader.metricSeries({ attributes: [], limit: 100 })).series.length, 7);
		},
	},
	{
		title: "names, attributes and bodies that are not UTF-8 are stored and counted, valid ones of any script are not",
		async run(bench) {
			const { invalidUtf8Strings: none } = bench.writer.append(bench.group(textGroup("naïve 名前 🦀 \ufffd")));
			assert.equal(none, 0);
			// Far apart, so that each is told from its neighbours: the surrogates of UTF-8's forerunner, and a sequence cut short.
			for (const bad of [
				[0xed, 0xa0, 0x80],
				[0xf0, 0x9f, 0xa6],
			]) {
				const group = bench.group(textGroup("MARKER"));
				for (const { bytes } of [group.spans, group.logs]) {
					const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
					for (let at = view.indexOf("MARKER"); at >= 0; at = view.indexOf("MARKER"))
						view.set([...bad, 0x41, 0x42, 0x43], at);
				}
				assert.equal(bench.writer.append(group).invalidUtf8Strings, 9);
			}
			assert.equal((await bench.found({})).length, 1);
		},
	},
	{
		title: "a backup holds everything appended before it",
		skip: ({ capabilities, openBackup }) =>
			!capabilities.backup || openBackup === undefined ? "the engine has no backup" : undefined,
		async run(bench) {
			for (let i = 1; i <= 4; i++) bench.append({ ...oneOfEach(i), arrivedMs: NOW_MS + i * 1_800_000 });
			const parent = await mkdtemp(join(tmpdir(), "meshscope-conformance-"));
			try {
				const report = await bench.writer.backup(join(parent, "copy"));
				assert.ok(report.files > 0 && report.bytes > 0);
				bench.append(oneOfEach(5));
				const copy = await bench.underTest.openBackup!(join(parent, "copy"));
				try {
					const found = await copy.reader.searchTraces({ attributes: [], limit: 10, ...ALL_TIME });
					assert.deepEqual(found.traces.map(({ traceId: id }) => id).sort(), [1, 2, 3, 4].map(traceId));
				} finally {
					await copy.dispose();
				}
			} finally {
				await rm(parent, { recursive: true, force: true });
			}
		},
	},
];
