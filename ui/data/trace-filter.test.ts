import assert from "node:assert/strict";
import { test } from "node:test";
import {
	attributeProblem,
	durationProblem,
	isNarrowed,
	momentProblem,
	pickChange,
	pickedTraces,
	readFilter,
	searchQuery,
	withoutEach,
} from "./trace-filter.ts";

test("an empty address asks for the last quarter of an hour", () => {
	const filter = readFilter(new URLSearchParams());
	assert.equal(searchQuery(filter), "from=now-15m&limit=50");
	assert.equal(isNarrowed(filter), false);
});

test("every filter of the address reaches the API unchanged", () => {
	const address = new URLSearchParams([
		["service", "a&b=c"],
		["operation", "GET /<x>"],
		["minDuration", "250ms"],
		["maxDuration", "2s"],
		["status", "error"],
		["mtls", "mixed"],
		["edge", "6faeb2e1ed26185d"],
		["side", "source"],
		["attr", "k=v=w"],
		["attr", "http.response.status_code=503"],
		["from", "now-1h"],
		["to", "now-5m"],
		["limit", "10"],
	]);
	const filter = readFilter(address);
	assert.equal(isNarrowed(filter), true);
	assert.deepEqual([...new URLSearchParams(searchQuery(filter))], [...address]);
});

test("durations need a unit", () => {
	assert.equal(durationProblem("1h30m"), undefined);
	assert.equal(durationProblem(""), undefined);
	assert.match(durationProblem("250") ?? "", /unit/);
});

test("moments are relative or RFC 3339", () => {
	assert.equal(momentProblem("now-2h"), undefined);
	assert.equal(momentProblem("2026-11-23T14:00:00Z"), undefined);
	assert.match(momentProblem("yesterday") ?? "", /now-2h/);
});

test("attributes are key=value", () => {
	assert.equal(attributeProblem("k=v"), undefined);
	assert.equal(attributeProblem("k="), undefined);
	assert.match(attributeProblem("=v") ?? "", /key=value/);
	assert.match(attributeProblem("k") ?? "", /key=value/);
	for (const fine of ["k=int:5", "k=int:-07", "k=double:1e3", "k=double:NaN", "k=bool:true", "k=string:int:x", "k=a:b"])
		assert.equal(attributeProblem(fine), undefined, fine);
	for (const [wrong, rule] of [
		["k=int:x", /whole number/],
		["k=double:", /a number/],
		["k=bool:yes", /true or false/],
	] as const)
		assert.match(attributeProblem(wrong) ?? "", rule);
});

test("two traces are picked at most, and picking one again lets go of it", () => {
	const [a, b, c] = ["a", "b", "c"].map((digit) => digit.repeat(32)) as [string, string, string];
	const after = (picked: readonly string[], id: string) =>
		pickChange(new URLSearchParams(picked.map((one) => ["pick", one])), id).pick;
	assert.deepEqual(after([], a), [a]);
	assert.deepEqual(after([a], b), [a, b]);
	assert.deepEqual(after([a, b], c), [b, c]);
	assert.deepEqual(after([a, b], a), [b]);
	assert.deepEqual(pickedTraces(new URLSearchParams("pick=<script>&pick=nothing")), []);
});

test("each filter can be left out by itself", () => {
	const filter = readFilter(new URLSearchParams("service=a&operation=b&status=error&minDuration=1ms&attr=k=v&attr=x=y"));
	assert.deepEqual(
		withoutEach(filter).map(({ name }) => name),
		["a", "b", "status error", "min duration", "k=v", "x=y"],
	);
	assert.deepEqual(withoutEach(filter).at(-1)?.change, { attr: ["k=v"] });
	assert.deepEqual(withoutEach(readFilter(new URLSearchParams())), []);
});
