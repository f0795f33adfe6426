import assert from "node:assert/strict";
import { test } from "node:test";
import { attributeProblem, durationProblem, isNarrowed, momentProblem, readFilter, searchQuery } from "./trace-filter.ts";

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
});
