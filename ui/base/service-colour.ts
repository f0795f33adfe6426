/**
 * A colour for each service: the same on every page while there is room, never the only carrier (the name always stands beside it).
 * The ten slots are custom properties of theme.css, told apart under the common colour-vision deficiencies.
 */
export const SERVICE_COLOURS = 10;

/** The slot of a service on its own, FNV-1a of its name. */
export function colourSlot(service: string): number {
	let hash = 0x811c9dc5;
	for (let i = 0; i < service.length && i < 256; i++) hash = Math.imul(hash ^ service.charCodeAt(i), 0x01000193) >>> 0;
	return ((hash ^ (hash >>> 15)) >>> 0) % SERVICE_COLOURS;
}

/** Slots for the services of one view: each its own where it is free, else the next free one, so that ten differ. */
export function colourSlots(services: readonly string[]): readonly number[] {
	const used = new Set<number>();
	return services.map((service) => {
		let slot = colourSlot(service);
		for (let tries = 0; used.has(slot) && tries < SERVICE_COLOURS; tries++) slot = (slot + 1) % SERVICE_COLOURS;
		used.add(slot);
		return slot;
	});
}
