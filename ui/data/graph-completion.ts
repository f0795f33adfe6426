/** What may come next in the find and the hide box, at the place of the caret. Pure. */
import { NUMBER_TESTS, TEXT_TESTS, TOKEN } from "./graph-expression.ts";
import { KIND_VALUES, MTLS_VALUES, NUMBER_FIELDS, PROTOCOL_VALUES, TEXT_FIELDS } from "./graph-fields.ts";
import type { GraphNodeAnswer } from "./graph-words.ts";

export interface Completion {
	/** As it is written into the box. */
	readonly text: string;
	readonly hint: string;
}

export interface Completions {
	/** The part of the text that is replaced. */
	readonly from: number;
	readonly to: number;
	readonly options: readonly Completion[];
}

/** Names that the graph on the page has. */
export interface Vocabulary {
	readonly nodes: readonly GraphNodeAnswer[];
	/** Of edges. */
	readonly codes: readonly string[];
	readonly flags: readonly string[];
}

const MAX_OPTIONS = 12;

/** What the tokens before the caret lead up to. */
type Expected =
	| { readonly kind: "factor"; readonly scope: "edge" | "node" | undefined }
	| { readonly kind: "operator"; readonly field: string }
	| { readonly kind: "value"; readonly field: string; readonly operator: string }
	| { readonly kind: "joint"; readonly open: number };

