/**
 * Trace context at the proxy's door: what came in as W3C or B3, the span that this hop makes of it, and what is passed on.
 *
 * Sources: W3C Trace Context level 2; openzipkin/b3-propagation; Envoy's x-request-id. A context that breaks a rule is ignored and the
 * trace begins anew, so that nothing a client sends can break a request.
 */
import type { HopTrace } from "./hop.ts";
import type { IdSource } from "./trace-ids.ts";
import { ALL_SAMPLED, readTraceState, withOwnMember } from "./trace-state.ts";

/** The trace of a hop, and what of it is told onwards. */
export interface HopTraceStart extends HopTrace {
	readonly requestId: string;
	/** Of `traceparent`: 1 sampled, 2 random. */
	readonly flags: number;
	/** How B3 came in, which is how it is passed on; empty where it did not. */
	readonly b3: "" | "single" | "multi";
	/** B3's debug flag: sampled by order. */
	readonly b3Debug: boolean;
}

/** Decides of traces that begin here. */
export interface RootSampler {
	isSampled(traceId: string): boolean;
	/** `ot=th:…`, by which a backend scales counts and knows that none is missing; empty where none is sampled. */
	readonly traceState: string;
}

const SAMPLED = 1;
const RANDOM = 2;

/** `get` answers with all values of a header, combined with commas; names are in lower case. */
export function readTraceContext(
	get: (name: string) => string | undefined,
	ids: IdSource,
	sampler: RootSampler = ALWAYS_ON,
): HopTraceStart {
	const requestId = readRequestId(get("x-request-id")) ?? ids.requestId();
	const b3 = readB3(get);
	const form = b3?.form ?? "";
	const parent = readTraceparent(get("traceparent"));
	if (parent !== undefined) {
		const { traceId, parentSpanId, flags } = parent;
		return {
			traceId,
			spanId: ids.spanId(),
			parentSpanId,
			sampled: (flags & SAMPLED) !== 0,
			traceState: readTraceState(get("tracestate")),
			requestId,
			flags,
			b3: form,
			b3Debug: b3?.debug ?? false,
		};
	}
	if (b3 !== undefined && b3.traceId !== "") {
		const isSampled = b3.sampled ?? sampler.isSampled(b3.traceId);
		return {
			traceId: b3.traceId,
			spanId: ids.spanId(),
			parentSpanId: b3.spanId,
			sampled: isSampled,
			traceState: isSampled && b3.sampled === undefined ? sampler.traceState : "",
			requestId,
			flags: isSampled ? SAMPLED : 0,
			b3: form,
			b3Debug: b3.debug,
		};
	}
	const traceId = ids.traceId();
	const isSampled = b3?.sampled ?? sampler.isSampled(traceId);
	return {
		traceId,
		spanId: ids.spanId(),
		parentSpanId: "",
		sampled: isSampled,
		traceState: isSampled && b3?.sampled === undefined ? sampler.traceState : "",
		requestId,
		flags: RANDOM | (isSampled ? SAMPLED : 0),
		b3: form,
		b3Debug: b3?.debug ?? false,
	};
}

/** To be set on the request that is passed on, each in place of what came under its name. */
export function traceHeaders(start: HopTraceStart): readonly (readonly [string, string])[] {
	const { traceId, spanId, parentSpanId, sampled, b3 } = start;
	const headers: (readonly [string, string])[] = [
		["traceparent", `00-${traceId}-${spanId}-0${start.flags & 3}`],
		["tracestate", withOwnMember(start.traceState, spanId)],
		["x-request-id", start.requestId],
	];
	if (b3 === "") return headers;
	const decision = start.b3Debug ? "d" : sampled ? "1" : "0";
	if (b3 === "single") {
		headers.push(["b3", `${traceId}-${spanId}-${decision}${parentSpanId === "" ? "" : `-${parentSpanId}`}`]);
		return headers;
	}
	headers.push(["x-b3-traceid", traceId], ["x-b3-spanid", spanId]);
	if (parentSpanId !== "") headers.push(["x-b3-parentspanid", parentSpanId]);
	headers.push(start.b3Debug ? ["x-b3-flags", "1"] : ["x-b3-sampled", decision]);
	return headers;
}

interface Traceparent {
	readonly traceId: string;
	readonly parentSpanId: string;
	readonly flags: number;
}

const TRACEPARENT_CHARACTERS = 55;

function readTraceparent(header: string | undefined): Traceparent | undefined {
	if (header === undefined || header.length < TRACEPARENT_CHARACTERS) return undefined;
	if (header[2] !== "-" || header[35] !== "-" || header[52] !== "-") return undefined;
	if (!isHex(header, 0, 2) || !isHex(header, 53, 55) || header.startsWith("ff")) return undefined;
	if (!isId(header, 3, 35) || !isId(header, 36, 52)) return undefined;
	const isOurVersion = header.startsWith("00");
	// Later versions may append fields.
	if (header.length > TRACEPARENT_CHARACTERS && (isOurVersion || header[TRACEPARENT_CHARACTERS] !== "-")) return undefined;
	const flags = Number.parseInt(header.slice(53, 55), 16);
	return {
		traceId: header.slice(3, 35),
		parentSpanId: header.slice(36, 52),
		// What other bits mean nobody knows yet, so they are not passed on.
		flags: flags & (isOurVersion ? SAMPLED | RANDOM : SAMPLED),
	};
}

