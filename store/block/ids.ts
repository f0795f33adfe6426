/**
 * The part of a block with span and parent ids: span ids, eight bytes a row; then a code for the parent of each row; then the ids of
 * parents that are given in full.
 */
import { DamagedBlockError } from "./bytes.ts";
import { type TracesPart, wordAt } from "./traces.ts";

const LITERAL_STEP = 64;

export class IdsPart {
	private readonly bytes: Uint8Array;
	private readonly rows: number;
	private readonly traces: () => TracesPart;
	private readonly hold: (bytes: number) => void;
	private literalCounts: Uint32Array | undefined;

	/** @param hold told of bytes that are kept in memory from then on */
	constructor(part: Uint8Array, rows: number, traces: () => TracesPart, hold: (bytes: number) => void) {
		if (part.length < rows * 9) throw new DamagedBlockError("ids are missing");
		this.bytes = part;
		this.rows = rows;
		this.traces = traces;
		this.hold = hold;
		hold(part.length);
	}

	spanId(row: number): readonly [number, number] {
		return [wordAt(this.bytes, row * 8), wordAt(this.bytes, row * 8 + 4)];
	}

	/** Zeros for none. */
	parentId(row: number): readonly [number, number] {
		const { bytes, rows } = this;
		const codes = rows * 8;
		const code = bytes[codes + row]!;
		if (code === 0) return [0, 0];
		if (code > 1) return this.spanId(this.traces().firstRowOf(row) + code - 2);
		const step = Math.floor(row / LITERAL_STEP);
		let literal = this.literalsBefore()[step]!;
		for (let i = codes + step * LITERAL_STEP, end = codes + row; i < end; i++) if (bytes[i] === 1) literal++;
		const at = rows * 9 + literal * 8;
		if (at + 8 > bytes.length) throw new DamagedBlockError("a parent id is missing");
		return [wordAt(bytes, at), wordAt(bytes, at + 4)];
	}

	/** As asking whether {@link parentId} is zeros, which most codes tell by themselves. */
	hasParent(row: number): boolean {
		const code = this.bytes[this.rows * 8 + row]!;
		if (code !== 1) return code > 1;
		const [high, low] = this.parentId(row);
		return (high | low) !== 0;
	}

	/** Of every row, two words each. */
	writeSpanIds(to: Uint32Array): void {
		const { bytes } = this;
		for (let i = 0; i < to.length; i++) to[i] = wordAt(bytes, i * 4);
	}

	/** Of every row, two words each; all zero for none. */
	all(): { readonly spans: Uint32Array; readonly parents: Uint32Array } {
		const { bytes, rows } = this;
		const spans = new Uint32Array(rows * 2);
		const parents = new Uint32Array(rows * 2);
		this.writeSpanIds(spans);
		const { firstRow, count } = this.traces().list();
		let literal = rows * 9;
		for (let trace = 0; trace < count; trace++) {
			const first = firstRow[trace]!;
			for (let row = first, end = firstRow[trace + 1]!; row < end; row++) {
				const code = bytes[rows * 8 + row]!;
				if (code === 1) {
					if (literal + 8 > bytes.length) throw new DamagedBlockError("a parent id is missing");
					parents[row * 2] = wordAt(bytes, literal);
					parents[row * 2 + 1] = wordAt(bytes, literal + 4);
					literal += 8;
				} else if (code > 1) {
					const parent = first + code - 2;
					if (parent >= end) throw new DamagedBlockError("a parent lies outside of its trace");
					parents[row * 2] = spans[parent * 2]!;
					parents[row * 2 + 1] = spans[parent * 2 + 1]!;
				}
			}
		}
		return { spans, parents };
	}

	/** How many parents are written out before each {@link LITERAL_STEP}th row: counting from the first would be quadratic in a trace. */
	private literalsBefore(): Uint32Array {
		if (this.literalCounts === undefined) {
			const { bytes, rows } = this;
			const counts = new Uint32Array(Math.ceil(rows / LITERAL_STEP));
			let literals = 0;
			for (let row = 0; row < rows; row++) {
				if (row % LITERAL_STEP === 0) counts[row / LITERAL_STEP] = literals;
				if (bytes[rows * 8 + row] === 1) literals++;
			}
			this.hold(counts.byteLength);
			this.literalCounts = counts;
		}
		return this.literalCounts;
	}
}
