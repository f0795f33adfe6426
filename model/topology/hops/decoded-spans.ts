/**
 * A trace at hand whole, as the hop rules read it: what extraction makes of spans on their way in, made of decoded ones, so that a
 * trace that is looked at says what the graph was counted from.
 */
import { scalarText } from "../../otlp/attribute-match.ts";
import type { OtlpKeyValue, OtlpResource, OtlpScope, OtlpSpan } from "../../otlp/types.ts";
import type { Attributes, SpanFacts } from "../facts.ts";
import type { Hop, TraceSpans } from "../hop.ts";
import { isSpanKey, normalised, resourceAttributes, spanAttributes, spanInputOf, weightOf } from "../sources/attributes.ts";
import { NUMBER_KEYS, reducedName, REQUEST_ID_KEYS, type ResourceKey } from "../sources/keys.ts";
import { spanFacts } from "../sources/span-facts.ts";
import { HopShapes } from "./hop-shape.ts";
import { HopFinder } from "./trace-hops.ts";

/** As many as the topology stage takes of one trace: what it never saw is in no edge. */
export const MAX_SPANS_OF_HOPS = 100_000;

export interface SpanRef {
	/** 16 lower-case hex digits. */
	readonly spanId: string;
	readonly kind: number;
}

/** What the rules read of one attribute, for spans of one kind. */
export interface AttributeReading {
	/** Equal for attributes that add the same to a span's facts, and 0 for what adds nothing. */
	readonly token: number;
	/** Where it is a request id: two words of its hash. */
	readonly requestId: HashWords | undefined;
	/** -1 where it states none. */
	readonly requestBytes: number;
	readonly responseBytes: number;
}

export type HashWords = readonly [number, number];

/** A span whose facts are known, as a store's columns hold it. */
export interface ReadSpan {
	/** As in {@link SpanRef}. */
	readonly id: string;
	readonly kind: number;
	readonly spanId: HashWords;
	/** Zeros for none. */
	readonly parentId: HashWords;
	readonly startMs: number;
	readonly durationNs: number;
	/** Zeros for none. */
	readonly requestId: HashWords;
	readonly requestBytes: number;
	readonly responseBytes: number;
	readonly traceState: string;
}

interface KnownResource {
	readonly attributes: Attributes<ResourceKey>;
	/** By what else there is to a span's input. */
	readonly facts: Map<string, SpanFacts>;
	readonly byTokens: Map<string, SpanFacts>;
}

export class DecodedSpans {
	/** Spans beyond {@link MAX_SPANS_OF_HOPS}, which were not taken. */
	left = 0;
	/** As in {@link SpanRef}, in two lists: half the memory. */
	private readonly ids: string[] = [];
	private readonly kinds: number[] = [];
	private readonly facts: SpanFacts[] = [];
	private readonly byResource = new Map<OtlpResource, KnownResource>();
	/** Two words a span, two times a span, as they stand in TraceSpans. */
	private readonly spanId: number[] = [];
	private readonly parentId: number[] = [];
	private readonly requestId: number[] = [];
	private readonly startMs: number[] = [];
	private readonly durationNs: number[] = [];
	private readonly requestBytes: number[] = [];
	private readonly responseBytes: number[] = [];
	private readonly weight: number[] = [];
	private readonly tokens = new Map<string, number>();

