import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { serviceEndpoint } from "./endpoint.ts";
import { canonicalDims, parseDims } from "./dims.ts";
import { addBuckets, histogramIndex } from "./histogram.ts";
import { addSums, addTotals, emptyTotals, encodeRollup } from "./rollup.ts";
import { DamagedRollupError } from "./rollup-layout.ts";
import { addRollups, joinRollups } from "./rollup-reader.ts";
import type { SeriesTotals } from "./rollup.ts";
import { emptySums, type SeriesDims, type SeriesSums } from "./series.ts";

interface Observation {
	readonly series: number;
	readonly timeMs: number;
	readonly latencyNs: number;
	readonly weight: number;
	readonly code: string;
	readonly flag: string;
	readonly bytes: number;
}

const observation: fc.Arbitrary<Observation> = fc.record({
	series: fc.integer({ min: 1, max: 400 }),
	timeMs: fc.oneof(fc.integer({ min: 1.7e12, max: 1.8e12 }), fc.double({ min: 1.7e12, max: 1.8e12, noNaN: true })),
	latencyNs: fc.oneof(
		fc.nat(2 ** 31 - 1),
		fc.nat(1_000),
		fc.maxSafeNat().map((ns) => Math.floor(ns / 1_000_000)),
	),
	weight: fc.constantFrom(1, 1, 1, 100, 1 / 0.3),
	code: fc.constantFrom("200", "503", "0", "grpc:14", "007", "", "é"),
	flag: fc.constantFrom("", "UF", "UF,URX"),
	bytes: fc.nat(),
});
/** Whole numbers only, so that sums are equal whatever the order. */
const wholeObservation = observation.map((one) => ({ ...one, weight: Math.round(one.weight), timeMs: Math.floor(one.timeMs) }));

function sumsOf(observations: readonly Observation[]): Map<number, SeriesSums> {
	const all = new Map<number, SeriesSums>();
	for (const { series, timeMs, latencyNs, weight, code, flag, bytes } of observations) {
		let sums = all.get(series);
		if (sums === undefined) all.set(series, (sums = emptySums()));
		const one: SeriesSums = { ...emptySums(), firstMs: timeMs, lastMs: timeMs };
		one.observed = 1;
		one.count = weight;
		one.attempts = weight;
		one.bytesSent = bytes;
		one.bytesReceived = 2 * bytes;
		one.sourceLatencyNs = latencyNs * weight;
		one.sourceLatency.set(histogramIndex(latencyNs), weight);
		if (latencyNs % 2 === 0) one.destinationLatency.set(histogramIndex(latencyNs / 2), weight);
		if (code !== "") one.codes.set(code, weight);
		if (flag !== "") one.flags.set(flag, weight);
		addSums(sums, one);
	}
	return all;
}

/** The totals as plain values that can be compared. */
function plain(all: ReadonlyMap<number, SeriesSums | SeriesTotals>): unknown {
	const buckets = (from: SeriesSums["sourceLatency"] | SeriesTotals["sourceLatency"]): unknown => {
		const found: [number, number][] = [];
		from.forEach((count: number, index: number) => found.push([index, count]));
		return found.sort(([a], [b]) => a - b);
	};
	return [...all]
		.sort(([a], [b]) => a - b)
		.map(([id, sums]) => ({
			...sums,
			id,
			codes: [...sums.codes].sort(),
			flags: [...sums.flags].sort(),
			sourceLatency: buckets(sums.sourceLatency),
			destinationLatency: buckets(sums.destinationLatency),
		}));
}

function decoded(...datas: readonly Uint8Array[]): Map<number, SeriesTotals> {
	const into = new Map<number, SeriesTotals>();
	addRollups(into, datas);
	return into;
}

test("what was written is read back, fractions bit for bit", () => {
	fc.assert(
		fc.property(fc.array(observation), (observations) => {
			const sums = sumsOf(observations);
			assert.deepEqual(plain(decoded(encodeRollup(sums))), plain(sums));
			assert.deepEqual(encodeRollup(decoded(encodeRollup(sums))), encodeRollup(sums));
		}),
	);
});

test("merging roll-ups equals computing from raw, by adding, by joining bytes and by joining totals", () => {
	fc.assert(
		fc.property(fc.array(fc.array(wholeObservation), { maxLength: 6 }), (parts) => {
			const raw = plain(sumsOf(parts.flat()));
			const datas = parts.map((part) => encodeRollup(sumsOf(part)));
			assert.deepEqual(plain(decoded(...datas)), raw);
			assert.deepEqual(plain(decoded(joinRollups(datas))), raw);
			const all = new Map<number, SeriesTotals>();
			for (const [id, totals] of datas.flatMap((data) => [...decoded(data)])) {
				if (!all.has(id)) all.set(id, emptyTotals());
				addTotals(all.get(id)!, totals);
			}
			assert.deepEqual(plain(all), raw);
		}),
	);
});

test("a correction that takes everything back leaves no record, fractions and all", () => {
	fc.assert(
		fc.property(fc.array(observation), fc.array(observation), (first, second) => {
			const rest = sumsOf([...first, ...second]);
			const taken = (part: readonly Observation[]): void => {
				for (const [id, sums] of sumsOf(part)) addSums(rest.get(id)!, sums, -1);
			};
			taken(second);
			taken(first);
			// Fractions leave rests in the sums of nanoseconds that are too small to be a request, but no counts.
			for (const { count, codes, sourceLatency } of decoded(encodeRollup(rest)).values()) {
				assert.equal(count, 0);
				assert.equal(codes.size, 0);
				sourceLatency.forEach((left) => assert.equal(left, 0));
			}
			if ([...first, ...second].every(({ weight }) => Number.isInteger(weight))) assert.equal(encodeRollup(rest).length, 0);
		}),
	);
});

