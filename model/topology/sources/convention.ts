/**
 * Facts by OpenTelemetry's conventions, stable and legacy: what an app's SDK says, and the ground on which every other source stands.
 * A source module starts from these and replaces what its emitter says in words of its own.
 */
import { EXTERNAL, type Endpoint, UNKNOWN, serviceEndpoint } from "../endpoint.ts";
import { type Emitter, NO_TLS_FACTS, type PeerHint, type SpanFacts, type SpanInput } from "../facts.ts";
import type { Outcome, Protocol } from "../series.ts";
import { addressEndpoint, hostEndpoint, peerIp } from "./address.ts";
import { countOf } from "./attributes.ts";
import { PUBLIC_ADDRESS } from "./keys.ts";
import { conventionLeg } from "./leg-tls.ts";
import { endingOf, flagsOf, grpcStatusOf } from "./outcome.ts";
import { exportReason } from "./telemetry-export.ts";

export const INTERNAL = 1;
export const SERVER = 2;
export const CLIENT = 3;
const PRODUCER = 4;
const CONSUMER = 5;

/** Every source module is one of these: pure, and total over any attributes. */
export interface SpanSource {
	readonly recognises: (input: SpanInput) => boolean;
	readonly facts: (input: SpanInput) => SpanFacts;
}

export function conventionFacts(input: SpanInput, emitter: Emitter): SpanFacts {
	const local = localEndpoint(input);
	const kind = conventionKind(input);
	const protocol = protocolOf(input, kind);
	const { outcome, code } = endingOf(httpStatus(input), grpcStatus(input), "", silentOutcome(input, protocol));
	const peerAddress = directPeer(input);
	return {
		emitter,
		proxy: false,
		kind,
		local,
		localAddress: localAddress(input),
		peerAddress,
		peer: conventionPeer(input, kind, local, peerAddress),
		both: undefined,
		protocol,
		outcome,
		code,
		flags: flagsOf(input.attributes.get("response_flags")),
		retry: retryOf(input),
		attempts: 1,
		downstream: kind === SERVER ? conventionLeg(input.attributes, "server") : NO_TLS_FACTS,
		upstream: kind === CLIENT ? conventionLeg(input.attributes, "client") : NO_TLS_FACTS,
		ignored: exportReason(input),
	};
}

/** Kubernetes' namespace before the service's own: proxies beside the app know no other. */
export function localEndpoint({ resource }: Pick<SpanInput, "resource">): Endpoint {
	const service = resource.get("service.name");
	if (service === undefined) return UNKNOWN;
	const workload =
		resource.get("k8s.deployment.name") ??
		resource.get("k8s.statefulset.name") ??
		resource.get("k8s.daemonset.name") ??
		resource.get("k8s.cronjob.name") ??
		"";
	const namespace = resource.get("k8s.namespace.name") ?? resource.get("service.namespace") ?? "";
	return serviceEndpoint(service, namespace, workload, resource.get("k8s.cluster.name") ?? "");
}

/** A span without a kind is local work, as INTERNAL is. Clients that hand messages over or fetch them are their ends. */
function conventionKind({ kind, attributes }: SpanInput): number {
	if (kind < INTERNAL || kind > CONSUMER || !Number.isInteger(kind)) return INTERNAL;
	if (kind !== CLIENT || attributes.get("messaging.system") === undefined) return kind;
	switch (messagingOperation({ attributes })) {
		case "send":
		case "publish":
			return PRODUCER;
		case "receive":
		case "poll":
			return CONSUMER;
		case "settle":
		case "ack":
			return INTERNAL;
		default:
			return kind;
	}
}

function messagingOperation({ attributes }: Pick<SpanInput, "attributes">): string | undefined {
	return attributes.get("messaging.operation.type") ?? attributes.get("messaging.operation");
}

function protocolOf({ attributes }: SpanInput, kind: number): Protocol {
	if (kind === PRODUCER || kind === CONSUMER) return "messaging";
	if (kind === CLIENT && databaseSystem(attributes) !== undefined) return "database";
	if (kind === CLIENT && attributes.get("messaging.system") !== undefined) return "messaging";
	if (
		rpcSystem(attributes) === "grpc" ||
		attributes.get("rpc.grpc.status_code") !== undefined ||
		attributes.get("grpc.status_code") !== undefined ||
		attributes.get("grpc.content_type")?.startsWith("application/grpc") === true ||
		attributes.get("dapr.protocol") === "grpc"
	) {
		return "grpc";
	}
	return httpMethod(attributes) !== undefined ||
		httpStatus({ attributes }) !== undefined ||
		attributes.get("dapr.protocol") === "http"
		? "http"
		: "unknown";
}

type SpanAttributes = SpanInput["attributes"];

function databaseSystem(attributes: SpanAttributes): string | undefined {
	return attributes.get("db.system.name") ?? attributes.get("db.system");
}

function rpcSystem(attributes: SpanAttributes): string | undefined {
	return attributes.get("rpc.system.name") ?? attributes.get("rpc.system");
}

function httpMethod(attributes: SpanAttributes): string | undefined {
	return attributes.get("http.request.method") ?? attributes.get("http.method");
}

/** 0 is Envoy's word for "no response". */
export function httpStatus({ attributes }: Pick<SpanInput, "attributes">): number | undefined {
	const status = countOf(attributes.get("http.response.status_code") ?? attributes.get("http.status_code"));
	return status === undefined || status > 999 ? undefined : status;
}

