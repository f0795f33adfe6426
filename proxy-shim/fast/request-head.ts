/**
 * The head of a plain HTTP/1.1 request. Plain is what nobody can read in two ways: origin form, one Host, one Content-Length or none,
 * no Transfer-Encoding, Expect, Upgrade, TE or Trailer, no fold, no bare LF. Everything else is for the correct tier, which may take
 * it or refuse it: this reader never answers a request itself.
 */
import { readFields, readLength } from "./fields.ts";
import { isTarget, isToken } from "./octets.ts";

/** Longer heads go to the correct tier. */
export const MAX_HEAD_BYTES = 16 << 10;

export interface RequestHead {
	readonly kind: "plain";
	readonly method: string;
	/** Origin form, with the query. */
	readonly target: string;
	/** As sent, the value of its only Host field. */
	readonly host: string;
	/** `name, value, …`, names as they were sent, without Connection and Keep-Alive. */
	readonly fields: string[];
	/** 0 where there is no body. */
	readonly contentLength: number;
	/** True when a Content-Length was sent, 0 too: it is passed on as it came. */
	readonly hasContentLength: boolean;
	/** The client asked to keep the connection. */
	readonly keepAlive: boolean;
	/** Where the body begins in the buffer. */
	readonly endOffset: number;
}

export type RequestHeadResult =
	| RequestHead
	| { readonly kind: "incomplete" }
	| { readonly kind: "other"; readonly reason: string };

const INCOMPLETE: RequestHeadResult = { kind: "incomplete" };
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);
const LONGEST_METHOD = 7;
const CR = 0x0d;
const LF = 0x0a;
const SP = 0x20;
const SLASH = 0x2f;
const END_OF_HEAD = "\r\n\r\n";
const VERSION = "HTTP/1.1\r\n";

/**
 * Reads the head that begins at `start`. An incomplete head is asked for again with more bytes; one that cannot become plain any more
 * is `other` at once where that is cheap to see.
 */
export function readRequestHead(bytes: Buffer, start: number): RequestHeadResult {
	const blank = bytes.indexOf(END_OF_HEAD, start, "latin1");
	if (blank < 0 || blank + 4 - start > MAX_HEAD_BYTES) {
		if (bytes.length - start > MAX_HEAD_BYTES) return other("head of more than 16 KiB");
		if (bytes.length > start && !isToken(bytes[start]!)) return other("no method");
		return hasBareLineFeed(bytes, start) ? other("bare LF") : INCOMPLETE;
	}
	const text = bytes.toString("latin1", start, blank + 2);

	let at = start;
	while (isToken(bytes[at]!)) at++;
	if (bytes[at] !== SP || at - start > LONGEST_METHOD) return other("method");
	const method = text.slice(0, at - start);
	if (!METHODS.has(method)) return other("method");
	const targetStart = ++at;
	if (bytes[at] !== SLASH) return other("target not in origin form");
	while (isTarget(bytes[at]!)) at++;
	if (bytes[at] !== SP) return other("invalid target");
	const target = text.slice(targetStart - start, at - start);
	if (!text.startsWith(VERSION, at + 1 - start)) return other("not HTTP/1.1");

	const all: string[] = [];
	const fault = readFields(bytes, text, start, at + 1 + VERSION.length, blank + 2, all);
	if (fault !== undefined) return other(fault);
	return framed(method, target, all, blank + 4);
}

/** A head with bare line feeds may never have the end that is waited for here. */
function hasBareLineFeed(bytes: Buffer, start: number): boolean {
	for (let at = bytes.indexOf(LF, start); at >= 0; at = bytes.indexOf(LF, at + 1)) {
		if (at === start || bytes[at - 1] !== CR) return true;
	}
	return false;
}

function framed(method: string, target: string, all: string[], endOffset: number): RequestHeadResult {
	let host: string | undefined;
	let contentLength = -1;
	let keepAlive = true;
	let kept = 0;
	for (let i = 0; i < all.length; i += 2) {
		const name = all[i]!;
		const value = all[i + 1]!;
		// The names that matter have lengths of their own, so that most fields cost one comparison of numbers.
		switch (name.length) {
			case 2:
				if (name.toLowerCase() === "te") return other("TE");
				break;
			case 4:
				if (name.toLowerCase() !== "host") break;
				if (host !== undefined) return other("two Host fields");
				host = value;
				break;
			case 6:
				if (name.toLowerCase() === "expect") return other("Expect");
				break;
			case 7: {
				const lower = name.toLowerCase();
				if (lower === "upgrade") return other("Upgrade");
				if (lower === "trailer") return other("Trailer");
				break;
			}
			case 10: {
				const lower = name.toLowerCase();
				if (lower === "keep-alive") continue;
				if (lower !== "connection") break;
				const option = value.toLowerCase();
				if (option !== "keep-alive" && option !== "close") return other("Connection names other fields");
				if (option === "close") keepAlive = false;
				continue;
			}
			case 14:
				if (name.toLowerCase() !== "content-length") break;
				if (contentLength >= 0) return other("two Content-Length fields");
				contentLength = readLength(value);
				if (contentLength < 0) return other("invalid Content-Length");
				break;
			case 16:
				if (name.toLowerCase() === "proxy-connection") return other("Proxy-Connection");
				break;
			case 17:
				if (name.toLowerCase() === "transfer-encoding") return other("Transfer-Encoding");
				break;
		}
		all[kept++] = name;
		all[kept++] = value;
	}
	if (host === undefined) return other("no Host field");
	all.length = kept;
	return {
		kind: "plain",
		method,
		target,
		host,
		fields: all,
		contentLength: Math.max(0, contentLength),
		hasContentLength: contentLength >= 0,
		keepAlive,
		endOffset,
	};
}

function other(reason: string): RequestHeadResult {
	return { kind: "other", reason };
}
