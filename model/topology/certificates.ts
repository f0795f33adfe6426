/** Which certificates an end still used: they are replaced while a window lasts. */
import type { CertificateSighting } from "./series.ts";

/** A certificate that was not seen within this of its holder's last sighting is no longer in use. */
const IN_USE_MS = 600_000;

/**
 * Those in use when their holders were last seen. Several at once are usual: each instance of a workload has its own.
 * @param holderOf tells holders apart; by default a principal at one side
 */
export function certificatesInUse(
	sightings: readonly CertificateSighting[],
	holderOf: (sighting: CertificateSighting) => string = ({ side, principal }) => `${side}\n${principal}`,
): readonly CertificateSighting[] {
	const lastMs = new Map<string, number>();
	for (const sighting of sightings) {
		const holder = holderOf(sighting);
		lastMs.set(holder, Math.max(lastMs.get(holder) ?? -Infinity, sighting.seenMs));
	}
	return sightings.filter((sighting) => sighting.seenMs >= lastMs.get(holderOf(sighting))! - IN_USE_MS);
}
