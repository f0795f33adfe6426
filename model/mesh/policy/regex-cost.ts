/**
 * How long a backtracking engine may take for a pattern. RE2 takes time that is linear in the value; JavaScript's engine may not, and the
 * value comes from whoever sends a request.
 *
 * The pattern becomes a position automaton (Glushkov's: a state for each character of the pattern, no empty moves). Backtracking is
 * exponential exactly where a state in a loop comes back to itself in two ways over the same text; it is polynomial of degree k
 * where k loops follow each other that can all read the same text (Weideman, Van der Merwe, Berglund, Watson: Analyzing matching time
 * behavior of backtracking regular expression matchers by using ambiguity of NFA, 2016). The second test is coarse on the safe side.
 */
import { ALL_CHARS, type CharSet, LINE_FEED, type RegexNode, RegexRefusal, type RegexTree } from "./regex-syntax.ts";

const MAX_POSITIONS = 2000;
/** About 20 ms. */
const MAX_STEPS = 2_000_000;
/** Two loops over one text: 16 KiB of head, the most there is, are 10^8 steps. */
const MAX_DEGREE = 2;
/** Groups are written out so often; beyond they count as a loop. */
const MAX_COPIES = 4;

interface Automaton {
	readonly letters: readonly CharSet[];
	/** Of each position: where to go on, and in how many ways. */
	readonly follow: readonly ReadonlyMap<number, number>[];
	readonly last: ReadonlySet<number>;
}

/** Throws RegexRefusal where the pattern may take too long. */
export function checkCost(tree: RegexTree, extent: "whole" | "part"): void {
	// A search begins at every character, as if a loop stood before the pattern.
	const searches = extent === "part" && !tree.isAnchored;
	const anything: RegexNode = { kind: "repeat", body: { kind: "chars", set: ALL_CHARS }, min: 0, max: Infinity, lazy: true };
	const automaton = toAutomaton(searches ? { kind: "sequence", parts: [anything, tree.root] } : tree.root);
	const loops = loopsOf(automaton);
	let steps = 0;
	for (const loop of loops)
		if (isExponential(automaton, loop, spend))
			throw new RegexRefusal(
				"can take exponential time: a repeated part can match the same text in two ways; let what is repeated begin or end with something that the rest of it cannot be",
			);
	const degree = degreeOf(
		automaton,
		loops.filter((loop) => !takesTheRest(automaton, loop)),
		spend,
	);
	if (degree > MAX_DEGREE) {
		throw new RegexRefusal(
			`can take time that grows as the value's length to the power of ${degree}; let repeated parts exclude what follows them, as [^/]* in place of .*`,
		);
	}

	function spend(): void {
		if (++steps > MAX_STEPS) throw new RegexRefusal("is too complex for telling how long it may take; make it simpler");
	}
}

// ---- the automaton

interface Part {
	readonly nullable: boolean;
	readonly first: readonly number[];
	readonly last: readonly number[];
}

const EMPTY: Part = { nullable: true, first: [], last: [] };

function toAutomaton(root: RegexNode): Automaton {
	const letters: CharSet[] = [];
	const follow: Map<number, number>[] = [];
	let links = 0;
	const { last } = build(root);
	return { letters, follow, last: new Set(last) };

	function build(node: RegexNode): Part {
		switch (node.kind) {
			case "chars":
				if (letters.length >= MAX_POSITIONS)
					throw new RegexRefusal(
						`is too large: its repetitions written out have more than ${MAX_POSITIONS} characters`,
					);
				letters.push(node.set);
				follow.push(new Map());
				return { nullable: false, first: [letters.length - 1], last: [letters.length - 1] };
			case "assertion":
				return EMPTY;
			case "group":
				return build(node.body);
			case "choice":
				return node.options.map(build).reduce((a, b) => ({
					nullable: a.nullable || b.nullable,
					first: [...a.first, ...b.first],
					last: [...a.last, ...b.last],
				}));
			case "sequence":
				return node.parts.reduce((sum, part) => concatenated(sum, build(part)), EMPTY);
			case "repeat":
				return repeated(node);
		}
	}

	function link(from: readonly number[], to: readonly number[]): void {
		links += from.length * to.length;
		if (links > MAX_STEPS) throw new RegexRefusal("is too large");
		for (const one of from) for (const next of to) follow[one]!.set(next, (follow[one]!.get(next) ?? 0) + 1);
	}

	function concatenated(a: Part, b: Part): Part {
		link(a.last, b.first);
		return {
			nullable: a.nullable && b.nullable,
			first: a.nullable ? [...a.first, ...b.first] : a.first,
			last: b.nullable ? [...b.last, ...a.last] : b.last,
		};
	}

	function repeated({ body, min, max }: RegexNode & { kind: "repeat" }): Part {
		if (max === 0) return EMPTY;
		const isPlain = body.kind === "chars";
		const copies = max === Infinity ? Math.max(1, min) : max;
		if (!isPlain && copies > MAX_COPIES) {
			const part = looped(build(body));
			if (part.nullable && min > 1)
				throw new RegexRefusal("repeats something that may be empty: let it match at least one character");
			return { ...part, nullable: part.nullable || min === 0 };
		}
		const parts = Array.from({ length: copies }, () => build(body));
		if (max === Infinity) parts.push(looped(parts.pop()!));
		if (parts.length > 1 && min > 1 && parts[0]!.nullable && copies > 2)
			throw new RegexRefusal("repeats something that may be empty: let it match at least one character");
		// What may be left out is x(x(x)?)?, from the end on.
		let tail: Part = EMPTY;
		for (let i = parts.length - 1; i >= 0; i--) {
			tail = concatenated(parts[i]!, tail);
			if (i >= min) tail = { ...tail, nullable: true };
		}
		return tail;
	}

	function looped(part: Part): Part {
		link(part.last, part.first);
		return part;
	}
}

