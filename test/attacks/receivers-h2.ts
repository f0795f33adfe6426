/** HTTP/2 frames by hand (RFC 9113, section 4 and 6), for what no well-behaved client library sends. */
import { connect } from "node:net";
import type { Socket } from "node:net";

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const CONTINUATION = 9;
export const END_STREAM = 1;
export const END_HEADERS = 4;

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export function h2Frame(type: number, flags: number, streamId: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
	const out = Buffer.alloc(9 + payload.length);
	out.writeUIntBE(payload.length, 0, 3);
	out[3] = type;
	out[4] = flags;
	out.writeUInt32BE(streamId, 5);
	out.set(payload, 9);
	return out;
}

/** HPACK (RFC 7541) without compression: literals, never indexed into the dynamic table; strings under 127 bytes. */
export function literal(name: string, value: string): Buffer {
	return Buffer.concat([Buffer.from([0x00, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);
}

/** The header block of a gRPC request. */
export function grpcHeaders(path: string): Buffer {
	return Buffer.concat([
		literal(":method", "POST"),
		literal(":scheme", "http"),
		literal(":path", path),
		literal(":authority", "target"),
		literal("content-type", "application/grpc"),
		literal("te", "trailers"),
	]);
}

export interface RawH2 {
	readonly socket: Socket;
	/** Types of the frames that the server sent so far; RST_STREAM and GOAWAY with their error code. */
	readonly seen: { readonly type: number; readonly streamId: number; readonly errorCode: number | undefined }[];
	/** Resolves once the server ended the connection. */
	readonly closed: Promise<void>;
	/** Writes, waiting while the server does not read; stops quietly when it closed. */
	write(bytes: Uint8Array): Promise<void>;
}

export function connectRaw(address: string): RawH2 {
	const [host, port] = address.split(":");
	const socket = connect({ host, port: Number(port) });
	const seen: RawH2["seen"] = [];
	let pending = Buffer.alloc(0);
	socket.on("error", () => {});
	socket.on("data", (chunk: Buffer) => {
		pending = Buffer.concat([pending, chunk]);
		while (pending.length >= 9 && pending.length >= 9 + pending.readUIntBE(0, 3)) {
			const length = pending.readUIntBE(0, 3);
			const type = pending[3]!;
			const errorCode =
				type === RST_STREAM ? pending.readUInt32BE(9) : type === GOAWAY ? pending.readUInt32BE(13) : undefined;
			seen.push({ type, streamId: pending.readUInt32BE(5), errorCode });
			pending = pending.subarray(9 + length);
		}
	});
	const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
	const write = (bytes: Uint8Array): Promise<void> => {
		if (socket.destroyed || !socket.writable) return Promise.resolve();
		if (socket.write(bytes)) return Promise.resolve();
		return Promise.race([new Promise<void>((resolve) => socket.once("drain", resolve)), closed]);
	};
	socket.write(Buffer.concat([PREFACE, h2Frame(SETTINGS, 0, 0)]));
	return { socket, seen, closed, write };
}
