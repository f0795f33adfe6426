/**
 * Reads from the columns of a group what topology needs of its access logs. Runs over every log record, so a record without any of the
 * keys that only access logs have is passed over before anything of it is decoded.
 */
import { type RecordColumns, SLOT } from "../../model/columns.ts";
import { decodeKeyValue } from "../../model/otlp/any-value.ts";
import { scalarText } from "../../model/otlp/attribute-match.ts";
import type { OtlpAnyValue, OtlpKeyValue } from "../../model/otlp/types.ts";
import { WireReader } from "../../model/protobuf/reader.ts";
import type { LogFacts } from "../../model/topology/facts.ts";
import { normalised } from "../../model/topology/sources/attributes.ts";
import {
	ACCESS_LOG_KEYS,
	ACCESS_LOG_NUMBERS,
	ACCESS_LOG_RESOURCE_KEYS,
	isAccessLogKey,
	logDurationNs,
	logFacts,
	reducedLogValue,
} from "../../model/topology/sources/access-log.ts";
import { ztunnelAttributes } from "../../model/topology/sources/ztunnel-log.ts";
import { KeyTable, ROLE } from "./key-table.ts";
import { MAX_PROFILES, NUMBER, NUMBERS_A_ROW, type Profile, type RecordRows, WORD, WORDS_A_ROW } from "./record-rows.ts";
import { resourcePairs, scopeName } from "./record-scopes.ts";

type Pair = readonly [string, string];

/** Key-value lists inside key-value lists, as ztunnel's `src` and `dst`. */
const MAX_DEPTH = 3;
const LOG_BODY_TAG = (5 << 3) | 2;

/** Profiles are known by their whole text, some 500 characters; a sender may make it as long as a record. */
const MAX_KNOWN_CHARACTERS = 1 << 24;

export class LogExtractor {
	private nextProfile: number;
	private readonly known = new Map<string, number>();
	/** Of its keys. */
	private knownCharacters = 0;
	private fresh: Profile[] = [];

	/** @param firstProfile number of the first profile it tells of */
	constructor(firstProfile: number) {
		this.nextProfile = firstProfile;
	}

	/** The group's access logs, in their order; undefined when there are none. */
	extract(columns: RecordColumns): RecordRows | undefined {
		this.fresh = [];
		const rows: { readonly record: number; readonly profile: number; readonly numbers: ReadonlyMap<string, string> }[] = [];
		for (let record = 0; record < columns.count; record++) {
			const pairs = accessLogPairs(columns, record);
			if (pairs === undefined) continue;
			const texts: Pair[] = [];
			const numbers = new Map<string, string>();
			for (const [key, value] of pairs) {
				if (ACCESS_LOG_NUMBERS.has(key)) {
					numbers.set(key, value);
					// Whether it is there says what kind of record it is.
					texts.push([key, ""]);
				} else if (ACCESS_LOG_KEYS.has(key)) texts.push([key, reducedLogValue(key, value)]);
			}
			rows.push({ record, profile: this.profileOf(columns, record, texts), numbers });
		}
		if (rows.length === 0) return undefined;
		const words = new Uint32Array(rows.length * WORDS_A_ROW);
		const values = new Float64Array(rows.length * NUMBERS_A_ROW);
		rows.forEach(({ record, profile, numbers }, row) => {
			for (let i = 0; i < 4; i++) words[row * WORDS_A_ROW + WORD.traceId + i] = columns.traceId[record * 4 + i]!;
			words[row * WORDS_A_ROW + WORD.profile] = profile;
			const at = row * NUMBERS_A_ROW;
			values[at + NUMBER.startMs] = (columns.time0[record * 2 + 1]! * 4_294_967_296 + columns.time0[record * 2]!) / 1e6;
			values[at + NUMBER.durationNs] = logDurationNs((key) => numbers.get(key));
			values[at + NUMBER.requestBytes] = bytes(numbers.get("bytes_sent"));
			values[at + NUMBER.responseBytes] = bytes(numbers.get("bytes_received") ?? numbers.get("bytes_recv"));
		});
		return { count: rows.length, words, numbers: values, profiles: this.fresh };
	}

	private profileOf(columns: RecordColumns, record: number, attributes: readonly Pair[]): number {
		const scope = columns.scope[record]!;
		const resource = resourcePairs(columns, columns.scopeResource[scope]!).filter(([key]) =>
			ACCESS_LOG_RESOURCE_KEYS.has(key),
		);
		const text = JSON.stringify([resource, attributes]);
		let id = this.known.get(text);
		if (id !== undefined) return id;
		this.knownCharacters += text.length;
		if (this.known.size >= MAX_PROFILES || this.knownCharacters > MAX_KNOWN_CHARACTERS) {
			this.known.clear();
			this.knownCharacters = text.length;
		}
		id = this.nextProfile++;
		this.known.set(text, id);
		this.fresh.push({ id, kind: 0, status: 0, name: "", scope: scopeName(columns, scope), resource, attributes });
		return id;
	}
}

