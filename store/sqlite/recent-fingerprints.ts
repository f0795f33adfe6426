/** Fingerprints of the newest batches over all windows, read at start so that a batch sent again is recognised. */
import { openForReading } from "./database.ts";
import type { LiveWindows } from "./live-windows.ts";
import { windowPath } from "./window-set.ts";
import { readFingerprints } from "./window-writer.ts";

/** Clients give up on a batch long before: fingerprints of windows that ended earlier than this are not read at start. */
const REMEMBERED_MS = 2 * 3_600_000;
const FINGERPRINT_BYTES = 16;

/** At most `max`, newest last. @param warn told of a window that could not be read: only the recognition of its batches is lost */
export function recentFingerprints(
	directory: string,
	windows: LiveWindows,
	max: number,
	warn: (message: string) => void,
): Uint8Array {
	const maxBytes = max * FINGERPRINT_BYTES;
	const newestFirst: Uint8Array[] = [];
	let bytes = 0;
	const take = (commits: readonly Uint8Array[]): void => {
		for (const fingerprints of commits.toReversed()) {
			if (bytes >= maxBytes) return;
			newestFirst.push(fingerprints);
			bytes += fingerprints.length;
		}
	};
	const newest = windows.catalog.windows().toReversed();
	for (const entry of newest) {
		const live = windows.find(entry.name);
		if (live !== undefined) take(live.recentFingerprints(max));
		else if (entry.state === "sealed" && entry.toMs > (newest[0]?.toMs ?? 0) - REMEMBERED_MS)
			take(ofSealed(directory, entry.name, max, warn));
		if (bytes >= maxBytes) break;
	}
	const out = new Uint8Array(bytes);
	let at = 0;
	for (const fingerprints of newestFirst.reverse()) {
		out.set(fingerprints, at);
		at += fingerprints.length;
	}
	return out.subarray(Math.max(0, bytes - maxBytes));
}

function ofSealed(directory: string, name: string, max: number, warn: (message: string) => void): Uint8Array[] {
	try {
		const database = openForReading(windowPath(directory, name));
		try {
			return readFingerprints(database, max);
		} finally {
			database.close();
		}
	} catch (error) {
		warn(`fingerprints of window ${name}: ${error instanceof Error ? error.message : String(error)}`);
		return [];
	}
}
