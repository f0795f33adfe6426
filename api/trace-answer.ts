/** One trace as the API answers it, and what it says of none: the command line, which can read without a server, says the same. */
import type { TraceId } from "../model/ids.ts";
import type { HopsText, TraceSummary } from "../store/store.ts";
import type { WholeTraceSummary } from "./contract/traces.ts";

const CLOSING_BRACE = 0x7d;
/** Of a reader that did not look for any: with protobuf nobody would see them. */
export const NO_HOPS: HopsText = { json: [], hopCount: 0, spansLeft: 0 };

/**
 * `{"resourceSpans":[…]}` with the summary put in before its last brace: a trace of 100 MB is neither parsed nor copied, nor are its hops.
 * @throws Error when the text is no JSON object with a member
 */
export function withSummary(
	json: readonly Uint8Array[],
	summary: TraceSummary,
	hops: HopsText,
	damagedWindows: readonly string[],
): readonly Uint8Array[] {
	const parts = [...json];
	for (let last = parts.pop(); last !== undefined; last = parts.pop()) {
		const end = last.lastIndexOf(CLOSING_BRACE);
		if (end < 0) continue;
		if (end + parts.reduce((sum, part) => sum + part.length, 0) < 2) break;
		const { hopCount, spansLeft } = hops;
		const before: Omit<WholeTraceSummary, keyof typeof behind | "hops"> = summary;
		const behind = { hopCount, spansLeft, damagedWindows };
		return [
			...parts,
			last.subarray(0, end),
			Buffer.from(`,"meshscope":${JSON.stringify(before).slice(0, -1)},"hops":[`),
			...hops.json,
			Buffer.from(`],${JSON.stringify(behind).slice(1)}}`),
		];
	}
	throw new Error("the reader's trace is no JSON object with a member");
}

export function noTraceMessage(id: TraceId, damagedWindows: readonly string[]): string {
	const why =
		damagedWindows.length === 0
			? "it is older than the retention, or has not arrived"
			: `it is older than the retention, has not arrived, or lies in a window that cannot be read: ${damagedWindows.join(", ")}`;
	return `no trace ${id}; ${why}`;
}
