/**
 * The language of the find and the hide box: `edge p95 > 200ms and mtls < 100`, `node kind = external`, `name ~ cart`. Pure.
 *
 *     expression = term { "or" term }        term = factor { "and" factor }
 *     factor     = "not" factor | "(" expression ")" | [ "edge" | "node" ] field operator value
 *
 * A comparison that says nothing of an item (a latency of a node, a share of mTLS that nobody knows) neither holds nor fails, and its
 * negation holds no more: `not mtls = 100` finds no edge of which nothing is known.
 */
import { parseDuration } from "../../model/time.ts";
import { MTLS_VALUES, NUMBER_FIELDS, TEXT_FIELDS } from "./graph-fields.ts";
import type { GraphItem, NumberField, TextField, Unit } from "./graph-fields.ts";

/** True, false, or undefined where the expression says nothing of the item. */
export type GraphPredicate = (item: GraphItem) => boolean | undefined;

export type ParsedExpression =
	| { readonly matches: GraphPredicate }
	/** What is wrong, and the character (from 0) at which it shows. */
	| { readonly problem: string; readonly at: number };

/** The item meets the expression: what it says nothing of, it does not meet. */
export function meets(matches: GraphPredicate, item: GraphItem): boolean {
	return matches(item) === true;
}

interface Token {
	readonly text: string;
	readonly at: number;
	readonly isQuoted: boolean;
}

class ExpressionError extends Error {
	readonly at: number;
	constructor(message: string, at: number) {
		super(message);
		this.at = at;
	}
}

/** Reads an expression; a blank one is no expression. */
export function parseExpression(text: string): ParsedExpression | undefined {
	if (text.trim() === "") return undefined;
	try {
		const reader = new Reader(tokensOf(text), text.length);
		const matches = readOr(reader);
		const rest = reader.peek();
		if (rest !== undefined) throw new ExpressionError(`Expected and, or, or the end; here is ${shown(rest)}.`, rest.at);
		return { matches };
	} catch (error) {
		if (!(error instanceof ExpressionError)) throw error;
		return { problem: error.message, at: error.at };
	}
}

/** A quoted text, an operator or bracket, or a word, each with the blanks before it. */
export const TOKEN = /\s*(?:"([^"]*)"|(!=|>=|<=|!~|[()=<>~])|([^\s()=<>~!"]+))/y;

function tokensOf(text: string): readonly Token[] {
	const tokens: Token[] = [];
	TOKEN.lastIndex = 0;
	for (let at = 0; at < text.length && text.slice(at).trim() !== ""; at = TOKEN.lastIndex) {
		const match = TOKEN.exec(text);
		const start = at + text.slice(at).search(/\S/);
		if (match === null) {
			throw text[start] === '"'
				? new ExpressionError('The text that begins here has no closing ".', start)
				: new ExpressionError(`${JSON.stringify(text[start])} means nothing here.`, start);
		}
		tokens.push({ text: match[1] ?? match[2] ?? match[3]!, at: start, isQuoted: match[1] !== undefined });
	}
	return tokens;
}

function shown({ text }: Token): string {
	return JSON.stringify(text.slice(0, 40));
}

/** Deeper than anybody writes; a pasted megabyte of brackets must not end the page. */
const MAX_DEPTH = 100;

class Reader {
	readonly #tokens: readonly Token[];
	readonly #end: number;
	#next = 0;
	#depth = 0;

	constructor(tokens: readonly Token[], end: number) {
		this.#tokens = tokens;
		this.#end = end;
	}

	peek(): Token | undefined {
		return this.#tokens[this.#next];
	}

	/** The next word if it is `word`, in any case. */
	take(word: string): Token | undefined {
		const token = this.peek();
		if (token === undefined || token.isQuoted || token.text.toLowerCase() !== word) return undefined;
		this.#next++;
		return token;
	}

