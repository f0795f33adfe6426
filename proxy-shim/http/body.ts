/**
 * The body of a request on its way to one upstream after another. As long as a retry is possible what went by is kept, up to
 * {@link REPLAY_LIMIT_BYTES}; a body that outgrows it is sent once. Reading from the caller starts with the first attempt, and stops
 * while nobody takes.
 */
import { Readable } from "node:stream";
import type { HeaderList } from "./message.ts";

export const REPLAY_LIMIT_BYTES = 64 * 1024;

/** Where the body comes from; node's own streams have this shape. */
export interface BodySource {
	on(event: "data", listener: (chunk: Buffer) => void): unknown;
	on(event: "end" | "close", listener: () => void): unknown;
	on(event: "error", listener: (error: Error) => void): unknown;
	pause(): unknown;
	resume(): unknown;
}

export class RequestBody {
	/** That came from the caller so far. */
	bytes = 0;
	/** The caller sent all of it. */
	complete = false;
	/** The caller went away before its end. */
	broken = false;
	/** See each chunk once. */
	readonly chunkWatchers: ((chunk: Buffer) => void)[] = [];
	/** Called once, when the caller has sent all. */
	readonly completionWatchers: (() => void)[] = [];
	readonly #source: BodySource;
	readonly #trailersOf: () => HeaderList;
	readonly #onFirstRead: () => void;
	/** Something was read of it, or asked for. */
	started = false;
	/** Undefined once it outgrew the limit or no retry is possible any more. */
	#kept: Buffer[] | undefined = [];
	#keptBytes = 0;
	#reader: BodyReader | undefined;
	#discarding = false;

	constructor(source: BodySource, trailersOf: () => HeaderList, onFirstRead: () => void) {
		this.#source = source;
		this.#trailersOf = trailersOf;
		this.#onFirstRead = onFirstRead;
	}

	/** True while {@link open} gives the body from its beginning. */
	get replayable(): boolean {
		return this.#kept !== undefined;
	}

	/** Of HTTP/1.1 chunked or HTTP/2; empty before the end. */
	get trailers(): HeaderList {
		return this.complete ? this.#trailersOf() : [];
	}

	/** No retry can come: what was kept is let go. */
	stopKeeping(): void {
		this.#kept = undefined;
	}

	/** For the next attempt; the reader before it must be done with. */
	open(): Readable {
		this.#reader?.detach();
		const reader = new BodyReader(() => this.#source.resume());
		this.#reader = reader;
		for (const chunk of this.#kept ?? []) reader.push(chunk);
		if (this.broken) reader.destroy(new Error("the caller went away within its request"));
		else if (this.complete) reader.push(null);
		else if (this.started) this.#source.resume();
		else this.#start();
		return reader;
	}

	/** The answer is complete before the request was: what still comes is read and dropped, so that the connection can go on. */
	discard(): void {
		if (this.complete || this.broken) return;
		this.#kept = undefined;
		this.#reader?.detach();
		this.#reader = undefined;
		this.#discarding = true;
		if (this.started) this.#source.resume();
	}

	#start(): void {
		this.started = true;
		this.#source.on("data", (chunk) => this.#take(chunk));
		this.#source.on("end", () => {
			this.complete = true;
			this.#reader?.push(null);
			for (const watch of this.completionWatchers) watch();
		});
		const onBreak = (): void => {
			if (this.complete || this.broken) return;
			this.broken = true;
			this.#kept = undefined;
			this.#reader?.destroy(new Error("the caller went away within its request"));
		};
		this.#source.on("error", onBreak);
		this.#source.on("close", onBreak);
		this.#onFirstRead();
	}

	#take(chunk: Buffer): void {
		if (this.#discarding) return;
		this.bytes += chunk.length;
		for (const watch of this.chunkWatchers) watch(chunk);
		if (this.#kept !== undefined) {
			this.#keptBytes += chunk.length;
			if (this.#keptBytes > REPLAY_LIMIT_BYTES) this.#kept = undefined;
			else this.#kept.push(chunk);
		}
		const reader = this.#reader;
		// Between attempts and after an early answer nobody reads: what comes is only kept, and the caller waits.
		if (reader === undefined || reader.destroyed || !reader.push(chunk)) this.#source.pause();
	}
}

class BodyReader extends Readable {
	#wanted: (() => void) | undefined;

	constructor(wanted: () => void) {
		super({ highWaterMark: REPLAY_LIMIT_BYTES, autoDestroy: true });
		this.#wanted = wanted;
		// It is destroyed with a reason whenever an attempt ends early; whoever reads it has heard already.
		this.on("error", () => {});
	}

	override _read(): void {
		this.#wanted?.();
	}

	detach(): void {
		this.#wanted = undefined;
	}
}
