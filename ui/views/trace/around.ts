/** Links from a span to pages that show a range of time. */

const AROUND_MS = 1_800_000;

/** The hour in whose middle a span began; undefined where its time is none. */
export function around(startNano: string | number | undefined): { readonly from: string; readonly to: string } | undefined {
	const startMs = Number(startNano) / 1e6;
	if (!(startMs > AROUND_MS) || startMs > 8e15) return undefined;
	return { from: new Date(startMs - AROUND_MS).toISOString(), to: new Date(startMs + AROUND_MS).toISOString() };
}
