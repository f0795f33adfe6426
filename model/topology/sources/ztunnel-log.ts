/**
 * One access log record of ztunnel: a TCP connection that ended, with both ends by name.
 *
 * Collectors bring it as OTLP attributes, or as a body in ztunnel's JSON or text format, which is turned into the same attributes here.
 */
import type { Endpoint } from "../endpoint.ts";
import { UNKNOWN, serviceEndpoint } from "../endpoint.ts";
import type { Attributes, LegTls, LogFacts, LogInput } from "../facts.ts";
import { NO_TLS_FACTS } from "../facts.ts";
import type { Outcome } from "../series.ts";
import { addressEndpoint, hostEndpoint, peerIp } from "./address.ts";
import { identityEndpoint } from "./identity.ts";
import { clusterId, workloadOfPod } from "./istio.ts";
import { callerOfAddress } from "./log-ends.ts";

export const ZTUNNEL_MARKERS = ["src.addr", "dst.addr"] as const;

const ZTUNNEL_KEYS: ReadonlySet<string> = new Set([
	...ZTUNNEL_MARKERS,
	...["src.workload", "src.namespace", "src.cluster", "src.identity"],
	...["dst.hbone_addr", "dst.service", "dst.workload", "dst.namespace", "dst.cluster", "dst.identity"],
	...["direction", "bytes_sent", "bytes_recv", "duration", "error"],
]);

export function ztunnelLogFacts({ attributes }: LogInput): LogFacts | undefined {
	const direction = attributes.get("direction");
	if (direction !== "inbound" && direction !== "outbound") return undefined;
	if (!ZTUNNEL_MARKERS.every((key) => attributes.has(key))) return undefined;
	// "connection opened" has neither; only the end of a connection is counted.
	if (!attributes.has("duration") && !attributes.has("error")) return undefined;
	const source = sourceOf(attributes);
	const target = targetOf(attributes);
	if (source === UNKNOWN && target === UNKNOWN) return undefined;
	const sourcePrincipal = attributes.get("src.identity") ?? "";
	const destinationPrincipal = attributes.get("dst.identity") ?? "";
	const error = attributes.get("error") ?? "";
	const flags = error === "" ? "" : flagOf(error);
	return {
		emitter: "ztunnel",
		source,
		target,
		reporter: direction === "outbound" ? "source" : "destination",
		protocol: "tcp",
		unit: "connections",
		outcome: outcomeOf(error, flags),
		code: "",
		flags,
		attempts: 1,
		tls: tlsOf(direction, sourcePrincipal, destinationPrincipal, error, flags),
		sourcePrincipal,
		destinationPrincipal,
	};
}

/** The log has no name of the calling service; its workload is the nearest. */
function sourceOf(attributes: Attributes): Endpoint {
	const identity = identityEndpoint(attributes.get("src.identity") ?? "");
	const workload = workloadOf(attributes.get("src.workload"));
	if (workload === "") return identity ?? callerOfAddress(attributes.get("src.addr"));
	const namespace = attributes.get("src.namespace") ?? identity?.namespace ?? "";
	return serviceEndpoint(workload, namespace, workload, clusterId(attributes.get("src.cluster")));
}

function targetOf(attributes: Attributes): Endpoint {
	const workload = workloadOf(attributes.get("dst.workload"));
	const namespace = attributes.get("dst.namespace") ?? "";
	const cluster = clusterId(attributes.get("dst.cluster"));
	const host = hostEndpoint(attributes.get("dst.service"), namespace);
	if (host !== undefined) return { ...host, workload, cluster };
	if (workload !== "") return serviceEndpoint(workload, namespace, workload, cluster);
	const identity = identityEndpoint(attributes.get("dst.identity") ?? "");
	if (identity !== undefined) return identity;
	const address = peerIp(attributes.get("dst.hbone_addr") ?? attributes.get("dst.addr"));
	return address === "" ? UNKNOWN : addressEndpoint(address);
}

/** ztunnel calls a pod by its name. */
function workloadOf(pod = ""): string {
	return workloadOfPod(pod) || pod;
}

/** ztunnel's own flags for what its error says, as its metrics bear them. */
function flagOf(error: string): string {
	if (/policy/i.test(error)) return /NetworkPolicy/.test(error) ? "CONNECT" : "DENY";
	if (/\btls\b|certificate|ssl/i.test(error)) return "TLS_FAILURE";
	if (/handshake/i.test(error)) return "H2_HANDSHAKE_FAILURE";
	if (/identity/i.test(error)) return "IDENTITY_ERROR";
	return /connect|unreachable|refused|deadline|timed? ?out/i.test(error) ? "CONNECT" : "";
}

function outcomeOf(error: string, flags: string): Outcome {
	if (error === "") return "ok";
	if (flags === "DENY") return "client_error";
	// An error without a flag broke a connection that had been made.
	return flags === "" ? "server_error" : "no_response";
}

/**
 * Identities are written only where mutual TLS was used, at the source where it was meant to be: what failed there proves nothing.
 * Their absence proves nothing either.
 */
function tlsOf(
	direction: "inbound" | "outbound",
	sourcePrincipal: string,
	destinationPrincipal: string,
	error: string,
	flags: string,
): LegTls {
	const outbound = direction === "outbound";
	const failure = flags === "TLS_FAILURE" ? error.slice(0, MAX_REASON_CHARS) : "";
	const mutual = outbound
		? sourcePrincipal !== "" && destinationPrincipal !== "" && error === ""
		: sourcePrincipal !== "" && failure === "";
	return {
		...NO_TLS_FACTS,
		status: mutual ? "mutual_tls" : "unknown",
		peerPrincipal: outbound ? destinationPrincipal : sourcePrincipal,
		localPrincipal: outbound ? sourcePrincipal : destinationPrincipal,
		verifiedBy: mutual && !outbound ? "server" : "",
		failure,
	};
}

const MAX_REASON_CHARS = 256;
/** A record has some 700 characters. */
const MAX_BODY_CHARS = 8_192;
const MAX_BODY_DEPTH = 3;

/** The attributes in the body of a record, in ztunnel's JSON or text format; undefined for any other body. */
export function ztunnelAttributes(body: string): ReadonlyMap<string, string> | undefined {
	if (body.length > MAX_BODY_CHARS || !body.includes("src")) return undefined;
	const found = new Map<string, string>();
	if (body.trimStart().startsWith("{")) {
		let value: unknown;
		try {
			value = JSON.parse(body);
		} catch (error) {
			if (error instanceof SyntaxError) return undefined;
			throw error;
		}
		collect(value, "", 0, found);
	} else if (/\baccess\b/.test(body)) {
		for (const [, key, quoted, plain] of body.matchAll(/(?:^|\s)([a-z_.]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))/g)) {
			if (ZTUNNEL_KEYS.has(key!)) found.set(key!, quoted?.replaceAll(/\\(.)/g, "$1") ?? plain!);
		}
	}
	return ZTUNNEL_MARKERS.every((key) => found.has(key)) ? found : undefined;
}

/** Nested objects as keys with dots, whichever way ztunnel or a collector wrote them. */
function collect(value: unknown, key: string, depth: number, into: Map<string, string>): void {
	if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
		if (ZTUNNEL_KEYS.has(key)) into.set(key, String(value));
	} else if (typeof value === "object" && value !== null && !Array.isArray(value) && depth < MAX_BODY_DEPTH) {
		for (const [name, member] of Object.entries(value))
			collect(member, key === "" ? name : `${key}.${name}`, depth + 1, into);
	}
}
