/** What the topology stage flushes: all of it or nothing, added up by bucket, and kept as long as it should be. */
import assert from "node:assert/strict";
import { hexFromBytes } from "../../model/ids.ts";
import type { Endpoint } from "../../model/topology/endpoint.ts";
import { bucketStart, type CertificateSighting, type Exemplar, RESOLUTIONS_MS } from "../../model/topology/series.ts";
import type { TopologyFlush, TopologyReader } from "../topology.ts";
import type { Rule } from "./kit.ts";
import { addUp, encodeSums } from "./rollup-sums.ts";
import { needsReopen } from "./rules-replay.ts";
import { NOW_MS, traceId, type Workbench } from "./workbench.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const MAX_STEPS = 10_000;

const NOTHING: TopologyFlush = {
	cursor: undefined,
	state: new Uint8Array(0),
	series: [],
	rollups: [],
	exemplars: [],
	certificates: [],
	addresses: [],
	counters: [],
};

/** One delta of each width, as the stage flushes them. */
function observation(timeMs: number, sums: Readonly<Record<number, number>>): TopologyFlush["rollups"] {
	return RESOLUTIONS_MS.map((resolutionMs) => ({
		resolutionMs,
		bucketMs: bucketStart(timeMs, resolutionMs),
		data: encodeSums(sums),
	}));
}

function flush(bench: Workbench, parts: Partial<TopologyFlush>): void {
	bench.topology.writer.flush({ ...NOTHING, ...parts });
}

function maintain(bench: Workbench, nowMs: number): void {
	let steps = 0;
	while (bench.topology.writer.maintain(nowMs)) assert.ok(++steps < MAX_STEPS, "maintenance has no end");
}

/** By width and bucket. */
function sums(reader: TopologyReader): Record<string, Record<number, number>> {
	const found: Record<string, Record<number, number>> = {};
	for (const resolutionMs of RESOLUTIONS_MS)
		for (const { bucketMs, data } of reader.rollups(resolutionMs, 0, NOW_MS * 2))
			found[`${resolutionMs} ${bucketMs}`] = addUp(data);
	return found;
}

/** Ranges that begin and end anywhere have the sums of their buckets. */
function assertDeltas(reader: TopologyReader, nowMs: number): void {
	for (const resolutionMs of RESOLUTIONS_MS) {
		for (const fromMs of [NOW_MS - HOUR_MS, NOW_MS - 37 * MINUTE_MS, NOW_MS + 1, NOW_MS + 4 * MINUTE_MS]) {
			for (const toMs of [fromMs, fromMs + MINUTE_MS, NOW_MS + 8 * MINUTE_MS, nowMs + HOUR_MS]) {
				const inBuckets = [...reader.rollups(resolutionMs, fromMs, toMs)].flatMap(({ data }) => data);
				assert.deepEqual(addUp([...reader.deltas(resolutionMs, fromMs, toMs)]), addUp(inBuckets));
			}
		}
	}
}

function endpoint(service: string): Endpoint {
	return { kind: "service", cluster: "c", namespace: "n", service, workload: `${service}-v1` };
}

function exemplar(series: number, timeMs: number, number = 1): Exemplar {
	return { series, timeMs, traceId: traceId(number), durationNs: 1_000 + number, isError: number % 2 === 0 };
}

function certificate(principal: string, seenMs: number, issuer = "root"): CertificateSighting {
	const ends = { source: endpoint("a"), target: endpoint("b"), side: "source" } as const;
	return { principal, notAfterMs: NOW_MS + DAY_MS, issuer, seenMs, ...ends };
}

