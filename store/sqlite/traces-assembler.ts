/**
 * Many traces at once, each span once, for whoever needs thousands of them: a block is opened once for all that lie in it, where
 * trace by trace it is opened for each.
 */
import type { TraceId } from "../../model/ids.ts";
import { SpanSet } from "../../model/otlp/trace-summary.ts";
import type { BlockReader } from "../block/reader.ts";
import { RecordGroups } from "./record-groups.ts";
import { summarySpan, type TraceWords, traceWords } from "./trace-rows.ts";
import { forEachBlockOfTraces, forEachTraceIn } from "./traces-of-window.ts";
import type { WindowReader } from "./window-reader.ts";

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
		forEachBlockOfTraces(window, this.wanted, (id, traces) => {
			if (newestCommit !== Infinity && window.commitOf(id) > newestCommit) return;
			const message = messageOf(window.block(id), traces);
			if (message !== undefined) visit(message);
		});
	}
}

function messageOf(block: BlockReader, traces: readonly Wanted[]): Uint8Array<ArrayBuffer> | undefined {
	const groups = new RecordGroups();
	let isEmpty = true;
	forEachTraceIn(block, traces, (trace, first, end) => {
		for (let row = first; row < end; row++) {
			if (!trace.seen.add(summarySpan(block, row))) continue;
			groups.add(block, row);
			isEmpty = false;
		}
	});
	return isEmpty ? undefined : groups.message().joined();
}
