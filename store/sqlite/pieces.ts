/** Bytes in pieces of whole fields: nothing is copied to grow, and each piece can go once it was read. */
import { ByteWriter } from "../block/bytes.ts";

const MAX_PIECE_BYTES = 1 << 20;

export class Pieces {
	length = 0;
	private full: Uint8Array<ArrayBuffer>[] = [];
	private piece: ByteWriter;
	private pieceBytes: number;

	constructor(firstBytes: number) {
		this.pieceBytes = firstBytes;
		this.piece = new ByteWriter(firstBytes);
	}

	/** A length-delimited field. */
	add(tag: number, value: Uint8Array): void {
		this.makeRoom(value.length + 9);
		const before = this.piece.length;
		this.piece.byte(tag);
		this.piece.lengthPrefixed(value);
		this.length += this.piece.length - before;
	}

	raw(bytes: Uint8Array): void {
		this.makeRoom(bytes.length);
		this.piece.raw(bytes);
		this.length += bytes.length;
	}

	/** Every piece, let go of one by one. */
	*take(): Generator<Uint8Array<ArrayBuffer>> {
		if (this.piece.length > 0) this.full.push(this.piece.view());
		this.piece = new ByteWriter(0);
		this.full.reverse();
		for (let piece = this.full.pop(); piece !== undefined; piece = this.full.pop()) yield piece;
	}

	/** All in one. */
	joined(): Uint8Array<ArrayBuffer> {
		const bytes = new Uint8Array(this.length);
		let at = 0;
		for (const piece of this.take()) {
			bytes.set(piece, at);
			at += piece.length;
		}
		return bytes;
	}

	private makeRoom(bytes: number): void {
		if (this.piece.length + bytes <= this.piece.bytes.length) return;
		if (this.piece.length > 0) this.full.push(this.piece.view());
		this.pieceBytes = Math.min(this.pieceBytes * 4, MAX_PIECE_BYTES);
		this.piece = new ByteWriter(Math.max(this.pieceBytes, bytes));
	}
}
