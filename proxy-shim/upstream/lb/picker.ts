/**
 * Which host of a cluster takes the next request. One picker a cluster; it owns the order of picks and nothing else. Hosts belong to
 * the cluster, time and randomness are passed in.
 *
 * A list of hosts is never changed in place: pickers notice a new membership, or new weights, by the list being another array, and
 * only then rebuild what they keep. A pick costs O(1) or O(log n) and allocates nothing.
 */
import type { LoadBalancer } from "../../../model/mesh/proxy-config.ts";
import type { Host } from "../host.ts";
import { createLeastRequestPicker } from "./least-request.ts";
import { createPeakEwmaPicker } from "./peak-ewma.ts";
import { createRandomPicker } from "./random.ts";
import { createRingHashPicker } from "./ring-hash.ts";
import { createRoundRobinPicker } from "./round-robin.ts";

export interface PickContext {
	/** Monotonic ms. */
	readonly nowMs: number;
	/** Of the request, by `hashOf`; only ring hash reads it. */
	readonly hash: number;
	/** Hosts that earlier attempts of the request went to. One of the others is picked where there is one. */
	readonly tried: ReadonlySet<Host>;
}

export interface Picker {
	/** Undefined only where there are no hosts. */
	pick(hosts: readonly Host[], context: PickContext): Host | undefined;
	/** An attempt begins. The data path counts `activeRequests` itself. */
	onStart(host: Host): void;
	/** It ended. `failed` is what outlier detection takes for a failure. */
	onDone(host: Host, latencyMs: number, nowMs: number, failed: boolean): void;
}

/** `random` gives numbers in [0, 1). */
export function createPicker(lb: LoadBalancer, random: () => number): Picker {
	switch (lb.kind) {
		case "round_robin":
			return createRoundRobinPicker(random);
		case "random":
			return createRandomPicker(random);
		case "least_request":
			return createLeastRequestPicker(random);
		case "peak_ewma":
			return createPeakEwmaPicker(lb.defaultRttMs, lb.decayMs, random);
		case "ring_hash":
			return createRingHashPicker(lb.minimumRingSize);
	}
}
