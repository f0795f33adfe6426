/** Anything the proxy holds as JSON for a person to read; what is a secret, or looks like one, is not in it. */

const SECRET_KEYS = /^(?:key|keypem|privatekey|privatekeypem|token|jointoken|secret|password|authorization|cookie)$/i;
const REDACTED = "[redacted]";
/** Deeper than any configuration; what refers to itself ends here. */
const MAX_DEPTH = 24;

export function dumpJson(value: unknown): string {
	return `${JSON.stringify(plain(value, "", 0), undefined, 2) ?? "null"}\n`;
}

function plain(value: unknown, key: string, depth: number): unknown {
	if (typeof value === "string") return SECRET_KEYS.test(key) || value.includes("PRIVATE KEY-----") ? REDACTED : value;
	if (typeof value === "bigint") return String(value);
	if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
	if (typeof value !== "object" || value === null) return typeof value === "function" ? undefined : value;
	if (depth >= MAX_DEPTH) return "[…]";
	if (value instanceof RegExp) return String(value);
	if (value instanceof Date) return value.toISOString();
	if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
	if (value instanceof Map) {
		const entries = [...value].map(([name, item]): [string, unknown] => [String(name), item]);
		return object(entries, depth);
	}
	if (value instanceof Set) return [...value].map((item) => plain(item, key, depth + 1));
	if (Array.isArray(value)) return value.map((item) => plain(item, key, depth + 1));
	return object(Object.entries(value), depth);
}

function object(entries: readonly (readonly [string, unknown])[], depth: number): unknown {
	const into = Object.create(null) as Record<string, unknown>;
	for (const [name, item] of entries) into[name] = plain(item, name, depth + 1);
	return into;
}
