import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDims } from "../../model/topology/dims.ts";
import { type Endpoint, OVERFLOW, serviceEndpoint } from "../../model/topology/endpoint.ts";
import { findingOf } from "../../model/topology/hops/hop-shape.ts";
import type { SeriesDims } from "../../model/topology/series.ts";
import { SeriesRegistry } from "./series-registry.ts";

const ROOMY = { maxEndpoints: 100, maxSeries: 100 };

function dimsOf(source: string | Endpoint, target: string, principal = ""): SeriesDims {
	return {
		source: typeof source === "string" ? serviceEndpoint(source) : source,
		target: serviceEndpoint(target),
		protocol: "http",
		unit: "requests",
		evidence: "pair",
		reporter: "both",
		sampled: false,
		mtls: { ...findingOf(undefined, undefined), sourcePrincipal: principal },
		outcome: "ok",
		destinationOutcome: undefined,
	};
}

test("what is told apart has a number of its own, from 1 on, and the same always the same", () => {
	const registry = new SeriesRegistry(ROOMY, []);
	assert.equal(registry.idOf(dimsOf("a", "b")), 1);
	assert.equal(registry.idOf(dimsOf("a", "c")), 2);
	assert.equal(registry.idOf(dimsOf("a", "b")), 1);
	assert.equal(registry.idOf({ ...dimsOf("a", "b"), outcome: "server_error" }), 3);
	assert.equal(registry.idOf(dimsOf(serviceEndpoint("a", "other"), "b")), 4);
	assert.equal(registry.size, 4);
});

test("numbers go on where those that are stored end, and stored ones are known again", () => {
	const before = new SeriesRegistry(ROOMY, []);
	before.idOf(dimsOf("a", "b"));
	before.idOf(dimsOf("a", "c"));
	const after = new SeriesRegistry(ROOMY, [...before.takeFresh()].reverse());
	assert.equal(after.idOf(dimsOf("a", "c")), 2);
	assert.equal(after.idOf(dimsOf("a", "d")), 3);
	assert.deepEqual(
		after.takeFresh().map(({ id }) => id),
		[3],
	);
});

test("fresh series are taken once, and come again in order when they could not be written", () => {
	const registry = new SeriesRegistry(ROOMY, []);
	registry.idOf(dimsOf("a", "b"));
	const taken = registry.takeFresh();
	assert.deepEqual(registry.takeFresh(), []);
	registry.idOf(dimsOf("a", "c"));
	registry.giveBack(taken);
	assert.deepEqual(
		registry.takeFresh().map(({ id }) => id),
		[1, 2],
	);
});

test("names beyond the cap are gathered under one, and those that are known keep theirs", () => {
	const registry = new SeriesRegistry({ maxEndpoints: 3, maxSeries: 1_000 }, []);
	registry.idOf(dimsOf("a", "b"));
	for (let i = 0; i < 50; i++) registry.idOf(dimsOf("a", `flood-${i}`));
	// a, b, the first of the flood; everything else is one target.
	assert.equal(registry.size, 3);
	const targets = registry.takeFresh().map(({ dims }) => parseDims(dims).target.service);
	assert.deepEqual(targets, ["b", "flood-0", OVERFLOW.service]);
	registry.idOf(dimsOf("b", "a"));
	assert.equal(registry.takeFresh().length, 1, "edges between known names are still told apart");
});

test("the cap of names holds across a restart", () => {
	const limits = { maxEndpoints: 2, maxSeries: 1_000 };
	const before = new SeriesRegistry(limits, []);
	before.idOf(dimsOf("a", "b"));
	const after = new SeriesRegistry(limits, before.takeFresh());
	after.idOf(dimsOf("a", "c"));
	assert.equal(parseDims(after.takeFresh()[0]!.dims).target.kind, "overflow");
});

test("a flood of principals ends in one series for each way a call can be, and is counted", () => {
	const registry = new SeriesRegistry({ maxEndpoints: 100, maxSeries: 10 }, []);
	const ids = new Set<number>();
	for (let i = 0; i < 500; i++) ids.add(registry.idOf(dimsOf("a", "b", `spiffe://td/ns/n/sa/${i}`)));
	assert.equal(registry.size, 11);
	assert.equal(ids.size, 11);
	assert.equal(registry.overflowed, 490);
	const last = parseDims(registry.takeFresh().at(-1)!.dims);
	assert.deepEqual([last.source.kind, last.target.kind, last.mtls.sourcePrincipal], ["overflow", "overflow", ""]);
	registry.idOf({ ...dimsOf("a", "b", "another"), outcome: "no_response" });
	assert.equal(registry.size, 12, "outcomes are still told apart");
});
