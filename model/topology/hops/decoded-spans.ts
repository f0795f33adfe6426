/**
 * A trace at hand whole, as the hop rules read it: what extraction makes of spans on their way in, made of decoded ones, so that a
 * trace that is looked at says what the graph was counted from.
 */
import { scalarText } from "../../otlp/attribute-match.ts";
import type { OtlpKeyValue, OtlpResource, OtlpScope, OtlpSpan } from "../../otlp/types.ts";
import { normalised, resourceAttributes, spanInputOf, weightOf } from "../sources/attributes.ts";
import { NUMBER_KEYS, REQUEST_ID_KEYS } from "../sources/keys.ts";
import { type FactsBook, type KnownResource, type SpanColumns, TraceHopSpans } from "./span-columns.ts";

export class DecodedSpans extends TraceHopSpans {
	private readonly byResource = new Map<OtlpResource, KnownResource>();

	/** In any order; a span that comes twice counts once. */
	add(span: OtlpSpan, resource: OtlpResource, scope: OtlpScope): void {
		let known = this.byResource.get(resource);
		if (known === undefined)
			this.byResource.set(resource, (known = this.book.resource(resourceAttributes(resource.attributes))));
		addDecodedSpan(this.columns, this.book, span, known, scope);
	}
}

/** Spans of one operation state the same: most of a large trace's facts are in the book already. */
export function addDecodedSpan(
	columns: SpanColumns,
	book: FactsBook,
	span: OtlpSpan,
	resource: KnownResource,
	scope: OtlpScope,
): void {
	const number = book.of(spanInputOf(span, {}, scope, resource.attributes), resource);
	const row = columns.add(book.facts[number]!, number);
	if (row < 0) return;
	const { spanId = "", kind = 0, attributes, startTimeUnixNano = "0", endTimeUnixNano = "0" } = span;
	columns.kinds[row] = kind;
	setId(columns.spanId, row, spanId);
	setId(columns.parentId, row, span.parentSpanId ?? "");
	setRequestId(columns.requestId, row, requestIdOf(attributes));
	columns.startMs[row] = Number(startTimeUnixNano) / 1e6;
	columns.durationNs[row] = Math.max(0, Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)));
	columns.requestBytes[row] = bytesOf(attributes, NUMBER_KEYS.requestBytes);
	columns.responseBytes[row] = bytesOf(attributes, NUMBER_KEYS.responseBytes);
	columns.weight[row] = weightOf(span.traceState ?? "");
}

function setId(into: Uint32Array, row: number, hex: string): void {
	for (const word of [0, 1]) into[row * 2 + word] = hex === "" ? 0 : Number.parseInt(hex.slice(word * 8, word * 8 + 8), 16);
}

function requestIdOf(attributes: readonly OtlpKeyValue[] | undefined): string | undefined {
	const keys: readonly string[] = REQUEST_ID_KEYS;
	const found = attributes?.find(({ key = "" }) => keys.includes(key));
	return normalised(scalarText(found?.value)?.text);
}

/** Two lanes of multiply and rotate; zeros for none. */
export function setRequestId(into: Uint32Array, row: number, text: string | undefined): void {
	let a = 0x9e3779b9;
	let b = 0x85ebca6b;
	for (let i = 0; text !== undefined && i < text.length; i++) {
		a = Math.imul(a ^ text.charCodeAt(i), 0x01000193) ^ (a >>> 15);
		b = Math.imul(b + text.charCodeAt(i), 0x27d4eb2f) ^ (b >>> 13);
	}
	into[row * 2] = text === undefined ? 0 : a >>> 0 || 1;
	into[row * 2 + 1] = text === undefined ? 0 : b >>> 0;
}

function bytesOf(attributes: readonly OtlpKeyValue[] | undefined, keys: readonly string[]): number {
	for (const { key = "", value } of attributes ?? []) {
		if (!keys.includes(key)) continue;
		const bytes = bytesIn(scalarText(value)?.text);
		if (bytes !== undefined) return bytes;
	}
	return 0;
}

/** Undefined where the text is no number of bytes. */
export function bytesIn(text: string | undefined): number | undefined {
	const bytes = Number(text ?? Number.NaN);
	return bytes >= 0 && bytes < Infinity ? bytes : undefined;
}