export const TOPOLOGY_RULES: readonly Rule[] = [
	{
		title: "before the first flush everything is empty",
		async run(bench) {
			const { writer, reader } = bench.topology;
			const empty = { cursor: undefined, state: new Uint8Array(0), series: [], counters: [] };
			assert.deepEqual(writer.load(), empty);
			assert.deepEqual(sums(reader), {});
			assert.deepEqual([reader.oldest(10_000), reader.progress(), reader.series().size], [undefined, undefined, 0]);
			assert.deepEqual(reader.exemplars([1], 0, NOW_MS * 2, 10), []);
			assert.equal(writer.maintain(NOW_MS), false);
		},
	},
	{
		title: "deltas of a bucket add up, and buckets come in order, those that begin in the range",
		async run(bench) {
			for (const second of [25, 5, 15, 5, 65])
				flush(bench, { rollups: observation(NOW_MS + second * 1_000, { 1: 1, 2: second }) });
			const { reader } = bench.topology;
			const tens = (from: number, to: number) =>
				[...reader.rollups(10_000, NOW_MS + from, NOW_MS + to)].map(({ bucketMs, data }) => [
					bucketMs - NOW_MS,
					addUp(data),
				]);
			const first = [0, { 1: 2, 2: 10 }];
			const third = [20_000, { 1: 1, 2: 25 }];
			assert.deepEqual(tens(0, 60_000), [first, [10_000, { 1: 1, 2: 15 }], third]);
			assert.deepEqual(tens(1, 20_000), [[10_000, { 1: 1, 2: 15 }]]);
			assert.deepEqual(tens(20_000, 20_001), [third]);
			assert.equal(sums(reader)[`60000 ${NOW_MS}`]![2], 50);
			assert.equal(sums(reader)[`3600000 ${NOW_MS}`]![1], 5);
			assert.equal(reader.oldest(10_000), NOW_MS);
		},
	},
	{
		title: "joining deltas changes no sum, whenever late ones come",
		async run(bench) {
			const expected: Record<string, Record<number, number>> = {};
			let nowMs = NOW_MS;
			for (let i = 0; i < 400; i++) {
				nowMs += 2_000;
				// One in ten is late, by up to an hour.
				const timeMs = i % 10 === 0 ? nowMs - (i % 7) * 9 * MINUTE_MS : nowMs;
				const own = { [i % 5]: i % 3 === 0 ? -1 : 2, 9: 1 };
				const rollups = observation(timeMs, own);
				flush(bench, { rollups });
				for (const { resolutionMs, bucketMs } of rollups) {
					const key = `${resolutionMs} ${bucketMs}`;
					expected[key] = addUp([encodeSums(expected[key] ?? {}), encodeSums(own)]);
				}
				if (i % 25 === 0) maintain(bench, nowMs);
			}
			assert.deepEqual(sums(bench.topology.reader), expected);
			assertDeltas(bench.topology.reader, nowMs);
			maintain(bench, nowMs + 10 * MINUTE_MS);
			assert.deepEqual(sums(bench.topology.reader), expected);
			assertDeltas(bench.topology.reader, nowMs);
			// Of some buckets one is late once more.
			for (const minutes of [1, 20, 40])
				flush(bench, { rollups: observation(NOW_MS + minutes * MINUTE_MS - HOUR_MS, { 1: 7 }) });
			assertDeltas(bench.topology.reader, nowMs);
			maintain(bench, nowMs + HOUR_MS);
			assertDeltas(bench.topology.reader, nowMs);
		},
	},
	{
		title: "each flush is a new version, and what was computed holds until the next",
		async run(bench) {
			const { reader } = bench.topology;
			const versions = new Set([reader.version()]);
			for (let i = 0; i < 5; i++) {
				flush(bench, { rollups: observation(NOW_MS, { 1: 1 }) });
				assert.equal(reader.version(), reader.version());
				versions.add(reader.version());
			}
			assert.equal(versions.size, 6);
		},
	},
	{
		title: "series are known once they were flushed, and a series that comes again stays what it was",
		async run(bench) {
			flush(bench, { series: [{ id: 1, dims: "one" }] });
			assert.deepEqual([...bench.topology.reader.series()], [[1, "one"]]);
			flush(bench, {
				series: [
					{ id: 1, dims: "other" },
					{ id: 2, dims: "two" },
				],
			});
			const known = [...bench.topology.reader.series()];
			assert.deepEqual(known, [
				[1, "one"],
				[2, "two"],
			]);
			assert.deepEqual(
				bench.topology.writer.load().series.map(({ id, dims }) => [id, dims]),
				known,
			);
		},
	},
	{
		title: "exemplars come newest first, of the series and the range, and of each hour the newest 32",
		async run(bench) {
			for (let i = 0; i < 40; i++)
				flush(bench, { exemplars: [exemplar(1, NOW_MS + i * 1_000, i), exemplar(2, NOW_MS + 2 * HOUR_MS + i, i)] });
			const { reader } = bench.topology;
			const of = (series: number[], from: number, to: number, limit = 100) =>
				reader.exemplars(series, NOW_MS + from, NOW_MS + to, limit);
			assert.equal(of([1, 2], 0, DAY_MS).length, 64);
			assert.deepEqual(of([1], 0, DAY_MS, 2), [exemplar(1, NOW_MS + 39_000, 39), exemplar(1, NOW_MS + 38_000, 38)]);
			assert.deepEqual(of([1, 2], 0, DAY_MS, 1), [exemplar(2, NOW_MS + 2 * HOUR_MS + 39, 39)]);
			assert.equal(of([1], 0, 10_000).length, 2);
			assert.deepEqual(of([1], 0, 8_000), []);
			assert.deepEqual(of([3], 0, DAY_MS), []);
		},
	},
	{
		title: "a certificate is seen from its first sighting to its last, and told by the last",
		async run(bench) {
			const last = certificate("spiffe://a", NOW_MS + HOUR_MS, "new root");
			flush(bench, { certificates: [certificate("spiffe://a", NOW_MS), last] });
			flush(bench, { certificates: [certificate("spiffe://a", NOW_MS + MINUTE_MS), certificate("b", NOW_MS + DAY_MS)] });
			const { reader } = bench.topology;
			assert.deepEqual(reader.certificates(NOW_MS, NOW_MS + DAY_MS), [last]);
			assert.deepEqual(reader.certificates(NOW_MS + 10 * MINUTE_MS, NOW_MS + 20 * MINUTE_MS), [last]);
			assert.deepEqual(reader.certificates(NOW_MS + 2 * HOUR_MS, NOW_MS + DAY_MS), []);
			assert.equal(reader.certificates(NOW_MS, NOW_MS + DAY_MS + 1).length, 2);
		},
	},
	{
		title: "an address is whose it was seen to be last",
		async run(bench) {
			const sighting = (service: string, seenMs: number) => ({ address: "10.0.0.1", endpoint: endpoint(service), seenMs });
			flush(bench, { addresses: [sighting("a", NOW_MS + 5)] });
			flush(bench, { addresses: [sighting("b", NOW_MS + 9), sighting("late", NOW_MS)] });
			assert.deepEqual([...bench.topology.reader.addresses()], [["10.0.0.1", sighting("b", NOW_MS + 9)]]);
		},
	},
	{
		title: "finest buckets and exemplars are kept as long as traces are, the others for 90 days; a removal is a new version",
		async run(bench) {
			const { reader } = bench.topology;
			flush(bench, {
				rollups: observation(NOW_MS, { 1: 1 }),
				exemplars: [exemplar(1, NOW_MS)],
				certificates: [certificate("a", NOW_MS)],
				addresses: [{ address: "10.0.0.1", endpoint: endpoint("a"), seenMs: NOW_MS }],
				counters: [{ key: "k", value: new Uint8Array([1]) }],
			});
			const left = () => [
				RESOLUTIONS_MS.filter((resolutionMs) => reader.oldest(resolutionMs) !== undefined).length,
				reader.exemplars([1], 0, NOW_MS * 2, 10).length,
				reader.certificates(0, NOW_MS * 2).length,
				reader.addresses().size,
				bench.topology.writer.load().counters.length,
			];
			maintain(bench, NOW_MS + HOUR_MS);
			assert.deepEqual(left(), [4, 1, 1, 1, 1]);
			const version = reader.version();
			maintain(bench, NOW_MS + 4 * HOUR_MS);
			assert.deepEqual(left(), [3, 0, 1, 1, 1]);
			assert.notEqual(reader.version(), version);
			maintain(bench, NOW_MS + 8 * DAY_MS);
			assert.deepEqual(left(), [3, 0, 1, 1, 0]);
			maintain(bench, NOW_MS + 92 * DAY_MS);
			assert.deepEqual(left(), [0, 0, 0, 0, 0]);
		},
	},
	{
		title: "cursor, state, series and counters are what the last flush said, after a reopen too; an empty value removes a counter",
		skip: needsReopen,
		async run(bench) {
			const value = (number: number) => new Uint8Array([number]);
			flush(bench, {
				cursor: { window: "w", commit: 3 },
				state: value(1),
				series: [{ id: 1, dims: "one" }],
				counters: [
					{ key: "a", value: value(1) },
					{ key: "b", value: value(2) },
				],
			});
			flush(bench, {
				cursor: { window: "w", commit: 9 },
				state: value(2),
				rollups: observation(NOW_MS, { 1: 5 }),
				counters: [
					{ key: "a", value: undefined },
					{ key: "b", value: value(3) },
				],
			});
			const before = bench.topology.writer.load();
			await bench.reopen();
			for (let i = 0; i < 2; i++) {
				const { cursor, state, series, counters } = bench.topology.writer.load();
				assert.deepEqual([cursor, hexFromBytes(state, 0, state.length)], [{ window: "w", commit: 9 }, "02"]);
				assert.deepEqual(series, [{ id: 1, dims: "one" }]);
				assert.deepEqual(
					counters.map(({ key, value: bytes }) => [key, ...bytes]),
					[["b", 3]],
				);
			}
			assert.deepEqual(bench.topology.writer.load(), before);
			assert.equal(sums(bench.topology.reader)[`10000 ${NOW_MS}`]![1], 5);
			assert.deepEqual(bench.topology.reader.progress(), { cursor: { window: "w", commit: 9 }, flushedMs: NOW_MS });
		},
	},
	{
		title: "of a flush that throws nothing is kept, and the next one is",
		async run(bench) {
			flush(bench, { cursor: { window: "w", commit: 1 }, rollups: observation(NOW_MS, { 1: 1 }) });
			const poisoned = {
				...certificate("a", NOW_MS),
				get issuer(): string {
					throw new Error("a fault in the middle of a flush");
				},
			};
			const parts = { cursor: { window: "w", commit: 2 }, series: [{ id: 1, dims: "one" }] };
			const rollups = observation(NOW_MS, { 1: 10 });
			assert.throws(() => flush(bench, { ...parts, rollups, certificates: [poisoned] }), /in the middle of a flush/);
			const { reader, writer } = bench.topology;
			assert.deepEqual([reader.progress()!.cursor!.commit, writer.load().series], [1, []]);
			assert.equal(sums(reader)[`10000 ${NOW_MS}`]![1], 1);
			flush(bench, { ...parts, rollups });
			assert.equal(sums(reader)[`10000 ${NOW_MS}`]![1], 11);
			assert.equal(reader.progress()!.cursor!.commit, 2);
		},
	},
];
