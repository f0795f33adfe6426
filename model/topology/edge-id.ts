/** What an edge of a graph is called in links and calls: a hash of what it connects, the same in every window and on every machine. */
import type { GroupBy } from "./endpoint.ts";
import type { Protocol, Unit } from "./series.ts";

/** 16 hex digits over grouping, both node ids, protocol and unit. */
export function edgeId(groupBy: GroupBy, source: string, target: string, protocol: Protocol, unit: Unit): string {
	return hash64([groupBy, source, target, protocol, unit]);
}

/** Two 32-bit lanes of multiply and rotate over the code units, mixed into each other at the end. */
function hash64(parts: readonly string[]): string {
	let a = 0x9e3779b9;
	let b = 0x85ebca6b;
	for (const part of parts) {
		for (let i = 0; i < part.length; i++) {
			const unit = part.charCodeAt(i);
			a = Math.imul(a ^ unit, 0x9e3779b1);
			b = Math.imul(b ^ unit, 0x5f356495);
			a = (a << 13) | (a >>> 19);
			b = (b << 17) | (b >>> 15);
		}
		// No code unit: where a part ends counts, so that ("ab", "c") is not ("a", "bc").
		a = Math.imul(a ^ 0x10000, 0x9e3779b1);
		b = Math.imul(b ^ 0x10000, 0x5f356495);
	}
	const high = avalanche(a ^ (b >>> 15));
	return hex(high) + hex(avalanche(b ^ high));
}

/** Every bit of the input changes half of the output's (the finaliser of MurmurHash3). */
function avalanche(value: number): number {
	let h = value;
	h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
	h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
	return (h ^ (h >>> 16)) >>> 0;
}

function hex(word: number): string {
	return word.toString(16).padStart(8, "0");
}