test("a delta may be negative and is added as such", () => {
	const sums = emptySums();
	addSums(sums, sumsOf([{ series: 1, timeMs: 5, latencyNs: 1000, weight: 1, code: "503", flag: "UF", bytes: 7 }]).get(1)!, -1);
	const said = encodeRollup(sumsOf([{ series: 1, timeMs: 5, latencyNs: 1000, weight: 1, code: "503", flag: "UF", bytes: 7 }]));
	assert.equal(
		decoded(encodeRollup(new Map([[1, sums]])))
			.get(1)!
			.codes.get("503"),
		-1,
	);
	assert.equal(joinRollups([said, encodeRollup(new Map([[1, sums]]))]).length, 0);
});

test("series that are not wanted are skipped", () => {
	fc.assert(
		fc.property(fc.array(observation), fc.array(fc.integer({ min: 1, max: 400 })), (observations, ids) => {
			const wanted = new Set(ids);
			const into = new Map<number, SeriesTotals>();
			addRollups(into, [encodeRollup(sumsOf(observations))], wanted);
			assert.deepEqual(plain(into), plain(sumsOf(observations.filter(({ series }) => wanted.has(series)))));
		}),
	);
});

test("counts are the same with and without histograms", () => {
	fc.assert(
		fc.property(fc.array(observation), (observations) => {
			const into = new Map<number, SeriesTotals>();
			addRollups(into, [encodeRollup(sumsOf(observations))], undefined, "counts");
			const expected = sumsOf(observations);
			for (const sums of expected.values()) {
				sums.sourceLatency.clear();
				sums.destinationLatency.clear();
			}
			assert.deepEqual(plain(into), plain(expected));
		}),
	);
});

test("damaged bytes are told, never read beyond and never looped on", () => {
	fc.assert(
		fc.property(fc.array(observation, { minLength: 1 }), fc.nat(), fc.nat(255), (observations, place, value) => {
			const data = encodeRollup(sumsOf(observations));
			const cut = data.subarray(0, place % data.length);
			const torn = data.slice();
			torn[place % data.length] = value;
			for (const bytes of [cut, torn, Uint8Array.from(observations, ({ bytes }) => bytes)]) {
				try {
					addRollups(new Map(), [bytes]);
				} catch (error) {
					assert.ok(error instanceof DamagedRollupError, String(error));
				}
			}
		}),
		{ numRuns: 500 },
	);
	assert.throws(() => addRollups(new Map(), [Uint8Array.of(0x0a, 5, 1)]), DamagedRollupError);
	assert.throws(() => addRollups(new Map(), [Uint8Array.of(0x12, 0)]), DamagedRollupError);
});

const endpoint = fc.record(
	{
		kind: fc.constantFrom("service", "external", "unknown" as const),
		cluster: fc.string(),
		namespace: fc.string(),
		service: fc.string(),
		workload: fc.string(),
	},
	{ noNullPrototype: true },
);
const status = fc.constantFrom("mutual_tls", "tls", "plaintext", "none", "mixed", "unknown" as const);
const dims: fc.Arbitrary<SeriesDims> = fc.record(
	{
		source: endpoint,
		target: endpoint,
		protocol: fc.constantFrom("http", "tcp" as const),
		unit: fc.constantFrom("requests", "connections" as const),
		evidence: fc.constantFrom("pair", "client-only", "metric" as const),
		reporter: fc.constantFrom("both", "waypoint" as const),
		sampled: fc.boolean(),
		mtls: fc.record(
			{
				status,
				source: status,
				destination: status,
				sourcePrincipal: fc.string(),
				destinationPrincipal: fc.string(),
				tlsVersion: fc.constantFrom("", "1.3"),
				cipher: fc.string(),
				verifiedBy: fc.constantFrom("", "server" as const),
			},
			{ noNullPrototype: true },
		),
		outcome: fc.constantFrom("ok", "no_response" as const),
		destinationOutcome: fc.constantFrom(undefined, "ok" as const),
	},
	{ noNullPrototype: true },
);

test("a series' meaning survives as text, and equal meanings have equal text", () => {
	fc.assert(
		fc.property(dims, (one) => {
			const text = canonicalDims(one);
			assert.deepEqual(parseDims(text), one);
			const reordered = Object.fromEntries(Object.entries(one).reverse()) as unknown as SeriesDims;
			assert.equal(canonicalDims(reordered), text);
		}),
	);
});

test("text that is no series' meaning is damage", () => {
	const good = canonicalDims({
		source: serviceEndpoint("a"),
		target: serviceEndpoint("b"),
		protocol: "http",
		unit: "requests",
		evidence: "pair",
		reporter: "both",
		sampled: false,
		mtls: {
			status: "unknown",
			source: "unknown",
			destination: "unknown",
			sourcePrincipal: "",
			destinationPrincipal: "",
			tlsVersion: "",
			cipher: "",
			verifiedBy: "",
		},
		outcome: "ok",
		destinationOutcome: undefined,
	});
	for (const text of ["", "[]", "{}", good.replace('"http"', '"smtp"'), good.replace('"b"', "5")])
		assert.throws(() => parseDims(text), DamagedRollupError, text);
});

test("buckets met in any order are written in rising order", () => {
	const sums = emptySums();
	addBuckets(
		sums.sourceLatency,
		new Map([
			[900, 1],
			[-2, 2],
			[100, 3],
		]),
	);
	const found: number[] = [];
	decoded(encodeRollup(new Map([[7, sums]])))
		.get(7)!
		.sourceLatency.forEach((_, index) => found.push(index));
	assert.deepEqual(found, [-2, 100, 900]);
});
