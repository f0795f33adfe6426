/** A stand-in for the roll-ups' encoding: pairs of series and value, added up. Engines know nothing of either. */
import type { RollupBucket } from "../topology.ts";

export function encodeSums(sums: Readonly<Record<number, number>>): Uint8Array {
	const pairs = Object.entries(sums).flatMap(([series, value]) => [Number(series), value]);
	return new Uint8Array(Float64Array.from(pairs).buffer);
}

export function joinSums(datas: readonly Uint8Array[]): Uint8Array {
	return encodeSums(addUp(datas));
}

/** What a bucket's deltas say together. */
export function addUp(datas: RollupBucket["data"]): Record<number, number> {
	const total: Record<number, number> = {};
	for (const data of datas) {
		const pairs = new Float64Array(data.slice().buffer);
		for (let i = 0; i < pairs.length; i += 2) total[pairs[i]!] = (total[pairs[i]!] ?? 0) + pairs[i + 1]!;
	}
	return total;
}
