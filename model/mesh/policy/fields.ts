/**
 * Readers of JSON values, put together from tables: what a field may be, what is required, which of Istio's fields are known but not
 * supported. A reader gives the value in the form that compiling needs, or reports a fault and gives undefined. It never throws.
 *
 * As in Istio's JSON, null stands for "not there".
 */
import { fault, nearestName, type Place, shortened, within } from "./place.ts";

export type Read<T> = (value: unknown, at: Place) => T | undefined;

interface RequiredField<T> {
	readonly required: Read<T>;
}

/** A field that Istio has and that would change what happens: it is refused, never ignored. */
interface UnsupportedField {
	readonly unsupported: string;
}

export type Shape = Readonly<Record<string, Read<unknown> | RequiredField<unknown> | UnsupportedField>>;

export type Fields<S extends Shape> = {
	readonly [K in keyof S as S[K] extends UnsupportedField ? never : K]: S[K] extends RequiredField<infer T>
		? T
		: S[K] extends Read<infer T>
			? T | undefined
			: never;
};

export type ValueOf<R> = R extends Read<infer T> ? T : never;

export function required<T>(read: Read<T>): RequiredField<T> {
	return { required: read };
}

/** `instead` completes "… is not supported here: ". */
export function unsupported(instead = "leave it out"): UnsupportedField {
	return { unsupported: instead };
}

/** Which fields somebody wrote, faulty ones included, so that a check of their combination does not follow from another fault. */
export type Present = ReadonlySet<string>;

const places = new WeakMap<object, Place>();

/** Where an object stood that a reader made; a list's numbers would be off after a faulty item. */
export function placeOf(value: object, otherwise: Place): Place {
	return places.get(value) ?? otherwise;
}

/** Undefined where a required field is missing or faulty; a faulty optional field is left out of the value. */
export function object<S extends Shape>(
	shape: S,
	check?: (value: Fields<S>, at: Place, present: Present) => void,
): Read<Fields<S>> {
	const supported = Object.keys(shape).filter((name) => !("unsupported" in shape[name]!));
	return (value, at) => {
		if (!isObject(value)) return fault(at, `must be an object with ${listed(supported)}, not ${described(value)}`);
		const present = new Set<string>();
		for (const [name, one] of Object.entries(value)) {
			const field = Object.hasOwn(shape, name) ? shape[name]! : undefined;
			if (field === undefined) unknownField(name, supported, within(at, name));
			else if (one !== null && one !== undefined) {
				present.add(name);
				if ("unsupported" in field)
					fault(within(at, name), `is Istio's, but is not supported here: ${field.unsupported}`);
			}
		}
		const fields: Record<string, unknown> = {};
		let complete = true;
		for (const name of supported) {
			const field = shape[name]!;
			const read = typeof field === "function" ? field : "required" in field ? field.required : undefined;
			const result = present.has(name) ? read?.(value[name], within(at, name)) : undefined;
			fields[name] = result;
			if (typeof field === "function" || result !== undefined) continue;
			complete = false;
			if (!present.has(name)) fault(at, `needs ${name}`);
		}
		if (!complete) return undefined;
		places.set(fields, at);
		check?.(fields as Fields<S>, at, present);
		return fields as Fields<S>;
	};
}

function unknownField(name: string, known: readonly string[], at: Place): void {
	if (name === "<<")
		return void fault(at, "merge keys (<<) are not part of YAML 1.2: repeat the fields, or use an alias for the whole value");
	const nearest = nearestName(name, known);
	const hint = nearest === undefined ? `known here: ${listed(known)}` : `did you mean ${nearest}?`;
	fault(at, `unknown field ${JSON.stringify(shortened(name))}; ${hint}`);
}

/** Longer than any list that a person writes, and short enough that nothing quadratic over one list hurts. */
const MAX_ITEMS = 4096;

export interface ListOptions<T> {
	readonly nonEmpty?: boolean;
	/** What each item has for itself; twice the same is a fault. It completes "… is there already". */
	readonly unique?: (item: T) => readonly string[];
	/** What is wrong with an item beside those before it. */
	readonly beside?: (item: T, earlier: readonly T[]) => string | undefined;
}

export function list<T>(read: Read<T>, options: ListOptions<T> = {}): Read<readonly T[]> {
	return (value, at) => {
		if (!Array.isArray(value)) return fault(at, `must be a list, not ${described(value)}`);
		if (value.length > MAX_ITEMS) return fault(at, `has ${value.length} items; ${MAX_ITEMS} is the most`);
		if (options.nonEmpty === true && value.length === 0) return fault(at, "must have at least one item, or be left out");
		const items: T[] = [];
		const seen = new Set<string>();
		for (const [index, item] of value.entries()) {
			const result = read(item, within(at, index));
			if (result === undefined) continue;
			for (const key of options.unique?.(result) ?? []) {
				if (seen.has(key)) fault(within(at, index), `${key} is there already`);
				seen.add(key);
			}
			const problem = options.beside?.(result, items);
			if (problem !== undefined) fault(within(at, index), problem);
			items.push(result);
		}
		return items;
	};
}

