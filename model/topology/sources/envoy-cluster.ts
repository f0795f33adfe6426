/**
 * What Envoy's cluster names mean. Envoy gives them no meaning; each control plane packs service, namespace, port and more into them in
 * a form of its own.
 */
import { type Endpoint, serviceEndpoint } from "../endpoint.ts";
import { hostEndpoint } from "./address.ts";

export type ControlPlane = "istio" | "consul" | "kuma" | "app-mesh";

export type UpstreamCluster =
	/** Where the cluster leads. `by`: whose form the name has; undefined for names of somebody's own. */
	| {
			readonly kind: "endpoint";
			readonly endpoint: Endpoint;
			readonly port: number | undefined;
			readonly by: ControlPlane | undefined;
	  }
	/** The proxy's own app. */
	| { readonly kind: "local"; readonly by: ControlPlane | undefined }
	/** Wherever the client was going; the name does not say. */
	| { readonly kind: "passthrough" }
	/** Nowhere: refused by configuration. */
	| { readonly kind: "blackhole" }
	/** The proxy's own connections: to its control plane, and for telemetry. */
	| { readonly kind: "internal" };

/** @param namespace the proxy's own, for short host names; empty where not known */
export function parseUpstreamCluster(text: string, namespace: string): UpstreamCluster | undefined {
	// Istio ends alternative stat names with a semicolon.
	const name = text.replace(/;\.?$/, "");
	if (name === "") return undefined;
	return (
		istioCluster(name, namespace) ??
		consulCluster(name) ??
		kumaCluster(name) ??
		appMeshCluster(name) ??
		plainCluster(name, namespace)
	);
}

/**
 * `outbound|PORT|SUBSET|HOST`, with `_.` between the parts where the name is also a TLS server name (SNI-DNAT). `inbound-vip` is a
 * waypoint's way to a service, `inbound` a sidecar's to its app.
 */
function istioCluster(name: string, namespace: string): UpstreamCluster | undefined {
	if (/^InboundPassthroughCluster(?:Ipv[46])?$/.test(name)) return { kind: "local", by: "istio" };
	if (name === "PassthroughCluster") return { kind: "passthrough" };
	if (name === "BlackHoleCluster" || name === "block_all") return { kind: "blackhole" };
	if (/^(?:xds-grpc|sds-grpc|prometheus_stats|agent|connect_originate|main_internal|encap)$/.test(name))
		return { kind: "internal" };
	const parts = name.startsWith("outbound_.") ? name.split("_.") : name.split("|");
	if (parts.length !== 4) return undefined;
	const [direction, port, , host] = parts as [string, string, string, string];
	if (direction === "inbound") return { kind: "local", by: "istio" };
	if (direction !== "outbound" && direction !== "inbound-vip") return undefined;
	const endpoint = hostEndpoint(host, namespace);
	return endpoint === undefined ? { kind: "passthrough" } : { kind: "endpoint", endpoint, port: portOf(port), by: "istio" };
}

/**
 * `[SUBSET.]SERVICE.NAMESPACE.DC.internal.TRUST-DOMAIN`, with a partition `…NAMESPACE.PARTITION.DC.internal-v1.…`, of a peer
 * `SERVICE.NAMESPACE.PARTITION.PEER.external.…`, of a prepared query `QUERY.default.DC.query.…`; before it a hash or
 * `failover-target` and `~`.
 */
function consulCluster(name: string): UpstreamCluster | undefined {
	if (name === "local_app" || name.startsWith("local_app_")) return { kind: "local", by: "consul" };
	if (name === "local_agent" || name === "consul-dataplane") return { kind: "internal" };
	if (name === "original-destination" || name.startsWith("passthrough~")) return { kind: "passthrough" };
	const labels = name.slice(name.lastIndexOf("~") + 1).split(".");
	const sign = labels.findIndex((label) => CONSUL_SIGNS.has(label));
	const before = sign === -1 ? 0 : CONSUL_SIGNS.get(labels[sign]!)!;
	// A trust domain follows, and at most a subset stands before the service.
	if (sign === -1 || sign === labels.length - 1 || (sign !== before && sign !== before + 1)) return undefined;
	if (labels.at(-1) !== "consul" && labels[sign] !== "internal-v1") return undefined;
	const service = labels[sign - before]!;
	const endpoint = serviceEndpoint(service, consulNamespace(labels[sign - before + 1]!));
	return service === "" ? undefined : { kind: "endpoint", endpoint, port: undefined, by: "consul" };
}

/** Labels from the service to the sign. */
const CONSUL_SIGNS: ReadonlyMap<string, number> = new Map([
	["internal", 3],
	["internal-v1", 4],
	["external", 4],
	["query", 3],
]);

/** Consul's only namespace without a licence is `default`, and what runs in it does not name it: no namespace, then. */
export function consulNamespace(namespace: string): string {
	return namespace === "default" ? "" : namespace;
}

