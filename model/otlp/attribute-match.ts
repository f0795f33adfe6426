/**
 * What it means for an attribute to match a filter; every engine asks here.
 */
import type { OtlpAnyValue } from "./types.ts";

export type ScalarType = "string" | "int" | "double" | "bool";

export interface ScalarText {
	readonly type: ScalarType;
	readonly text: string;
}

/**
 * The text by which a scalar is searched: strings as they are, integers in decimal, doubles as JavaScript prints them, `true` and
 * `false`. Arrays, maps, bytes and empty values have none and match no filter.
 */
export function scalarText(value: OtlpAnyValue | undefined): ScalarText | undefined {
	if (value === undefined) return undefined;
	if (value.stringValue !== undefined) return { type: "string", text: value.stringValue };
	if (value.intValue !== undefined) return { type: "int", text: value.intValue };
	if (value.doubleValue !== undefined) return { type: "double", text: String(value.doubleValue) };
	if (value.boolValue !== undefined) return { type: "bool", text: value.boolValue ? "true" : "false" };
	return undefined;
}

/** @param type `text` matches the text whatever the type */
export function matchesScalar(scalar: ScalarText | undefined, type: ScalarType | "text", text: string): boolean {
	if (scalar === undefined) return false;
	if (type === "text") return scalar.text === text;
	if (scalar.type !== type) return false;
	return scalar.text === canonicalText(type, text);
}

/** A typed filter's value as {@link scalarText} would write it, so that `int:007` and `double:1e3` find what they mean. */
export function canonicalText(type: ScalarType | "text", text: string): string {
	if (type === "int" && /^[+-]?\d{1,20}$/.test(text)) return BigInt(text.replace("+", "")).toString();
	if (type === "double" && text.trim() !== "" && !Number.isNaN(Number(text))) return String(Number(text));
	return text;
}
