/**
 * The memory of an HTTP/2 session's socket reads, given back as soon as it is used up.
 *
 * Node reads up to 64 KiB at a time and hands the DATA frames in it to their streams as slices of that one buffer. Left to the
 * collector, such reads make it run every 20,000 spans. Here a read is freed once the session has come to the next one and no stream
 * holds a slice unread.
 */

interface SlicedStream {
	/** Bytes that arrived and were not handed out yet. */
	readonly readableLength: number;
	once(event: "close", listener: () => void): unknown;
}

export class SessionReads {
	readonly #streams = new Set<SlicedStream>();
	#current: ArrayBufferLike | undefined;
	/** Reads before the current one that could not be freed yet, since a slice of them may be unread. */
	#earlier: ArrayBuffer[] = [];

	/** Streams that are open. */
	get open(): number {
		return this.#streams.size;
	}

	/** Every stream of the session MUST be told of before its first data. */
	add(stream: SlicedStream): void {
		this.#streams.add(stream);
		stream.once("close", () => this.#streams.delete(stream));
	}

	/** A stream's data was copied; nobody looks at `chunk` again. */
	copied(chunk: Uint8Array): void {
		const { buffer } = chunk;
		if (buffer === this.#current) return;
		const earlier = this.#earlier;
		// A stream that was held up hands out slices of a read that is not the newest.
		if (!(buffer instanceof ArrayBuffer) || earlier.includes(buffer)) return;
		if (this.#current instanceof ArrayBuffer) earlier.push(this.#current);
		this.#current = buffer;
		for (const stream of this.#streams) if (stream.readableLength > 0) return;
		for (const read of earlier) read.transfer(0);
		this.#earlier = [];
	}
}
