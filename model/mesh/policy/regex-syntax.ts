/**
 * RE2's syntax (google/re2, doc/syntax.txt), read into a tree: what it shares with JavaScript, and what it writes otherwise. What RE2 does
 * not have (lookaround, backreferences) is refused, as Envoy would refuse it; so are the few things that RE2 has and nobody needs here.
 */

/** Bits 0 to 127 are ASCII, bit 128 stands for every other character. */
export type CharSet = bigint;

export type RegexNode =
	| { readonly kind: "chars"; readonly set: CharSet }
	/** Zero-width; `source` is the same in JavaScript. */
	| { readonly kind: "assertion"; readonly source: string }
	| { readonly kind: "sequence"; readonly parts: readonly RegexNode[] }
	| { readonly kind: "choice"; readonly options: readonly RegexNode[] }
	| { readonly kind: "group"; readonly body: RegexNode; readonly captures: boolean }
	/** `max` is Infinity for none. */
	| { readonly kind: "repeat"; readonly body: RegexNode; readonly min: number; readonly max: number; readonly lazy: boolean };

export interface RegexTree {
	readonly root: RegexNode;
	/** How many groups capture. */
	readonly groups: number;
	/** It can only match at the beginning. */
	readonly isAnchored: boolean;
}

export const ALL_CHARS: CharSet = (1n << 129n) - 1n;
export const LINE_FEED: CharSet = 1n << 10n;
/** RE2's own bound. */
const MAX_REPEAT = 1000;
const MAX_NESTING = 100;

/** Thrown inside of this module and regex.ts only. */
export class RegexRefusal extends Error {}

function range(from: number, to: number): CharSet {
	return ((1n << BigInt(to - from + 1)) - 1n) << BigInt(from);
}

function ascii(pattern: RegExp): CharSet {
	let set = 0n;
	for (let code = 0; code < 128; code++) if (pattern.test(String.fromCharCode(code))) set |= 1n << BigInt(code);
	return set;
}