/** `rpc.status_code` and `rpc.response.status_code` hold other systems' codes too. */
export function grpcStatus({ attributes }: Pick<SpanInput, "attributes">): number | undefined {
	const own = attributes.get("grpc.status_code") ?? attributes.get("rpc.grpc.status_code");
	if (own !== undefined) return grpcStatusOf(own);
	const isGrpc = rpcSystem(attributes) === "grpc" || attributes.get("dapr.protocol") === "grpc";
	if (!isGrpc) return undefined;
	return grpcStatusOf(
		attributes.get("rpc.response.status_code") ?? attributes.get("rpc.status_code") ?? attributes.get("dapr.status_code"),
	);
}

/** Without a code the span's status decides. An HTTP or gRPC client that failed without one got no answer. */
function silentOutcome({ kind, status, attributes }: SpanInput, protocol: Protocol): Outcome {
	if (status !== 2 && attributes.get("error.type") === undefined) return "ok";
	return kind === CLIENT && (protocol === "http" || protocol === "grpc") ? "no_response" : "server_error";
}

const MAX_RETRY = 1_000_000;

export function retryOf({ attributes }: SpanInput): number {
	const resent =
		attributes.get("retry.count") ?? attributes.get("http.request.resend_count") ?? attributes.get("http.resend_count");
	return Math.min(countOf(resent) ?? 0, MAX_RETRY);
}

function localAddress({ resource, attributes }: SpanInput): string {
	return peerIp(
		attributes.get("network.local.address") ??
			attributes.get("net.sock.host.addr") ??
			attributes.get("net.host.ip") ??
			resource.get("k8s.pod.ip"),
	);
}

/** The other end of the connection, not the one that a header tells of. */
function directPeer({ attributes }: SpanInput): string {
	return peerIp(
		attributes.get("network.peer.address") ??
			attributes.get("net.sock.peer.addr") ??
			attributes.get("net.peer.ip") ??
			attributes.get("peer.address"),
	);
}

function conventionPeer(input: SpanInput, kind: number, local: Endpoint, peerAddress: string): PeerHint | undefined {
	switch (kind) {
		case CLIENT:
			return calleeOf(input, local, peerAddress);
		case SERVER:
			return declaredPeer(input) ?? callerByAddress(input, local);
		case PRODUCER:
		case CONSUMER:
			return messagingPeer(input, local) ?? declaredPeer(input);
		default:
			return undefined;
	}
}

/** Rule 6. A database's or broker's node is named by what it is; the host says only where. */
function calleeOf(input: SpanInput, local: Endpoint, peerAddress: string): PeerHint | undefined {
	return (
		databasePeer(input, local) ??
		messagingPeer(input, local) ??
		declaredPeer(input) ??
		calleeByHost(input, local.namespace, peerAddress)
	);
}

function declaredPeer({ attributes }: SpanInput): PeerHint | undefined {
	const service = attributes.get("service.peer.name") ?? attributes.get("peer.service");
	if (service === undefined) return undefined;
	return { endpoint: serviceEndpoint(service, attributes.get("service.peer.namespace") ?? ""), from: "declared" };
}

/** The host that a client was asked to call, else the address that it called. */
export function calleeByHost({ attributes }: SpanInput, namespace: string, peerAddress: string): PeerHint | undefined {
	for (const key of ["server.address", "net.peer.name", "http.host", "url.full", "http.url", "grpc.authority"] as const) {
		const endpoint = hostEndpoint(attributes.get(key), namespace);
		if (endpoint !== undefined) return { endpoint, from: "address" };
	}
	return peerAddress === "" ? undefined : { endpoint: addressEndpoint(peerAddress), from: "address" };
}

/** A caller with a public address is outside, whoever it is. */
export function callerByAddress({ attributes }: SpanInput, local: Endpoint): PeerHint | undefined {
	for (const key of [
		"network.peer.address",
		"net.sock.peer.addr",
		"net.peer.ip",
		"peer.address",
		"client.address",
		"net.peer.name",
	] as const) {
		const text = attributes.get(key);
		const endpoint = text === PUBLIC_ADDRESS ? EXTERNAL : hostEndpoint(text, local.namespace);
		if (endpoint !== undefined) return { endpoint, from: "address" };
	}
	return undefined;
}

/** `postgresql/orders`; without a database's name by the host (`redis/cache-1`), else the system alone. The host is its workload. */
function databasePeer(input: SpanInput, local: Endpoint): PeerHint | undefined {
	const { attributes } = input;
	const system = databaseSystem(attributes);
	if (system === undefined) return undefined;
	const name = attributes.get("db.namespace") ?? attributes.get("db.name") ?? attributes.get("db.redis.database_index");
	return storePeer(input, "database", system, name, local);
}

/** `kafka/orders`; a template before the name it was filled into (`orders-{tenant}`). */
function messagingPeer(input: SpanInput, local: Endpoint): PeerHint | undefined {
	const { attributes } = input;
	const isPassing =
		attributes.get("messaging.destination.temporary") === "true" ||
		attributes.get("messaging.destination.anonymous") === "true";
	const name = isPassing
		? "(temporary)"
		: (attributes.get("messaging.destination.template") ??
			attributes.get("messaging.destination.name") ??
			attributes.get("messaging.destination"));
	const system = attributes.get("messaging.system") ?? (name === undefined ? undefined : "messaging");
	return system === undefined ? undefined : storePeer(input, "messaging", system, name, local);
}

function storePeer(
	input: SpanInput,
	kind: "database" | "messaging",
	system: string,
	name: string | undefined,
	local: Endpoint,
): PeerHint {
	const endpoint = calleeByHost(input, local.namespace, "")?.endpoint;
	// Addresses come and go; they name neither a database nor its host.
	const host = endpoint === undefined || endpoint.kind === "unknown" ? undefined : endpoint.service;
	const part = name ?? declaredPeer(input)?.endpoint.service ?? host;
	const service = part === undefined ? system : `${system}/${part}`;
	return { endpoint: { kind, cluster: "", namespace: "", service, workload: host ?? "" }, from: "declared" };
}
