/** Timers whose time a test moves by hand; callbacks run in order of their times. */
import type { Timers } from "../../proxy-shim/control/timers.ts";

export interface FakeTimers extends Timers {
	/** Moves time and runs what is due on the way. */
	advance(ms: number): void;
	/** When the next timer is due; undefined for none. */
	nextMs(): number | undefined;
}

export function fakeTimers(startMs = 1_800_000_000_000, random = 0.5): FakeTimers {
	let now = startMs;
	let lastId = 0;
	const timers = new Map<number, { readonly atMs: number; readonly callback: () => void }>();
	const next = (): [number, { readonly atMs: number; readonly callback: () => void }] | undefined =>
		[...timers].toSorted(([a, x], [b, y]) => x.atMs - y.atMs || a - b)[0];
	return {
		nowMs: () => now,
		random: () => random,
		setTimer(callback, ms) {
			const id = ++lastId;
			timers.set(id, { atMs: now + Math.max(0, ms), callback });
			return () => void timers.delete(id);
		},
		nextMs: () => next()?.[1].atMs,
		advance(ms) {
			const end = now + ms;
			for (let due = next(); due !== undefined && due[1].atMs <= end; due = next()) {
				timers.delete(due[0]);
				now = due[1].atMs;
				due[1].callback();
			}
			now = end;
		},
	};
}
