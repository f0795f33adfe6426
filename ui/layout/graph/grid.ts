/** Finds pairs of bodies that are near each other without looking at all pairs: a grid whose cells are as wide as "near". */
import type { Body } from "./bodies.ts";

/** Every pair whose centres lie in the same or in neighbouring cells, once; returns how many that were. */
export function eachNearPair(
	bodies: readonly Body[],
	cellSize: number,
	visit: (a: Body, b: Body, indexOfA: number, indexOfB: number) => void,
): number {
	const cells = new Map<number, number[]>();
	for (const [index, body] of bodies.entries()) {
		const key = cellKey(Math.floor(body.x / cellSize), Math.floor(body.y / cellSize));
		const cell = cells.get(key);
		if (cell === undefined) cells.set(key, [index]);
		else cell.push(index);
	}
	let pairs = 0;
	for (const [index, body] of bodies.entries()) {
		const column = Math.floor(body.x / cellSize);
		const row = Math.floor(body.y / cellSize);
		for (let dx = -1; dx <= 1; dx++) {
			for (let dy = -1; dy <= 1; dy++) {
				for (const other of cells.get(cellKey(column + dx, row + dy)) ?? []) {
					if (other <= index) continue;
					pairs++;
					visit(body, bodies[other]!, index, other);
				}
			}
		}
	}
	return pairs;
}

/** Two cells may share a key only when they are 2^21 cells apart: then a pair is looked at in vain. */
function cellKey(column: number, row: number): number {
	return (column & 0x1fffff) * 0x200000 + (row & 0x1fffff);
}
