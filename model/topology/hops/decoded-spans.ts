/**
 * A trace at hand whole, as the hop rules read it: what extraction makes of spans on their way in, made of decoded ones, so that a
 * trace that is looked at says what the graph was counted from.
 */
import { scalarText } from "../../otlp/attribute-match.ts";
import type { OtlpKeyValue, OtlpResource, OtlpScope, OtlpSpan } from "../../otlp/types.ts";
import type { Attributes, SpanFacts } from "../facts.ts";
import type { Hop, TraceSpans } from "../hop.ts";
import { normalised, resourceAttributes, spanInputOf, weightOf } from "../sources/attributes.ts";
import { NUMBER_KEYS, REQUEST_ID_KEYS, type ResourceKey } from "../sources/keys.ts";
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

interface KnownResource {
	readonly attributes: Attributes<ResourceKey>;
	/** By what else there is to a span's input. */
	readonly facts: Map<string, SpanFacts>;
}

export class DecodedSpans {
	/** Spans beyond {@link MAX_SPANS_OF_HOPS}, which were not taken. */
	left = 0;
	private readonly refs: SpanRef[] = [];
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

	/** In any order; a span that comes twice counts once. */
	add(span: OtlpSpan, resource: OtlpResource, scope: OtlpScope): void {
		if (this.refs.length >= MAX_SPANS_OF_HOPS) {
			this.left++;
			return;
		}
		const facts = this.factsOf(span, resource, scope);
		if (facts.ignored !== undefined) return;
		const { spanId = "", kind = 0, attributes, startTimeUnixNano = "0", endTimeUnixNano = "0" } = span;
		this.refs.push({ spanId, kind });
		this.facts.push(facts);
		pushId(this.spanId, spanId);
		pushId(this.parentId, span.parentSpanId ?? "");
		pushHash(this.requestId, requestIdOf(attributes));
		this.startMs.push(Number(startTimeUnixNano) / 1e6);
		this.durationNs.push(Math.max(0, Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano))));
		this.requestBytes.push(bytesOf(attributes, NUMBER_KEYS.requestBytes));
		this.responseBytes.push(bytesOf(attributes, NUMBER_KEYS.responseBytes));
		this.weight.push(weightOf(span.traceState ?? ""));
	}

	/** Spans of one operation state the same: most of a large trace's facts are there already. */
	private factsOf(span: OtlpSpan, resource: OtlpResource, scope: OtlpScope): SpanFacts {
		let known = this.byResource.get(resource);
		if (known === undefined)
			this.byResource.set(resource, (known = { attributes: resourceAttributes(resource.attributes), facts: new Map() }));
		const input = spanInputOf(span, resource, scope, known.attributes);
		let key = `${input.kind} ${input.status} ${input.name}\u0000${input.scope}`;
		for (const [name, value] of input.attributes) key += `\u0000${name}\u0000${value}`;
		let facts = known.facts.get(key);
		if (facts === undefined) known.facts.set(key, (facts = spanFacts(input)));
		return facts;
	}

	/** Every hop that the spans state, also those whose other half may still come. */
	hops(): readonly Hop[] {
		const spans: TraceSpans = {
			count: this.refs.length,
			spanId: Uint32Array.from(this.spanId),
			parentId: Uint32Array.from(this.parentId),
			startMs: Float64Array.from(this.startMs),
			durationNs: Float64Array.from(this.durationNs),
			requestId: Uint32Array.from(this.requestId),
			requestBytes: Float64Array.from(this.requestBytes),
			responseBytes: Float64Array.from(this.responseBytes),
			weight: Float64Array.from(this.weight),
			facts: this.facts,
		};
		return new HopFinder(new HopShapes()).find(spans, Infinity).hops;
	}

	/** Undefined for no row. */
	refOf(row: number): SpanRef | undefined {
		return this.refs[row];
	}
}

function pushId(into: number[], hex: string): void {
	for (const at of [0, 8]) into.push(hex === "" ? 0 : Number.parseInt(hex.slice(at, at + 8), 16));
}

function requestIdOf(attributes: readonly OtlpKeyValue[] | undefined): string | undefined {
	const keys: readonly string[] = REQUEST_ID_KEYS;
	const found = attributes?.find(({ key = "" }) => keys.includes(key));
	return normalised(scalarText(found?.value)?.text);
}

/** Two lanes of multiply and rotate; zeros for none. */
function pushHash(into: number[], text: string | undefined): void {
	let a = 0x9e3779b9;
	let b = 0x85ebca6b;
	for (let i = 0; text !== undefined && i < text.length; i++) {
		a = Math.imul(a ^ text.charCodeAt(i), 0x01000193) ^ (a >>> 15);
		b = Math.imul(b + text.charCodeAt(i), 0x27d4eb2f) ^ (b >>> 13);
	}
	into.push(text === undefined ? 0 : a >>> 0 || 1, text === undefined ? 0 : b >>> 0);
}

function bytesOf(attributes: readonly OtlpKeyValue[] | undefined, keys: readonly string[]): number {
	for (const { key = "", value } of attributes ?? []) {
		if (!keys.includes(key)) continue;
		const bytes = Number(scalarText(value)?.text ?? Number.NaN);
		if (bytes >= 0 && bytes < Infinity) return bytes;
	}
	return 0;
}
