/**
 * A span as OTLP JSON text, put together of the texts of its fields: in a store that keeps each distinct field once, a trace of a
 * hundred thousand spans has some thousand of them, and decoding every span anew takes several times as long as copying text.
 *
 * The text is that of `JSON.stringify(decodeSpan(…))` to the byte: members as they stand on the wire, then attributes, events, links.
 */
import { WireReader } from "../protobuf/reader.ts";
import { decodeSpan } from "./decode.ts";
import type { OtlpSpan } from "./types.ts";

/** One top-level field of spans, and what it is in their JSON. */
export interface SpanField {
	/** A member, or an element of the list. */
	readonly text: Uint8Array;
	readonly list: "attributes" | "events" | "links" | undefined;
	/** Of the member's name, a bit of its own; 0 for an element. */
	readonly bit: number;
	/** The field decoded, in a span with nothing else. */
	readonly span: OtlpSpan;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function textBytes(text: string): Uint8Array {
	return encoder.encode(text);
}

const MEMBERS: readonly (keyof OtlpSpan)[] = [
	"name",
	"kind",
	"traceState",
	"droppedAttributesCount",
	"droppedEventsCount",
	"droppedLinksCount",
	"status",
	"flags",
];
const LISTS = ["attributes", "events", "links"] as const;

/**
 * Undefined for bytes that are not one field which stands for itself: unknown ones, default values that take an earlier value back,
 * ids and times, several at once. A span with one of these is to be decoded whole.
 */
export function spanFieldOf(bytes: Uint8Array): SpanField | undefined {
	const reader = new WireReader(bytes);
	if (!reader.next()) return undefined;
	reader.skip();
	if (reader.position !== reader.end) return undefined;
	const span = decodeSpan(bytes, 0, bytes.length);
	for (const list of LISTS) {
		const element = span[list]?.[0];
		if (element === undefined) continue;
		return { text: textBytes(JSON.stringify(element)), list, bit: 0, span };
	}
	const at = MEMBERS.findIndex((name) => span[name] !== undefined);
	return at < 0 ? undefined : { text: textBytes(JSON.stringify(span).slice(1, -1)), list: undefined, bit: 1 << at, span };
}

const INITIAL_BYTES = 4_096;
const NS_A_SECOND = 1_000_000_000;
const COMMA = 0x2c;
const QUOTE = 0x22;
const OPEN = textBytes("{");
const CLOSE = textBytes("}");
const LIST_END = textBytes("]");
const LIST_BEGIN = {
	attributes: textBytes('"attributes":['),
	events: textBytes('"events":['),
	links: textBytes('"links":['),
} as const;

/** Puts one span after the other together, as UTF-8: strings of this length are slower to join and to encode. */
export class SpanText {
	bytes = new Uint8Array(INITIAL_BYTES);
	/** Of the span at hand. */
	length = 0;
	private readonly lists = { attributes: [] as SpanField[], events: [] as SpanField[], links: [] as SpanField[] };
	private isEmpty = true;
	private seen = 0;

	begin(): void {
		this.length = this.seen = 0;
		this.isEmpty = true;
		for (const list of LISTS) if (this.lists[list].length > 0) this.lists[list].length = 0;
		this.raw(OPEN);
	}

	/** False for a member that was there already: of these the last value counts, where the first one stood. */
	field(field: SpanField): boolean {
		if (field.list !== undefined) {
			this.lists[field.list].push(field);
			return true;
		}
		if ((this.seen & field.bit) !== 0) return false;
		this.seen |= field.bit;
		this.member(field.text);
		return true;
	}

	/** @param text `"name":value` */
	member(text: Uint8Array): void {
		this.raw(text, this.isEmpty ? 0 : 1);
		this.isEmpty = false;
	}

	/** @param name `"name":` */
	id(name: Uint8Array, high: number, low: number): void {
		this.member(name);
		this.reserve(18);
		this.bytes[this.length] = QUOTE;
		writeHex(this.bytes, this.length + 1, high);
		writeHex(this.bytes, this.length + 9, low);
		this.bytes[this.length + 17] = QUOTE;
		this.length += 18;
	}

	/** @param name `"name":` */
	time(name: Uint8Array, base: TimeBase, offsetNs: number): void {
		const sum = base.restNs + offsetNs;
		const whole = Math.floor(sum / NS_A_SECOND);
		const seconds = base.seconds + whole;
		if (seconds < 1) {
			// Decimals of nanoseconds would begin with zeros; 0 stands for no time.
			const exact = base.ns + BigInt(offsetNs);
			if (exact !== 0n) this.member(textBytes(`${decoder.decode(name)}"${BigInt.asUintN(64, exact)}"`));
			return;
		}
		this.member(name);
		if (seconds !== this.seconds) {
			this.seconds = seconds;
			this.secondsText = textBytes(`"${seconds}`);
		}
		this.raw(this.secondsText);
		this.reserve(10);
		const { bytes, length } = this;
		let rest = sum - whole * NS_A_SECOND;
		for (let i = 8; i >= 0; i--) {
			const tenth = Math.floor(rest / 10);
			bytes[length + i] = ZERO + rest - tenth * 10;
			rest = tenth;
		}
		bytes[length + 9] = QUOTE;
		this.length += 10;
	}

	private seconds = -1;
	private secondsText = OPEN;

	/** The span is `bytes` up to `length` then, until the next one begins. */
	finish(): void {
		for (const name of LISTS) {
			const list = this.lists[name];
			if (list.length === 0) continue;
			this.member(LIST_BEGIN[name]);
			for (let i = 0; i < list.length; i++) this.raw(list[i]!.text, i === 0 ? 0 : 1);
			this.raw(LIST_END);
		}
		this.raw(CLOSE);
	}

	/** @param commas before it, 0 or 1 */
	private raw(text: Uint8Array, commas = 0): void {
		this.reserve(text.length + commas);
		const { bytes } = this;
		let at = this.length;
		if (commas > 0) bytes[at++] = COMMA;
		// A call into the runtime costs more than copying a short run by hand.
		if (text.length > SHORT_BYTES) bytes.set(text, at);
		else for (let i = 0; i < text.length; i++) bytes[at + i] = text[i]!;
		this.length = at + text.length;
	}

	private reserve(more: number): void {
		if (this.length + more <= this.bytes.length) return;
		const larger = new Uint8Array(Math.max(this.length + more, this.bytes.length * 2));
		larger.set(this.bytes.subarray(0, this.length));
		this.bytes = larger;
	}
}

const SHORT_BYTES = 64;
const ZERO = 0x30;
const DIGITS = textBytes("0123456789abcdef");

function writeHex(bytes: Uint8Array, at: number, word: number): void {
	for (let i = 7, rest = word; i >= 0; i--, rest >>>= 4) bytes[at + i] = DIGITS[rest & 15]!;
}

/** What times are told from: a bigint for each would cost more than all the rest. */
export interface TimeBase {
	readonly ns: bigint;
	readonly seconds: number;
	readonly restNs: number;
}

export function timeBase(ns: bigint): TimeBase {
	return { ns, seconds: Number(ns / BigInt(NS_A_SECOND)), restNs: Number(ns % BigInt(NS_A_SECOND)) };
}
