/**
 * Parts of blocks as rows. SQLite reads a row from its beginning whatever is asked of it, so a long part is cut into slices: a trace
 * of some kilobytes must not cost reading megabytes of its block.
 */
import type { Connection } from "./database.ts";

/** Two overflow pages of 8,188 bytes and the 1,003 bytes that SQLite keeps beside the key: no page of a slice is filled in part. */
export const SLICE_BYTES = 17_379;
/** Numbers of slices of a part: its first is its row in `parts`, slice n is row `part * MAX_SLICES + n` of `slices`. */
export const MAX_SLICES = 65_536;

export class PartTable {
	private readonly first;
	private readonly firstRange;
	private readonly others;
	private readonly sliceRange;

	constructor(database: Connection) {
		this.first = database.prepare<[number], Uint8Array>("SELECT data FROM parts WHERE id = ?").pluck();
		this.firstRange = database
			.prepare<[number, number, number], Uint8Array>("SELECT substr(data, ?, ?) FROM parts WHERE id = ?")
			.pluck();
		this.others = database
			.prepare<[number, number], Uint8Array>("SELECT data FROM slices WHERE id BETWEEN ? AND ? ORDER BY id")
			.pluck();
		this.sliceRange = database
			.prepare<[number, number, number], Uint8Array>("SELECT substr(data, ?, ?) FROM slices WHERE id = ?")
			.pluck();
	}

	/** The whole part; undefined where there is none. */
	load(part: number): Uint8Array | undefined {
		const first = this.first.get(part);
		// A longer row is a part that was written whole, before there were slices.
		if (first?.length !== SLICE_BYTES) return first;
		const others = this.others.all(part * MAX_SLICES + 1, (part + 1) * MAX_SLICES - 1);
		return others.length === 0 ? first : Buffer.concat([first, ...others]);
	}

	/** Bytes `[start, end)` of a part, or as many of them as it has. */
	loadRange(part: number, start: number, end: number): Uint8Array | undefined {
		const pieces: Uint8Array[] = [];
		for (let at = start; at < end;) {
			const slice = Math.floor(at / SLICE_BYTES);
			const from = at - slice * SLICE_BYTES;
			const wanted = Math.min(end - at, SLICE_BYTES - from);
			const piece =
				slice === 0
					? this.firstRange.get(from + 1, wanted, part)
					: this.sliceRange.get(from + 1, wanted, part * MAX_SLICES + slice);
			// Not cut into slices: all of it is in the first row, or the part ends before here.
			if (piece === undefined) return this.firstRange.get(start + 1, end - start, part);
			pieces.push(piece);
			at += wanted;
		}
		return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
	}
}

export class PartTableWriter {
	private readonly insertFirst;
	private readonly insertSlice;
	private readonly deleteFirst;
	private readonly deleteSlices;

	constructor(database: Connection) {
		this.insertFirst = database.prepare("INSERT INTO parts VALUES (?, ?)");
		this.insertSlice = database.prepare("INSERT INTO slices VALUES (?, ?)");
		this.deleteFirst = database.prepare("DELETE FROM parts WHERE id >= ? AND id < ?");
		this.deleteSlices = database.prepare("DELETE FROM slices WHERE id >= ? AND id < ?");
	}

	insert(part: number, data: Uint8Array): void {
		this.insertFirst.run(part, data.subarray(0, SLICE_BYTES));
		for (let at = SLICE_BYTES, slice = 1; at < data.length; at += SLICE_BYTES, slice++)
			this.insertSlice.run(part * MAX_SLICES + slice, data.subarray(at, at + SLICE_BYTES));
	}

	/** Parts `[from, to)`. */
	delete(from: number, to: number): void {
		this.deleteFirst.run(from, to);
		this.deleteSlices.run(from * MAX_SLICES, to * MAX_SLICES);
	}
}
