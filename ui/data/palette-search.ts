/**
 * Which entries of the palette a text means, best first. The rule is one a person can learn: every word must be in the entry; the
 * whole name beats its beginning, that beats the beginning of a word in it, that beats a part, that beats letters in order. Among
 * equals the kind decides, then the shorter name. Pure, and cheap enough for every key: 5,000 entries take some 2 ms.
 */

export const ENTRY_KINDS = ["trace", "page", "service", "edge", "namespace", "action", "traces"] as const;
export type EntryKind = (typeof ENTRY_KINDS)[number];

export interface PaletteEntry {
	/** Unique among all entries. */
	readonly key: string;
	readonly kind: EntryKind;
	/** What is shown: a sender's text, where it names something of the mesh. */
	readonly label: string;
	/** Shown beside it. */
	readonly more?: string;
	/** What is searched, in lower case: of an edge the caller, then the callee. */
	readonly texts: readonly string[];
	/** Other words for the same, in lower case. */
	readonly also?: string;
	readonly target: { readonly href: string } | { readonly run: () => void };
}

export interface PaletteFinding {
	readonly shown: readonly PaletteEntry[];
	readonly total: number;
}

/** Further words are not looked at: nobody types them, and each costs a pass. */
const MAX_WORDS = 6;

/** The best `limit` of `entries`; without a word the first ones as they come. */
export function findEntries(entries: readonly PaletteEntry[], text: string, limit: number): PaletteFinding {
	const words = text
		.toLowerCase()
		.replaceAll(/->|→|>/g, " ")
		.split(/\s+/)
		.filter((word) => word !== "")
		.slice(0, MAX_WORDS);
	if (words.length === 0) return { shown: entries.slice(0, limit), total: entries.length };
	const found: Found[] = [];
	for (const entry of entries) {
		const cost = costOf(entry, words);
		if (cost < NO_MATCH) found.push({ entry, cost });
	}
	found.sort(byWorth);
	return { shown: found.slice(0, limit).map(({ entry }) => entry), total: found.length };
}

interface Found {
	readonly entry: PaletteEntry;
	readonly cost: number;
}

function byWorth(a: Found, b: Found): number {
	return (
		a.cost - b.cost ||
		ENTRY_KINDS.indexOf(a.entry.kind) - ENTRY_KINDS.indexOf(b.entry.kind) ||
		a.entry.label.length - b.entry.label.length ||
		(a.entry.label < b.entry.label ? -1 : 1)
	);
}

const NO_MATCH = 1_000;

function costOf({ texts, also }: PaletteEntry, words: readonly string[]): number {
	const [first, second] = texts;
	if (first === undefined) return NO_MATCH;
	if (second !== undefined) return costOfPair(first, second, words);
	let cost = 0;
	for (const word of words) {
		const inText = costOfWord(first, word);
		cost += also === undefined ? inText : Math.min(inText, OTHER_WORD + costOfWord(also, word));
	}
	return cost;
}

/** A name of another thing is a weaker hit than the thing's own. */
const OTHER_WORD = 2;

/** The first words mean the caller and the rest the callee, or the other way round at a price. */
function costOfPair(source: string, target: string, words: readonly string[]): number {
	if (words.length === 1) return 1 + Math.min(costOfWord(source, words[0]!), costOfWord(target, words[0]!));
	let best = NO_MATCH;
	for (let split = 1; split < words.length; split++) {
		let forward = 0;
		let backward = 1;
		for (const [i, word] of words.entries()) {
			const [inSource, inTarget] = [costOfWord(source, word), costOfWord(target, word)];
			forward += i < split ? inSource : inTarget;
			backward += i < split ? inTarget : inSource;
		}
		best = Math.min(best, forward, backward);
	}
	return best;
}

function costOfWord(text: string, word: string): number {
	if (text === word) return 0;
	const at = text.indexOf(word);
	if (at === 0) return 1;
	if (at > 0) return startsWord(text, word, at) ? 2 : 4;
	// Two letters in order are in nearly every name.
	return word.length > 2 && holdsInOrder(text, word) ? 8 : NO_MATCH;
}

function startsWord(text: string, word: string, first: number): boolean {
	for (let at = first; at > 0; at = text.indexOf(word, at + 1)) if (!isWordChar(text.charCodeAt(at - 1))) return true;
	return false;
}

/** Letters and digits of ASCII, and whatever is beyond it. */
function isWordChar(code: number): boolean {
	return (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || code > 127;
}

function holdsInOrder(text: string, word: string): boolean {
	let at = -1;
	for (let i = 0; i < word.length; i++) {
		at = text.indexOf(word[i]!, at + 1);
		if (at < 0) return false;
	}
	return true;
}
