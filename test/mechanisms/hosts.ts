/** Hosts without a cluster, for tests and measurements of what decides about them. */
import { createHost } from "../../proxy-shim/upstream/cluster.ts";
import type { Host } from "../../proxy-shim/upstream/host.ts";
import type { PickContext } from "../../proxy-shim/upstream/lb/picker.ts";

export function hostOf(id: string, weight = 1): Host {
	return createHost({
		id,
		address: "10.0.0.1",
		port: 8080,
		labels: {},
		weight,
		principal: undefined,
		healthy: true,
		hboneAddress: undefined,
	});
}

/** `10.0.0.1:8080` and so on, of equal weight. */
export function hostsOf(count: number): Host[] {
	return Array.from({ length: count }, (_, index) => hostOf(`10.0.0.${index + 1}:8080`));
}

const NONE: ReadonlySet<Host> = new Set();

export function contextOf(context: Partial<PickContext> = {}): PickContext {
	return { nowMs: 0, hash: 0, tried: NONE, ...context };
}
