/**
 * Newline-delimited JSON as both ends of the control stream read and write it. Bytes that wait for their newline are bounded, so a peer
 * that sends none costs no more than one frame.
 */
const NEWLINE = 0x0a;
const encoder = new TextEncoder();

export function encodeFrame(message: unknown): Uint8Array {
	return encoder.encode(`${JSON.stringify(message)}\n`);
}

/** Why no further frame can be read. */
export class FrameError extends Error {
	override readonly name = "FrameError";
}

/** A JSON object with a `kind`; everything else about it is for the reader to check. */
export type Frame = Readonly<Record<string, unknown>> & { readonly kind: string };

export interface FrameReader {
	/**
	 * The frames that end in this chunk, in order. Empty lines are nothing.
	 * @throws FrameError when a frame is longer than the limit, is not UTF-8, not JSON, or no object with a kind
	 */
	push(chunk: Uint8Array): readonly Frame[];
}

export function frameReader(maxBytes: number): FrameReader {
	let waiting: Uint8Array[] = [];
	let waitingBytes = 0;
	const take = (part: Uint8Array): void => {
		if (waitingBytes + part.length > maxBytes) throw new FrameError(`a frame is longer than ${maxBytes} bytes`);
		if (part.length === 0) return;
		waiting.push(part);
		waitingBytes += part.length;
	};
	return {
		push(chunk) {
			const frames: Frame[] = [];
			let start = 0;
			for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
				take(chunk.subarray(start, end));
				start = end + 1;
				const bytes = joined(waiting, waitingBytes);
				waiting = [];
				waitingBytes = 0;
				const frame = parsed(bytes);
				if (frame !== undefined) frames.push(frame);
			}
			take(chunk.subarray(start));
			return frames;
		},
	};
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
	if (parts.length === 1) return parts[0]!;
	const whole = new Uint8Array(length);
	let at = 0;
	for (const part of parts) {
		whole.set(part, at);
		at += part.length;
	}
	return whole;
}

function parsed(bytes: Uint8Array): Frame | undefined {
	let value: unknown;
	try {
		const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
		if (text.trim() === "") return undefined;
		value = JSON.parse(text);
	} catch {
		throw new FrameError("a frame is not JSON in UTF-8");
	}
	if (typeof value !== "object" || value === null || !("kind" in value) || typeof value.kind !== "string")
		throw new FrameError("a frame is no object with a `kind`");
	return value as Frame;
}
