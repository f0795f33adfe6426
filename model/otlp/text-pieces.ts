/** A long text as UTF-8 in pieces: growing one array would take twice its memory. */

const MAX_PIECE_BYTES = 1024 * 1024;
/** Of many short texts a piece each would be more than the texts. */
const COPIED_BELOW_BYTES = 16 * 1024;
const encoder = new TextEncoder();

export class TextPieces {
	private readonly full: Uint8Array<ArrayBuffer>[] = [];
	private piece: Uint8Array<ArrayBuffer>;
	private used = 0;

	/** @param firstBytes of the first piece; each further one is four times as long, up to a megabyte */
	constructor(firstBytes: number) {
		this.piece = new Uint8Array(firstBytes);
	}

	add(text: string): void {
		for (let rest = text; rest !== "";) {
			const { read, written } = encoder.encodeInto(rest, this.piece.subarray(this.used));
			this.used += written;
			if (read === rest.length) return;
			rest = rest.slice(read);
			this.next();
		}
	}

	/** The first bytes of an array, copied. */
	write(bytes: Uint8Array, length: number): void {
		for (let from = 0; from < length;) {
			const room = Math.min(this.piece.length - this.used, length - from);
			this.piece.set(bytes.subarray(from, from + room), this.used);
			this.used += room;
			from += room;
			if (this.used === this.piece.length) this.next();
		}
	}

	/** Pieces that were filled elsewhere: long ones are taken as they are, short ones are copied. */
	take(bytes: Uint8Array<ArrayBuffer>): void {
		if (bytes.length < COPIED_BELOW_BYTES && bytes.length <= this.piece.length - this.used) {
			this.piece.set(bytes, this.used);
			this.used += bytes.length;
			return;
		}
		// A copy, since what was written is read on its own and the rest of the piece is written to.
		this.full.push(this.piece.slice(0, this.used), bytes);
		this.used = 0;
	}

	/** None empty; they may end within a character. Call once, last. */
	finish(): Uint8Array<ArrayBuffer>[] {
		const pieces = this.used === 0 ? this.full : [...this.full, this.piece.slice(0, this.used)];
		return pieces.filter(({ length }) => length > 0);
	}

	private next(): void {
		this.full.push(this.piece.subarray(0, this.used));
		this.piece = new Uint8Array(Math.min(this.piece.length * 4, MAX_PIECE_BYTES));
		this.used = 0;
	}
}
