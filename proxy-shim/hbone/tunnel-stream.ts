/**
 * One stream of CONNECT as a byte stream that behaves like a TCP connection: each direction ends by itself, back-pressure is that of HTTP/2's
 * windows, and what breaks on one side is seen as broken on the other.
 *
 * A stream that is reset must never look like one that ended, or a cut-off response would pass for a whole one. So breaking off is always
 * told by RST_STREAM with an error and no END_STREAM before it, and a stream that closes without END_STREAM gives ECONNRESET.
 */
import { constants } from "node:http2";
import type { Http2Stream } from "node:http2";
import { Socket } from "node:net";

/** Of the connection that the tunnel stands for. */
export interface TunnelEnds {
	readonly remoteAddress: string;
	readonly remotePort: number;
	readonly localAddress: string;
	readonly localPort: number;
}

/** A Socket, for whoever is given a connection takes nothing less; it has no handle of its own, so all that moves bytes is here. */
export class TunnelStream extends Socket {
	override readonly remoteAddress: string;
	override readonly remotePort: number;
	override readonly localAddress: string;
	override readonly localPort: number;
	readonly #stream: Http2Stream;

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

	override resetAndDestroy(): this {
		return this.destroy();
	}

	override _read(): void {
		this.#stream.resume();
	}

	override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
		this.#touch();
		this.#stream.write(chunk, encoding, done);
	}

	override _writev(
		chunks: readonly { readonly chunk: Buffer | string; readonly encoding: BufferEncoding }[],
		done: (error?: Error | null) => void,
	): void {
		this.#touch();
		const buffers = chunks.map(({ chunk, encoding }) => (typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk));
		this.#stream.write(Buffer.concat(buffers), done);
	}

	override _final(done: (error?: Error | null) => void): void {
		this.#stream.end(done);
	}

	override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
		this.setTimeout(0);
		const stream = this.#stream;
		if (!this.readableEnded || !this.writableFinished) {
			// Not close(code): before its RST_STREAM that sends END_STREAM, and the other end would take what it has for all there is.
			stream.destroy(error ?? new Error("the tunnel was broken off"));
		}
		done(error);
		// net.Socket leaves this to the one that destroys.
		process.nextTick(() => this.emit("close", error !== null));
	}

	/** Restarts the idle time, as bytes of a handle do. */
	#touch(): void {
		const { timeout } = this;
		if (timeout !== undefined && timeout > 0) this.setTimeout(timeout);
	}
}

function reset(): Error {
	return Object.assign(new Error("the tunnel was reset by its other end"), { code: "ECONNRESET" });
}
