/**
 * The forces: bodies keep apart, springs hold callers and called together with the caller on the left, and at the end no two boxes
 * overlap. No clock and no chance: the same bodies come out at the same places.
 */
import { GAP, hashOf, radiusOf } from "./bodies.ts";
import type { Anchor, Body, Spring } from "./bodies.ts";
import { eachNearPair } from "./grid.ts";

/** Moves the bodies for `ticks` rounds; returns the pairs that were looked at. */
export function relax(bodies: readonly Body[], springs: readonly Spring[], anchors: readonly Anchor[], ticks: number): number {
	if (bodies.every((body) => body.fixed)) return 0;
	const forceX = new Float64Array(bodies.length);
	const forceY = new Float64Array(bodies.length);
	const degrees = new Float64Array(bodies.length).fill(1);
	for (const { from, to } of springs) {
		degrees[from]!++;
		degrees[to]!++;
	}
	const reach = 2 * Math.max(...bodies.map(radiusOf)) + GAP;
	let pairs = 0;
	for (let tick = 0; tick < ticks; tick++) {
		forceX.fill(0);
		forceY.fill(0);
		pairs += eachNearPair(bodies, reach, (a, b, i, j) => {
			const dx = b.x - a.x || hashOf(a.id) - 0.5 || 0.1;
			const dy = b.y - a.y || hashOf(b.id) - 0.5 || 0.1;
			const wanted = radiusOf(a) + radiusOf(b) + GAP;
			const distance = Math.hypot(dx, dy);
			if (distance >= wanted) return;
			const push = (0.5 * (wanted - distance)) / Math.max(distance, 1);
			forceX[i]! -= dx * push;
			forceY[i]! -= dy * push;
			forceX[j]! += dx * push;
			forceY[j]! += dy * push;
		});
		for (const { from, to } of springs) {
			if (from === to) continue;
			const a = bodies[from]!;
			const b = bodies[to]!;
			const wanted = a.halfWidth + b.halfWidth + GAP;
			const share = 1 / Math.max(degrees[from]!, degrees[to]!);
			// Sideways a spring pushes as well as it pulls: the called stands one step to the right.
			const pullX = (b.x - a.x - wanted) * share * (b.x - a.x < wanted ? 0.6 : 0.35);
			const pullY = (b.y - a.y) * share * 0.3;
			forceX[from]! += pullX;
			forceY[from]! += pullY;
			forceX[to]! -= pullX;
			forceY[to]! -= pullY;
		}
		for (const { body, x, y } of anchors) {
			forceX[body]! += (x - bodies[body]!.x) * 0.04;
			forceY[body]! += (y - bodies[body]!.y) * 0.08;
		}
		const longest = GAP * (1 - tick / ticks) + 1;
		for (const [index, body] of bodies.entries()) {
			if (body.fixed) continue;
			// A weak pull to the middle keeps unconnected parts on one sheet.
			const x = forceX[index]! - body.x * 0.004;
			const y = forceY[index]! - body.y * 0.012;
			const scale = Math.min(1, longest / Math.max(Math.hypot(x, y), 1e-9));
			body.x += x * scale;
			body.y += y * scale;
		}
	}
	return pairs;
}

/** Pushes boxes apart until none overlap; a fixed one yields only to a fixed one. Returns the pairs that were looked at. */
export function separate(bodies: readonly Body[], margin: number, rounds = 400): number {
	if (bodies.length < 2) return 0;
	const reach = 2 * Math.max(...bodies.map(radiusOf)) + margin;
	let pairs = 0;
	for (let round = 0; round < rounds; round++) {
		let overlaps = 0;
		pairs += eachNearPair(bodies, reach, (a, b) => {
			const overX = a.halfWidth + b.halfWidth + margin - Math.abs(b.x - a.x);
			const overY = a.halfHeight + b.halfHeight + margin - Math.abs(b.y - a.y);
			if (overX <= 0.01 || overY <= 0.01) return;
			overlaps++;
			const shareOfA = a.fixed === b.fixed ? 0.5 : a.fixed ? 0 : 1;
			// A little more than is needed, or a row of many would creep.
			if (overX < overY) {
				const step = Math.sign(b.x - a.x || hashOf(a.id) - hashOf(b.id) || 1) * (overX + 0.5);
				a.x -= step * shareOfA;
				b.x += step * (1 - shareOfA);
			} else {
				const step = Math.sign(b.y - a.y || hashOf(a.id) - hashOf(b.id) || 1) * (overY + 0.5);
				a.y -= step * shareOfA;
				b.y += step * (1 - shareOfA);
			}
		});
		if (overlaps === 0) break;
		// Too dense to push apart one by one: the whole sheet grows.
		if (round % ROUNDS_BEFORE_SPREAD === ROUNDS_BEFORE_SPREAD - 1 && !bodies.some((body) => body.fixed)) spread(bodies, 1.15);
	}
	return pairs;
}

const ROUNDS_BEFORE_SPREAD = 25;

function spread(bodies: readonly Body[], factor: number): void {
	for (const body of bodies) {
		body.x *= factor;
		body.y *= factor;
	}
}
