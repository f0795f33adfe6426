/**
 * Many traces at once, each span once, for whoever needs thousands of them: a block is opened once for all that lie in it, where
 * trace by trace it is opened for each.
 */
import type { TraceId } from "../../model/ids.ts";
import { SpanSet } from "../../model/otlp/trace-summary.ts";
import { traceHash } from "../block/format.ts";
import type { BlockReader } from "../block/reader.ts";
import { RecordGroups } from "./record-groups.ts";
import { summarySpan, type TraceWords, traceWords } from "./trace-rows.ts";
import type { WindowReader } from "./window-reader.ts";

/** Fewer than these are looked up one by one in a block's list of traces; more are joined with the whole list. */
const FEW = 64;

interface Wanted extends TraceWords {
	/** Spans of it that were handed over. */
	readonly seen: SpanSet;
}

export class TracesAssembler {
	/** In the order of hashes, which is that of a block's traces. */
	private readonly wanted: readonly Wanted[];

	/** @param ids distinct */
	constructor(ids: readonly TraceId[]) {
		this.wanted = ids.map((id) => ({ ...traceWords(id), seen: new SpanSet() })).sort((a, b) => a.hash - b.hash);
	}

	/**
	 * Hands over the spans of a window that were in no window before, as a message of each block that has some. In a snapshot.
	 * @param newestCommit groups behind it are left out
	 */
	add(window: WindowReader, newestCommit: number, visit: (message: Uint8Array<ArrayBuffer>) => void): void {
		const byBlock = new Map<number, Wanted[]>();
		for (const trace of this.wanted) {
			for (const id of window.blocksOfTrace("traces", trace.hash)) {
				const others = byBlock.get(id);
				if (others === undefined) byBlock.set(id, [trace]);
				else others.push(trace);
			}
		}
		const visitBlock = (id: number, traces: readonly Wanted[]): void => {
			if (newestCommit !== Infinity && window.commitOf(id) > newestCommit) return;
			const message = messageOf(window.block(id), traces);
			if (message !== undefined) visit(message);
		};
		for (const [id, traces] of byBlock) visitBlock(id, traces);
		for (const id of window.unmergedBlocks("traces")) visitBlock(id, this.wanted);
	}
}

function messageOf(block: BlockReader, traces: readonly Wanted[]): Uint8Array<ArrayBuffer> | undefined {
	const groups = new RecordGroups();
	let isEmpty = true;
	forEachFound(block, traces, (trace, first, end) => {
		for (let row = first; row < end; row++) {
			if (!trace.seen.add(summarySpan(block, row))) continue;
			groups.add(block, row);
			isEmpty = false;
		}
	});
	return isEmpty ? undefined : groups.message().joined();
}

type OnFound = (trace: Wanted, firstRow: number, endRow: number) => void;

/** @param traces in the order of hashes */
function forEachFound(block: BlockReader, traces: readonly Wanted[], found: OnFound): void {
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
