/** What several balancers share: weights, and drawing among the hosts that a request has not tried. */
import type { Host } from "../host.ts";

/** Bounded, so that a few draws cost less than a scan and a request that tried nearly all hosts still ends. */
const DRAWS = 4;

/** A weight that is missing, zero or nonsense counts as 1, as Envoy has it. */
export function weightOf(host: Host): number {
	const { weight } = host.endpoint;
	return weight > 0 && weight < Number.POSITIVE_INFINITY ? weight : 1;
}

export function haveEqualWeights(hosts: readonly Host[]): boolean {
	const first = hosts[0];
	if (first === undefined) return true;
	const weight = weightOf(first);
	for (const host of hosts) if (weightOf(host) !== weight) return false;
	return true;
}

/** The first untried host from `start` on, around the list; undefined where all were tried. */
export function untriedFrom(hosts: readonly Host[], start: number, tried: ReadonlySet<Host>): Host | undefined {
	for (let i = 0, at = start; i < hosts.length; i++, at++) {
		if (at >= hosts.length) at = 0;
		const host = hosts[at]!;
		if (!tried.has(host)) return host;
	}
	return undefined;
}

/**
 * A random untried host, and not `other` where there is a further one. Draws a few times, which is uniform, before it looks around
 * from a random place, which nearly is.
 */
export function drawUntried(
	hosts: readonly Host[],
	tried: ReadonlySet<Host>,
	other: Host | undefined,
	random: () => number,
): Host | undefined {
	for (let draw = 0; draw < DRAWS; draw++) {
		const host = hosts[Math.floor(random() * hosts.length)]!;
		if (host !== other && !tried.has(host)) return host;
	}
	const start = Math.floor(random() * hosts.length);
	for (let i = 0, at = start; i < hosts.length; i++, at++) {
		if (at >= hosts.length) at = 0;
		const host = hosts[at]!;
		if (host !== other && !tried.has(host)) return host;
	}
	return other;
}

/**
 * Power of two choices: of two different hosts, drawn at random among the untried ones, that with the lower load. Where all were
 * tried, of all.
 */
export function pickOfTwo(
	hosts: readonly Host[],
	tried: ReadonlySet<Host>,
	random: () => number,
	loadOf: (host: Host, nowMs: number) => number,
	nowMs: number,
): Host | undefined {
	const count = hosts.length;
	if (count <= 1) return hosts[0];
	let a: Host;
	let b: Host;
	if (tried.size === 0) {
		const first = Math.floor(random() * count);
		const second = Math.floor(random() * (count - 1));
		a = hosts[first]!;
		b = hosts[second >= first ? second + 1 : second]!;
	} else {
		const drawn = drawUntried(hosts, tried, undefined, random);
		if (drawn === undefined) return pickOfTwo(hosts, NONE, random, loadOf, nowMs);
		a = drawn;
		b = drawUntried(hosts, tried, drawn, random)!;
	}
	return loadOf(b, nowMs) < loadOf(a, nowMs) ? b : a;
}

const NONE: ReadonlySet<Host> = new Set();
