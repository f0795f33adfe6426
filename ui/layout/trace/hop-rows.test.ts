import assert from "node:assert/strict";
import { test } from "node:test";
import type { TraceHop } from "../../../api/contract/traces.ts";
import { buildWaterfall } from "../waterfall.ts";
import { hopRows } from "./hop-rows.ts";

const waterfall = buildWaterfall({
	resourceSpans: [
		{
			scopeSpans: [
				{
					spans: ["00000000000000AA", "00000000000000ab", "00000000000000ac"].map((spanId, i) => ({
						spanId,
						startTimeUnixNano: String(1_700_000_000_000_000_000n + BigInt(i)),
						endTimeUnixNano: "1700000000000000100",
					})),
				},
			],
		},
	],
});

function hop(edgeId: string, spans: TraceHop["spans"]): TraceHop {
	return { edgeId, spans } as TraceHop;
}

test("a hop is told at the caller's span where that is there, else at the callee's, whatever the case of the ID", () => {
	const told = hopRows(waterfall, [
		hop("both", { source: "00000000000000aa", destination: "00000000000000ab" }),
		hop("callee", { source: "00000000000000ff", destination: "00000000000000ac" }),
		hop("nowhere", { source: "00000000000000fe" }),
		hop("second", { source: "00000000000000aa" }),
	]);
	assert.deepEqual(
		[...told].map(([row, { edgeId }]) => [row, edgeId]),
		[
			[0, "both"],
			[2, "callee"],
		],
	);
});
