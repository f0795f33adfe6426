/**
 * Where in a document a value stands, and how what is wrong with it is told. Readers carry a place along, so that every fault of a
 * file is reported in one go and names its field.
 */

export type Path = readonly (string | number)[];

/** A fault refuses the file; a warning does not. */
export type Severity = "fault" | "warning";

export interface Place {
	readonly path: Path;
	readonly report: (severity: Severity, path: Path, message: string) => void;
}

export function within(at: Place, key: string | number): Place {
	return { path: [...at.path, key], report: at.report };
}

/** Returns undefined, so that a reader may end with it. */
export function fault(at: Place, message: string): undefined {
	at.report("fault", at.path, message);
	return undefined;
}

export function warn(at: Place, message: string): void {
	at.report("warning", at.path, message);
}

/** `spec.http[0].match[0].headers["x-user.id"]`. */
export function formatPath(path: Path): string {
	let text = "";
	for (const key of path) {
		if (typeof key === "number") text += `[${key}]`;
		else if (/^[A-Za-z_][\w-]*$/.test(key)) text += text === "" ? key : `.${key}`;
		else text += `[${JSON.stringify(shortened(key))}]`;
	}
	return text;
}

const MAX_QUOTED_CHARS = 80;

/** What a message may quote of a value that somebody wrote. */
export function shortened(text: string): string {
	return text.length <= MAX_QUOTED_CHARS ? text : `${text.slice(0, MAX_QUOTED_CHARS)}…`;
}

/** The name that was probably meant: at most a third of its letters are wrong, two letters swapped count as one. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
	if (name.length > 64) return undefined;
	let best: string | undefined;
	let bestDistance = Infinity;
	for (const candidate of known) {
		const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
		if (distance < bestDistance && distance <= Math.max(1, Math.floor(candidate.length / 3))) {
			best = candidate;
			bestDistance = distance;
		}
	}
	return best;
}

/** Restricted Damerau-Levenshtein. */
function editDistance(a: string, b: string): number {
	let beforeLast: number[] = [];
	let last = Array.from({ length: b.length + 1 }, (_, i) => i);
	for (let i = 1; i <= a.length; i++) {
		const row = [i];
		for (let j = 1; j <= b.length; j++) {
			const same = a[i - 1] === b[j - 1];
			let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
			if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, beforeLast[j - 2]! + 1);
			row.push(cost);
		}
		beforeLast = last;
		last = row;
	}
	return last[b.length]!;
}
