import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { OtlpKeyValue } from "../otlp/types.ts";
import type { ToldHop } from "../topology/told-hops.ts";
import { certainExcess, wilsonBounds } from "./shares.ts";
import { TraceFeatures } from "./trace-features.ts";
import { TraceSample } from "./trace-sample.ts";

const text = (key: string, value: string): OtlpKeyValue => ({ key, value: { stringValue: value } });

/** Numbers below 1, the same every time. */
function chance(seed: number): () => number {
	let state = seed;
	return () => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return state / 2 ** 32;
	};
}

interface Planted {
	readonly version?: string;
	readonly region?: string;
	readonly mtls?: "plaintext";
	readonly flags?: string;
}

/** A request through three services, with much that is random, some of it unique. */
function addTrace(features: TraceFeatures, side: "selected" | "others", random: () => number, planted: Planted): void {
	features.begin(side);
	for (const [i, service] of ["gateway", "cart", "db"].entries()) {
		const region = service === "db" ? (planted.region ?? "eu-1") : random() < 0.5 ? "eu-1" : "eu-2";
		const version = service === "cart" ? (planted.version ?? "v1") : "v2";
		const attributes = [text("service.name", service), text("cloud.region", region), text("service.version", version)];
		const own = [
			text("request.id", String(random())),
			text("customer", `c${Math.floor(random() * 20)}`),
			text("host", `h${i}`),
		];
		features.addSpan({ name: `${service} op`, attributes: own }, { attributes });
	}
	const hop = { protocol: "http", code: "200", flags: planted.flags ?? "", attempts: 1 };
	for (const [source, target] of [
		["gateway", "cart"],
		["cart", "db"],
	] as const) {
		const status = target === "db" ? (planted.mtls ?? "mutual_tls") : "mutual_tls";
		features.addHop({ ...hop, edgeId: `${source}-${target}`, source, target, mtls: { status } as ToldHop["mtls"] });
	}
}

function firstOf(planted: Planted, howOften: number, seed = 1): readonly string[] {
	const features = new TraceFeatures();
	const random = chance(seed);
	for (let i = 0; i < 300; i++) {
		addTrace(features, "selected", random, random() < howOften ? planted : {});
		addTrace(features, "others", random, random() < 0.02 ? planted : {});
	}
	return features.differences(10).map(({ kind, key, value, service, edge }) => {
		const place = service ?? (edge === undefined ? "" : `${edge.source}>${edge.target}`);
		return `${kind} ${key}=${value} ${place}`.trim();
	});
}

test("a bad version, a slow region, a plaintext hop and a response flag come out first, with where they stand", () => {
	for (const howOften of [1, 0.8, 0.4]) {
		assert.equal(firstOf({ version: "v3" }, howOften)[0], "attribute service.version=v3 cart");
		assert.equal(firstOf({ version: "v2" }, howOften)[0], "attribute service.version=v2 cart", "a version that others run");
		assert.equal(firstOf({ region: "us-9" }, howOften)[0], "attribute cloud.region=us-9 db");
		assert.equal(firstOf({ mtls: "plaintext" }, howOften)[0], "mtls mtls=plaintext cart>db");
		assert.equal(firstOf({ flags: "UF" }, howOften)[0], "flag flag=UF");
	}
});

test("where nothing differs nothing is told, and unique values never are", () => {
	for (let seed = 1; seed <= 10; seed++) assert.deepEqual(firstOf({}, 0, seed), []);
});

test("one of one does not win, nor does three of three against much that is certain", () => {
	assert.equal(certainExcess(1, 1, 0, 1_000), 0);
	assert.equal(certainExcess(2, 2, 0, 1_000), 0);
	assert.ok(certainExcess(3, 3, 0, 1_000) < certainExcess(80, 100, 100, 1_000));
	assert.ok(certainExcess(10, 1_000, 0, 1_000) < certainExcess(500, 1_000, 100, 1_000));
});

test("the certain excess is never above the observed one, grows with what is seen, and needs a difference", () => {
	const count = fc.integer({ min: 1, max: 2_000 });
	fc.assert(
		fc.property(
			count,
			count,
			fc.double({ min: 0, max: 1, noNaN: true }),
			fc.double({ min: 0, max: 1, noNaN: true }),
			(ofA, ofB, x, y) => {
				const [a, b] = [Math.floor(x * ofA), Math.floor(y * ofB)];
				const excess = certainExcess(a, ofA, b, ofB);
				assert.ok(excess >= 0 && excess <= Math.max(0, a / ofA - b / ofB));
				if (a / ofA <= b / ofB) assert.equal(excess, 0);
				assert.ok(certainExcess(a * 4, ofA * 4, b * 4, ofB * 4) >= excess);
				const [low, high] = wilsonBounds(a, ofA);
				assert.ok(low <= a / ofA + 1e-12 && high >= a / ofA - 1e-12 && low >= 0 && high <= 1);
			},
		),
	);
});

test("a trace counts once on each feature, however many of its spans say it", () => {
	const features = new TraceFeatures();
	for (let i = 0; i < 50; i++) {
		features.begin("selected");
		for (let j = 0; j < 5; j++)
			features.addSpan({ name: "op" }, { attributes: [text("service.name", "a"), text("k", "bad")] });
		features.begin("others");
		features.addSpan({ name: "op" }, { attributes: [text("service.name", "a"), text("k", "good")] });
	}
	assert.deepEqual(
		features.differences(5).map(({ key, value, selected, others }) => [key, value, selected, others]),
		[["k", "bad", 50, 0]],
	);
});

test("a sample is of distinct traces, selected ones apart, and tells about how many there are", () => {
	fc.assert(
		fc.property(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 0, max: 3_000 }), (selected, others) => {
			const sample = new TraceSample<number>(100, 2 ** 32);
			const random = chance(selected * 7_919 + others);
			const hashes = new Set<number>();
			while (hashes.size < selected + others) hashes.add(Math.floor(random() * 2 ** 32));
			for (const [i, hash] of [...hashes].entries())
				for (const isSelected of i < selected ? [true, false, false] : [false, false])
					sample.add(isSelected, hash, i, () => i);
			const found = sample.finish();
			assert.equal(new Set(found.selected.traces.map(({ id }) => id)).size, Math.min(100, selected));
			assert.ok(found.selected.traces.every(({ id }) => id < selected));
			assert.ok(found.others.traces.every(({ id }) => id >= selected));
			if (selected <= 100) assert.equal(found.selected.of, selected);
			else assert.ok(Math.abs(found.selected.of / selected - 1) < 0.6, `${found.selected.of} of ${selected}`);
			assert.deepEqual(sample.spans, { selected, others: selected * 2 + others * 2 });
		}),
		{ numRuns: 40 },
	);
});

test("of two places that differ alike the same one is told, whatever was read first", () => {
	const placeOf = (...services: readonly string[]): string | undefined => {
		const features = new TraceFeatures();
		for (let i = 0; i < 100; i++) {
			for (const side of ["selected", "others"] as const) {
				features.begin(side);
				for (const service of services) {
					const attributes = side === "selected" ? [text("version", "v2")] : [];
					features.addSpan({ name: "op", attributes }, { attributes: [text("service.name", service)] });
				}
				// Everywhere else it is usual.
				if (side === "others" && i < 60)
					features.addSpan(
						{ name: "op", attributes: [text("version", "v2")] },
						{ attributes: [text("service.name", "db")] },
					);
			}
		}
		return features.differences(10).find(({ key }) => key === "version")?.service;
	};
	assert.equal(placeOf("web", "cart"), "cart");
	assert.equal(placeOf("cart", "web"), "cart");
});
