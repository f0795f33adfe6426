/**
 * Collects one payload into one ArrayBuffer of its own, which the sink may then transfer to another thread.
 *
 * The buffer owns its memory until `take`; the reservation owns the sink's permission for it until `release`. Bytes are copied
 * once, from the socket's chunk to their place, when the length is known beforehand and at most 8 MiB.
 */
import type { IngestSink } from "../ingest.ts";
import { overloaded, tooLarge } from "./ingress.ts";
import type { ReceiverLimits } from "./settings.ts";

/**
 * Room is held for what arrived and a step ahead, not for what a peer declares: 128 slow connections that announce 1 MiB each would
 * otherwise hold the whole budget without sending a byte. The step doubles from the first value to the second.
 */
const FIRST_STEP_BYTES = 64 * 1024;
const MAX_STEP_BYTES = 1024 * 1024;
const UNKNOWN_START_BYTES = 64 * 1024;
/** Untouched pages cost nothing, so a declared length is allocated at once up to here; beyond, capacity doubles as bytes arrive. */
const TRUSTED_CAPACITY_BYTES = 8 * 1024 * 1024;

/** A growing claim on the sink's byte budget. */
export class Reservation {
	readonly #sink: IngestSink;
	#held = 0;

	constructor(sink: IngestSink) {
		this.#sink = sink;
	}

	/** Holds at least `total` bytes from now on; false when there is no room, and then nothing changes. */
	growTo(total: number): boolean {
		const more = total - this.#held;
		if (more <= 0) return true;
		if (!this.#sink.reserve(more)) return false;
		this.#held = total;
		return true;
	}

	shrinkTo(total: number): void {
		if (total >= this.#held) return;
		this.#sink.release(this.#held - total);
		this.#held = total;
	}

	/** May be called any number of times. */
	release(): void {
		this.shrinkTo(0);
	}

	/** Memory for at least `bytes`, used before where the sink has some; the first `bytes` of it. */
	memory(bytes: number): Uint8Array<ArrayBuffer> {
		return this.#sink.spare?.(bytes) ?? Buffer.allocUnsafeSlow(bytes);
	}
}

export class PayloadBuffer {
	readonly reservation: Reservation;
	readonly #limits: ReceiverLimits;
	readonly #expected: number | undefined;
	#bytes: Uint8Array<ArrayBuffer>;
	#used = 0;
	#granted = 0;

	/**
	 * @param expected the declared length, if there is one
	 * @throws MeshscopeError payload_too_large, overloaded
	 */
	constructor(limits: ReceiverLimits, reservation: Reservation, expected: number | undefined) {
		if (expected !== undefined && expected > limits.maxPayloadBytes)
			throw tooLarge(limits, `The payload of ${expected} bytes`);
		this.#limits = limits;
		this.#expected = expected;
		this.reservation = reservation;
		// Asks for the whole once, so that a full queue is answered before the body is read, but keeps only the first step.
		this.#claim(expected ?? FIRST_STEP_BYTES);
		this.#granted = Math.min(this.#granted, FIRST_STEP_BYTES);
		reservation.shrinkTo(this.#granted);
		this.#bytes = reservation.memory(Math.min(expected ?? UNKNOWN_START_BYTES, TRUSTED_CAPACITY_BYTES));
	}

	get length(): number {
		return this.#used;
	}

	/** @throws MeshscopeError payload_too_large, overloaded */
	append(chunk: Uint8Array): void {
		const needed = this.#used + chunk.length;
		if (needed > this.#granted) {
			const step = Math.min(Math.max(this.#granted, FIRST_STEP_BYTES), MAX_STEP_BYTES);
			this.#claim(Math.max(needed, Math.min(this.#granted + step, this.#ceiling())));
		}
		if (needed > this.#bytes.length) this.#grow(needed);
		this.#bytes.set(chunk, this.#used);
		this.#used = needed;
	}

	/** Ends collecting: the payload as the sole view of its ArrayBuffer. */
	take(): Uint8Array<ArrayBuffer> {
		const bytes = this.#bytes;
		this.#bytes = new Uint8Array(0);
		return soleView(bytes, this.#used);
	}

	/** Gives up: the memory at once, the reservation with it. May be called any number of times. */
	discard(): void {
		freeMemory(this.#bytes);
		this.#bytes = new Uint8Array(0);
		this.reservation.release();
	}

	#ceiling(): number {
		return this.#expected ?? this.#limits.maxPayloadBytes;
	}

	#claim(total: number): void {
		if (total > this.#limits.maxPayloadBytes) throw tooLarge(this.#limits, "The payload");
		if (!this.reservation.growTo(total)) throw overloaded(this.#limits);
		this.#granted = total;
	}

	#grow(needed: number): void {
		const grown = this.reservation.memory(Math.max(needed, Math.min(this.#bytes.length * 2, this.#ceiling())));
		grown.set(this.#bytes.subarray(0, this.#used));
		freeMemory(this.#bytes);
		this.#bytes = grown;
	}
}

/** The first `length` bytes, taking `bytes` over; copied only when more than a quarter of the memory would be carried along unused. */
export function soleView(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
	const memoryBytes = bytes.buffer.byteLength;
	if (length === bytes.length && bytes.length === memoryBytes) return bytes;
	if (memoryBytes - length <= memoryBytes / 4) return bytes.subarray(0, length);
	const exact = Buffer.allocUnsafeSlow(length);
	exact.set(bytes.subarray(0, length));
	freeMemory(bytes);
	return exact;
}

/**
 * Returns a payload's memory to the system now. The collector would only do so at its next full run, and 80 refused bombs of 64 MiB
 * do not wait for that (measured: 300 MB of growth without, see test/attacks). The caller MUST be its only user: no other view, and no
 * native code that still reads or writes it.
 */
export function freeMemory(bytes: Uint8Array<ArrayBuffer>): void {
	bytes.buffer.transfer(0);
}

/**
 * Returns what a socket read held, once it was copied and nobody else looks at it. Left to the collector, 64 KiB a read make it run
 * every 20,000 spans: its threads took a fifth of the server's CPU. Parts of a larger read are left alone.
 */
export function freeChunk(chunk: Uint8Array): void {
	const { buffer } = chunk;
	if (buffer instanceof ArrayBuffer && chunk.length === buffer.byteLength) buffer.transfer(0);
}
