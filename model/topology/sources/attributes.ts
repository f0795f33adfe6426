/**
 * Attributes of one span as source modules read them: after rule 0 (absent, empty, `-` and `unknown` are the same), reduced to what
 * a profile holds, so that a trace that is annotated alone says what the graph was counted from.
 */
import { scalarText } from "../../otlp/attribute-match.ts";
import type { OtlpAnyValue, OtlpKeyValue, OtlpResource, OtlpScope, OtlpSpan } from "../../otlp/types.ts";
import type { Attributes, SpanInput } from "../facts.ts";
import { RESOURCE_KEYS, type ResourceKey, SPAN_KEYS, type SpanKey, reducedName, reducedValue } from "./keys.ts";

/** Names, identities and lists of them are shorter; what is longer is somebody's mistake and names nothing. */
const MAX_VALUE_CHARACTERS = 4096;

/** Rule 0. */
export function normalised(value: string | undefined): string | undefined {
	if (value === undefined || value.length > MAX_VALUE_CHARACTERS) return undefined;
	const text = value.trim();
	return text === "" || text === "-" || text === "unknown" ? undefined : text;
}

/** A whole number in decimal that is not negative; undefined for anything else. */
export function countOf(text: string | undefined): number | undefined {
	return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

const RESOURCE: ReadonlySet<string> = new Set(RESOURCE_KEYS);
const SPAN: ReadonlySet<string> = new Set(SPAN_KEYS);

export function resourceAttributes(attributes: readonly OtlpKeyValue[] | undefined): ReadonlyMap<ResourceKey, string> {
	return attributesOf<ResourceKey>(attributes, RESOURCE, (_key, value) => value);
}

export function spanAttributes(attributes: readonly OtlpKeyValue[] | undefined, kind: number): ReadonlyMap<SpanKey, string> {
	return attributesOf<SpanKey>(attributes, SPAN, (key, value) => reducedValue(key, kind, value));
}

function attributesOf<Key extends string>(
	attributes: readonly OtlpKeyValue[] | undefined,
	keys: ReadonlySet<string>,
	reduce: (key: Key, value: string) => string | undefined,
): ReadonlyMap<Key, string> {
	const isKey = (key: string): key is Key => keys.has(key);
	const values = new Map<Key, string>();
	for (const { key = "", value } of attributes ?? []) {
		if (!isKey(key)) continue;
		const reduced = reducedText(value, (text) => reduce(key, text));
		// Of equal keys the last one holds, as in everything else that reads attributes.
		if (reduced === undefined) values.delete(key);
		else values.set(key, reduced);
	}
	return values;
}

export function isSpanKey(key: string): key is SpanKey {
	return SPAN.has(key);
}

/** What source modules read of one attribute's value; undefined where it says nothing. */
export function spanText(key: SpanKey, kind: number, value: OtlpAnyValue | undefined): string | undefined {
	return reducedText(value, (text) => reducedValue(key, kind, text));
}

function reducedText(value: OtlpAnyValue | undefined, reduce: (text: string) => string | undefined): string | undefined {
	const text = normalised(scalarText(value)?.text);
	return text === undefined ? undefined : normalised(reduce(text));
}

/**
 * What the source modules are given of a span that is at hand whole.
 *
 * @param ofResource what {@link resourceAttributes} makes of the resource, where it is known already
 */
export function spanInputOf(
	span: OtlpSpan,
	resource: OtlpResource,
	scope: OtlpScope,
	ofResource: Attributes<ResourceKey> = resourceAttributes(resource.attributes),
): SpanInput & { readonly attributes: ReadonlyMap<SpanKey, string> } {
	const kind = span.kind ?? 0;
	return {
		kind,
		name: reducedName(span.name ?? ""),
		status: span.status?.code ?? 0,
		scope: scope.name ?? "",
		resource: ofResource,
		attributes: spanAttributes(span.attributes, kind),
	};
}

/** 2^56: thresholds are fractions of it. */
const THRESHOLD_RANGE = 1n << 56n;
/**
 * Nobody keeps one trace in a million. Any caller may send the header, and what is beyond would drown all other requests of an edge, for
 * good: a sum of doubles that holds 2^56 holds no single request.
 */
const MAX_WEIGHT = 2 ** 20;

/**
 * How many spans one stands for, by the rejection threshold that its sampler wrote into tracestate (`ot=th:c8`); 0 where there is none that can be.
 * Source: OpenTelemetry specification, trace/tracestate-probability-sampling.md: trailing zeros of the 14 hex digits are left out.
 */
export function weightOf(traceState: string): number {
	for (const member of traceState.split(",")) {
		const entry = member.trim();
		if (!entry.startsWith("ot=")) continue;
		const threshold = entry
			.slice(3)
			.split(";")
			.find((field) => field.startsWith("th:"));
		if (threshold === undefined || !/^th:[0-9a-f]{1,14}$/.test(threshold)) return 0;
		const rejected = BigInt(`0x${threshold.slice(3).padEnd(14, "0")}`);
		const weight = Number(THRESHOLD_RANGE) / Number(THRESHOLD_RANGE - rejected);
		return weight > MAX_WEIGHT ? 0 : weight;
	}
	return 0;
}
