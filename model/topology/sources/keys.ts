/**
 * Which attributes edges are made of. Extraction hands the source modules these keys and no others, and the types see to it that no
 * module reads one that is not here.
 *
 * Extraction hashes the values into profiles, one for each distinct combination, so a value that differs from request to request must
 * not pass whole: {@link reducedValue} says what is left of each. What does differ (bytes, request ids) travels beside the profile.
 */
import { authorityOf, isPublicAddress, withoutPort } from "./address.ts";

/** Labels that name whose pod a Linkerd proxy is in, by the owner's kind. */
export const LINKERD_OWNER_KEYS = [
	"linkerd.io/proxy-deployment",
	"linkerd.io/proxy-statefulset",
	"linkerd.io/proxy-daemonset",
	"linkerd.io/proxy-cronjob",
	"linkerd.io/proxy-job",
	"linkerd.io/proxy-replicaset",
	"linkerd.io/proxy-replicationcontroller",
] as const;

/** Of the resource: one value a process at most. */
export const RESOURCE_KEYS = [
	"service.name",
	"service.namespace",
	"k8s.cluster.name",
	"k8s.namespace.name",
	"k8s.deployment.name",
	"k8s.statefulset.name",
	"k8s.daemonset.name",
	"k8s.cronjob.name",
	"k8s.pod.ip",
	"telemetry.sdk.name",
	"webengine.name",
	"linkerd.io/workload-ns",
	...LINKERD_OWNER_KEYS,
	"kuma.mesh",
	"kuma.zone",
	"kuma.workload",
	"meshscope.direction",
	"meshscope.workload",
] as const;

/**
 * Keys of which only the authority passes, and only on the caller's side: the Host header that a server was sent is anybody's word.
 * Where the URL is that of a telemetry export, its path passes too.
 */
export const HOST_ONLY_KEYS = ["http.url", "url.full", "server.address", "http.host", "grpc.authority"] as const;

/**
 * Keys that hold an address, alone or with a port that a client picks anew for each connection: the port is cut off. Of a server's
 * callers, those with a public address become one ({@link PUBLIC_ADDRESS}): they are as many as the internet has.
 */
export const ADDRESS_KEYS = [
	"peer.address",
	"upstream_address",
	"network.peer.address",
	"net.sock.peer.addr",
	"net.peer.ip",
	"net.peer.name",
	"client.address",
	"network.local.address",
	"net.sock.host.addr",
	"net.host.ip",
] as const;

/** Keys that pass only where they show that a call is an export of telemetry; otherwise nothing of them does. */
export const EXPORT_KEYS = ["url.path", "http.target", "http.path", "grpc.path", "rpc.service", "rpc.method"] as const;

/** Keys of spans whose values are few: names, codes, versions, identities. */
const NAMED_KEYS = [
	// What kind of span it is, and how it ended.
	"http.request.method",
	"http.method",
	"http.response.status_code",
	"http.status_code",
	"rpc.system.name",
	"rpc.system",
	"rpc.response.status_code",
	"rpc.status_code",
	"rpc.grpc.status_code",
	"grpc.status_code",
	"grpc.content_type",
	"error.type",
	"http.request.resend_count",
	"http.resend_count",
	"retry.count",
	"try_count",
	// The other end.
	"service.peer.name",
	"service.peer.namespace",
	"peer.service",
	"db.system.name",
	"db.system",
	"db.namespace",
	"db.name",
	"db.redis.database_index",
	"messaging.system",
	"messaging.destination.name",
	"messaging.destination.template",
	"messaging.destination",
	"messaging.destination.temporary",
	"messaging.destination.anonymous",
	"messaging.operation.type",
	"messaging.operation",
	// Envoy. `node_id` is one a pod, like addresses.
	"component",
	"node_id",
	"downstream_cluster",
	"upstream_cluster",
	"upstream_cluster.name",
	"response_flags",
	"x-forwarded-client-cert",
	// Istio and its waypoints.
	"istio.mesh_id",
	"istio.cluster_id",
	"istio.namespace",
	"istio.canonical_service",
	"istio.canonical_revision",
	"istio.source_cluster_id",
	"istio.source_namespace",
	"istio.source_canonical_service",
	"istio.source_workload",
	"istio.source_app",
	"istio.destination_cluster_id",
	"istio.destination_namespace",
	"istio.destination_canonical_service",
	"istio.destination_workload",
	"istio.destination_app",
	// Other proxies.
	"direction",
	"kuma.mesh",
	"kuma.zone",
	"kuma.workload",
	"apisix.route_id",
	"dapr.api",
	"dapr.protocol",
	"dapr.status_code",
	// TLS: Envoy's custom tags, the conventions', our shim's.
	"meshscope.direction",
	"meshscope.tls.reported",
	"meshscope.downstream.tls.version",
	"meshscope.downstream.tls.cipher",
	"meshscope.downstream.peer.uri_san",
	"meshscope.downstream.peer.subject",
	"meshscope.downstream.peer.issuer",
	"meshscope.downstream.peer.cert_end",
	"meshscope.downstream.local.uri_san",
	"meshscope.upstream.tls.version",
	"meshscope.upstream.tls.cipher",
	"meshscope.upstream.tls.failure",
	"meshscope.upstream.peer.uri_san",
	"meshscope.upstream.peer.subject",
	"meshscope.upstream.peer.issuer",
	"meshscope.upstream.peer.cert_end",
	"meshscope.upstream.local.uri_san",
	"meshscope.mtls.status",
	"meshscope.source.principal",
	"meshscope.destination.principal",
	"meshscope.peer.verified",
	"meshscope.tls.failed_handshakes",
	"meshscope.response_flags",
	"tls.established",
	"tls.protocol.version",
	"tls.cipher",
	"tls.client.subject",
	"tls.client.issuer",
	"tls.client.not_after",
	"tls.server.subject",
	"tls.server.issuer",
	"tls.server.not_after",
] as const;

