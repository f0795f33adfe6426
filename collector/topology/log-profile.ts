/** What extraction reads of log records. */
import { RecordExtractor } from "./record-extractor.ts";

export function logExtractor(seed: readonly [number, number], firstProfile: number): RecordExtractor {
	return new RecordExtractor({
		keys: [],
		resourceKeys: [],
		reduce: (_key, _kind, value) => value,
		onlyWithKeys: true,
		keepsName: () => false,
		weightOf: () => 0,
		seed,
		firstProfile,
	});
}