export function mapOf<T>(
	readKey: Read<string>,
	readValue: Read<T>,
	options: { readonly nonEmpty?: boolean } = {},
): Read<ReadonlyMap<string, T>> {
	return (value, at) => {
		if (!isObject(value)) return fault(at, `must be an object, not ${described(value)}`);
		const entries = Object.entries(value);
		if (entries.length > MAX_ITEMS) return fault(at, `has ${entries.length} entries; ${MAX_ITEMS} is the most`);
		if (options.nonEmpty === true && entries.length === 0) return fault(at, "must have at least one entry, or be left out");
		const map = new Map<string, T>();
		for (const [name, one] of entries) {
			const key = readKey(name, within(at, name));
			const result = readValue(one, within(at, name));
			if (key === undefined || result === undefined) continue;
			if (map.has(key)) fault(within(at, name), `${key} is there already, in other letters`);
			map.set(key, result);
		}
		return map;
	};
}

const MAX_TEXT_CHARS = 65_536;

export function text(options: { readonly empty?: "allowed" } = {}): Read<string> {
	return (value, at) => {
		if (typeof value !== "string") {
			const hint = typeof value === "number" || typeof value === "boolean" ? "; put it in quotes" : "";
			return fault(at, `must be text, not ${described(value)}${hint}`);
		}
		if (value === "" && options.empty !== "allowed") return fault(at, "must not be empty");
		if (value.length > MAX_TEXT_CHARS) return fault(at, `is longer than ${MAX_TEXT_CHARS} characters`);
		return value;
	};
}

/** Text that `problem` finds nothing wrong with. */
export function textThat(problem: (value: string) => string | undefined): Read<string> {
	return mapped(text(), (value, at) => {
		const message = problem(value);
		return message === undefined ? value : fault(at, `${message}, not ${quoted(value)}`);
	});
}

/** What `read` gives, taken further; `take` reports what is wrong and gives undefined. */
export function mapped<T, U>(read: Read<T>, take: (value: T, at: Place) => U | undefined): Read<U> {
	return (value, at) => {
		const result = read(value, at);
		return result === undefined ? undefined : take(result, at);
	};
}

export function bool(value: unknown, at: Place): boolean | undefined {
	return typeof value === "boolean" ? value : fault(at, `must be true or false, not ${described(value)}`);
}

export function integer(min: number, max: number): Read<number> {
	return (value, at) =>
		typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
			? value
			: fault(at, `must be a whole number from ${min} to ${max}, not ${described(value)}`);
}

export function decimal(min: number, max: number): Read<number> {
	return (value, at) =>
		typeof value === "number" && value >= min && value <= max
			? value
			: fault(at, `must be a number from ${min} to ${max}, not ${described(value)}`);
}

/** `others`: words that Istio has, and what to write in their place. */
export function oneOf<const W extends string>(words: readonly W[], others: Readonly<Record<string, string>> = {}): Read<W> {
	return (value, at) => {
		const word = words.find((one) => one === value);
		if (word !== undefined) return word;
		if (typeof value === "string" && Object.hasOwn(others, value))
			return fault(at, `${value} is not supported here: ${others[value]}`);
		const nearest = typeof value === "string" ? nearestName(value, words) : undefined;
		const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
		return fault(
			at,
			`must be ${words.length === 1 ? words[0] : `one of ${words.join(", ")}`}, not ${described(value)}${hint}`,
		);
	};
}

export function exactlyOne(at: Place, present: Present, names: readonly string[]): boolean {
	const written = names.filter((name) => present.has(name));
	if (written.length === 1) return true;
	fault(at, written.length === 0 ? `needs ${listed(names)}` : `has ${written.join(" and ")}: only one of them is allowed`);
	return false;
}

export function atMostOne(at: Place, present: Present, names: readonly string[]): void {
	const written = names.filter((name) => present.has(name));
	if (written.length > 1) fault(at, `has ${written.join(" and ")}: only one of them is allowed`);
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** For a message. */
export function described(value: unknown): string {
	if (value === null || value === undefined) return "nothing";
	if (Array.isArray(value)) return "a list";
	if (typeof value === "object") return "an object";
	return typeof value === "string" ? quoted(value) : String(value);
}

export function quoted(value: string): string {
	return JSON.stringify(shortened(value));
}

function listed(names: readonly string[]): string {
	return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}