/** Strongly connected positions (Tarjan's algorithm, with a stack of its own); a single one counts if it follows itself. In reverse order of reach. */
function loopsOf({ follow }: Automaton): readonly ReadonlySet<number>[] {
	const index = new Int32Array(follow.length).fill(-1);
	const low = new Int32Array(follow.length);
	const isOpen = new Uint8Array(follow.length);
	const open: number[] = [];
	const loops: Set<number>[] = [];
	let next = 0;
	for (let root = 0; root < follow.length; root++) {
		if (index[root] !== -1) continue;
		const path: { readonly position: number; readonly rest: Iterator<number> }[] = [];
		enter(root);
		while (path.length > 0) {
			const { position, rest } = path.at(-1)!;
			const step = rest.next();
			if (step.done !== true) {
				if (index[step.value] === -1) enter(step.value);
				else if (isOpen[step.value] === 1) low[position] = Math.min(low[position]!, index[step.value]!);
				continue;
			}
			path.pop();
			const above = path.at(-1)?.position;
			if (above !== undefined) low[above] = Math.min(low[above]!, low[position]!);
			if (low[position] === index[position]) close(position);
		}

		function enter(position: number): void {
			index[position] = low[position] = next++;
			isOpen[position] = 1;
			open.push(position);
			path.push({ position, rest: follow[position]!.keys() });
		}
	}
	return loops;

	function close(position: number): void {
		const members = new Set<number>();
		let member: number;
		do {
			member = open.pop()!;
			isOpen[member] = 0;
			members.add(member);
		} while (member !== position);
		if (members.size > 1 || follow[position]!.has(position)) loops.push(members);
	}
}

// ---- exponential

/**
 * Two different ways over one text, from a state of the loop back into one: pairs of states that are reached from equal pairs and lead
 * to equal pairs again, without being equal.
 */
function isExponential({ letters, follow }: Automaton, loop: ReadonlySet<number>, spend: () => void): boolean {
	const inside = new Map([...loop].map((from) => [from, [...follow[from]!].filter(([to]) => loop.has(to))]));
	for (const edges of inside.values()) if (edges.some(([, ways]) => ways > 1)) return true;
	const backwards = new Map<number, number[]>([...loop].map((one) => [one, []]));
	for (const [from, edges] of inside) for (const [to] of edges) backwards.get(to)!.push(from);

	const reached = spread((a, b, add) => {
		for (const [toA] of inside.get(a)!)
			for (const [toB] of inside.get(b)!) {
				spend();
				if ((letters[toA]! & letters[toB]!) !== 0n) add(toA, toB);
			}
	});
	const returning = spread((a, b, add) => {
		// Both were entered by the same character.
		if ((letters[a]! & letters[b]!) === 0n) return;
		for (const fromA of backwards.get(a)!)
			for (const fromB of backwards.get(b)!) {
				spend();
				add(fromA, fromB);
			}
	});
	for (const pair of reached) if (returning.has(pair)) return true;
	return false;

	/** The unequal pairs that are found from the equal ones. */
	function spread(neighbours: (a: number, b: number, add: (a: number, b: number) => void) => void): ReadonlySet<number> {
		const seen = new Set<number>();
		const waiting: [number, number][] = [...loop].map((one) => [one, one]);
		while (waiting.length > 0) {
			const [a, b] = waiting.pop()!;
			neighbours(a, b, (one, other) => {
				if (one === other) return;
				const pair = Math.min(one, other) * letters.length + Math.max(one, other);
				if (seen.has(pair)) return;
				seen.add(pair);
				waiting.push([one, other]);
			});
		}
		return seen;
	}
}

// ---- polynomial

/** A loop at the end that takes every character cannot fail, so nothing before it is tried again because of it. */
function takesTheRest({ letters, follow, last }: Automaton, loop: ReadonlySet<number>): boolean {
	const [only] = loop;
	return (
		loop.size === 1 &&
		only !== undefined &&
		(letters[only]! | LINE_FEED) === ALL_CHARS &&
		last.has(only) &&
		follow[only]!.size === 1
	);
}

/** The most loops in a row of which each can read what lies between it and the next. */
function degreeOf({ letters, follow }: Automaton, loops: readonly ReadonlySet<number>[], spend: () => void): number {
	const reads = loops.map((loop) => [...loop].reduce((set, one) => set | letters[one]!, 0n));
	const longest: number[] = [];
	// A loop comes after all that it reaches.
	for (const [index, loop] of loops.entries()) {
		let most = 0;
		for (let later = 0; later < index; later++) {
			const shared = reads[index]! & reads[later]!;
			if (longest[later]! > most && shared !== 0n && leadsTo(loop, loops[later]!, shared)) most = longest[later]!;
		}
		longest.push(most + 1);
	}
	return Math.max(0, ...longest);

	function leadsTo(from: ReadonlySet<number>, to: ReadonlySet<number>, shared: CharSet): boolean {
		const seen = new Set(from);
		const waiting = [...from];
		while (waiting.length > 0) {
			for (const next of follow[waiting.pop()!]!.keys()) {
				spend();
				if (seen.has(next) || (letters[next]! & shared) === 0n) continue;
				if (to.has(next)) return true;
				seen.add(next);
				waiting.push(next);
			}
		}
		return false;
	}
}
