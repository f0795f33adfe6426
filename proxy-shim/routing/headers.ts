/**
 * The header changes of routes and destinations, over a raw header list: first removals, then `set`, then `add`, as Envoy does.
 *
 * A policy names headers, but the framing of messages is the proxy's. Changes that could break it are left out: pseudo headers, what
 * frames or upgrades a message, names and values that are none (CR, LF, NUL), and a `host` removed, doubled or emptied. Envoy's
 * `%…%` substitutions are not evaluated and stay as they are written.
 */
import type { HeaderChanges } from "../../model/mesh/proxy-config.ts";

/** `[name, value, name, value, …]`, names in any case, as node:http's rawHeaders. */
export type RawHeaders = readonly string[];

const FRAMING: ReadonlySet<string> = new Set([
	"connection",
	"content-length",
	"http2-settings",
	"keep-alive",
	"proxy-connection",
	"te",
	"trailer",
	"transfer-encoding",
	"upgrade",
]);

/** RFC 9110: tokens, and field values without controls but the tab. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

interface CompiledChanges {
	/** Removed or replaced. */
	readonly dropped: ReadonlySet<string>;
	/** Bit `n` for names of length n (mod 32), so that hardly any other name is lowered to look it up. */
	readonly droppedLengths: number;
	/** What is appended: `[name, value, …]`. */
	readonly appended: RawHeaders;
}

const compiled = new WeakMap<HeaderChanges, CompiledChanges>();

/** The list itself where nothing changes, else a new one. */
export function applyHeaders(changes: HeaderChanges, headers: RawHeaders): RawHeaders {
	if (changes.set.length === 0 && changes.add.length === 0 && changes.remove.length === 0) return headers;
	let known = compiled.get(changes);
	if (known === undefined) {
		known = compile(changes);
		compiled.set(changes, known);
	}
	const { dropped, droppedLengths, appended } = known;
	const result: string[] = [];
	for (let i = 0; i + 1 < headers.length; i += 2) {
		const name = headers[i]!;
		const mayDrop = ((droppedLengths >>> (name.length & 31)) & 1) === 1;
		if (!mayDrop || !dropped.has(name.toLowerCase())) result.push(name, headers[i + 1]!);
	}
	for (const text of appended) result.push(text);
	return result;
}

function compile(changes: HeaderChanges): CompiledChanges {
	const dropped = new Set<string>();
	const appended: string[] = [];
	for (const name of changes.remove) if (isFree(name) && name !== "host") dropped.add(name);
	const set = new Map<string, string>();
	for (const [name, value] of changes.set) {
		if (!isFree(name) || !VALUE.test(value) || (name === "host" && value === "")) continue;
		dropped.add(name);
		set.set(name, value);
	}
	for (const [name, value] of set) appended.push(name, value);
	for (const [name, value] of changes.add) {
		if (isFree(name) && VALUE.test(value) && name !== "host") appended.push(name, value);
	}
	let droppedLengths = 0;
	for (const name of dropped) droppedLengths |= 1 << (name.length & 31);
	return { dropped, droppedLengths, appended };
}

/** A policy may change it. */
function isFree(name: string): boolean {
	return TOKEN.test(name) && !FRAMING.has(name);
}
