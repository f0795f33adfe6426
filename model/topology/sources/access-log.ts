/**
 * Access logs as observations of edges: which attributes of a log record matter, and what they state.
 *
 * Extraction sees every log record, so it asks {@link isAccessLogKey} first and reads only what {@link ACCESS_LOG_KEYS} names.
 */
import type { LogFacts, LogInput, LogNumbers } from "../facts.ts";
import { isPublicAddress, withoutPort } from "./address.ts";
import { ENVOY_MARKERS, envoyLogFacts } from "./envoy-log.ts";
import { PUBLIC_ADDRESS } from "./keys.ts";
import { LOCAL_KEYS } from "./log-ends.ts";
import { ZTUNNEL_MARKERS, ztunnelLogFacts } from "./ztunnel-log.ts";

const MARKERS: ReadonlySet<string> = new Set([...ENVOY_MARKERS, ...ZTUNNEL_MARKERS]);

/** True for attributes that only access logs have. A record without any of them, nested ones with dots, is none. */
export function isAccessLogKey(key: string): boolean {
	return MARKERS.has(key);
}

function certificateKeys(leg: "downstream" | "upstream"): readonly string[] {
	const names = ["tls_version", "tls_cipher", "tls_failure", "peer_uri_san", "peer_dns_san", "peer_subject", "peer_issuer"];
	return [...names, "peer_cert_end", "local_uri_san", "local_dns_san", "local_subject"].map((name) => `${leg}_${name}`);
}

/** Every text attribute of a record or its resource that {@link logFacts} reads; records equal in these state the same. */
export const ACCESS_LOG_KEYS: ReadonlySet<string> = new Set([
	...["log_type", "protocol", "response_code", "grpc_status", "response_flags", "attempts"],
	...["upstream_cluster", "upstream_host", "downstream_remote", "meshscope.direction", "meshscope.tls.reported"],
	...certificateKeys("downstream"),
	...certificateKeys("upstream"),
	...["src.addr", "src.workload", "src.namespace", "src.cluster", "src.identity"],
	...["dst.addr", "dst.hbone_addr", "dst.service", "dst.workload", "dst.namespace", "dst.cluster", "dst.identity"],
	...["direction", "error"],
]);

/** Of its resource. */
export const ACCESS_LOG_RESOURCE_KEYS: ReadonlySet<string> = new Set([...LOCAL_KEYS, "meshscope.direction"]);

const CALLER_ADDRESSES: ReadonlySet<string> = new Set(["downstream_remote", "src.addr"]);
const CALLEE_ADDRESSES: ReadonlySet<string> = new Set(["upstream_host", "dst.addr", "dst.hbone_addr"]);

/** What passes of a value: of an address no port, and public callers, who are as many as the internet has, as one. */
export function reducedLogValue(key: string, value: string): string {
	const isCaller = CALLER_ADDRESSES.has(key);
	if (!isCaller && !CALLEE_ADDRESSES.has(key)) return value;
	const address = withoutPort(value);
	return isCaller && isPublicAddress(address) ? PUBLIC_ADDRESS : address;
}

/** What differs from record to record: {@link logNumbers} reads the values, {@link logFacts} only asks whether `duration` is there. */
export const ACCESS_LOG_NUMBERS: ReadonlySet<string> = new Set([
	...["duration_ms", "bytes_sent", "bytes_received", "bytes_recv", "duration"],
]);

/** @returns undefined where the record is no access log, or not the last one about its request or connection */
export function logFacts(input: LogInput): LogFacts | undefined {
	return ztunnelLogFacts(input) ?? envoyLogFacts(input);
}

/** @param get a numeric attribute as text */
export function logNumbers(facts: LogFacts, get: (key: string) => string | undefined): LogNumbers {
	const sent = bytes(get("bytes_sent"));
	const received = bytes(get("bytes_received") ?? get("bytes_recv"));
	return { durationNs: logDurationNs(get), ...directedBytes(facts, sent, received) };
}

/** A record's duration: Envoy's in ms, ztunnel's with its unit. */
export function logDurationNs(get: (key: string) => string | undefined): number {
	return durationNs(get("duration_ms") ?? get("duration"), 1e6);
}

/** From what a reporter sent and received to what went from source to target and back. */
export function directedBytes(facts: LogFacts, sent: number, received: number): Omit<LogNumbers, "durationNs"> {
	// Envoy counts at its downstream side, which is the caller's; ztunnel from where it stands: at the source, what was sent is the request.
	const isRequest = facts.emitter === "ztunnel" && facts.reporter === "source";
	return isRequest ? { bytesSent: sent, bytesReceived: received } : { bytesSent: received, bytesReceived: sent };
}

const UNIT_NS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9 };

/** `12`, in the given unit, or `12ms` in its own. */
function durationNs(text: string | undefined, unitNs: number): number {
	const match = /^(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s)?$/.exec(text ?? "");
	return match === null ? 0 : Math.round(Number(match[1]) * (match[2] === undefined ? unitNs : UNIT_NS[match[2]]!));
}

function bytes(text: string | undefined): number {
	return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : 0;
}
