/** Which row tells of which hop: the caller's where it reported, since a call begins there; else the callee's. */
import type { TraceHop } from "../../../api/contract/traces.ts";
import type { Waterfall } from "../waterfall.ts";

/** Hops by row. Of two hops whose nearest span is the same, the first is told. */
export function hopRows({ spans, count }: Waterfall, hops: readonly TraceHop[]): ReadonlyMap<number, TraceHop> {
	const byRow = new Map<number, TraceHop>();
	if (hops.length === 0) return byRow;
	const rowOf = new Map<string, number>();
	for (let row = count - 1; row >= 0; row--) {
		const id = spans[row]!.spanId;
		if (id !== undefined) rowOf.set(id.toLowerCase(), row);
	}
	for (const hop of hops) {
		const { source, sourceApp, waypoint, destination, destinationApp } = hop.spans;
		const row = [source, sourceApp, waypoint, destination, destinationApp]
			.map((id) => (id === undefined ? undefined : rowOf.get(id)))
			.find((found) => found !== undefined);
		if (row !== undefined && !byRow.has(row)) byRow.set(row, hop);
	}
	return byRow;
}
