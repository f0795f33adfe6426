/** Resources and scopes of a group's columns as text: few beside the records, so they are decoded whole. */
import type { RecordColumns } from "../../model/columns.ts";
import { WireReader } from "../../model/protobuf/reader.ts";
import { pairOf } from "./entry-reader.ts";

/** Attributes of a resource that have a scalar value. ResourceSpans.resource (1) → Resource.attributes (1). */
export function resourcePairs(columns: RecordColumns, resource: number): (readonly [string, string])[] {
	const pairs: (readonly [string, string])[] = [];
	const first = columns.resourceFirstRange[resource]!;
	for (let range = first; range < first + columns.resourceRangeCount[resource]!; range++) {
		const field = new WireReader(columns.bytes, columns.rangeStart[range]!, columns.rangeEnd[range]!);
		if (!field.next() || field.field !== 1) continue;
		const message = field.message();
		while (message.next()) {
			if (message.field !== 1) {
				message.skip();
				continue;
			}
			const attribute = message.message();
			const pair = pairOf(columns.bytes, attribute.position, attribute.end);
			if (pair !== undefined) pairs.push(pair);
		}
	}
	return pairs;
}

/** ScopeSpans.scope (1) → InstrumentationScope.name (1). */
export function scopeName(columns: RecordColumns, scope: number): string {
	return scopeNameReader(columns, scope)?.string() ?? "";
}

/** Stands before the name's content; undefined where there is none. */
export function scopeNameReader(columns: RecordColumns, scope: number): WireReader | undefined {
	const first = columns.scopeFirstRange[scope]!;
	for (let range = first; range < first + columns.scopeRangeCount[scope]!; range++) {
		const field = new WireReader(columns.bytes, columns.rangeStart[range]!, columns.rangeEnd[range]!);
		if (!field.next() || field.field !== 1) continue;
		const message = field.message();
		while (message.next()) {
			if (message.field === 1) return message;
			message.skip();
		}
	}
	return undefined;
}