	expect(what: string): Token {
		const token = this.peek();
		if (token === undefined) throw new ExpressionError(`Expected ${what} at the end.`, this.#end);
		this.#next++;
		return token;
	}

	nested<T>(at: number, read: () => T): T {
		if (++this.#depth > MAX_DEPTH) throw new ExpressionError("Too deeply nested.", at);
		const result = read();
		this.#depth--;
		return result;
	}
}

function readOr(reader: Reader): GraphPredicate {
	const terms = [readAnd(reader)];
	while (reader.take("or") !== undefined) terms.push(readAnd(reader));
	return terms.length === 1 ? terms[0]! : (item) => anyOf(terms.map((term) => term(item)));
}

function readAnd(reader: Reader): GraphPredicate {
	const factors = [readFactor(reader)];
	while (reader.take("and") !== undefined) factors.push(readFactor(reader));
	return factors.length === 1 ? factors[0]! : (item) => allOf(factors.map((factor) => factor(item)));
}

/** Kleene's three values: one true is enough, and what is not known stays so. */
function anyOf(values: readonly (boolean | undefined)[]): boolean | undefined {
	if (values.includes(true)) return true;
	return values.includes(undefined) ? undefined : false;
}

function allOf(values: readonly (boolean | undefined)[]): boolean | undefined {
	if (values.includes(false)) return false;
	return values.includes(undefined) ? undefined : true;
}

function negated(value: boolean | undefined): boolean | undefined {
	return value === undefined ? undefined : !value;
}

function readFactor(reader: Reader): GraphPredicate {
	const not = reader.take("not");
	if (not !== undefined) {
		const factor = reader.nested(not.at, () => readFactor(reader));
		return (item) => negated(factor(item));
	}
	const open = reader.take("(");
	if (open === undefined) return readComparison(reader);
	const inner = reader.nested(open.at, () => readOr(reader));
	if (reader.take(")") === undefined) {
		const next = reader.peek();
		throw next === undefined
			? new ExpressionError("This ( is not closed.", open.at)
			: new ExpressionError(`Expected ); here is ${shown(next)}.`, next.at);
	}
	return inner;
}

function readComparison(reader: Reader): GraphPredicate {
	const type = reader.take("edge") === undefined ? (reader.take("node") === undefined ? undefined : "node") : "edge";
	const field = reader.expect("a field such as p95 or name");
	const name = field.text.toLowerCase();
	const compare = Object.hasOwn(NUMBER_FIELDS, name)
		? readNumberTest(reader, name, NUMBER_FIELDS[name]!)
		: Object.hasOwn(TEXT_FIELDS, name)
			? readTextTest(reader, name, TEXT_FIELDS[name]!)
			: undefined;
	if (compare === undefined) {
		const known = [...Object.keys(NUMBER_FIELDS), ...Object.keys(TEXT_FIELDS)].join(", ");
		throw new ExpressionError(`${shown(field)} is no field. Fields: ${known}.`, field.at);
	}
	return type === undefined ? compare : (item) => (item.type === type ? compare(item) : undefined);
}

export const NUMBER_TESTS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
	">": (a, b) => a > b,
	"<": (a, b) => a < b,
	">=": (a, b) => a >= b,
	"<=": (a, b) => a <= b,
	"=": (a, b) => a === b,
	"!=": (a, b) => a !== b,
};

function readNumberTest(reader: Reader, name: string, field: NumberField): GraphPredicate {
	const operator = reader.expect(`>, <, =, >=, <= or != after ${name}`);
	const test = NUMBER_TESTS[operator.text];
	if (test === undefined || operator.isQuoted) {
		throw new ExpressionError(`${name} takes >, <, =, >=, <= or !=; here is ${shown(operator)}.`, operator.at);
	}
	const value = reader.expect(`a value after ${name} ${operator.text}`);
	const word = value.text.toLowerCase();
	if (name === "mtls" && MTLS_VALUES.includes(word) && (operator.text === "=" || operator.text === "!=")) {
		const isWanted = operator.text === "=";
		return (item) => (item.type === "edge" ? (item.edge.mtls.status === word) === isWanted : undefined);
	}
	const wanted = numberOf(value.text, field.unit);
	if (wanted === undefined) {
		const example = { percent: "a share such as 1%", duration: "a duration such as 200ms", plain: "a number" }[field.unit];
		throw new ExpressionError(`${name} takes ${example}; here is ${shown(value)}.`, value.at);
	}
	return (item) => {
		const actual = field.of(item);
		return actual === undefined ? undefined : test(actual, wanted);
	};
}

/** Percent, milliseconds or a plain number; a share without its sign is percent as well. */
function numberOf(text: string, unit: Unit): number | undefined {
	if (unit === "duration") {
		const ns = parseDuration(text);
		return ns === undefined ? undefined : Number(ns) / 1e6;
	}
	const match = (unit === "percent" ? /^(\d+(?:\.\d+)?)%?$/ : /^(\d+(?:\.\d+)?)$/).exec(text);
	return match === null ? undefined : Number(match[1]);
}

export const TEXT_TESTS: Readonly<
	Record<string, { readonly test: (a: string, b: string) => boolean; readonly negates: boolean }>
> = {
	"=": { test: (a, b) => a === b, negates: false },
	"!=": { test: (a, b) => a === b, negates: true },
	"~": { test: (a, b) => a.includes(b), negates: false },
	"!~": { test: (a, b) => a.includes(b), negates: true },
};

function readTextTest(reader: Reader, name: string, field: TextField): GraphPredicate {
	const operator = reader.expect(`=, !=, ~ or !~ after ${name}`);
	const comparison = TEXT_TESTS[operator.text];
	if (comparison === undefined || operator.isQuoted) {
		throw new ExpressionError(`${name} takes =, !=, ~ (contains) or !~; here is ${shown(operator)}.`, operator.at);
	}
	const value = reader.expect(`a text after ${name} ${operator.text}`);
	if (!value.isQuoted && /^[()=<>~]|^!/.test(value.text)) {
		throw new ExpressionError(`Expected a text after ${name} ${operator.text}; put it in quotes.`, value.at);
	}
	const wanted = value.text.toLowerCase();
	return (item) => {
		const texts = field.of(item);
		if (texts.length === 0) return undefined;
		return texts.some((text) => comparison.test(text.toLowerCase(), wanted)) !== comparison.negates;
	};
}
