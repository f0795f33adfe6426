/** The endpoints as they were told last, kept on disk: a proxy that starts while no control plane answers finds its peers where they were. */
import type { ServiceEndpoints } from "../../model/mesh/control-protocol.ts";
import { listeners } from "./listeners.ts";
import type { SavedState } from "./saved-state.ts";
import type { ControlLog, EndpointSource } from "./sources.ts";
import type { Timers } from "./timers.ts";

export interface EndpointKeeper extends EndpointSource {
	/** @param complete services that are not named have none any more */
	receive(services: readonly ServiceEndpoints[], complete: boolean): void;
	/** Writes what is not on disk yet. */
	close(): void;
}

/** Endpoints change in bursts and the disk needs only the outcome; a write holds up the requests of its moment. */
const SAVE_AFTER_MS = 5_000;

export function createEndpointKeeper(saved: SavedState, timers: Timers, log: ControlLog): EndpointKeeper {
	const listening = listeners<readonly ServiceEndpoints[]>(log);
	const onDisk = saved.read("endpoints");
	const services = new Map((Array.isArray(onDisk) ? onDisk : []).map((one: ServiceEndpoints) => [keyOf(one), one]));
	let isComplete = Array.isArray(onDisk);
	let cancelSave: (() => void) | undefined;

	return {
		get isComplete() {
			return isComplete;
		},
		services: () => [...services.values()],
		onChange: listening.add,
		receive(told, complete) {
			const changed: ServiceEndpoints[] = [];
			const named = new Set(told.map(keyOf));
			const gone = complete ? [...services.values()].filter((one) => !named.has(keyOf(one))) : [];
			for (const service of [...told, ...gone.map((one): ServiceEndpoints => ({ ...one, ports: [] }))]) {
				const key = keyOf(service);
				if (JSON.stringify(services.get(key)?.ports ?? []) === JSON.stringify(service.ports)) continue;
				if (service.ports.length === 0) services.delete(key);
				else services.set(key, service);
				changed.push(service);
			}
			const isNews = complete && !isComplete;
			isComplete ||= complete;
			if (changed.length === 0 && !isNews) return;
			// The first whole list at once: without one on disk a proxy that is killed now would come back closed.
			if (isNews) {
				cancelSave?.();
				save();
			} else cancelSave ??= timers.setTimer(save, SAVE_AFTER_MS);
			listening.tell(changed);
		},
		close() {
			if (cancelSave === undefined) return;
			cancelSave();
			save();
		},
	};

	function save(): void {
		cancelSave = undefined;
		saved.write("endpoints", [...services.values()]);
	}
}

function keyOf({ namespace, service }: ServiceEndpoints): string {
	return `${namespace}/${service}`;
}
