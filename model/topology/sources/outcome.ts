/**
 * How a call ended, from codes, response flags and span status.
 *
 * A gRPC status decides over the HTTP status that carries it. Flags decide over both where they say that the request never reached an
 * upstream: the 503 that the caller got then is the proxy's own. Where the caller was answered well all the same, by a fallback or
 * another try, it is a success to the caller; its flags are kept beside it.
 */
import type { Outcome } from "../series.ts";
import { countOf } from "./attributes.ts";

/** By number. */
const GRPC_CODES = [
	"OK",
	"CANCELLED",
	"UNKNOWN",
	"INVALIDARGUMENT",
	"DEADLINEEXCEEDED",
	"NOTFOUND",
	"ALREADYEXISTS",
	"PERMISSIONDENIED",
	"RESOURCEEXHAUSTED",
	"FAILEDPRECONDITION",
	"ABORTED",
	"OUTOFRANGE",
	"UNIMPLEMENTED",
	"INTERNAL",
	"UNAVAILABLE",
	"DATALOSS",
	"UNAUTHENTICATED",
] as const;

/** UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS: where Envoy and OpenTelemetry see the server at fault. */
const GRPC_SERVER_ERRORS: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);

/** A status as number (`14`) or name (`DEADLINE_EXCEEDED`, `DeadlineExceeded`). */
export function grpcStatusOf(text: string | undefined): number | undefined {
	if (text === undefined) return undefined;
	const number = countOf(text);
	if (number !== undefined) return number;
	const name = text.replaceAll("_", "").toUpperCase();
	const code = GRPC_CODES.findIndex((code) => code === (name === "CANCELED" ? "CANCELLED" : name));
	return code === -1 ? undefined : code;
}

export function grpcOutcome(status: number): Outcome {
	if (status === 0) return "ok";
	return GRPC_SERVER_ERRORS.has(status) || status > 16 ? "server_error" : "client_error";
}

export function httpOutcome(status: number): Outcome {
	if (status === 0) return "no_response";
	return status >= 500 ? "server_error" : status >= 400 ? "client_error" : "ok";
}

/**
 * No upstream was reached: none healthy (UH), connection failed (UF), overflow (UO), no route (NR), no cluster (NC), DNS failure (DF),
 * overload manager (OM), drop by load report (DO). UT, UC, UR and the like are not among them: the upstream had the request.
 */
const UNREACHED_FLAGS: ReadonlySet<string> = new Set(["UH", "UF", "UO", "NR", "NC", "NFCF", "DF", "OM", "DO"]);

/**
 * No upstream was looked for: a filter's injected fault (FI), rate limit (RL) or denied authorisation (UAEX), a header that the router
 * refused (IH). The answer is the proxy's own, and its code says how it ended.
 */
const UNTRIED_FLAGS: ReadonlySet<string> = new Set(["FI", "RL", "UAEX", "IH"]);

/** The proxy gave up waiting, for an answer or still for a connection: request, stream, downstream and upstream time limits. */
const GAVE_UP_FLAGS: ReadonlySet<string> = new Set(["UT", "SI", "DT", "UMSDR"]);

/** ztunnel's words for connections that were not made; those that failed in the handshake are counted apart. */
const UNCONNECTED_FLAGS: ReadonlySet<string> = new Set(["CONNECT", "NETWORK_POLICY", "IDENTITY_ERROR", "H2_HANDSHAKE_FAILURE"]);

/** Envoy's response flags in one form: letters, comma-separated, in the order given. */
export function flagsOf(text: string | undefined): string {
	if (text === undefined) return "";
	return text
		.split(",")
		.map((flag) => flag.trim())
		.filter((flag) => /^[A-Za-z0-9_]{1,40}$/.test(flag))
		.join(",");
}

export function isUnreached(flags: string): boolean {
	return flags.split(",").some((flag) => UNREACHED_FLAGS.has(flag));
}

/** Whether only the source can have counted it: no upstream was reached or looked for, by the words of Envoy or of ztunnel. */
export function hasNeverArrived(flags: string): boolean {
	return flags.split(",").some((flag) => UNREACHED_FLAGS.has(flag) || UNTRIED_FLAGS.has(flag) || UNCONNECTED_FLAGS.has(flag));
}

/** Whether nothing in the flags leaves open that there was a connection to an upstream. */
export function showsConnection(flags: string): boolean {
	return !flags.split(",").some((flag) => UNREACHED_FLAGS.has(flag) || UNTRIED_FLAGS.has(flag) || GAVE_UP_FLAGS.has(flag));
}

/**
 * Flagged for want of room and for nothing else. The request found none, or only its retry did: then the upstream had the request, and
 * its answer was left as it was. What tells the two apart is whether the other end knows of it.
 */
export function isOverflow(flags: string): boolean {
	const unreached = flags.split(",").filter((flag) => UNREACHED_FLAGS.has(flag));
	return unreached.length > 0 && unreached.every((flag) => flag === "UO");
}

function isAnsweredWell(http: number | undefined, grpc: number | undefined): boolean {
	if (grpc !== undefined) return grpc === 0 && http !== 0;
	return http !== undefined && http >= 200 && http < 400;
}

export interface Ending {
	readonly outcome: Outcome;
	readonly code: string;
}

/** @param whenSilent what it means that there is no code at all */
export function endingOf(http: number | undefined, grpc: number | undefined, flags: string, whenSilent: Outcome): Ending {
	const code = grpc !== undefined ? `grpc:${grpc}` : http !== undefined && http !== 0 ? String(http) : "";
	if (isUnreached(flags)) return { outcome: isAnsweredWell(http, grpc) ? "ok" : "no_response", code };
	// Without an answer there is no gRPC status but the one that the proxy made up.
	if (http === 0) return { outcome: "no_response", code };
	if (grpc !== undefined) return { outcome: grpcOutcome(grpc), code };
	if (http !== undefined) return { outcome: httpOutcome(http), code };
	return { outcome: flags === "" ? whenSilent : "no_response", code };
}
