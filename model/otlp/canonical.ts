/**
 * Attributes as one text that is equal exactly when they are: keys sorted, each value with its OTLP type. It identifies metric
 * series, and is stored with them.
 */
import { plainValue } from "./any-value.ts";
import type { OtlpAnyValue, OtlpKeyValue, OtlpScope, PlainValue } from "./types.ts";

/** A JSON object from key to AnyValue; of equal keys the last wins. */
export function canonicalAttributes(attributes: readonly OtlpKeyValue[] | undefined): string {
	if (attributes === undefined || attributes.length === 0) return "{}";
	const values = new Map<string, OtlpAnyValue>();
	for (const { key = "", value = {} } of attributes) values.set(key, value);
	const parts: string[] = [];
	for (const key of [...values.keys()].sort()) parts.push(`${JSON.stringify(key)}:${canonicalValue(values.get(key)!)}`);
	return `{${parts.join(",")}}`;
}

export function canonicalScope(scope: OtlpScope): string {
	return `{"name":${JSON.stringify(scope.name ?? "")},"version":${JSON.stringify(scope.version ?? "")},"attributes":${canonicalAttributes(scope.attributes)}}`;
}

function canonicalValue(value: OtlpAnyValue): string {
	if (value.arrayValue !== undefined) {
		const values = value.arrayValue.values ?? [];
		return `{"arrayValue":{"values":[${values.map(canonicalValue).join(",")}]}}`;
	}
	if (value.kvlistValue !== undefined) {
		const pairs = (value.kvlistValue.values ?? []).map(
			(pair) => `{"key":${JSON.stringify(pair.key ?? "")},"value":${canonicalValue(pair.value ?? {})}}`,
		);
		return `{"kvlistValue":{"values":[${pairs.sort().join(",")}]}}`;
	}
	return JSON.stringify(value);
}

/** Reads what {@link canonicalAttributes} wrote. */
export function attributesFromCanonical(text: string): OtlpKeyValue[] {
	return Object.entries(JSON.parse(text) as Record<string, OtlpAnyValue>).map(([key, value]) => ({ key, value }));
}

/** As {@link attributesFromCanonical}, as plain values in a record without prototype. */
export function plainFromCanonical(text: string): Record<string, PlainValue> {
	const plain = Object.create(null) as Record<string, PlainValue>;
	for (const [key, value] of Object.entries(JSON.parse(text) as Record<string, OtlpAnyValue>)) plain[key] = plainValue(value);
	return plain;
}
