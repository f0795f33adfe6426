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
import { soleView } from "./payload-buffer.ts";
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
/** The densest deflate stream: a match of 258 bytes in two bits. */
const DEFLATE_MAX_RATIO = 1032;

/**
 * At most two at a time: libuv has four threads and the machine may have two cores, and a decoder's window (32 MiB) lives as long
 * as it runs. Waiting costs nothing but the compressed bytes, which are accounted for.
 */
const MAX_RUNNING = 2;
let running = 0;
const waiting: (() => void)[] = [];

async function withSlot<T>(work: () => Promise<T>): Promise<T> {
	if (running >= MAX_RUNNING) await new Promise<void>((resolve) => waiting.push(resolve));
	else running++;
	try {
		return await work();
	} finally {
		// The slot passes on to the next in line without being free in between.
		const next = waiting.shift();
		if (next === undefined) running--;
		else next();
	}
}

/**
 * The payload behind `input`, as the sole view of its ArrayBuffer. `reservation` covers the input on entry and exactly the output
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
	const output = await withSlot(() => inflateAll(compression, input, limits, reservation));
	reservation.shrinkTo(output.length);
	return output;
}

async function inflateAll(
	compression: Exclude<Compression, "identity">,
	input: Uint8Array<ArrayBuffer>,
	limits: ReceiverLimits,
	reservation: Reservation,
): Promise<Uint8Array<ArrayBuffer>> {
	const declared = declaredSize(compression, input);
	if (declared !== undefined && declared > limits.maxPayloadBytes) throw tooLarge(limits, "The decompressed payload");
	// One byte more than declared lets the decoder see the end within one call: one trip to the thread pool, no copy afterwards.
	const chunkSize =
		declared === undefined
			? Math.min(Math.max(input.length * 8, MIN_CHUNK_BYTES), MAX_GUESSED_CHUNK_BYTES)
			: Math.max(declared + 1, MIN_CHUNK_BYTES);
	if (declared !== undefined && !reservation.growTo(input.length + declared)) throw overloaded(limits);

	const chunks: Uint8Array<ArrayBuffer>[] = [];
	let total = 0;
	const take = (chunk: Uint8Array<ArrayBuffer>): void => {
		total += chunk.length;
		if (total > limits.maxPayloadBytes) throw tooLarge(limits, "The decompressed payload");
		if (!reservation.growTo(input.length + total)) throw overloaded(limits);
		chunks.push(chunk);
	};
	// The zstd decoder stops after one frame, and a payload may be several, one after the other: stopping would lose data silently.
	for (let rest = input; rest.length > 0;) {
		const consumed = await inflateOne(compression, rest, chunkSize, take);
		rest = rest.subarray(consumed);
		if (rest.length > 0 && (consumed === 0 || compression !== "zstd")) {
			throw malformed(compression, "there are bytes after its end");
		}
	}
	return join(chunks, total);
}

/** Decodes up to the stream's end; resolves to the input bytes it consumed. */
function inflateOne(
	compression: Exclude<Compression, "identity">,
	input: Uint8Array,
	chunkSize: number,
	take: (chunk: Uint8Array<ArrayBuffer>) => void,
): Promise<number> {
	return new Promise((resolve, reject) => {
		const decoder = createDecoder(compression, chunkSize);
		decoder.on("data", (chunk: Buffer<ArrayBuffer>) => {
			try {
				take(chunk);
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
	return out;
}
