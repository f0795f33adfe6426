/**
 * Where the changed edges stand in a drawing of two columns: callers on the left, callees on the right, each as near as may be to what
 * it is joined with, so that few lines cross. Pure.
 */

interface Ends {
	readonly source: string;
	readonly target: string;
}

export interface ChangeMap {
	/** Rows by name, from 0. */
	readonly sources: ReadonlyMap<string, number>;
	readonly targets: ReadonlyMap<string, number>;
	readonly rows: number;
}

/** Sweeps that order each column by where the other one's ends stand; after a few nothing moves any more. */
const SWEEPS = 4;

export function changeMap(edges: readonly Ends[]): ChangeMap {
	let sources = rowsOf(edges.map(({ source }) => source));
	let targets = rowsOf(edges.map(({ target }) => target));
	for (let sweep = 0; sweep < SWEEPS; sweep++) {
		targets = byNeighbours(edges, "target", "source", sources);
		sources = byNeighbours(edges, "source", "target", targets);
	}
	return { sources, targets, rows: Math.max(sources.size, targets.size) };
}

/** In the order of their first edge: the greatest changes stand on top. */
function rowsOf(names: readonly string[]): ReadonlyMap<string, number> {
	return new Map([...new Set(names)].map((name, row) => [name, row]));
}

function byNeighbours(
	edges: readonly Ends[],
	own: "source" | "target",
	other: "source" | "target",
	rows: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
	const sums = new Map<string, { sum: number; count: number }>();
	for (const edge of edges) {
		const entry = sums.get(edge[own]) ?? { sum: 0, count: 0 };
		sums.set(edge[own], { sum: entry.sum + rows.get(edge[other])!, count: entry.count + 1 });
	}
	const ordered = [...sums].toSorted(([, a], [, b]) => a.sum / a.count - b.sum / b.count);
	return new Map(ordered.map(([name], row) => [name, row]));
}