function isHex(text: string, start: number, end: number): boolean {
	for (let i = start; i < end; i++) {
		const code = text.charCodeAt(i);
		if (!((code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66))) return false;
	}
	return true;
}

/** Lower-case hex that is not all zero. */
function isId(text: string, start: number, end: number): boolean {
	let zero = 0x30;
	for (let i = start; i < end; i++) {
		const code = text.charCodeAt(i);
		if (!((code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66))) return false;
		zero |= code;
	}
	return zero !== 0x30;
}

interface B3 {
	readonly form: "single" | "multi";
	/** Both empty where only a decision was sent. */
	readonly traceId: string;
	readonly spanId: string;
	/** Undefined: the decision is left to us. */
	readonly sampled: boolean | undefined;
	readonly debug: boolean;
}

function readB3(get: (name: string) => string | undefined): B3 | undefined {
	const single = get("b3");
	if (single !== undefined) return readSingleB3(single);
	const traceId = get("x-b3-traceid");
	const sampled = get("x-b3-sampled");
	const flags = get("x-b3-flags");
	if (traceId === undefined && sampled === undefined && flags === undefined) return undefined;
	const debug = flags === "1";
	const decision = debug ? true : decisionOf(sampled);
	return b3Of("multi", traceId ?? "", get("x-b3-spanid") ?? "", decision, debug);
}

function readSingleB3(header: string): B3 | undefined {
	if (header.length > 120) return undefined;
	const [first = "", spanId, decision] = header.split("-");
	if (spanId === undefined) {
		const sampled = decisionOf(first);
		return sampled === undefined ? undefined : { form: "single", traceId: "", spanId: "", sampled, debug: first === "d" };
	}
	return b3Of("single", first, spanId, decisionOf(decision), decision === "d");
}

function decisionOf(text: string | undefined): boolean | undefined {
	if (text === "1" || text === "d" || text === "true") return true;
	return text === "0" || text === "false" ? false : undefined;
}

/** IDs that break a rule are as none; the decision beside them counts all the same. */
function b3Of(form: B3["form"], traceId: string, spanId: string, sampled: boolean | undefined, debug: boolean): B3 | undefined {
	const trace = traceId.toLowerCase();
	const span = spanId.toLowerCase();
	const isWhole =
		(trace.length === 32 || trace.length === 16) && isId(trace, 0, trace.length) && span.length === 16 && isId(span, 0, 16);
	if (isWhole) return { form, traceId: trace.padStart(32, "0"), spanId: span, sampled, debug };
	return sampled === undefined ? undefined : { form, traceId: "", spanId: "", sampled, debug };
}

const MAX_REQUEST_ID_CHARACTERS = 128;

/** Printable ASCII without spaces, quotes, commas and backslashes: what cannot break a log line or be two values. */
function readRequestId(header: string | undefined): string | undefined {
	if (header === undefined || header.length > MAX_REQUEST_ID_CHARACTERS) return undefined;
	return /^[!#-+\--[\]-~]+$/.test(header) ? header : undefined;
}

/** A threshold of 0 says that every trace is there; without it a backend must take them for a sample. */
const ALWAYS_ON: RootSampler = { isSampled: () => true, traceState: ALL_SAMPLED };
const RANDOM_BITS = 2 ** 56;

/**
 * Samples this share of the traces that begin here, by their own randomness, so that every hop that decides so decides alike.
 * Source: OpenTelemetry specification, trace/tracestate-probability-sampling.md.
 */
export function createRootSampler(ratio: number): RootSampler {
	if (ratio >= 1) return ALWAYS_ON;
	if (!(ratio > 0)) return { isSampled: () => false, traceState: "" };
	// 14 bits of the threshold are more than any configured ratio has, and keep the header short.
	const step = RANDOM_BITS / 2 ** 16;
	const rejected = Math.min(Math.round(((1 - ratio) * RANDOM_BITS) / step) * step, RANDOM_BITS - step);
	const threshold = rejected.toString(16).padStart(14, "0");
	return {
		isSampled: (traceId) => traceId.slice(-14) >= threshold,
		traceState: `ot=th:${threshold.replace(/0+$/, "") || "0"}`,
	};
}

/** One pass over a raw header list (`name, value, …`, names in any case) for what a trace context is read from. */
export function rawTraceHeaders(raw: readonly string[]): (name: string) => string | undefined {
	const found: (string | undefined)[] = [];
	for (let i = 0; i + 1 < raw.length; i += 2) {
		const name = raw[i]!;
		const { length } = name;
		// The names that matter have these lengths; most others do not.
		if (length !== 2 && length !== 17 && (length < 10 || length > 12)) continue;
		const place = NAMES.indexOf(name.toLowerCase());
		if (place < 0) continue;
		const before = found[place];
		found[place] = before === undefined ? raw[i + 1]! : `${before},${raw[i + 1]!}`;
	}
	return (name) => found[NAMES.indexOf(name)];
}

/** The most frequent first. */
const NAMES: readonly string[] = [
	"traceparent",
	"tracestate",
	"x-request-id",
	"b3",
	"x-b3-traceid",
	"x-b3-spanid",
	"x-b3-parentspanid",
	"x-b3-sampled",
	"x-b3-flags",
];
