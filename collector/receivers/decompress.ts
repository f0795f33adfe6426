/**
 * Bounded decompression off the main thread: gzip, deflate and zstd.
 *
 * The output counts against the payload limit and against the sink's budget as it appears, so a bomb ends at the limit and not
 * in memory. Only the two running decompressions hold memory beyond their output.
 */
import { constants, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import type { Gunzip, Inflate, ZstdDecompress } from "node:zlib";
import { MeshscopeError } from "../../model/errors.ts";
import { overloaded, printable, tooLarge } from "./ingress.ts";
import { freeMemory, soleView } from "./payload-buffer.ts";
import type { Reservation } from "./payload-buffer.ts";
import type { ReceiverLimits } from "./settings.ts";

export type Compression = "identity" | "gzip" | "deflate" | "zstd";
export const COMPRESSIONS: readonly Compression[] = ["identity", "gzip", "deflate", "zstd"];

/** The compression of a `content-encoding` or `grpc-encoding` value; undefined when it is not one we read. */
export function parseCompression(header: string | undefined): Compression | undefined {
	const name = (header ?? "").trim().toLowerCase();
	if (name === "" || name === "none") return "identity";
	if (name === "x-gzip") return "gzip";
	return COMPRESSIONS.find((known) => known === name);
}

/**
 * A zstd window is memory besides the output. 32 MiB reads every level below --ultra; what asks for more is refused by the decoder.
 */
const ZSTD_WINDOW_LOG_MAX = 25;
const MIN_CHUNK_BYTES = 64 * 1024;
const MAX_GUESSED_CHUNK_BYTES = 1024 * 1024;
/** The memory that a refused decompression leaves to the collector is one chunk, so chunks stay moderate. */
const MAX_SINGLE_CHUNK_BYTES = 4 * 1024 * 1024;
/** A decoder is made for each frame, and an empty frame has 9 bytes: without a cap, 64 MiB of them would cost minutes. */
const MAX_ZSTD_FRAMES = 1_000;
/** The densest deflate stream: a match of 258 bytes in two bits. */
const DEFLATE_MAX_RATIO = 1032;

/** Lets `size` in at a time, the others wait in line. */
class Gate {
	#free: number;
	readonly #waiting: (() => void)[] = [];

	constructor(size: number) {
		this.#free = size;
	}

	/** Resolves to the function that lets the next one in. */
	async enter(): Promise<() => void> {
		if (this.#free > 0) this.#free--;
		else await new Promise<void>((resolve) => this.#waiting.push(resolve));
		return () => {
			// The place passes on to the next in line without being free in between.
			const next = this.#waiting.shift();
			if (next === undefined) this.#free++;
			else next();
		};
	}
}

/**
 * Two at a time: libuv has four threads and the machine may have two cores. Waiting costs nothing but the compressed bytes, which
 * are accounted for. Of those whose output passes 16 MiB only one goes on, so that bombs cannot reach the limit side by side.
 */
const RUNNING = new Gate(2);
const LARGE = new Gate(1);
const LARGE_BYTES = 16 * 1024 * 1024;

/**
 * The payload behind `input`, as the sole view of its ArrayBuffer; `input` is used up. `reservation` covers the input on entry and exactly the output
 * on return.
 * @throws MeshscopeError payload_too_large, overloaded, malformed_payload
 */
export async function decompress(
	compression: Compression,
	input: Uint8Array<ArrayBuffer>,
	limits: ReceiverLimits,
	reservation: Reservation,
): Promise<Uint8Array<ArrayBuffer>> {
	// An empty body is an empty request whatever its encoding claims to be.
	if (compression === "identity" || input.length === 0) return input;
	const leave = await RUNNING.enter();
	try {
		const output = await inflateAll(compression, input, limits, reservation);
		reservation.shrinkTo(output.length);
		return output;
	} finally {
		leave();
	}
}

async function inflateAll(
	compression: Exclude<Compression, "identity">,
	input: Uint8Array<ArrayBuffer>,
	limits: ReceiverLimits,
	reservation: Reservation,
): Promise<Uint8Array<ArrayBuffer>> {
	const declared = declaredSize(compression, input);
	if (declared !== undefined && declared > limits.maxPayloadBytes) throw tooLarge(limits, "The decompressed payload");
	const chunkSize = chunkSizeFor(input.length, declared);
	if (declared !== undefined && !reservation.growTo(input.length + declared)) throw overloaded(limits);

	const chunks: Uint8Array<ArrayBuffer>[] = [];
	let total = 0;
	let leaveLarge: (() => void) | undefined;
	let over = false;
	const take = (chunk: Uint8Array<ArrayBuffer>): Promise<void> | undefined => {
		total += chunk.length;
		if (total > limits.maxPayloadBytes) throw tooLarge(limits, "The decompressed payload");
		if (!reservation.growTo(input.length + total)) throw overloaded(limits);
		chunks.push(chunk);
		if (total <= LARGE_BYTES || leaveLarge !== undefined) return undefined;
		// Refused or damaged while it waits, it must still let the next one in once its turn comes.
		leaveLarge = () => (over = true);
		return LARGE.enter().then((leave) => {
			if (over) leave();
			else leaveLarge = leave;
		});
	};
	try {
		// The zstd decoder stops after one frame, and a payload may be several, one after the other: stopping would lose data silently.
		let rest = input;
		for (let frames = 1; rest.length > 0; frames++) {
			const consumed = await inflateOne(compression, rest, chunkSize, take);
			rest = rest.subarray(consumed);
			if (rest.length > 0 && (consumed === 0 || compression !== "zstd" || frames === MAX_ZSTD_FRAMES)) {
				throw malformed(compression, "there are bytes after its end");
			}
		}
		freeMemory(input);
		return join(chunks, total);
	} catch (error) {
		// The decoder may still be writing into the memory behind the newest chunk; it has let go of the others.
		const newest = chunks.at(-1)?.buffer;
		for (const chunk of chunks) if (chunk.buffer !== newest) freeMemory(chunk);
		throw error;
	} finally {
		leaveLarge?.();
	}
}

function chunkSizeFor(inputBytes: number, declared: number | undefined): number {
	// One byte more than declared lets the decoder see the end within one call: one trip to the thread pool, no copy afterwards.
	if (declared !== undefined && declared <= MAX_SINGLE_CHUNK_BYTES) return Math.max(declared + 1, MIN_CHUNK_BYTES);
	return Math.min(Math.max(inputBytes * 8, MIN_CHUNK_BYTES), MAX_GUESSED_CHUNK_BYTES);
}

/** Decodes up to the stream's end; resolves to the input bytes it consumed. */
function inflateOne(
	compression: Exclude<Compression, "identity">,
	input: Uint8Array,
	chunkSize: number,
	take: (chunk: Uint8Array<ArrayBuffer>) => Promise<void> | undefined,
): Promise<number> {
	return new Promise((resolve, reject) => {
		const decoder = createDecoder(compression, chunkSize);
		decoder.on("data", (chunk: Buffer<ArrayBuffer>) => {
			try {
				const held = take(chunk);
				if (held === undefined) return;
				decoder.pause();
				void held.then(() => decoder.resume());
			} catch (error) {
				// The refusal's reason, not the decoder's complaint about being stopped, is what the client hears.
				reject(error);
				decoder.destroy();
			}
		});
		decoder.on("error", (error) => reject(malformed(compression, error.message)));
		decoder.on("end", () => resolve(decoder.bytesWritten));
		decoder.end(input);
	});
}

function createDecoder(compression: Exclude<Compression, "identity">, chunkSize: number): Gunzip | Inflate | ZstdDecompress {
	switch (compression) {
		case "gzip":
			return createGunzip({ chunkSize });
		case "deflate":
			return createInflate({ chunkSize });
		case "zstd":
			return createZstdDecompress({ chunkSize, params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX } });
	}
}

function malformed(compression: Compression, reason: string): MeshscopeError {
	return new MeshscopeError("malformed_payload", `The ${compression} payload cannot be decompressed: ${printable(reason)}.`);
}

/**
 * What the stream says about its own decompressed size; undefined when it says nothing believable. A wrong value costs a copy or
 * an early refusal, never memory: pages that are not written to are not resident.
 */
export function declaredSize(compression: Compression, input: Uint8Array): number | undefined {
	const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
	if (compression === "gzip" && input.length >= 18) {
		const size = view.getUint32(input.length - 4, true);
		return size <= input.length * DEFLATE_MAX_RATIO ? size : undefined;
	}
	// RFC 8878, 3.1.1.1: magic, descriptor, window (unless single segment), dictionary ID, content size.
	if (compression === "zstd" && input.length >= 14 && view.getUint32(0, true) === 0xfd2fb528) {
		const descriptor = input[4]!;
		const singleSegment = (descriptor & 0x20) !== 0;
		const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
		const at = 5 + (singleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
		if (at + sizeBytes > input.length) return undefined;
		if (sizeBytes === 1) return input[at]!;
		if (sizeBytes === 2) return view.getUint16(at, true) + 256;
		if (sizeBytes === 4) return view.getUint32(at, true);
		if (sizeBytes === 8) return Number(view.getBigUint64(at, true));
	}
	return undefined;
}

function join(chunks: readonly Uint8Array<ArrayBuffer>[], total: number): Uint8Array<ArrayBuffer> {
	const first = chunks[0];
	// The decoder's buffer is its own ArrayBuffer from 64 KiB up (smaller ones come from Node's shared pool), and it is done with it.
	if (first !== undefined && chunks.length === 1 && first.byteOffset === 0) return soleView(first, total);
	const out = Buffer.allocUnsafeSlow(total);
	let at = 0;
	for (const chunk of chunks) {
		out.set(chunk, at);
		at += chunk.length;
	}
	for (const chunk of chunks) freeMemory(chunk);
	return out;
}
