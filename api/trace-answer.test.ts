import assert from "node:assert/strict";
import { test } from "node:test";
import { summary } from "./canned-answers.ts";
import { withSummary } from "./trace-answer.ts";

const hops = { json: [Buffer.from('{"edgeId":"a"}'), Buffer.from(',{"edgeId":"b"}')], hopCount: 2, spansLeft: 0 };
const damagedWindows = ["2025-12-31T23"];
const answered = { ...summary, hops: [{ edgeId: "a" }, { edgeId: "b" }], hopCount: 2, spansLeft: 0, damagedWindows };

function joined(parts: readonly Uint8Array[]): string {
	return Buffer.concat(parts).toString();
}

test("the summary is put in before the last brace, whatever stands inside or behind", () => {
	const json = Buffer.from('{"resourceSpans":[{"x":"}"}]}\n');
	assert.deepEqual(JSON.parse(joined(withSummary([json], summary, hops, damagedWindows))), {
		resourceSpans: [{ x: "}" }],
		meshscope: answered,
	});
});

test("the last brace may stand in any piece", () => {
	const text = '{"resourceSpans":[{"x":"}"}]}\n';
	for (let cut = 0; cut <= text.length; cut++) {
		const json = [Buffer.from(text.slice(0, cut)), Buffer.from(text.slice(cut))];
		const answer: unknown = JSON.parse(joined(withSummary(json, summary, hops, damagedWindows)));
		assert.deepEqual(answer, { resourceSpans: [{ x: "}" }], meshscope: answered }, String(cut));
	}
});

test("the trace's bytes are not copied", () => {
	const json = Buffer.from('{"resourceSpans":[]}');
	const [body] = withSummary([json], summary, hops, damagedWindows);
	assert.equal(body?.buffer, json.buffer);
	assert.equal(body?.length, json.length - 1);
});

test("text that is no object with a member is a fault, not an answer", () => {
	assert.throws(() => withSummary([Buffer.from("{}")], summary, hops, damagedWindows), /no JSON object/);
	assert.throws(() => withSummary([new Uint8Array(0)], summary, hops, damagedWindows), /no JSON object/);
});
