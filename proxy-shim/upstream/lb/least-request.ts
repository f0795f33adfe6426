/**
 * Least request, as Envoy has it. With equal weights the less busy of two hosts drawn at random; with unequal ones a weighted round
 * in which a host's weight is divided by its active requests + 1 (Envoy's bias of 1.0).
 */
import type { Host } from "../host.ts";
import { haveEqualWeights, pickOfTwo, untriedFrom, weightOf } from "./choice.ts";
import type { PickContext, Picker } from "./picker.ts";
import { type Schedule, createSchedule } from "./schedule.ts";

export function createLeastRequestPicker(random: () => number): Picker {
	let known: readonly Host[] | undefined;
	/** Undefined while all weights are equal. */
	let schedule: Schedule | undefined;

	return {
		pick(hosts: readonly Host[], { tried, nowMs }: PickContext) {
			if (hosts.length <= 1) return hosts[0];
			if (hosts !== known) {
				known = hosts;
				schedule = haveEqualWeights(hosts) ? undefined : createSchedule(hosts.map(weightOf), random);
			}
			if (schedule === undefined) return pickOfTwo(hosts, tried, random, activeRequestsOf, nowMs);
			const at = schedule.peek();
			const host = hosts[at]!;
			schedule.putBack(weightOf(host) / (host.activeRequests + 1));
			if (tried.size === 0 || !tried.has(host)) return host;
			return untriedFrom(hosts, at, tried) ?? host;
		},
		onStart() {},
		onDone() {},
	};
}

function activeRequestsOf(host: Host): number {
	return host.activeRequests;
}
