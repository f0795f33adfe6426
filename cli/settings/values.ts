/**
 * How single settings are written: addresses, sizes, durations, counts. Every source (file, environment, flag) gives text, and every
 * reader here turns text into a value or says in one sentence what it expects.
 */
import { parseDuration } from "../../model/time.ts";

/** Either the value, or a sentence that completes "<setting>: …". */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

export interface ListenAddress {
	/** Without brackets. */
	readonly host: string;
	/** 0 means any free one. */
	readonly port: number;
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
	"": 1,
	b: 1,
	kb: 1e3,
	mb: 1e6,
	gb: 1e9,
	tb: 1e12,
	kib: 2 ** 10,
	mib: 2 ** 20,
	gib: 2 ** 30,
	tib: 2 ** 40,
};

/** `64MiB`, `10GB`, `1.5 GiB`, or a bare number of bytes. */
export function parseSize(text: string): Parsed<number> {
	const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
	const unit = match === null ? undefined : SIZE_UNITS[match[2]!.toLowerCase()];
	if (match === null || unit === undefined) return fail(`${quote(text)} is not a size; write it like 10GB or 64MiB`);
	const bytes = Math.round(Number(match[1]) * unit);
	return Number.isSafeInteger(bytes) ? done(bytes) : fail(`${quote(text)} is more than can be counted`);
}

/** Milliseconds of `7d`, `90m`, `1h30m`. */
export function parseDurationMs(text: string): Parsed<number> {
	const duration = parseDuration(text.trim());
	if (duration === undefined) return fail(`${quote(text)} is not a duration; write it like 7d, 12h or 30m`);
	const ms = Number(duration / 1_000_000n);
	return Number.isSafeInteger(ms) ? done(ms) : fail(`${quote(text)} is more than can be counted`);
}

export function parseCount(text: string): Parsed<number> {
	const count = /^\d{1,15}$/.test(text.trim()) ? Number(text) : undefined;
	return count === undefined ? fail(`${quote(text)} is not a whole number`) : done(count);
}

export function parseBoolean(text: string): Parsed<boolean> {
	const word = text.trim().toLowerCase();
	if (word === "true" || word === "1" || word === "yes") return done(true);
	if (word === "false" || word === "0" || word === "no") return done(false);
	return fail(`${quote(text)} is neither true nor false`);
}

/** `host:port`, `[v6]:port`, `:port` (every address of the machine), or a bare port (loopback). */
export function parseAddress(text: string): Parsed<ListenAddress> {
	const trimmed = text.trim();
	const expected = "write HOST:PORT, like 127.0.0.1:4317 or [::1]:4317";
	if (trimmed.includes("://")) return fail(`${quote(text)} has a scheme; ${expected}`);
	const match = /^(?:\[([0-9a-f:.]+)\]:|([^\s:/[\]]*):)?(\d{1,5})$/i.exec(trimmed);
	if (match === null) return fail(`${quote(text)} is not an address; ${expected}`);
	const port = Number(match[3]);
	if (port > 65_535) return fail(`${quote(text)} has port ${port}; ports end at 65535`);
	const host = match[1] ?? match[2];
	return done({ host: host === undefined ? "127.0.0.1" : host === "" ? "::" : host, port });
}

export function formatAddress(address: ListenAddress): string {
	return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** True when only this machine can reach the address. Names other than localhost may resolve to anything, so they are not. */
export function isLoopback(host: string): boolean {
	const bare = host.toLowerCase().replace(/^::ffff:/, "");
	return bare === "localhost" || bare === "::1" || /^127(\.\d{1,3}){3}$/.test(bare);
}

/** The known word that `word` was probably meant to be. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
	let best: string | undefined;
	let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
	for (const candidate of known) {
		const distance = editDistance(word, candidate);
		if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
	}
	return best;
}

function editDistance(a: string, b: string): number {
	let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
	for (let i = 1; i <= a.length; i++) {
		const row = [i];
		for (let j = 1; j <= b.length; j++) {
			const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
			row.push(Math.min(substitution, previous[j]! + 1, row[j - 1]! + 1));
		}
		previous = row;
	}
	return previous[b.length]!;
}

function done<T>(value: T): Parsed<T> {
	return { ok: true, value };
}

function fail(problem: string): Parsed<never> {
	return { ok: false, problem };
}

function quote(text: string): string {
	return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
