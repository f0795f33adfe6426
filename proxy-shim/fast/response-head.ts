/**
 * The head of an upstream's HTTP/1.x response and how its body ends. What cannot be framed in one way only is a fault of the upstream:
 * the caller gets a 502 and the connection is not used again.
 */
import { readFields, readLength } from "./fields.ts";
import { isDigit, isValue } from "./octets.ts";
import { MAX_HEAD_BYTES } from "./request-head.ts";

export type BodyFraming =
	| { readonly kind: "none" }
	| { readonly kind: "length"; readonly bytes: number }
	| { readonly kind: "chunked" }
	/** Until the upstream closes. */
	| { readonly kind: "close" };

export interface ResponseHead {
	readonly kind: "head";
	readonly status: number;
	readonly reason: string;
	/** `name, value, …` without the hop-by-hop ones; Content-Length and Transfer-Encoding are kept as they came. */
	readonly fields: string[];
	readonly framing: BodyFraming;
	/** The connection may be used again once the body has ended. */
	readonly reusable: boolean;
	/** How long the upstream keeps the connection after this, as it says itself; undefined where it does not say. */
	readonly keepAliveSeconds: number | undefined;
	readonly endOffset: number;
}

export type ResponseHeadResult =
	| ResponseHead
	| { readonly kind: "incomplete" }
	| { readonly kind: "bad"; readonly reason: string };

const INCOMPLETE: ResponseHeadResult = { kind: "incomplete" };
const NONE: BodyFraming = { kind: "none" };
const CHUNKED: BodyFraming = { kind: "chunked" };
const UNTIL_CLOSE: BodyFraming = { kind: "close" };
const CR = 0x0d;
const SP = 0x20;
const STATUS_LINE_BYTES = "HTTP/1.1 200".length;

/** Reads the head that begins at `start`; `toHead` says that the request was a HEAD, whose answer has no body. */
export function readResponseHead(bytes: Buffer, start: number, toHead: boolean): ResponseHeadResult {
	const blank = bytes.indexOf("\r\n\r\n", start, "latin1");
	if (blank < 0 || blank + 4 - start > MAX_HEAD_BYTES) {
		return bytes.length - start > MAX_HEAD_BYTES ? bad("head of more than 16 KiB") : INCOMPLETE;
	}
	const text = bytes.toString("latin1", start, blank + 2);
	const minor = text.startsWith("HTTP/1.1 ") ? 1 : text.startsWith("HTTP/1.0 ") ? 0 : -1;
	if (minor < 0) return bad("not HTTP/1.x");
	let at = start + STATUS_LINE_BYTES;
	if (!isDigit(bytes[at - 3]!) || !isDigit(bytes[at - 2]!) || !isDigit(bytes[at - 1]!)) return bad("invalid status");
	const status = Number(text.slice(STATUS_LINE_BYTES - 3, STATUS_LINE_BYTES));
	if (status < 100) return bad("invalid status");
	if (bytes[at] !== SP && bytes[at] !== CR) return bad("invalid status");
	if (bytes[at] === SP) at++;
	const reasonStart = at;
	while (isValue(bytes[at]!)) at++;
	if (bytes[at] !== CR || bytes[at + 1] !== 0x0a) return bad("invalid reason phrase");
	const reason = text.slice(reasonStart - start, at - start);

	const all: string[] = [];
	const fault = readFields(bytes, text, start, at + 2, blank + 2, all);
	if (fault !== undefined) return bad(fault);
	return framed(status, reason, minor, all, toHead, blank + 4);
}

function framed(
	status: number,
	reason: string,
	minor: number,
	all: string[],
	toHead: boolean,
	endOffset: number,
): ResponseHeadResult {
	let length = -1;
	let chunked = false;
	let persistent = minor === 1;
	let keepAliveSeconds: number | undefined;
	/** Fields that Connection names, which end at this hop. */
	let named: readonly string[] = [];
	let kept = 0;
	for (let i = 0; i < all.length; i += 2) {
		const name = all[i]!;
		const value = all[i + 1]!;
		switch (name.length) {
			case 10: {
				const lower = name.toLowerCase();
				if (lower === "keep-alive") {
					const seconds = /(?:^|[,;\s])timeout=(\d{1,6})/i.exec(value)?.[1];
					if (seconds !== undefined) keepAliveSeconds = Number(seconds);
					continue;
				}
				if (lower !== "connection") break;
				const options = value.toLowerCase().split(/[ \t]*,[ \t]*/);
				if (options.includes("close")) persistent = false;
				else if (options.includes("keep-alive")) persistent = true;
				named = named.concat(options.filter((option) => option !== "close" && option !== "keep-alive"));
				continue;
			}
			case 14: {
				if (name.toLowerCase() !== "content-length") break;
				if (length >= 0) return bad("two Content-Length fields");
				length = readLength(value);
				if (length < 0) return bad("invalid Content-Length");
				break;
			}
			case 16:
				if (name.toLowerCase() === "proxy-connection") continue;
				break;
			case 17:
				if (name.toLowerCase() !== "transfer-encoding") break;
				if (chunked || value.toLowerCase() !== "chunked") return bad("Transfer-Encoding other than chunked");
				chunked = true;
				break;
			case 7:
				if (name.toLowerCase() === "upgrade") continue;
				break;
		}
		all[kept++] = name;
		all[kept++] = value;
	}
	all.length = kept;
	if (chunked && length >= 0) return bad("Content-Length beside Transfer-Encoding");
	if (chunked && minor === 0) return bad("Transfer-Encoding in HTTP/1.0");
	if (named.length > 0) removeNamed(all, named);
	const bodiless = toHead || status < 200 || status === 204 || status === 304;
	const framing: BodyFraming = bodiless
		? NONE
		: chunked
			? CHUNKED
			: length >= 0
				? { kind: "length", bytes: length }
				: UNTIL_CLOSE;
	const reusable = persistent && framing.kind !== "close";
	return { kind: "head", status, reason, fields: all, framing, reusable, keepAliveSeconds, endOffset };
}

function removeNamed(fields: string[], named: readonly string[]): void {
	let kept = 0;
	for (let i = 0; i < fields.length; i += 2) {
		const lower = fields[i]!.toLowerCase();
		// A sender cannot make the framing go away by naming it.
		if (named.includes(lower) && lower !== "content-length" && lower !== "transfer-encoding") continue;
		fields[kept++] = fields[i]!;
		fields[kept++] = fields[i + 1]!;
	}
	fields.length = kept;
}

function bad(reason: string): ResponseHeadResult {
	return { kind: "bad", reason };
}
