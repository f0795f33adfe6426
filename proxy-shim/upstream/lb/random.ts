/** Random, by weight where weights differ. */
import type { Host } from "../host.ts";
import { drawUntried, haveEqualWeights, weightOf } from "./choice.ts";
import type { PickContext, Picker } from "./picker.ts";

export function createRandomPicker(random: () => number): Picker {
	let known: readonly Host[] | undefined;
	/** Sums of weights up to and with each host; undefined while all weights are equal. */
	let sums: Float64Array | undefined;

	function learn(hosts: readonly Host[]): void {
		known = hosts;
		sums = undefined;
		if (haveEqualWeights(hosts)) return;
		let sum = 0;
		sums = Float64Array.from(hosts, (host) => (sum += weightOf(host)));
	}

	function draw(hosts: readonly Host[]): Host {
		if (sums === undefined) return hosts[Math.floor(random() * hosts.length)]!;
		const wanted = random() * sums[sums.length - 1]!;
		let low = 0;
		let high = sums.length - 1;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (sums[middle]! > wanted) high = middle;
			else low = middle + 1;
		}
		return hosts[low]!;
	}

	return {
		pick(hosts: readonly Host[], { tried }: PickContext) {
			if (hosts.length <= 1) return hosts[0];
			if (hosts !== known) learn(hosts);
			const host = draw(hosts);
			if (tried.size === 0 || !tried.has(host)) return host;
			return drawUntried(hosts, tried, undefined, random) ?? host;
		},
		onStart() {},
		onDone() {},
	};
}
