/** The time of a trace by service and operation: what each waited for itself, and what of it the trace's end waited for. */
import { selfTimes } from "./call-tree.ts";
import { criticalPath } from "./critical-path.ts";
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
	/** Of the spans themselves; one below another of its operation adds nothing. */
	readonly totalNs: number;
	/** The row with the longest time on the path, else the first: where to look. */
	readonly row: number;
}

type Filling = { -readonly [K in keyof TimeSpent]: TimeSpent[K] };

interface Sum {
	readonly told: Filling;
	/** Its spans around the row at hand. */
	around: number;
}

/** Most on the critical path first. Linear in the spans. */
export function timeSpent(waterfall: Waterfall): readonly TimeSpent[] {
	const { ownNs } = criticalPath(waterfall);
	const selfNs = selfTimes(waterfall);
	const byName = new Map<string, Sum>();
	/** Of the row at hand and all that it is below. */
	const above: Sum[] = [];
	for (let row = 0; row < waterfall.count; row++) {
		const operation = waterfall.spans[row]!.name ?? "";
		const key = `${waterfall.service[row]!} ${operation}`;
		let sum = byName.get(key);
		if (sum === undefined) {
			const service = waterfall.services[waterfall.service[row]!]!;
			const told = { service, operation, spans: 0, failed: 0, pathNs: 0, selfNs: 0, totalNs: 0, row };
			byName.set(key, (sum = { told, around: 0 }));
		}
		const { told } = sum;
		while (above.length > waterfall.depth[row]!) above.pop()!.around--;
		told.spans++;
		told.failed += waterfall.failed[row]!;
		told.pathNs += ownNs[row]!;
		told.selfNs += selfNs[row]!;
		if (sum.around === 0) told.totalNs += waterfall.lengthNs[row]!;
		if (ownNs[row]! > ownNs[told.row]!) told.row = row;
		sum.around++;
		above.push(sum);
	}
	return Array.from(byName.values(), ({ told }) => told).sort((a, b) => b.pathNs - a.pathNs || b.selfNs - a.selfNs);
}
