/**
 * Ring hash: requests with the same hash go to the same host for as long as it is there. Each host has points on a ring of 2^32; a
 * request belongs to the first point at or after its hash.
 *
 * Hosts keep their points when others come and go: a host that leaves takes no key with it but its own, and one that comes takes only
 * its share. (Envoy divides a ring of fixed size by the hosts there are, so each change moves keys between those that stay.) How many
 * points a unit of weight has is a power of two. It changes, and with it keys move, only when the cluster grows beyond 64 hosts or
 * shrinks back, when the average weight crosses a power of two, or while the ring is below a minimum size of more than 1,024.
 */
import type { Host } from "../host.ts";
import { weightOf } from "./choice.ts";
import { fnv1a, spread } from "./hash.ts";
import type { PickContext, Picker } from "./picker.ts";

/** Points that a host of average weight has: shares then differ from the fair one by about 4 % (1/√512). */
const POINTS_PER_HOST = 512;
/** Of more hosts than this each has fewer points (9 %), so that building the ring of a thousand does not hold requests up. */
const MANY_HOSTS = 64;
const POINTS_PER_ONE_OF_MANY = 128;
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
	const perHost = hosts.length > MANY_HOSTS ? POINTS_PER_ONE_OF_MANY : POINTS_PER_HOST;
	const wanted = Math.min(MAX_POINTS / 2, Math.max(minimumRingSize, perHost * hosts.length));
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
	const points = new Uint32Array(size);
	const owners = new Uint32Array(size);
	for (let i = 0; i < size; i++) {
		const point = Math.floor(packed[i]! / 2 ** 21);
		points[i] = point;
		owners[i] = packed[i]! - point * 2 ** 21;
	}
	return { points, owners, hosts: sorted };
}