	/** In any order; a span that comes twice counts once. */
	add(span: OtlpSpan, resource: OtlpResource, scope: OtlpScope): void {
		const { spanId = "", kind = 0, attributes, startTimeUnixNano = "0", endTimeUnixNano = "0" } = span;
		const read = {
			id: spanId,
			kind,
			spanId: idWords(spanId),
			parentId: idWords(span.parentSpanId ?? ""),
			startMs: Number(startTimeUnixNano) / 1e6,
			durationNs: Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)),
			requestId: hashOf(requestIdOf(attributes)),
			requestBytes: bytesOf(attributes, NUMBER_KEYS.requestBytes),
			responseBytes: bytesOf(attributes, NUMBER_KEYS.responseBytes),
			traceState: span.traceState ?? "",
		};
		this.addRead(read, this.factsOf(span, resource, scope));
	}

	/** As {@link add}. @param facts as {@link factsOf} */
	addRead(span: ReadSpan, facts: SpanFacts): void {
		if (this.ids.length >= MAX_SPANS_OF_HOPS) {
			this.left++;
			return;
		}
		if (facts.ignored !== undefined) return;
		this.ids.push(span.id);
		this.kinds.push(span.kind);
		this.facts.push(facts);
		this.spanId.push(span.spanId[0], span.spanId[1]);
		this.parentId.push(span.parentId[0], span.parentId[1]);
		this.requestId.push(span.requestId[0], span.requestId[1]);
		this.startMs.push(span.startMs);
		this.durationNs.push(Math.max(0, span.durationNs));
		this.requestBytes.push(span.requestBytes);
		this.responseBytes.push(span.responseBytes);
		this.weight.push(span.traceState === "" ? 0 : weightOf(span.traceState));
	}

	/** Spans of one class whose attributes have the same tokens, in the same order, state the same facts. */
	readAttribute(attribute: OtlpKeyValue, kind: number): AttributeReading {
		const { key = "" } = attribute;
		const isRequestId = (REQUEST_ID_KEYS as readonly string[]).includes(key);
		return {
			token: this.tokenOf(attribute, kind),
			requestId: isRequestId ? hashOf(requestIdOf([attribute])) : undefined,
			requestBytes: statedBytes(attribute, NUMBER_KEYS.requestBytes) ?? -1,
			responseBytes: statedBytes(attribute, NUMBER_KEYS.responseBytes) ?? -1,
		};
	}

	private tokenOf(attribute: OtlpKeyValue, kind: number): number {
		const { key = "" } = attribute;
		if (!isSpanKey(key)) return 0;
		// What rule 0 takes away still takes back an earlier value of the key.
		const text = `${key}\u0000${spanAttributes([attribute], kind).get(key) ?? ""}`;
		let token = this.tokens.get(text);
		if (token === undefined) this.tokens.set(text, (token = this.tokens.size + 1));
		return token;
	}

	/** Spans of one operation state the same: most of a large trace's facts are there already. */
	factsOf(span: OtlpSpan, resource: OtlpResource, scope: OtlpScope): SpanFacts {
		const known = this.known(resource);
		const input = spanInputOf(span, resource, scope, known.attributes);
		let key = `${input.kind} ${input.status} ${input.name}\u0000${input.scope}`;
		for (const [name, value] of input.attributes) key += `\u0000${name}\u0000${value}`;
		let facts = known.facts.get(key);
		if (facts === undefined) known.facts.set(key, (facts = spanFacts(input)));
		return facts;
	}

	/**
	 * As {@link factsOf}, mostly without decoding the span.
	 * @param tokens of its attributes, in order @param decode the span
	 */
	factsByTokens(
		{ kind, statusCode, name }: { readonly kind: number; readonly statusCode: number; readonly name: string },
		tokens: readonly number[],
		resource: OtlpResource,
		scope: OtlpScope,
		decode: () => OtlpSpan,
	): SpanFacts {
		const { byTokens } = this.known(resource);
		const key = `${kind} ${statusCode} ${tokens.join(" ")}\u0000${reducedName(name)}\u0000${scope.name ?? ""}`;
		let facts = byTokens.get(key);
		if (facts === undefined) byTokens.set(key, (facts = this.factsOf(decode(), resource, scope)));
		return facts;
	}

	private known(resource: OtlpResource): KnownResource {
		let known = this.byResource.get(resource);
		if (known === undefined) {
			known = { attributes: resourceAttributes(resource.attributes), facts: new Map(), byTokens: new Map() };
			this.byResource.set(resource, known);
		}
		return known;
	}

	/** Every hop that the spans state, also those whose other half may still come. */
	hops(): readonly Hop[] {
		const spans: TraceSpans = {
			count: this.ids.length,
			spanId: new Uint32Array(this.spanId),
			parentId: new Uint32Array(this.parentId),
			startMs: new Float64Array(this.startMs),
			durationNs: new Float64Array(this.durationNs),
			requestId: new Uint32Array(this.requestId),
			requestBytes: new Float64Array(this.requestBytes),
			responseBytes: new Float64Array(this.responseBytes),
			weight: new Float64Array(this.weight),
			facts: this.facts,
		};
		return new HopFinder(new HopShapes()).find(spans, Infinity).hops;
	}

	/** Undefined for no row. */
	refOf(row: number): SpanRef | undefined {
		const spanId = this.ids[row];
		return spanId === undefined ? undefined : { spanId, kind: this.kinds[row]! };
	}
}

function idWords(hex: string): HashWords {
	return hex === "" ? NO_WORDS : [Number.parseInt(hex.slice(0, 8), 16), Number.parseInt(hex.slice(8, 16), 16)];
}

const NO_WORDS: HashWords = [0, 0];

function requestIdOf(attributes: readonly OtlpKeyValue[] | undefined): string | undefined {
	const keys: readonly string[] = REQUEST_ID_KEYS;
	const found = attributes?.find(({ key = "" }) => keys.includes(key));
	return normalised(scalarText(found?.value)?.text);
}

/** Two lanes of multiply and rotate; zeros for none. */
function hashOf(text: string | undefined): HashWords {
	if (text === undefined) return NO_WORDS;
	let a = 0x9e3779b9;
	let b = 0x85ebca6b;
	for (let i = 0; i < text.length; i++) {
		a = Math.imul(a ^ text.charCodeAt(i), 0x01000193) ^ (a >>> 15);
		b = Math.imul(b + text.charCodeAt(i), 0x27d4eb2f) ^ (b >>> 13);
	}
	return [a >>> 0 || 1, b >>> 0];
}

function bytesOf(attributes: readonly OtlpKeyValue[] | undefined, keys: readonly string[]): number {
	for (const attribute of attributes ?? []) {
		const bytes = statedBytes(attribute, keys);
		if (bytes !== undefined) return bytes;
	}
	return 0;
}

function statedBytes({ key = "", value }: OtlpKeyValue, keys: readonly string[]): number | undefined {
	if (!keys.includes(key)) return undefined;
	const bytes = Number(scalarText(value)?.text ?? Number.NaN);
	return bytes >= 0 && bytes < Infinity ? bytes : undefined;
}