/**
 * `NAME_NAMESPACE_svc_PORT` (a `kuma.io/service` tag, with a hash where traffic is split), `MESH_NAME_NAMESPACE_ZONE_msvc_PORT`, and
 * resource identifiers `kri_msvc_MESH_ZONE_NAMESPACE_NAME_PORT`; `mzsvc` for services of several zones, `extsvc` for what is outside.
 * Kubernetes names have no underscore, and a part that is not there leaves its underscores behind.
 */
function kumaCluster(name: string): UpstreamCluster | undefined {
	if (/^(?:outbound:passthrough:|self_passthrough-ipv[46]-outbound$)/.test(name)) return { kind: "passthrough" };
	// Anybody's own app may be called `localhost:8080`; it is Kuma's name for it too, and no sign of Kuma.
	if (/^(?:self_|inbound:passthrough:)/.test(name)) return { kind: "local", by: "kuma" };
	if (/^_?kuma[:_]|^(?:ads_cluster|access_log_sink)$|^(?:tracing|meshtrace|meshaccesslog)[:_]/.test(name))
		return { kind: "internal" };
	const identifier = /^kri_(msvc|mzsvc|extsvc)_[^_]*_([^_]*)_([^_]*)_([^_]+)_([^_]*)$/.exec(name);
	if (identifier !== null) {
		const [, type = "", zone = "", namespace = "", service = "", port = ""] = identifier;
		return kumaResource(type, service, namespace, zone, port);
	}
	const resource = /^[^_]+_([^_]+)_([^_]*)_([^_]*)_(msvc|mzsvc|extsvc)_(\d+)$/.exec(name);
	if (resource !== null) {
		const [, service = "", namespace = "", zone = "", type = "", port = ""] = resource;
		return kumaResource(type, service, namespace, zone, port);
	}
	const tag = /^(.*_svc(?:_\d+)?)(?:-[0-9a-f]{16})?$/.exec(name)?.[1];
	const endpoint = tag === undefined ? undefined : kumaService(tag);
	return endpoint === undefined
		? undefined
		: { kind: "endpoint", endpoint, port: portOf(tag!.split("_")[3] ?? ""), by: "kuma" };
}

/** Those of several zones and those outside live in the control plane's namespace, which is not theirs. */
function kumaResource(type: string, service: string, namespace: string, zone: string, port: string): UpstreamCluster {
	const endpoint = type === "msvc" ? serviceEndpoint(service, namespace, "", zone) : serviceEndpoint(service);
	const kind = type === "extsvc" ? "external" : "service";
	return { kind: "endpoint", endpoint: { ...endpoint, kind }, port: portOf(port), by: "kuma" };
}

/** A `kuma.io/service` tag as Kubernetes makes it; undefined for any other, which names the service as it is. */
export function kumaService(tag: string): Endpoint | undefined {
	const match = /^([^_]+)_([^_]+)_svc(?:_\d+)?$/.exec(tag);
	return match === null ? undefined : serviceEndpoint(match[1]!, match[2]!);
}

/** `cds_egress_MESH_NODE_PROTOCOL_PORT`, where Kubernetes' controller calls a node `NAME_NAMESPACE`. */
function appMeshCluster(name: string): UpstreamCluster | undefined {
	if (name.startsWith("cds_ingress_")) return { kind: "local", by: "app-mesh" };
	const match = /^cds_egress_([^_]+)_(.+)_(?:http2?|grpc|tcp)_(\d{1,5})$/.exec(name);
	if (match === null) return undefined;
	const [, , node, port] = match as unknown as readonly [string, string, string, string];
	const [service, namespace] = node.split("_") as [string, string | undefined];
	if (service === "") return undefined;
	return { kind: "endpoint", endpoint: serviceEndpoint(service, namespace ?? ""), port: portOf(port), by: "app-mesh" };
}

/** A name that somebody chose. One that looks like a host is taken for it; any other names a service. */
function plainCluster(name: string, namespace: string): UpstreamCluster | undefined {
	if (/^(?:otlp|otel|opentelemetry)(?:[_-](?:grpc|http|collector|tracing|als))?$/.test(name)) return { kind: "internal" };
	const isHost = name.includes(".") || name.includes(":");
	const endpoint = isHost ? hostEndpoint(name, namespace) : undefined;
	if (endpoint !== undefined)
		return { kind: "endpoint", endpoint, port: portOf(/:(\d{1,5})$/.exec(name)?.[1] ?? ""), by: undefined };
	if (/^(?:localhost|127(?:\.\d+){3}|\[?::1\]?)(?::\d+)?$/.test(name)) return { kind: "local", by: undefined };
	return { kind: "endpoint", endpoint: serviceEndpoint(name), port: undefined, by: undefined };
}

function portOf(text: string): number | undefined {
	return /^\d{1,5}$/.test(text) ? Number(text) : undefined;
}
