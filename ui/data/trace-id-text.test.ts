import assert from "node:assert/strict";
import { test } from "node:test";
import { likelyTraceIdIn, traceIdIn } from "./trace-id-text.ts";

const ID = "4bf92f3577b34da6a3ce929d0e0e4736";

test("an ID is found alone, in a header, in a log line and in an address", () => {
	for (const text of [ID, ` ${ID.toUpperCase()} `, `traceparent: 00-${ID}-00f067aa0ba902b7-01`, `https://x/trace/${ID}?span=1`])
		assert.equal(traceIdIn(text), ID, text);
	assert.equal(traceIdIn(`${ID}${ID}`), undefined);
	assert.equal(traceIdIn("not an id"), undefined);
});

test("a short word of hex digits is taken for an ID only where nothing else can be meant", () => {
	assert.notEqual(traceIdIn("cafe"), undefined);
	assert.equal(likelyTraceIdIn("cafe"), undefined);
	assert.equal(likelyTraceIdIn(`00-${ID}-00f067aa0ba902b7-01`), ID);
});
