/**
 * Where many traces lie in a window: each page of the trace index is read once for all that fall on it, each block is opened once for
 * all that lie in it.
 */
import { traceHash } from "../block/format.ts";
import type { BlockReader } from "../block/reader.ts";
import type { TraceWords } from "./trace-rows.ts";
import type { WindowReader } from "./window-reader.ts";

/** Fewer than these are looked up one by one in a block's list of traces; more are joined with the whole list. */
const FEW = 64;

/**
 * Calls back for every block of the window that may hold some of the traces, with these. In a snapshot.
 * @param traces in the order of hashes; so are they in each callback
 */
export function forEachBlockOfTraces<Trace extends TraceWords>(
	window: WindowReader,
	traces: readonly Trace[],
	visit: (block: number, traces: readonly Trace[]) => void,
): void {
	const byBlock = new Map<number, Trace[]>();
	const hashes = Float64Array.from(traces, ({ hash }) => hash);
	window.blocksOfTraces("traces", hashes, (place, block) => {
		const others = byBlock.get(block);
		if (others === undefined) byBlock.set(block, [traces[place]!]);
		else others.push(traces[place]!);
	});
	for (const [block, own] of byBlock) visit(block, own);
	for (const block of window.unmergedBlocks("traces")) visit(block, traces);
}

/** Calls back for each of the traces that the block holds, with the range of its rows. @param traces in the order of hashes */
export function forEachTraceIn<Trace extends TraceWords>(
	block: BlockReader,
	traces: readonly Trace[],
	found: (trace: Trace, firstRow: number, endRow: number) => void,
): void {
	if (traces.length < FEW) {
		for (const trace of traces) {
			const rows = block.findTrace(trace.w0, trace.w1, trace.w2, trace.w3);
			if (rows !== undefined) found(trace, rows[0], rows[1]);
		}
		return;
	}
	const { ids, firstRow, count } = block.traces();
	let from = 0;
	for (let place = 0; place < count && from < traces.length; place++) {
		const at = place * 4;
		const [w0, w1, w2, w3] = [ids[at]!, ids[at + 1]!, ids[at + 2]!, ids[at + 3]!];
		const hash = traceHash(w0, w1, w2, w3);
		while (from < traces.length && traces[from]!.hash < hash) from++;
		for (let i = from; i < traces.length && traces[i]!.hash === hash; i++) {
			const trace = traces[i]!;
			if (trace.w0 === w0 && trace.w1 === w1 && trace.w2 === w2 && trace.w3 === w3)
				found(trace, firstRow[place]!, firstRow[place + 1]!);
		}
	}
}
