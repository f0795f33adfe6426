/**
 * zstd frames of parts, made and read within contexts that are kept. Node's own functions make a context for each call: half to four
 * fifths of the time that a part of some kilobytes takes, and its output stays in memory until everything is collected
 * (docs/adr/0020-kept-zstd-contexts.md).
 */
import { constants, createZstdCompress, createZstdDecompress, zstdCompressSync, zstdDecompressSync } from "node:zlib";

export interface Zstd {
	/** One frame that names the content's length. The view is valid until the next call. @param level zstd level */
	compress(content: Uint8Array, level: number): Uint8Array;
	/** The content of one frame; of a frame that holds more or less than `length` bytes either an error or not that many. */
	decompress(frame: Uint8Array, length: number): Uint8Array;
}

/** Node's own functions. */
export const oneShotZstd: Zstd = {
	compress: (content, level) =>
		zstdCompressSync(content, {
			params: { [constants.ZSTD_c_compressionLevel]: level },
			pledgedSrcSize: content.length,
			// One output chunk instead of many of 16 KiB.
			chunkSize: Math.max(1024, content.length >> 1),
		}),
	// One output chunk, so that nothing is copied together; a chunk that is filled to the end takes a second one as large. A damaged
	// length cannot ask for more than it says.
	decompress: (frame, length) =>
		zstdDecompressSync(frame, { chunkSize: Math.max(length + 1, 64), maxOutputLength: Math.max(length, 64) }),
};

/** What a zstd stream of Node holds; none of it is documented. */
interface Engine {
	readonly _handle: Handle | null;
	/** Left of the output, left of the input. */
	readonly _writeState: Uint32Array;
}

interface Handle {
	writeSync(
		flush: number,
		input: Uint8Array,
		inputAt: number,
		inputLength: number,
		output: Uint8Array,
		outputAt: number,
		outputLength: number,
	): void;
}

/** Streams want a chunk; nothing is ever written to it here. */
const CHUNK_BYTES = 64;
/** Longer output is rare, and not kept. */
const KEEP_BYTES = 1 << 20;

export class KeptZstd implements Zstd {
	private readonly makeCompressor: (level: number) => NodeJS.EventEmitter;
	private readonly compressors = new Map<number, Engine>();
	private decompressor: Engine | undefined;
	private out = new Uint8Array(0);

	constructor(makeCompressor = compressorOf) {
		this.makeCompressor = makeCompressor;
	}

	compress(content: Uint8Array, level: number): Uint8Array {
		let engine = this.compressors.get(level);
		if (engine === undefined) this.compressors.set(level, (engine = engineOf(this.makeCompressor(level))));
		const out = this.outOf(mostBytes(content.length));
		// A frame that is ended leaves the context ready for the next one; handed over whole, its length is known and written down.
		const made = run(engine, constants.ZSTD_e_end, content, out);
		if (made !== undefined && made < out.length) return out.subarray(0, made);
		// Kept, it would fail for ever, and nothing could be stored any more.
		this.compressors.delete(level);
		return oneShotZstd.compress(content, level);
	}

	decompress(frame: Uint8Array, length: number): Uint8Array {
		const content = new Uint8Array(length);
		const engine = (this.decompressor ??= engineOf(createZstdDecompress({ chunkSize: CHUNK_BYTES })));
		if (run(engine, constants.ZSTD_e_continue, frame, content) === length) return content;
		// It may be amid a frame. The next context is a new one, and whether this frame is damaged is not for the old one to say.
		this.decompressor = undefined;
		return oneShotZstd.decompress(frame, length);
	}

	private outOf(bytes: number): Uint8Array {
		const isKept = this.out.length <= KEEP_BYTES;
		if (!isKept || this.out.length < bytes) {
			const room = bytes > KEEP_BYTES ? bytes : Math.min(KEEP_BYTES, bytes * 2);
			// Detached, what was there goes now, not when this thread's heap is collected.
			this.out = new Uint8Array(this.out.buffer.transfer(0).transfer(room));
		}
		return this.out;
	}
}

function compressorOf(level: number): NodeJS.EventEmitter {
	return createZstdCompress({ chunkSize: CHUNK_BYTES, params: { [constants.ZSTD_c_compressionLevel]: level } });
}

/** Bytes written of the output, where all of the input was used. */
function run(engine: Engine, flush: number, input: Uint8Array, output: Uint8Array): number | undefined {
	const { _handle: handle, _writeState: left } = engine;
	handle?.writeSync(flush, input, 0, input.length, output, 0, output.length);
	// A stream that fails gives its handle up.
	return engine._handle === null || left[1] !== 0 ? undefined : output.length - left[0]!;
}

function engineOf(stream: NodeJS.EventEmitter): Engine {
	// What goes wrong is told by the state after each call.
	stream.on("error", () => undefined);
	if (!isEngine(stream)) throw new Error("streams of this Node are made otherwise");
	return stream;
}

function isEngine(stream: object): stream is Engine {
	if (!("_handle" in stream && "_writeState" in stream)) return false;
	const { _handle: handle, _writeState: state } = stream;
	return (
		typeof handle === "object" &&
		handle !== null &&
		"writeSync" in handle &&
		typeof handle.writeSync === "function" &&
		state instanceof Uint32Array
	);
}

/** More than a frame can take, so that it is made in one go. Source: ZSTD_COMPRESSBOUND in zstd.h. */
function mostBytes(length: number): number {
	return length + (length >>> 8) + 64 + 1;
}

/** Kept contexts where this Node's streams are as they are known and give back what they were given, else one for each call. */
export function openZstd(make: () => Zstd = () => new KeptZstd()): Zstd {
	const content = Uint8Array.from({ length: 256 }, (_, i) => i >> 3);
	try {
		const zstd = make();
		for (let times = 0; times < 2; times++) {
			const frame = zstd.compress(content, 1).slice();
			const isRight = [zstd, oneShotZstd].every((reader) => isEqual(reader.decompress(frame, content.length), content));
			if (!isRight) return oneShotZstd;
		}
		return zstd;
	} catch {
		return oneShotZstd;
	}
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
	return Buffer.compare(a, b) === 0;
}

/** Of this thread. */
export const zstd = openZstd();
