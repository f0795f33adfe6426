/** Round robin: in turn, and by weight where weights differ: of any `sum of weights` picks in a row each host gets its weight. */
import type { Host } from "../host.ts";
import { haveEqualWeights, untriedFrom, weightOf } from "./choice.ts";
import type { PickContext, Picker } from "./picker.ts";
import { type Schedule, createSchedule } from "./schedule.ts";

export function createRoundRobinPicker(random: () => number): Picker {
	let known: readonly Host[] | undefined;
	/** Undefined while all weights are equal. */
	let schedule: Schedule | undefined;
	let next = 0;

	function learn(hosts: readonly Host[]): void {
		known = hosts;
		next = Math.floor(random() * hosts.length);
		schedule = haveEqualWeights(hosts) ? undefined : createSchedule(hosts.map(weightOf), random);
	}

	return {
		pick(hosts: readonly Host[], { tried }: PickContext) {
			if (hosts.length <= 1) return hosts[0];
			if (hosts !== known) learn(hosts);
			let at = next;
			if (schedule !== undefined) {
				at = schedule.peek();
				schedule.putBack(weightOf(hosts[at]!));
			} else if (++next === hosts.length) next = 0;
			const host = hosts[at]!;
			if (tried.size === 0 || !tried.has(host)) return host;
			return untriedFrom(hosts, at, tried) ?? host;
		},
		onStart() {},
		onDone() {},
	};
}