/** Of the span. */
export const SPAN_KEYS = [...NAMED_KEYS, ...HOST_ONLY_KEYS, ...ADDRESS_KEYS, ...EXPORT_KEYS] as const;

export type ResourceKey = (typeof RESOURCE_KEYS)[number];
export type SpanKey = (typeof SPAN_KEYS)[number];
export type EdgeKey = ResourceKey | SpanKey;

/** Every key that any module reads; some stand in the resource with one sender and in the span with another. */
export const EDGE_KEYS: readonly EdgeKey[] = [...new Set<EdgeKey>([...RESOURCE_KEYS, ...SPAN_KEYS])];

/** Beside the profile: the same value on a caller's and a callee's span is one request. Differs with every request. */
export const REQUEST_ID_KEYS = ["guid:x-request-id"] as const;

/** Beside the profile: bytes by role, the first that is there. What a request took and what its answer took. */
export const NUMBER_KEYS = {
	requestBytes: [
		"http.request.body.size",
		"http.request.size",
		"request_size",
		"http.request_content_length",
		"messaging.message.body.size",
	],
	responseBytes: ["http.response.body.size", "http.response.size", "response_size", "http.response_content_length"],
} as const;

/** Stands for the address of a caller outside of private networks. */
export const PUBLIC_ADDRESS = "public";

const HOST_ONLY: ReadonlySet<string> = new Set(HOST_ONLY_KEYS);
const ADDRESS: ReadonlySet<string> = new Set(ADDRESS_KEYS);
const EXPORT: ReadonlySet<string> = new Set(EXPORT_KEYS);

const SERVER = 2;

/** What passes of a span's value; undefined for nothing. The same for a profile and for a single span, so that both say the same. */
export function reducedValue(key: EdgeKey, kind: number, value: string): string | undefined {
	if (HOST_ONLY.has(key)) return kind === SERVER ? undefined : reducedUrl(value);
	if (EXPORT.has(key)) return isTelemetryExport(value) ? value : undefined;
	if (!ADDRESS.has(key)) return value;
	const address = withoutPort(value);
	return kind === SERVER && isPublicAddress(address) ? PUBLIC_ADDRESS : address;
}

function reducedUrl(value: string): string {
	const authority = authorityOf(value);
	const path = urlPath(value);
	return EXPORT_PATH.test(path) ? authority + path : authority;
}

/** What follows the authority, without query and fragment; a path alone is its own. */
function urlPath(url: string): string {
	const scheme = url.indexOf("://");
	const slash = url.indexOf("/", scheme === -1 ? 0 : scheme + 3);
	return slash === -1 ? "" : url.slice(slash).replace(/[?#].*$/s, "");
}

const EXPORT_PATH = /^(?:\/otlp)?\/v1\/(?:traces|metrics|logs)$|^\/api\/v2\/spans$/;
const EXPORT_SERVICE = /^\/?opentelemetry\.proto\.collector\.[a-z]+\.v1\w*\.\w+Service(?:\/\w+)?$/;

/** OTLP over HTTP or gRPC, or Zipkin: a path, a URL or a gRPC service. */
export function isTelemetryExport(text: string): boolean {
	return EXPORT_SERVICE.test(text) || EXPORT_PATH.test(urlPath(text));
}

/** Names of spans that say what a span is; all others become empty: paths and routes are many. */
export function reducedName(name: string): string {
	if (/^kong(?:\.(?:dns|balancer|router|database\.query|internal\.request))?$/.test(name)) return name;
	if (/^router .* egress$/.test(name)) return "router egress";
	if (/^async .* egress$/.test(name)) return "async egress";
	if (name === "egress" || name.startsWith("egress ")) return "egress";
	return isTelemetryExport(name) && !name.includes(" ") ? name : "";
}
