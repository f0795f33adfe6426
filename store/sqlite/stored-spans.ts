/** The spans of one trace for the hop rules, from whatever blocks they lie in. */
import type { Hop } from "../../model/topology/hop.ts";
import {
	FactsBook,
	HopsOfTraces,
	type SpanRef,
	SpanColumns,
	type TraceHopSpans,
} from "../../model/topology/hops/span-columns.ts";
import type { BlockReader } from "../block/reader.ts";
import { BlockSpans } from "./block-spans.ts";

export class StoredSpans implements TraceHopSpans {
	private readonly book = new FactsBook();
	private readonly columns = new SpanColumns();
	private spans: BlockSpans | undefined;

	get left(): number {
		return this.columns.left;
	}

	/** Before rows of a block. @param rows how many of it will be added */
	begin(block: BlockReader, rows: number): void {
		this.spans = new BlockSpans(block, this.book, rows);
	}

	/** Best called in ascending order of rows. */
	add(row: number): void {
		this.spans!.add(row, this.columns);
	}

	hops(): readonly Hop[] {
		const hops: Hop[] = [];
		this.eachHop((hop) => hops.push({ ...hop }));
		return hops;
	}

	eachHop(visit: (hop: Hop) => void): void {
		new HopsOfTraces().of(this.columns).eachHop(visit);
	}

	refOf(row: number): SpanRef | undefined {
		return this.columns.refOf(row);
	}
}
