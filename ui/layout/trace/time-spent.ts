/** The time of a trace by service and operation: what each waited for itself, and what of it the trace's end waited for. */
import { selfTimes } from "./call-tree.ts";
import type { CriticalPath } from "./critical-path.ts";
import type { Waterfall } from "../waterfall.ts";

export interface TimeSpent {
	readonly service: string;
	readonly operation: string;
	readonly spans: number;
	readonly failed: number;
	/** On the critical path. */
	readonly pathNs: number;
	/** In which no child ran. */
	readonly selfNs: number;
	/** Of the spans themselves; those inside each other count several times. */
	readonly totalNs: number;
	/** The row with the longest time on the path, else the first: where to look. */
	readonly row: number;
}

/** Most on the critical path first. */
export function timeSpent(waterfall: Waterfall, { ownNs }: CriticalPath): readonly TimeSpent[] {
	const selfNs = selfTimes(waterfall);
	const byName = new Map<string, { -readonly [K in keyof TimeSpent]: TimeSpent[K] }>();
	for (let row = 0; row < waterfall.count; row++) {
		const operation = waterfall.spans[row]!.name ?? "";
		const key = `${waterfall.service[row]!} ${operation}`;
		let sum = byName.get(key);
		if (sum === undefined) {
			const service = waterfall.services[waterfall.service[row]!]!;
			sum = { service, operation, spans: 0, failed: 0, pathNs: 0, selfNs: 0, totalNs: 0, row };
			byName.set(key, sum);
		}
		sum.spans++;
		sum.failed += waterfall.failed[row]!;
		sum.pathNs += ownNs[row]!;
		sum.selfNs += selfNs[row]!;
		sum.totalNs += waterfall.lengthNs[row]!;
		if (ownNs[row]! > ownNs[sum.row]!) sum.row = row;
	}
	return [...byName.values()].sort((a, b) => b.pathNs - a.pathNs || b.selfNs - a.selfNs);
}
