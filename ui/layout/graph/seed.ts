/**
 * First places. Callers stand left of whom they call, in columns, so that the forces that follow start from an order people read;
 * what joins a graph that already stands begins beside its neighbours.
 */
import { GAP, hashOf } from "./bodies.ts";
import type { Body, Spring } from "./bodies.ts";

/** Places every body that is not fixed; beside its neighbours where some are fixed. */
export function seed(bodies: readonly Body[], springs: readonly Spring[]): void {
	if (bodies.some((body) => body.fixed)) seedBeside(bodies, springs);
	else seedColumns(bodies, springs);
}

function seedBeside(bodies: readonly Body[], springs: readonly Spring[]): void {
	const placed = bodies.map((body) => body.fixed);
	const standing = bodies.filter((body) => body.fixed);
	const lowest = Math.max(...standing.map((body) => body.y + body.halfHeight));
	const middle = standing.reduce((sum, body) => sum + body.x, 0) / standing.length;
	// Whom a placed one calls is placed in the next round; the last round takes what hangs on nothing.
	for (let round = 0; placed.includes(false); round++) {
		let found = false;
		for (const [index, body] of bodies.entries()) {
			if (placed[index] === true) continue;
			const beside = springs.flatMap(({ from, to }) =>
				to === index && placed[from] === true
					? [{ body: bodies[from]!, side: 1 }]
					: from === index && placed[to] === true
						? [{ body: bodies[to]!, side: -1 }]
						: [],
			);
			if (beside.length === 0 && (found || round === 0)) continue;
			found = true;
			placed[index] = true;
			const jitter = (hashOf(body.id) - 0.5) * GAP * 2;
			if (beside.length === 0) {
				body.x = middle + jitter;
				body.y = lowest + GAP + body.halfHeight;
				continue;
			}
			body.x = mean(beside.map((each) => each.body.x + each.side * (each.body.halfWidth + body.halfWidth + GAP)));
			body.y = mean(beside.map((each) => each.body.y)) + jitter;
		}
		if (!found && round > bodies.length) break;
	}
}

function seedColumns(bodies: readonly Body[], springs: readonly Spring[]): void {
	const columns: number[][] = [];
	for (const [index, depth] of depthsOf(bodies, springs).entries()) (columns[depth] ??= []).push(index);
	// A column may be this many bodies high before it is broken into several.
	const highest = Math.max(4, Math.ceil(Math.sqrt(bodies.length) * 1.3));
	const into = callersOf(bodies.length, springs);
	const joined = new Set(springs.flatMap(({ from, to }) => [from, to]));
	let left = 0;
	for (const column of columns) {
		if (column === undefined) continue;
		const wish = (index: number): number => {
			const callers = into[index]!.filter((from) => !column.includes(from)).map((from) => bodies[from]!.y);
			return callers.length > 0 ? mean(callers) : joined.has(index) ? 0 : 1e6;
		};
		const ordered = column
			.map((index) => ({ index, wish: wish(index), id: bodies[index]!.id }))
			.sort((a, b) => a.wish - b.wish || hashOf(a.id) - hashOf(b.id));
		for (let start = 0; start < ordered.length; start += highest) {
			const part = ordered.slice(start, start + highest).map(({ index }) => bodies[index]!);
			const width = Math.max(...part.map((body) => body.halfWidth * 2));
			const height = part.reduce((sum, body) => sum + body.halfHeight * 2 + GAP / 3, -GAP / 3);
			let top = -height / 2;
			for (const body of part) {
				body.x = left + width / 2;
				// Off the line, or bodies in one column could never pass each other.
				body.y = top + body.halfHeight + hashOf(body.id) * 4;
				top += body.halfHeight * 2 + GAP / 3;
			}
			left += width + GAP;
		}
	}
}

/** Steps from a body that nobody calls; a ring is entered where its hash is least. */
function depthsOf(bodies: readonly Body[], springs: readonly Spring[]): number[] {
	const into = callersOf(bodies.length, springs);
	const out: number[][] = bodies.map(() => []);
	for (const { from, to } of springs) if (from !== to) out[from]!.push(to);
	const depths: number[] = bodies.map(() => -1);
	const order = [...bodies.keys()].sort((a, b) => hashOf(bodies[a]!.id) - hashOf(bodies[b]!.id) || a - b);
	const roots = order.filter((index) => into[index]!.length === 0);
	for (const start of [...roots, ...order]) {
		if (depths[start] !== -1) continue;
		depths[start] = 0;
		const queue = [start, ...(into[start]!.length === 0 ? roots.filter((root) => depths[root] === -1) : [])];
		for (const root of queue) depths[root] = 0;
		for (let at = 0; at < queue.length; at++) {
			for (const next of out[queue[at]!]!) {
				if (depths[next] !== -1) continue;
				depths[next] = depths[queue[at]!]! + 1;
				queue.push(next);
			}
		}
	}
	return depths;
}

function callersOf(count: number, springs: readonly Spring[]): number[][] {
	const into: number[][] = Array.from({ length: count }, () => []);
	for (const { from, to } of springs) if (from !== to) into[to]!.push(from);
	return into;
}

function mean(values: readonly number[]): number {
	return values.reduce((sum, value) => sum + value, 0) / values.length;
}
