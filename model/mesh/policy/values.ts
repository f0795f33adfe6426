/** Readers of the values that Istio's kinds share: durations, percentages, ports, names, hosts, labels, matches and header changes. */
import type { HeaderChanges, StringMatch } from "../proxy-config.ts";
import {
	decimal,
	described,
	exactlyOne,
	type Fields,
	integer,
	list,
	mapOf,
	mapped,
	object,
	quoted,
	type Read,
	required,
	text,
	textThat,
} from "./fields.ts";
import { isIpAddress } from "./ip-address.ts";
import { fault } from "./place.ts";
import { compilePattern } from "./regex.ts";

const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, µs: 1e-3, ns: 1e-6 };
/** Timers take 32 bits of milliseconds: a longer one would fire at once. */
const MAX_DURATION_MS = 24 * 24 * 3_600_000;

/** Go's form (`1h30m`, `1.5s`, `100ms`), in ms. As in Istio whole milliseconds; 0 only where `zero` says what it means. */
export function duration(options: { readonly zero?: "allowed" } = {}): Read<number> {
	const least = options.zero === "allowed" ? "0s, or 1ms and more" : "1ms or more";
	return (value, at) => {
		const ms = typeof value === "string" ? parseDurationMs(value) : undefined;
		if (ms === undefined) return fault(at, `must be a duration such as 1h, 1m, 1s or 1ms, not ${described(value)}`);
		// Sums of decimals are off by some of the last bits.
		const whole = Math.round(ms);
		if (Math.abs(ms - whole) > 1e-6) return fault(at, `must be a duration of whole milliseconds, not ${described(value)}`);
		if (whole === 0 && options.zero !== "allowed")
			return fault(at, `must be a duration of ${least}, not ${described(value)}`);
		if (whole > MAX_DURATION_MS) return fault(at, `must be a duration of at most 576h, not ${described(value)}`);
		return whole;
	};
}

function parseDurationMs(written: string): number | undefined {
	if (written === "0") return 0;
	if (written.length > 64 || !/^(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|µs|ns))+$/.test(written)) return undefined;
	let sum = 0;
	for (const [, number, unit] of written.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g))
		sum += Number(number) * UNIT_MS[unit!]!;
	return sum;
}

/** `{value: 0.1}` is 0.1 %. */
export const percentage: Read<number> = mapped(object({ value: decimal(0, 100) }), (fields) => fields.value ?? 0);

export const portNumber = integer(1, 65_535);

/** `{number: 80}`. */
export const portSelector: Read<number> = mapped(object({ number: required(portNumber) }), (fields) => fields.number);

// ---- names and hosts

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

function isDnsName(name: string): boolean {
	return name.length <= 253 && name.split(".").every((label) => LABEL.test(label));
}

/** RFC 1123 subdomain: what Kubernetes takes for the name of a resource. */
export const resourceName = textThat((value) =>
	isDnsName(value) ? undefined : "must be lower-case letters, digits, dashes and dots, at most 253 characters",
);

/** RFC 1123 label: a namespace, a subset, the name of a port. */
export const dnsLabel = textThat((value) =>
	LABEL.test(value) ? undefined : "must be lower-case letters, digits and dashes, at most 63 characters",
);

const HOST_FORM = "must be a host such as reviews, reviews.shop.svc.cluster.local or www.example.com";

/** In lower case, without a final dot. */
export const exactHost: Read<string> = mapped(text(), (value, at) => {
	const host = normalHost(value);
	return isDnsName(host) || isIpAddress(host) ? host : fault(at, `${HOST_FORM}, not ${quoted(value)}`);
});

/** As {@link exactHost}, or `*.suffix`. */
export const hostPattern: Read<string> = mapped(text(), (value, at) => {
	const host = normalHost(value);
	if (host === "*") return fault(at, "must not be * alone, which would take every host of the mesh: name a host, or *.suffix");
	if (host.startsWith("*.") && isDnsName(host.slice(2))) return host;
	return isDnsName(host) || isIpAddress(host) ? host : fault(at, `${HOST_FORM}, or *.suffix, not ${quoted(value)}`);
});

function normalHost(value: string): string {
	return value.toLowerCase().replace(/\.$/, "");
}

/** `.` is the namespace of the document, `*` every one. */
export const exportTo: Read<readonly string[]> = list(
	textThat((value) => (value === "." || value === "*" || LABEL.test(value) ? undefined : `must be ".", "*" or a namespace`)),
);

