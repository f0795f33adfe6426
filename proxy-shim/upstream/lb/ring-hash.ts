/**
 * Ring hash: requests with the same hash go to the same host for as long as it is there. Each host has points on a ring of 2^32; a
 * request belongs to the first point at or after its hash.
 *
 * How many points a unit of weight has is a power of two that changes only when the total weight crosses one, so hosts keep their
 * points when others come and go: from eight equal hosts on, a host that leaves takes no key with it but its own. (Envoy divides a
 * ring of fixed size by the hosts there are, so each change moves keys between those that stay.)
 */
import type { Host } from "../host.ts";
import { weightOf } from "./choice.ts";
import { fnv1a, spread } from "./hash.ts";
import type { PickContext, Picker } from "./picker.ts";

/** Points a host of average weight has at least: shares then differ from the fair one by about 9 % (1/√128). */
const POINTS_PER_HOST = 128;
/** 2 MiB of ring, for weights that are far apart or thousands of hosts. */
const MAX_POINTS = 1 << 18;

interface Ring {
	/** Ascending. */
	readonly points: Uint32Array;
	/** By point: the index of the host in `hosts`. */
	readonly owners: Uint32Array;
	readonly hosts: readonly Host[];
}

export function createRingHashPicker(minimumRingSize: number): Picker {
	let known: readonly Host[] | undefined;
	let ring: Ring = { points: new Uint32Array(0), owners: new Uint32Array(0), hosts: [] };

	return {
		pick(hosts: readonly Host[], { hash, tried }: PickContext) {
			if (hosts.length <= 1) return hosts[0];
			if (hosts !== known) {
				known = hosts;
				ring = buildRing(hosts, minimumRingSize);
			}
			const { points, owners, hosts: sorted } = ring;
			const first = pointAtOrAfter(points, hash >>> 0);
			const host = sorted[owners[first]!]!;
			if (tried.size === 0 || !tried.has(host)) return host;
			// Clockwise, as if the tried hosts were not there. Where all were tried this looks at the whole ring once.
			for (let i = 1, at = first + 1; i < points.length; i++, at++) {
				if (at >= points.length) at = 0;
				const other = sorted[owners[at]!]!;
				if (!tried.has(other)) return other;
			}
			return host;
		},
		onStart() {},
		onDone() {},
	};
}

/** Of the points ascending; the first one where none is that high. */
function pointAtOrAfter(points: Uint32Array, hash: number): number {
	let low = 0;
	let high = points.length;
	while (low < high) {
		const middle = (low + high) >>> 1;
		if (points[middle]! < hash) low = middle + 1;
		else high = middle;
	}
	return low === points.length ? 0 : low;
}

function buildRing(hosts: readonly Host[], minimumRingSize: number): Ring {
	// By ID, so that the ring is the same in whatever order the hosts are told, also where two points are equal.
	const sorted = hosts.toSorted((a, b) => (a.endpoint.id < b.endpoint.id ? -1 : a.endpoint.id > b.endpoint.id ? 1 : 0));
	const weights = sorted.map(weightOf);
	const total = weights.reduce((sum, weight) => sum + weight, 0);
	const wanted = Math.min(MAX_POINTS / 2, Math.max(minimumRingSize, POINTS_PER_HOST * hosts.length));
	const perWeight = 2 ** Math.ceil(Math.log2(wanted / total));
	const counts = weights.map((weight) => Math.max(1, Math.round(perWeight * weight)));
	const size = counts.reduce((sum, count) => sum + count, 0);

	// Point and owner in one number: 32 bits above 21, which a double holds exactly.
	const packed = new Float64Array(size);
	let at = 0;
	for (const [index, host] of sorted.entries()) {
		// Two hashes of the ID, so that hosts of which one is alike do not share all their points.
		const base = fnv1a(host.endpoint.id, 0x811c9dc5);
		const step = spread(fnv1a(host.endpoint.id, 0x9e3779b9)) | 1;
		for (let point = 0; point < counts[index]!; point++) {
			packed[at++] = spread(base + Math.imul(point, step)) * 2 ** 21 + index;
		}
	}
	packed.sort();
	return {
		points: Uint32Array.from(packed, (value) => Math.floor(value / 2 ** 21)),
		owners: Uint32Array.from(packed, (value) => value % 2 ** 21),
		hosts: sorted,
	};
}
