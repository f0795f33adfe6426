/**
 * One port for TLS and plaintext (PERMISSIVE): the first bytes of a connection tell. A TLS record of a ClientHello begins 0x16 0x03; no
 * method of HTTP and no preface does.
 *
 * What was read is put back, so whoever gets the connection reads all of it. At most PEEK_BYTES are waited for.
 */
import type { Socket } from "node:net";
import type { TlsFailureReason } from "./failure.ts";

export type PlainProtocol = "http1" | "http2" | "other";

export interface SniffHandlers {
	readonly onTls: (socket: Socket) => void;
	readonly onPlain: (socket: Socket, protocol: PlainProtocol) => void;
	/** The connection is closed then, unless `onSilent` takes it. */
	readonly onFailed?: (reason: TlsFailureReason, peerAddress: string) => void;
	/** For ports whose protocol lets the server speak first (MySQL, SMTP): a client that sent nothing in time is plaintext. */
	readonly onSilent?: (socket: Socket) => void;
	readonly timeoutMs: number;
}

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
/** Enough for the preface, and for the longest method that is registered (BASELINE-CONTROL, UPDATEREDIRECTREF) and its space. */
const PEEK_BYTES = 24;
/** Type, version, length, and the type of the handshake message. */
const HELLO_BYTES = 6;
const HANDSHAKE = 0x16;
const CLIENT_HELLO = 0x01;
/** RFC 8446 section 5.1: 2^14; 1.2's ciphertext may have 2 KiB more, a hello never. */
const MAX_RECORD_BYTES = 16_384;

export function sniffFirstByte(socket: Socket, handlers: SniffHandlers): void {
	let head: Buffer = Buffer.alloc(0);
	const peerAddress = socket.remoteAddress ?? "";
	const timer = setTimeout(() => {
		release();
		if (head.length === 0 && handlers.onSilent !== undefined) return handlers.onSilent(socket);
		// A few bytes that may yet become anything: a client that trickles must not hold the connection.
		fail("handshake_timeout");
	}, handlers.timeoutMs);

	function release(): void {
		clearTimeout(timer);
		socket.off("readable", onReadable);
		socket.off("end", onEnd);
		socket.off("close", onClose);
	}
	function fail(reason: TlsFailureReason): void {
		socket.destroy();
		handlers.onFailed?.(reason, peerAddress);
	}
	// Reading by hand leaves the stream as if nobody had read: `data`, `pipe`, a TLSSocket and node:http all take it up from here.
	function onReadable(): void {
		const chunk: Buffer | null = socket.read();
		if (chunk === null) return;
		head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
		const verdict = classify(head);
		if (verdict === "more") return;
		release();
		socket.unshift(head);
		if (verdict === "tls") handlers.onTls(socket);
		else handlers.onPlain(socket, verdict);
	}
	/** With at most a word of letters before it: no protocol that anybody speaks. */
	function onEnd(): void {
		release();
		fail("connection_closed");
	}
	function onClose(): void {
		release();
		handlers.onFailed?.("connection_closed", peerAddress);
	}

	socket.on("error", ignore);
	socket.on("readable", onReadable);
	socket.on("end", onEnd);
	socket.on("close", onClose);
	if (socket.destroyed) onClose();
}

/** `more` for as long as the bytes could be the beginning of either. */
export function classify(head: Uint8Array): "tls" | PlainProtocol | "more" {
	if (head.length === 0) return "more";
	if (head[0] === HANDSHAKE) return classifyRecord(head);
	const length = Math.min(head.length, PEEK_BYTES);
	if (PREFACE.subarray(0, length).equals(head.subarray(0, length))) return length === PREFACE.length ? "http2" : "more";
	for (let i = 0; i < length; i++) {
		const byte = head[i]!;
		if (byte === 0x20) return i > 0 ? "http1" : "other";
		if (!isTokenByte(byte)) return "other";
	}
	return length < PEEK_BYTES ? "more" : "other";
}

function classifyRecord(head: Uint8Array): "tls" | "other" | "more" {
	if (head.length > 1 && head[1] !== 0x03) return "other";
	if (head.length > 2 && head[2]! > 0x04) return "other";
	if (head.length < HELLO_BYTES) return "more";
	const recordBytes = (head[3]! << 8) | head[4]!;
	return recordBytes >= 4 && recordBytes <= MAX_RECORD_BYTES && head[5] === CLIENT_HELLO ? "tls" : "other";
}

/** RFC 9110 section 5.6.2, letters, digits and `!#$%&'*+-.^_`|~`: what a method may consist of. */
function isTokenByte(byte: number): boolean {
	return (
		(byte >= 0x30 && byte <= 0x39) ||
		(byte >= 0x41 && byte <= 0x5a) ||
		(byte >= 0x5e && byte <= 0x7a) ||
		byte === 0x21 ||
		(byte >= 0x23 && byte <= 0x27) ||
		byte === 0x2a ||
		byte === 0x2b ||
		byte === 0x2d ||
		byte === 0x2e ||
		byte === 0x7c ||
		byte === 0x7e
	);
}

function ignore(): void {}
