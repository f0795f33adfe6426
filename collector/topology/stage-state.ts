/**
 * What the stage must know besides its cursor to go on after a crash: the maturity watermark, and the traces in which a half still
 * waits, each with the watermark under which it was stated last. 24 bytes a trace; in a mesh that reports both ends they are few.
 */
import type { TraceId } from "../../model/ids.ts";

export interface StageState {
	/** Epoch ms; 0 where there was no flush: everything is ahead. */
	readonly watermarkMs: number;
	/** Trace ids, 32 hex digits, with a watermark each. */
	readonly waiting: ReadonlyMap<TraceId, number>;
}

const VERSION = 2;
const HEADER_BYTES = 9;
const ENTRY_BYTES = 24;

/** Written down with every flush; there can be hundreds of thousands of traces, so ids come as words. */
export class StageStateWriter {
	private bytes = new Uint8Array(HEADER_BYTES + ENTRY_BYTES * 64);
	private view = new DataView(this.bytes.buffer);
	private length = HEADER_BYTES;

	constructor(watermarkMs: number) {
		this.bytes[0] = VERSION;
		this.view.setFloat64(1, watermarkMs);
	}

	add(w0: number, w1: number, w2: number, w3: number, statedMs: number): void {
		const at = this.length;
		if (at + ENTRY_BYTES > this.bytes.length) this.grow();
		this.view.setUint32(at, w0);
		this.view.setUint32(at + 4, w1);
		this.view.setUint32(at + 8, w2);
		this.view.setUint32(at + 12, w3);
		this.view.setFloat64(at + 16, statedMs);
		this.length = at + ENTRY_BYTES;
	}

	/** @param id 32 hex digits */
	addId(id: string, statedMs: number): void {
		const word = (at: number): number => Number.parseInt(id.slice(at * 8, at * 8 + 8), 16);
		this.add(word(0), word(1), word(2), word(3), statedMs);
	}

	finish(): Uint8Array {
		return this.bytes.subarray(0, this.length);
	}

	private grow(): void {
		const larger = new Uint8Array(this.bytes.length * 2);
		larger.set(this.bytes);
		this.bytes = larger;
		this.view = new DataView(larger.buffer);
	}
}

/** @throws Error for bytes that this version did not write */
export function decodeStageState(state: Uint8Array): StageState {
	const waiting = new Map<TraceId, number>();
	if (state.length === 0) return { watermarkMs: 0, waiting };
	if (state[0] !== VERSION || (state.length - HEADER_BYTES) % ENTRY_BYTES !== 0)
		throw new Error("the topology stage's state is of another version");
	const view = new DataView(state.buffer, state.byteOffset, state.length);
	for (let at = HEADER_BYTES; at < state.length; at += ENTRY_BYTES) {
		let id = "";
		for (let word = 0; word < 4; word++)
			id += view
				.getUint32(at + word * 4)
				.toString(16)
				.padStart(8, "0");
		waiting.set(id as TraceId, view.getFloat64(at + 16));
	}
	return { watermarkMs: view.getFloat64(1), waiting };
}
