/**
 * What a span says of a hop, without what differs from request to request: names by OpenTelemetry's HTTP and RPC conventions, then
 * what the proxy decided and what it saw of TLS (docs/formats/shim-telemetry.md).
 */
import { grpcStatusName } from "../../model/grpc-status.ts";
import { isServerFault } from "./grpc-code.ts";
import type { HttpHop } from "./hop.ts";

export type AttributeValue = string | number | boolean;
export type Attribute = readonly [key: string, value: AttributeValue];

/** Callers choose authorities; a certificate's subject may be long. */
const MAX_TEXT_CHARACTERS = 512;

/** Others are made one, so that a client cannot invent span names (OpenTelemetry, `http.request.method`). */
const METHODS: ReadonlySet<string> = new Set([
	"GET",
	"HEAD",
	"POST",
	"PUT",
	"DELETE",
	"CONNECT",
	"OPTIONS",
	"TRACE",
	"PATCH",
	"QUERY",
]);

/** `pkg.Service/Method`; undefined where the path is not one of gRPC's. */
export function grpcMethod(hop: Pick<HttpHop, "isGrpc" | "path">): string | undefined {
	if (!hop.isGrpc) return undefined;
	return /^\/([^/?#]{1,256}\/[^/?#]{1,256})$/.exec(hop.path)?.[1];
}

export function spanName(hop: HttpHop): string {
	const method = grpcMethod(hop);
	if (method !== undefined) return method;
	const verb = METHODS.has(hop.method) ? hop.method : "HTTP";
	return hop.route === "" || hop.route === "default" ? verb : `${verb} ${cut(hop.route)}`;
}

/** OTLP status code 2 is an error. A server is at fault for less than a client has to call a failure. */
export function isErrorSpan(hop: HttpHop): boolean {
	const { direction, status, grpcStatus, isGrpc } = hop;
	const isClient = direction === "outbound";
	if (isGrpc && grpcStatus !== undefined) return isClient ? grpcStatus !== 0 : isServerFault(grpcStatus);
	return status === 0 || status >= (isClient ? 400 : 500);
}

/** Empty where it did not fail. */
function errorType(hop: HttpHop): string {
	if (!isErrorSpan(hop)) return "";
	if (endedByHandshake(hop)) return "handshake_failed";
	if (hop.isGrpc && hop.grpcStatus !== undefined) return grpcStatusName(hop.grpcStatus);
	return hop.status === 0 ? hop.responseFlags || "cancelled" : String(hop.status);
}

/** The last try was one of them: no connection came of it. */
function endedByHandshake({ failedHandshakes, tls }: HttpHop): boolean {
	return failedHandshakes > 0 && tls.status === "unknown" && tls.noTlsReason !== "";
}

export function repeatedAttributes(hop: HttpHop): Attribute[] {
	const into: Attribute[] = [];
	const add = (key: string, value: string | number): void => {
		if (typeof value === "string" ? value !== "" : value > 0)
			into.push([key, typeof value === "string" ? cut(value) : value]);
	};
	add("http.request.method", METHODS.has(hop.method) ? hop.method : "_OTHER");
	if (!METHODS.has(hop.method)) add("http.request.method_original", hop.method.slice(0, 32));
	add("http.response.status_code", hop.status);
	add("url.scheme", hop.scheme);
	addAuthority(add, hop.authority);
	add("network.protocol.version", hop.protocolVersion);
	add("network.peer.address", hop.peer.address);
	addGrpc(into, hop);
	add("error.type", errorType(hop));
	add("service.peer.name", hop.peer.service);
	if (hop.peer.service !== "") add("service.peer.namespace", hop.peer.namespace);
	addTls(into, add, hop);
	add("meshscope.direction", hop.direction);
	add("meshscope.mtls.mode", hop.mtlsMode);
	add("meshscope.response_flags", hop.responseFlags);
	add("meshscope.breaker.state", hop.breakerState);
	add("meshscope.lb.policy", hop.lbPolicy);
	add("meshscope.route", hop.route);
	add("meshscope.route.subset", hop.subset);
	add("meshscope.authz.policy", hop.authzPolicy);
	add("meshscope.authz.decision", hop.authzDecision);
	add("meshscope.config.version", hop.configVersion);
	if (hop.fellBack) into.push(["meshscope.fallback", true]);
	if (hop.faultInjected) into.push(["meshscope.fault_injected", true]);
	add("upstream_cluster", hop.upstreamCluster);
	return into;
}

type Add = (key: string, value: string | number) => void;

/** `host`, `host:port` or `[v6]:port`. */
function addAuthority(add: Add, authority: string): void {
	const parts = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(authority);
	if (parts === null) return add("server.address", authority);
	add("server.address", parts[1]!.replace(/^\[|\]$/g, ""));
	if (parts[2] !== undefined) add("server.port", Number(parts[2]));
}

function addGrpc(into: Attribute[], hop: HttpHop): void {
	if (!hop.isGrpc) return;
	into.push(["rpc.system.name", "grpc"]);
	const method = grpcMethod(hop);
	if (method !== undefined) into.push(["rpc.method", method]);
	if (hop.grpcStatus === undefined) return;
	into.push(["rpc.status_code", grpcStatusName(hop.grpcStatus)], ["rpc.grpc.status_code", hop.grpcStatus]);
}

function addTls(into: Attribute[], add: Add, hop: HttpHop): void {
	const { tls } = hop;
	if (tls.version !== "") into.push(["tls.established", true]);
	else if (endedByHandshake(hop)) into.push(["tls.established", false]);
	add("meshscope.tls.failed_handshakes", hop.failedHandshakes);
	add("tls.protocol.version", tls.version);
	add("tls.cipher", tls.cipher);
	add("tls.client.subject", tls.clientSubject);
	add("tls.server.subject", tls.serverSubject);
	add("tls.client.not_after", isoTime(tls.clientNotAfterMs));
	add("tls.server.not_after", isoTime(tls.serverNotAfterMs));
	add("meshscope.mtls.status", tls.status);
	add("meshscope.source.principal", tls.clientPrincipal);
	add("meshscope.destination.principal", tls.serverPrincipal);
	if (tls.version !== "") into.push(["meshscope.peer.verified", tls.peerVerified]);
	add("meshscope.no_tls_reason", tls.noTlsReason);
}

const MAX_DATE_MS = 8.64e15;

function isoTime(ms: number): string {
	return ms > 0 && ms <= MAX_DATE_MS ? new Date(ms).toISOString() : "";
}

function cut(text: string): string {
	return text.length > MAX_TEXT_CHARACTERS ? text.slice(0, MAX_TEXT_CHARACTERS) : text;
}
