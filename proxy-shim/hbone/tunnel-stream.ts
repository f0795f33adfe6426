/**
 * One stream of CONNECT as a byte stream that behaves like a TCP connection: each direction ends by itself, back-pressure is that of HTTP/2's
 * windows, and what breaks on one side is seen as broken on the other.
 *
 * A stream that is reset must never look like one that ended, or a cut-off response would pass for a whole one. So breaking off is always
 * told by RST_STREAM with an error and no END_STREAM before it, and a stream that closes without END_STREAM gives ECONNRESET.
 */
import { constants } from "node:http2";
import type { Http2Stream } from "node:http2";
import { Duplex } from "node:stream";

export interface TunnelEnds {
	/** Of the peer's end of the tunnel. */
	readonly remoteAddress: string;
	readonly remotePort: number;
	readonly localAddress: string;
	readonly localPort: number;
}

/** As much of net.Socket as code asks of a connection that it was given. */
export class TunnelStream extends Duplex {
	readonly remoteAddress: string;
	readonly remotePort: number;
	readonly localAddress: string;
	readonly localPort: number;
	readonly #stream: Http2Stream;
	#idle: NodeJS.Timeout | undefined;
	#idleMs = 0;

	constructor(stream: Http2Stream, ends: TunnelEnds) {
		super({ allowHalfOpen: true });
		this.#stream = stream;
		this.remoteAddress = ends.remoteAddress;
		this.remotePort = ends.remotePort;
		this.localAddress = ends.localAddress;
		this.localPort = ends.localPort;
		this.on("error", () => {});
		stream.on("data", (chunk: Buffer) => {
			this.#touch();
			if (!this.push(chunk)) stream.pause();
		});
		stream.on("end", () => {
			// Node ends a stream that was reset with NO_ERROR too: END_STREAM alone leaves our direction as it was.
			if (stream.closed && !this.writableEnded) this.destroy(reset());
			else this.push(null);
		});
		stream.on("error", () => this.destroy(reset()));
		stream.on("close", () => {
			const isWhole = this.readableEnded || (stream.readableEnded && stream.rstCode === constants.NGHTTP2_NO_ERROR);
			if (!isWhole || !this.writableEnded) this.destroy(this.destroyed ? undefined : reset());
		});
	}

	setNoDelay(): this {
		return this;
	}

	setKeepAlive(): this {
		return this;
	}

	/** As net.Socket's: `timeout` is emitted, nothing is closed. 0 ends it. */
	setTimeout(timeoutMs: number, listener?: () => void): this {
		this.#idleMs = timeoutMs;
		clearTimeout(this.#idle);
		this.#idle = timeoutMs > 0 ? setTimeout(() => this.emit("timeout"), timeoutMs) : undefined;
		if (listener !== undefined) {
			if (timeoutMs > 0) this.once("timeout", listener);
			else this.off("timeout", listener);
		}
		return this;
	}

	resetAndDestroy(): this {
		return this.destroy();
	}

	ref(): this {
		return this;
	}

	unref(): this {
		return this;
	}

	override _read(): void {
		this.#stream.resume();
	}

	override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
		this.#touch();
		this.#stream.write(chunk, encoding, done);
	}

	override _final(done: (error?: Error | null) => void): void {
		this.#stream.end(done);
	}

	override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
		clearTimeout(this.#idle);
		const stream = this.#stream;
		if (!this.readableEnded || !this.writableFinished) {
			// Not close(code): before its RST_STREAM that sends END_STREAM, and the other end would take what it has for all there is.
			stream.destroy(error ?? new Error("the tunnel was broken off"));
		}
		done(error);
	}

	#touch(): void {
		if (this.#idleMs > 0) this.#idle?.refresh();
	}
}

function reset(): Error {
	return Object.assign(new Error("the tunnel was reset by its other end"), { code: "ECONNRESET" });
}