const labelKey = textThat((value) =>
	/^(?:[a-z0-9.-]{1,253}\/)?[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/.test(value)
		? undefined
		: "must be a label's name, such as app or example.com/tier",
);
const labelValue = mapped(text({ empty: "allowed" }), (value, at) => {
	if (value.includes("*")) return fault(at, "must be a label's whole value: wildcards are not supported in labels");
	if (value === "" || /^[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/.test(value)) return value;
	return fault(
		at,
		`must be a label's value (letters, digits, dashes, dots, underscores; at most 63 characters), not ${quoted(value)}`,
	);
});

export type Labels = ReadonlyMap<string, string>;

export const labels: Read<Labels> = mapOf(labelKey, labelValue);

/** `{matchLabels: {app: reviews}}`; an empty one selects everything, as none does. */
export const selector: Read<Labels> = mapped(object({ matchLabels: labels }), (fields) => fields.matchLabels ?? new Map());

export function hasLabels(all: Readonly<Record<string, string>>, wanted: Labels | undefined): boolean {
	if (wanted === undefined) return true;
	for (const [name, value] of wanted) if (!Object.hasOwn(all, name) || all[name] !== value) return false;
	return true;
}

// ---- matches

const regexText = mapped(text(), (value, at): StringMatch | undefined => {
	const compiled = compilePattern(value, "whole");
	return compiled.ok ? { kind: "regex", value, pattern: compiled.pattern } : fault(at, `the pattern ${compiled.reason}`);
});

const stringMatchShape = { exact: text({ empty: "allowed" }), prefix: text(), regex: regexText };

function matchOf(fields: Fields<typeof stringMatchShape>): StringMatch | undefined {
	if (fields.exact !== undefined) return { kind: "exact", value: fields.exact };
	if (fields.prefix !== undefined) return { kind: "prefix", value: fields.prefix };
	return fields.regex;
}

/** `{exact}`, `{prefix}` or `{regex}`. */
export const stringMatch: Read<StringMatch> = mapped(
	object(stringMatchShape, (_fields, at, present) => void exactlyOne(at, present, ["exact", "prefix", "regex"])),
	matchOf,
);

/** As {@link stringMatch}; `{}` asks for presence alone. */
export const presenceOrMatch: Read<StringMatch | "present"> = mapped(
	object(
		stringMatchShape,
		(_fields, at, present) => void (present.size > 0 && exactlyOne(at, present, ["exact", "prefix", "regex"])),
	),
	(fields) => matchOf(fields) ?? "present",
);

// ---- headers

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** They frame the message or belong to one connection; a policy that changed them could smuggle requests. */
const FRAMING_HEADERS: ReadonlySet<string> = new Set([
	"connection",
	"content-length",
	"keep-alive",
	"proxy-connection",
	"te",
	"trailer",
	"transfer-encoding",
	"upgrade",
]);

/** In lower case. */
export const headerName: Read<string> = mapped(text(), (value, at) =>
	HEADER_NAME.test(value) && value.length <= 256
		? value.toLowerCase()
		: fault(at, `must be a header's name, not ${quoted(value)}`),
);

const changedHeaderName: Read<string> = mapped(text(), (value, at) => {
	const name = value.toLowerCase();
	if (name.startsWith(":") || name === "host")
		return fault(at, `${quoted(value)} cannot be changed as a header: use rewrite.authority or rewrite.uri`);
	if (FRAMING_HEADERS.has(name)) return fault(at, `${quoted(value)} frames the message and cannot be changed`);
	return headerName(value, at);
});

const headerValue: Read<string> = mapped(text({ empty: "allowed" }), (value, at) => {
	if (/[^\t\x20-\x7e\x80-\xff]/.test(value))
		return fault(at, "must be a header's value: no line breaks or other control characters");
	if (value.replaceAll("%%", "").includes("%"))
		return fault(at, "has a % sign: Envoy's %VARIABLES% are not supported here; write %% for a % sign");
	return value.replaceAll("%%", "%");
});

const changes = object({
	set: mapOf(changedHeaderName, headerValue),
	add: mapOf(changedHeaderName, headerValue),
	remove: list(changedHeaderName),
});

export const NO_HEADER_CHANGES: HeaderChanges = { set: [], add: [], remove: [] };

export interface HeaderOperations {
	readonly request: HeaderChanges;
	readonly response: HeaderChanges;
}

export const headerOperations: Read<HeaderOperations> = mapped(object({ request: changes, response: changes }), (fields) => ({
	request: headerChanges(fields.request),
	response: headerChanges(fields.response),
}));

function headerChanges(
	fields:
		| ({ readonly [K in "set" | "add"]: Labels | undefined } & { readonly remove: readonly string[] | undefined })
		| undefined,
): HeaderChanges {
	return { set: [...(fields?.set ?? [])], add: [...(fields?.add ?? [])], remove: fields?.remove ?? [] };
}