/** What a profile of {@link LogExtractor} states; undefined where its records make no edge. */
export function factsOfLogProfile({ resource, attributes }: Profile): LogFacts | undefined {
	const ofResource = new Map(resource);
	const ofRecord = new Map(attributes);
	return logFacts({
		resource: { get: (key) => normalised(ofResource.get(key)) },
		attributes: { get: (key) => normalised(ofRecord.get(key)), has: (key) => ofRecord.has(key) },
	});
}

/** Keys at the top of a record that can be an access log's: a marker, or the list that holds one (`src` in `src.addr`). */
const FIRST_KEYS = new KeyTable(
	[...new Set([...ACCESS_LOG_KEYS].filter(isAccessLogKey).flatMap((key) => [key, key.split(".")[0]!]))].map((key) => ({
		key,
		role: ROLE.text,
	})),
);
const BODY_SIGN = Buffer.from("src");

/** Whether the record is worth decoding: told by the bytes of its keys, or by those of a text body. */
function mayBeAccessLog(columns: RecordColumns, record: number): boolean {
	const { bytes, firstField, fieldStart, fieldSlot } = columns;
	for (let f = firstField[record]!, end = firstField[record + 1]! - 1; f < end; f++) {
		const start = fieldStart[f]!;
		if (fieldSlot[f] === SLOT.attribute) {
			const lengthAt = bytes[start + 1]! < 0x80 ? start + 3 : start + 4;
			const keyStart = lengthAt + 1;
			// A pair in an unusual encoding is decoded to see.
			if (bytes[lengthAt - 1] !== 0x0a || bytes[lengthAt]! >= 0x80) return true;
			if (FIRST_KEYS.find(bytes, keyStart, keyStart + bytes[lengthAt]!) >= 0) return true;
		} else if (fieldSlot[f] === SLOT.item && bytes[start] === LOG_BODY_TAG) {
			if (Buffer.from(bytes.buffer, bytes.byteOffset + start, fieldStart[f + 1]! - start).includes(BODY_SIGN)) return true;
		}
	}
	return false;
}

/** The record's attributes with lists laid flat, or those in its body; undefined where it is no access log. */
function accessLogPairs(columns: RecordColumns, record: number): readonly Pair[] | undefined {
	if (!mayBeAccessLog(columns, record)) return undefined;
	const { bytes, firstField, fieldStart, fieldSlot } = columns;
	const pairs: Pair[] = [];
	let body: string | undefined;
	for (let f = firstField[record]!, end = firstField[record + 1]! - 1; f < end; f++) {
		const start = fieldStart[f]!;
		if (fieldSlot[f] === SLOT.attribute) {
			const reader = new WireReader(bytes, start, fieldStart[f + 1]!);
			reader.next();
			const message = reader.message();
			flatten(decodeKeyValue(bytes, message.position, message.end), "", 0, pairs);
		} else if (fieldSlot[f] === SLOT.item && bytes[start] === LOG_BODY_TAG) body = textBody(bytes, start, fieldStart[f + 1]!);
	}
	if (pairs.some(([key]) => isAccessLogKey(key))) return pairs;
	const found = body === undefined ? undefined : ztunnelAttributes(body);
	return found === undefined || ![...found.keys()].some(isAccessLogKey) ? undefined : [...pairs, ...found];
}

function flatten({ key = "", value }: OtlpKeyValue, prefix: string, depth: number, into: Pair[]): void {
	const name = prefix === "" ? key : `${prefix}.${key}`;
	const text = scalarText(value)?.text;
	if (text !== undefined) into.push([name, text]);
	else if (depth < MAX_DEPTH) for (const inner of listOf(value)) flatten(inner, name, depth + 1, into);
}

function listOf(value: OtlpAnyValue | undefined): readonly OtlpKeyValue[] {
	return value?.kvlistValue?.values ?? [];
}

/** LogRecord.body (5) where it is a text. */
function textBody(bytes: Uint8Array, start: number, end: number): string | undefined {
	const reader = new WireReader(bytes, start, end);
	reader.next();
	const value = reader.message();
	return value.next() && value.field === 1 ? value.string() : undefined;
}

function bytes(text: string | undefined): number {
	return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : 0;
}
