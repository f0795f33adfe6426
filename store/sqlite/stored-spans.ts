/** The spans of one trace for the hop rules, from whatever blocks they lie in. */
import { TraceHopSpans } from "../../model/topology/hops/span-columns.ts";
import type { BlockReader } from "../block/reader.ts";
import { BlockSpans } from "./block-spans.ts";

export class StoredSpans extends TraceHopSpans {
	private spans: BlockSpans | undefined;

	/** Before rows of a block. @param rows how many of it will be added */
	begin(block: BlockReader, rows: number): void {
		this.spans = new BlockSpans(block, this.book, rows);
	}

	/** Best called in ascending order of rows. */
	add(row: number): void {
		this.spans!.add(row, this.columns);
	}
}
