/**
 * Whether a trace that was read back is the one that was written: every span once, every field as it was. Pure.
 *
 * Batches may come back grouped in another way, and fields with their default value may be absent (proto3); nothing else may differ.
 */
import type { OtlpTracesData } from "../../model/otlp/types.ts";

/** Members of AnyValue's oneof: their presence means something even where the value is a default. */
const ONEOF = new Set(["stringValue", "boolValue", "intValue", "doubleValue", "bytesValue", "arrayValue", "kvlistValue"]);
const MAX_DIFFERENCES = 10;

/** What differs, one sentence each, at most ten; empty when the two are the same. */
export function compareTraces(written: readonly OtlpTracesData[], answer: OtlpTracesData): string[] {
	const expected = spansById(written);
	const found = spansById([answer]);
	const differences: string[] = [];
	for (const [id, texts] of expected) {
		const other = found.get(id);
		if (other === undefined) differences.push(`span ${id} is missing`);
		else if (other.length !== texts.length)
			differences.push(`span ${id} came back ${other.length} times, was written ${times(texts.length)}`);
		else if (other.join("\n") !== texts.join("\n"))
			differences.push(`span ${id} differs: ${firstDifference(texts.join("\n"), other.join("\n"))}`);
	}
	for (const id of found.keys()) if (!expected.has(id)) differences.push(`span ${id} was never written`);
	return differences.slice(0, MAX_DIFFERENCES);
}

/** By span ID: each span with its resource and scope as canonical text. */
function spansById(parts: readonly OtlpTracesData[]): Map<string, string[]> {
	const spans = new Map<string, string[]>();
	for (const part of parts) {
		for (const group of part.resourceSpans ?? []) {
			for (const scoped of group.scopeSpans ?? []) {
				for (const span of scoped.spans ?? []) {
					const id = (span.spanId ?? "").toLowerCase();
					const whole = {
						span,
						resource: group.resource,
						resourceUrl: group.schemaUrl,
						scope: scoped.scope,
						scopeUrl: scoped.schemaUrl,
					};
					const texts = spans.get(id);
					const text = JSON.stringify(canonical(whole));
					if (texts === undefined) spans.set(id, [text]);
					else texts.push(text);
				}
			}
		}
	}
	for (const texts of spans.values()) texts.sort();
	return spans;
}

function canonical(value: unknown): unknown {
	if (Array.isArray(value)) return value.map(canonical);
	if (typeof value !== "object" || value === null) return value;
	const entries: [string, unknown][] = [];
	for (const [key, inner] of Object.entries(value)) {
		if (ONEOF.has(key)) entries.push([key, key === "intValue" ? String(inner) : canonical(inner)]);
		else if (!isDefault(canonical(inner))) entries.push([key, canonical(inner)]);
	}
	return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function isDefault(value: unknown): boolean {
	if (value === undefined || value === "" || value === 0 || value === "0" || value === false) return true;
	return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function firstDifference(expected: string, found: string): string {
	let at = 0;
	while (at < expected.length && expected[at] === found[at]) at++;
	const from = Math.max(0, at - 30);
	return `expected …${expected.slice(from, at + 50)}…, found …${found.slice(from, at + 50)}…`;
}

function times(count: number): string {
	return count === 1 ? "once" : `${count} times`;
}