const CLASSES: Readonly<Record<string, CharSet>> = { d: ascii(/[0-9]/), w: ascii(/\w/), s: ascii(/[\t\n\f\r ]/) };
const POSIX: Readonly<Record<string, CharSet>> = {
	alnum: ascii(/[0-9A-Za-z]/),
	alpha: ascii(/[A-Za-z]/),
	ascii: range(0, 127),
	blank: ascii(/[\t ]/),
	cntrl: ascii(/[\u0000-\u001f\u007f]/),
	digit: ascii(/[0-9]/),
	graph: ascii(/[!-~]/),
	lower: ascii(/[a-z]/),
	print: ascii(/[ -~]/),
	punct: ascii(/[!-/:-@[-`{-~]/),
	space: ascii(/[\t\n\v\f\r ]/),
	upper: ascii(/[A-Z]/),
	word: ascii(/\w/),
	xdigit: ascii(/[0-9A-Fa-f]/),
};
const CONTROLS: Readonly<Record<string, number>> = { a: 7, t: 9, n: 10, v: 11, f: 12, r: 13 };
const UPPER = range(65, 90);
const LOWER = range(97, 122);

interface Flags {
	readonly ignoreCase: boolean;
	readonly dotAll: boolean;
}

/** Throws RegexRefusal. */
export function parseRegex(source: string): RegexTree {
	let at = 0;
	let groups = 0;
	let nesting = 0;
	let flags: Flags = { ignoreCase: false, dotAll: false };
	if (/[^\x00-\x7f]/.test(source)) throw new RegexRefusal("may hold ASCII only: paths are percent-encoded");
	const leading = /^\(\?([A-Za-z-]+)\)/.exec(source);
	if (leading !== null) {
		flags = withFlags(leading[1]!);
		at = leading[0].length;
	}
	const start = at;
	const root = choice();
	if (at < source.length) throw new RegexRefusal("has a closing parenthesis without an opening one");
	const first = /^(?:\^|\\A)/.test(source.slice(start));
	return { root, groups, isAnchored: first && root.kind !== "choice" };

	function choice(): RegexNode {
		if (++nesting > MAX_NESTING) throw new RegexRefusal(`is nested deeper than ${MAX_NESTING} groups`);
		const options = [sequence()];
		while (source[at] === "|") {
			at++;
			options.push(sequence());
		}
		nesting--;
		return options.length === 1 ? options[0]! : { kind: "choice", options };
	}

	function sequence(): RegexNode {
		const parts: RegexNode[] = [];
		while (at < source.length && source[at] !== "|" && source[at] !== ")") {
			if (source.startsWith("\\Q", at)) {
				const end = source.indexOf("\\E", at);
				const literal = source.slice(at + 2, end < 0 ? source.length : end);
				for (const char of literal) parts.push(chars(1n << BigInt(char.charCodeAt(0))));
				at = end < 0 ? source.length : end + 2;
			} else parts.push(repeated(atom()));
		}
		return parts.length === 1 ? parts[0]! : { kind: "sequence", parts };
	}

	function repeated(body: RegexNode): RegexNode {
		const operator = /^(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})/.exec(source.slice(at, at + 16));
		if (operator === null) return body;
		at += operator[0].length;
		const [text, least, comma, most] = operator;
		const min = least === undefined ? (text === "+" ? 1 : 0) : Number(least);
		const max =
			least === undefined
				? text === "?"
					? 1
					: Infinity
				: comma === undefined
					? min
					: most === ""
						? Infinity
						: Number(most);
		if (min > MAX_REPEAT || (max !== Infinity && (max > MAX_REPEAT || max < min)))
			throw new RegexRefusal(`has the repetition ${text}; at most {${MAX_REPEAT}} is allowed, the smaller number first`);
		if (body.kind === "assertion") throw new RegexRefusal(`repeats an assertion by ${text}`);
		const lazy = source[at] === "?";
		if (lazy) at++;
		if (/^(?:[*+?]|\{\d+(?:,\d*)?\})/.test(source.slice(at, at + 16)))
			throw new RegexRefusal("has a repetition of a repetition, which RE2 refuses: use a group");
		return { kind: "repeat", body, min, max, lazy };
	}

	function atom(): RegexNode {
		const char = source[at]!;
		switch (char) {
			case "(":
				return group();
			case "[":
				return chars(charClass());
			case ".":
				at++;
				return { kind: "chars", set: flags.dotAll ? ALL_CHARS : ALL_CHARS & ~LINE_FEED };
			case "^":
			case "$":
				at++;
				return { kind: "assertion", source: char };
			case "*":
			case "+":
			case "?":
				throw new RegexRefusal(`has ${char} with nothing before it to repeat`);
			case "\\":
				return escape();
			default:
				at++;
				return chars(1n << BigInt(char.charCodeAt(0)));
		}
	}

	function group(): RegexNode {
		const opening = /^\((?:\?(?:P?<[A-Za-z_]\w*>|[A-Za-z-]*:))?/.exec(source.slice(at))![0];
		const next = source.slice(at, at + 4);
		if (/^\(\?<?[=!]/.test(next)) throw new RegexRefusal("has lookaround, which RE2 does not have");
		if (opening === "(" && next[1] === "?") {
			throw new RegexRefusal(
				/^\(\?[A-Za-z-]/.test(next)
					? "has flags inside: write them at the beginning, or as (?i:…)"
					: "has a group that RE2 does not have",
			);
		}
		at += opening.length;
		const outer = flags;
		const captures = opening === "(" || opening.endsWith(">");
		if (captures) groups++;
		else if (opening !== "(?:") flags = withFlags(opening.slice(2, -1));
		const body = choice();
		if (source[at] !== ")") throw new RegexRefusal("has an opening parenthesis without a closing one");
		at++;
		flags = outer;
		return { kind: "group", body, captures };
	}

	function withFlags(letters: string): Flags {
		let { ignoreCase, dotAll } = flags;
		let on = true;
		for (const letter of letters) {
			if (letter === "-") on = false;
			else if (letter === "i") ignoreCase = on;
			else if (letter === "s") dotAll = on;
			else throw new RegexRefusal(`has the flag ${letter}; i and s are supported`);
		}
		return { ignoreCase, dotAll };
	}

	function chars(set: CharSet): RegexNode {
		return { kind: "chars", set: flags.ignoreCase ? foldCase(set) : set };
	}

	function escape(): RegexNode {
		const letter = source[at + 1];
		if (letter === "A" || letter === "z") {
			at += 2;
			return { kind: "assertion", source: letter === "A" ? "^" : "$" };
		}
		if (letter === "b" || letter === "B") {
			at += 2;
			return { kind: "assertion", source: `\\${letter}` };
		}
		return chars(escapedSet());
	}

	/** A class or one character, after the backslash at `at`. */
	function escapedSet(): CharSet {
		const letter = source[at + 1];
		if (letter === undefined) throw new RegexRefusal("ends with a backslash");
		at += 2;
		const lower = letter.toLowerCase();
		if (Object.hasOwn(CLASSES, lower)) return letter === lower ? CLASSES[lower]! : ALL_CHARS & ~CLASSES[lower]!;
		if (Object.hasOwn(CONTROLS, letter)) return 1n << BigInt(CONTROLS[letter]!);
		if (letter === "x") {
			const digits = /^(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/.exec(source.slice(at, at + 8));
			const code = digits === null ? 128 : Number.parseInt(digits[1] ?? digits[2]!, 16);
			if (digits === null || code > 127)
				throw new RegexRefusal("has \\x with other than two hexadecimal digits of an ASCII character");
			at += digits[0].length;
			return 1n << BigInt(code);
		}
		if (/[1-9]/.test(letter)) throw new RegexRefusal("has a backreference, which RE2 does not have");
		if (/[A-Za-z0-9]/.test(letter)) throw new RegexRefusal(`has the escape \\${letter}, which is not supported here`);
		return 1n << BigInt(letter.charCodeAt(0));
	}

	function charClass(): CharSet {
		at++;
		const isNegated = source[at] === "^";
		if (isNegated) at++;
		let set = 0n;
		let isFirst = true;
		while (isFirst || source[at] !== "]") {
			if (at >= source.length) throw new RegexRefusal("has a [ without ]");
			isFirst = false;
			const posix = /^\[:(\^?)([a-z]+):\]/.exec(source.slice(at, at + 16));
			if (posix !== null) {
				const named = Object.hasOwn(POSIX, posix[2]!) ? POSIX[posix[2]!]! : undefined;
				if (named === undefined) throw new RegexRefusal(`has the class ${posix[0]}, which RE2 does not have`);
				set |= posix[1] === "^" ? ALL_CHARS & ~named : named;
				at += posix[0].length;
				continue;
			}
			const low = classItem();
			if (source[at] !== "-" || source[at + 1] === "]" || at + 1 >= source.length) {
				set |= low;
				continue;
			}
			at++;
			const [from, to] = [onlyChar(low), onlyChar(classItem())];
			if (from === undefined || to === undefined || from > to)
				throw new RegexRefusal("has a range in [ ] that does not go from a smaller character to a larger one");
			set |= range(from, to);
		}
		at++;
		// Folded before it is negated, as RE2 does: [^a] in (?i) leaves A out too.
		if (flags.ignoreCase) set = foldCase(set);
		return isNegated ? ALL_CHARS & ~set : set;
	}

	function classItem(): CharSet {
		if (at >= source.length) throw new RegexRefusal("has a [ without ]");
		if (source[at] === "\\") return escapedSet();
		return 1n << BigInt(source.charCodeAt(at++));
	}
}

function foldCase(set: CharSet): CharSet {
	return set | ((set & UPPER) << 32n) | ((set & LOWER) >> 32n);
}

function onlyChar(set: CharSet): number | undefined {
	const code = set.toString(2).length - 1;
	return set === 1n << BigInt(code) && code < 128 ? code : undefined;
}

/** The same in JavaScript, without any flag. */
export function toJavaScript(node: RegexNode): string {
	switch (node.kind) {
		case "chars":
			return charsSource(node.set);
		case "assertion":
			return node.source;
		case "sequence":
			return node.parts.map(toJavaScript).join("");
		case "choice":
			return node.options.map(toJavaScript).join("|");
		case "group":
			return `${node.captures ? "(" : "(?:"}${toJavaScript(node.body)})`;
		case "repeat": {
			const { min, max } = node;
			const operator =
				max === Infinity
					? min === 0
						? "*"
						: min === 1
							? "+"
							: `{${min},}`
					: min === 0 && max === 1
						? "?"
						: min === max
							? `{${min}}`
							: `{${min},${max}}`;
			return toJavaScript(node.body) + operator + (node.lazy ? "?" : "");
		}
	}
}

function charsSource(set: CharSet): string {
	const only = onlyChar(set);
	if (only !== undefined) return charSource(only);
	if (set === ALL_CHARS) return "[^]";
	if (set === 0n) return "[]";
	const isNegated = (set & (1n << 128n)) !== 0n;
	const listed = isNegated ? ALL_CHARS & ~set : set;
	let source = "";
	for (let from = 0; from < 128; from++) {
		if ((listed & (1n << BigInt(from))) === 0n) continue;
		let to = from;
		while (to < 127 && (listed & (1n << BigInt(to + 1))) !== 0n) to++;
		source +=
			to - from < 2
				? Array.from({ length: to - from + 1 }, (_, i) => charSource(from + i)).join("")
				: `${charSource(from)}-${charSource(to)}`;
		from = to;
	}
	return `[${isNegated ? "^" : ""}${source}]`;
}

function charSource(code: number): string {
	const char = String.fromCharCode(code);
	if (/[0-9A-Za-z/_:;,=@&%~ ]/.test(char)) return char;
	return /[!-~]/.test(char) &&
		char !== "-" &&
		char !== "<" &&
		char !== ">" &&
		char !== "!" &&
		char !== '"' &&
		char !== "#" &&
		char !== "'" &&
		char !== "`"
		? `\\${char}`
		: `\\x${code.toString(16).padStart(2, "0")}`;
}