export function completionsAt(text: string, caret: number, vocabulary: Vocabulary): Completions {
	const { before, partial, from } = readBefore(text.slice(0, caret));
	const expected = expectedAfter(before);
	const offered = expected === undefined ? [] : optionsFor(expected, vocabulary);
	const typed = partial.replace(/^"/, "").toLowerCase();
	const bare = (option: Completion): string => option.text.replace(/^"/, "").toLowerCase();
	const begins = offered.filter((option) => bare(option).startsWith(typed));
	const contains = offered.filter((option) => !bare(option).startsWith(typed) && bare(option).includes(typed));
	// What stands there already is no suggestion.
	const options = [...begins, ...contains].filter((option) => bare(option) !== typed).slice(0, MAX_OPTIONS);
	const rest = /^[^\s()=<>~!"]*/.exec(text.slice(caret))![0].length;
	return { from, to: partial === "" ? caret : caret + rest, options };
}

/** The text with a completion taken, and where the caret is then: behind it, ready for what follows. */
export function taken(
	text: string,
	{ from, to }: Completions,
	option: Completion,
): { readonly text: string; readonly caret: number } {
	const rest = text.slice(to);
	const head = `${text.slice(0, from)}${option.text}${option.text === "(" ? "" : " "}`;
	return { text: head + rest.trimStart(), caret: head.length };
}

interface Before {
	readonly before: readonly { readonly text: string; readonly isQuoted: boolean }[];
	/** The word or quoted text that the caret ends. */
	readonly partial: string;
	readonly from: number;
}

function readBefore(text: string): Before {
	const before: { text: string; isQuoted: boolean }[] = [];
	TOKEN.lastIndex = 0;
	let at = 0;
	while (at < text.length && text.slice(at).trim() !== "") {
		const match = TOKEN.exec(text);
		const start = at + text.slice(at).search(/\S/);
		// A quote that is not closed: a name is being written.
		if (match === null) return { before, partial: text.slice(start), from: start };
		at = TOKEN.lastIndex;
		const isWord = match[3] !== undefined;
		const isGrowing = at === text.length && (isWord || /^[!<>=~]/.test(match[2] ?? ""));
		if (isGrowing) return { before, partial: isWord ? match[3]! : match[2]!, from: start };
		before.push({ text: match[1] ?? match[2] ?? match[3]!, isQuoted: match[1] !== undefined });
	}
	return { before, partial: "", from: text.length };
}

/** Undefined where the text is wrong already: the box says so. */
function expectedAfter(tokens: Before["before"]): Expected | undefined {
	let expected: Expected = { kind: "factor", scope: undefined };
	let open = 0;
	for (const { text, isQuoted } of tokens) {
		const word = text.toLowerCase();
		switch (expected.kind) {
			case "factor":
				if (isQuoted) return undefined;
				if (word === "(") open++;
				else if (word === "edge" || word === "node") expected = { kind: "factor", scope: word };
				else if (isField(word)) expected = { kind: "operator", field: word };
				else if (word !== "not") return undefined;
				break;
			case "operator":
				if (!Object.hasOwn(testsOf(expected.field), word)) return undefined;
				expected = { kind: "value", field: expected.field, operator: word };
				break;
			case "value":
				expected = { kind: "joint", open };
				break;
			case "joint":
				if (word === "and" || word === "or") expected = { kind: "factor", scope: undefined };
				else if (word === ")" && open > 0) expected = { kind: "joint", open: --open };
				else return undefined;
				break;
		}
	}
	return expected;
}

function isField(name: string): boolean {
	return Object.hasOwn(NUMBER_FIELDS, name) || Object.hasOwn(TEXT_FIELDS, name);
}

function testsOf(field: string): Readonly<Record<string, unknown>> {
	return Object.hasOwn(NUMBER_FIELDS, field) ? NUMBER_TESTS : TEXT_TESTS;
}

const OPERATOR_HINTS: Readonly<Record<string, string>> = {
	"=": "is",
	"!=": "is not",
	"~": "contains",
	"!~": "does not contain",
	">": "more than",
	"<": "less than",
	">=": "at least",
	"<=": "at most",
};

/** Fields that say nothing of the other. */
const ONLY_OF_NODES: readonly string[] = ["kind"];
const ONLY_OF_EDGES: readonly string[] = [
	...["p50", "p90", "p95", "p99", "mtls", "bytes", "source", "target", "protocol", "status", "code", "flag"],
];

function optionsFor(expected: Expected, vocabulary: Vocabulary): readonly Completion[] {
	switch (expected.kind) {
		case "factor": {
			const { scope } = expected;
			const left = scope === "edge" ? ONLY_OF_NODES : scope === "node" ? ONLY_OF_EDGES : [];
			const fields = Object.entries({ ...NUMBER_FIELDS, ...TEXT_FIELDS })
				.filter(([name]) => !left.includes(name))
				.map(([text, { help: hint }]) => ({ text, hint }));
			if (scope !== undefined) return fields;
			return [
				...fields.slice(0, 7),
				{ text: "edge", hint: "only edges" },
				{ text: "node", hint: "only nodes" },
				{ text: "not", hint: "the opposite" },
				{ text: "(", hint: "brackets" },
				...fields.slice(7),
			];
		}
		case "operator":
			return Object.keys(testsOf(expected.field)).map((text) => ({ text, hint: OPERATOR_HINTS[text] ?? "" }));
		case "value":
			return valuesOf(expected, vocabulary).flatMap((value) => {
				const text = written(value);
				return text === undefined ? [] : [{ text, hint: "" }];
			});
		case "joint":
			return [
				{ text: "and", hint: "both" },
				{ text: "or", hint: "either" },
				...(expected.open > 0 ? [{ text: ")", hint: "close the bracket" }] : []),
			];
	}
}

function valuesOf(
	{ field, operator }: { readonly field: string; readonly operator: string },
	vocabulary: Vocabulary,
): readonly string[] {
	const { nodes, codes, flags } = vocabulary;
	const distinct = (values: readonly string[]): readonly string[] =>
		[...new Set(values)].filter((value) => value !== "").sort();
	switch (field) {
		case "kind":
			return KIND_VALUES;
		case "protocol":
			return PROTOCOL_VALUES;
		case "status":
			return MTLS_VALUES;
		case "namespace":
			return distinct(nodes.map(({ namespace }) => namespace));
		case "cluster":
			return distinct(nodes.map(({ cluster }) => cluster));
		case "code":
			return distinct(codes);
		case "flag":
			return distinct(flags);
		case "name":
		case "source":
		case "target":
			return distinct(nodes.map(({ id }) => id));
		case "mtls":
			// A status is one or is not; only shares are more or less.
			return [...NUMBER_FIELDS["mtls"]!.values, ...(operator === "=" || operator === "!=" ? MTLS_VALUES : [])];
		default:
			return NUMBER_FIELDS[field]?.values ?? [];
	}
}

/** In quotes where it must; undefined where it cannot be written, since a quote ends a text. */
function written(value: string): string | undefined {
	if (value.includes('"')) return undefined;
	return /^[^\s()=<>~!]+$/.test(value) ? value : `"${value}"`;
}
