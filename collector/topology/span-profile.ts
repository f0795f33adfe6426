/** What extraction reads of spans, and how a profile becomes what source modules ask: the same as for a trace that is at hand whole. */
import type { SpanFacts, SpanInput } from "../../model/topology/facts.ts";
import { normalised, weightOf } from "../../model/topology/sources/attributes.ts";
import {
	ADDRESS_KEYS,
	EXPORT_KEYS,
	HOST_ONLY_KEYS,
	NUMBER_KEYS,
	reducedName,
	reducedValue,
	REQUEST_ID_KEYS,
	RESOURCE_KEYS,
	SPAN_KEYS,
	type SpanKey,
} from "../../model/topology/sources/keys.ts";
import { spanFacts } from "../../model/topology/sources/span-facts.ts";
import { ROLE, type Role, type RoledKey } from "./key-table.ts";
import { RecordExtractor } from "./record-extractor.ts";
import type { Profile } from "./record-rows.ts";

const ROLES: readonly (readonly [Role, readonly string[]])[] = [
	[ROLE.authority, HOST_ONLY_KEYS],
	[ROLE.address, ADDRESS_KEYS],
	[ROLE.path, EXPORT_KEYS],
	[ROLE.requestId, REQUEST_ID_KEYS],
	[ROLE.requestBytes, NUMBER_KEYS.requestBytes],
	[ROLE.responseBytes, NUMBER_KEYS.responseBytes],
];

function roledKeys(): RoledKey[] {
	const roles = new Map<string, Role>(SPAN_KEYS.map((key) => [key, ROLE.text]));
	for (const [role, keys] of ROLES) for (const key of keys) roles.set(key, role);
	return [...roles].map(([key, role]) => ({ key, role }));
}

/** @param firstProfile number of the first profile it tells of */
export function spanExtractor(seed: readonly [number, number], firstProfile: number): RecordExtractor {
	return new RecordExtractor({
		keys: roledKeys(),
		resourceKeys: RESOURCE_KEYS,
		reduce: (key, kind, value) => {
			const text = normalised(value);
			return text === undefined ? undefined : normalised(reducedValue(key as SpanKey, kind, text));
		},
		onlyWithKeys: false,
		keepsName,
		weightOf,
		seed,
		firstProfile,
	});
}

export function factsOfProfile(profile: Profile): SpanFacts {
	return spanFacts(inputOfProfile(profile));
}

function inputOfProfile({ kind, status, name, scope, resource, attributes }: Profile): SpanInput {
	const normal = new Map<string, string>();
	for (const [key, value] of resource) {
		const text = normalised(value);
		if (text === undefined) normal.delete(key);
		else normal.set(key, text);
	}
	return { kind, status, name: reducedName(name), scope, resource: normal, attributes: new Map(attributes) };
}

/** First letters of the names that say what a span is; one in twenty others begins alike and is decoded for nothing. */
const isFirstLetter = new Uint8Array(256);
for (const text of ["kong", "router ", "async ", "egress", "opentelemetry", "/"]) isFirstLetter[text.charCodeAt(0)] = 1;
const PREFIXES = ["kong", "router ", "async ", "egress", "opentelemetry.", "/opentelemetry.", "/v1/", "/otlp/", "/api/v2/"].map(
	(text) => Uint8Array.from(text, (char) => char.charCodeAt(0)),
);
const decoder = new TextDecoder();

function keepsName(bytes: Uint8Array, start: number, end: number): boolean {
	if (start === end || isFirstLetter[bytes[start]!] === 0) return false;
	const begins = PREFIXES.some((prefix) => hasPrefix(bytes, start, end, prefix));
	return begins && reducedName(decoder.decode(bytes.subarray(start, end))) !== "";
}

function hasPrefix(bytes: Uint8Array, start: number, end: number, prefix: Uint8Array): boolean {
	if (prefix.length > end - start) return false;
	for (let i = 0; i < prefix.length; i++) if (bytes[start + i] !== prefix[i]) return false;
	return true;
}
