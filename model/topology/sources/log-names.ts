/**
 * Names that access logs give to the two ends of a hop: cluster names, certificates' principals, resources, pods and addresses.
 *
 * What names nobody gives undefined, never a guess.
 */
import { serviceEndpoint } from "../endpoint.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Attributes } from "../facts.ts";

/** A SPIFFE id has at most 2,048 bytes; a longer name is not one. */
const MAX_NAME_CHARS = 2_048;
/** `name.namespace.svc`, with or without the cluster's domain and a port. */
const KUBERNETES_HOST = /^([^.:]+)\.([^.:]+)\.svc(?:\.[^:]*)?(?::\d+)?$/;
/** Kuma: `name_namespace_svc_port`, with a hash where routes split. */
const KUMA_SERVICE = /^(.+)_([^_]+)_svc(?:_\d+)?(?:-[0-9a-f]{16})?$/;

/** The service that a request to this Envoy cluster goes to; undefined for the proxy's own application and for passthrough. */
export function calleeOfCluster(name: string): Endpoint | undefined {
	if (name.length > MAX_NAME_CHARS || /^(?:Inbound)?PassthroughCluster|^BlackHoleCluster$/.test(name)) return undefined;
	// Istio: direction|port|subset|host, with `_.` before each dot-separated part where the name travels as SNI.
	const parts = name.includes("|") ? name.split("|") : name.startsWith("outbound_.") ? name.split("_.") : undefined;
	if (parts !== undefined && parts.length >= 4) {
		const host = parts.slice(3).join(name.includes("|") ? "|" : "_.");
		return parts[0] === "inbound" || host === "" ? undefined : endpointOfHost(host);
	}
	// Consul: [subset.]service.namespace.datacenter.internal[-version].trust-domain.consul
	const consul = /^(.+)\.([^.]+)\.[^.]+\.internal(?:-v\d+)?\.[^.]+\.consul$/.exec(name);
	if (consul !== null) return serviceEndpoint(consul[1]!.slice(consul[1]!.lastIndexOf(".") + 1), consul[2]!);
	const kuma = KUMA_SERVICE.exec(name);
	if (kuma !== null) return serviceEndpoint(kuma[1]!, kuma[2]!);
	const kubernetes = KUBERNETES_HOST.exec(name);
	if (kubernetes !== null) return serviceEndpoint(kubernetes[1]!, kubernetes[2]!);
	return name === "" ? undefined : serviceEndpoint(name);
}

/** A service of the mesh by its host; any other host is outside of it. */
function endpointOfHost(host: string): Endpoint {
	const kubernetes = KUBERNETES_HOST.exec(host);
	if (kubernetes !== null) return serviceEndpoint(kubernetes[1]!, kubernetes[2]!);
	return { kind: "external", cluster: "", namespace: "", service: host, workload: "" };
}

/** Whom a verified certificate names: a SPIFFE id, a Linkerd identity or a subject. */
export function endpointOfPrincipal(principal: string): Endpoint | undefined {
	if (principal.length > MAX_NAME_CHARS) return undefined;
	const path = /^spiffe:\/\/[^/]*\/(.+)$/.exec(principal)?.[1];
	if (path !== undefined) {
		const istio = /^ns\/([^/]+)\/sa\/([^/]+)$/.exec(path);
		if (istio !== null) return serviceEndpoint(istio[2]!, istio[1]!);
		const consul = /^(?:ap\/[^/]+\/)?ns\/([^/]+)\/dc\/[^/]+\/svc\/([^/]+)$/.exec(path);
		if (consul !== null) return serviceEndpoint(consul[2]!, consul[1]!);
		const kuma = KUMA_SERVICE.exec(path);
		return kuma === null ? serviceEndpoint(path) : serviceEndpoint(kuma[1]!, kuma[2]!);
	}
	if (principal.startsWith("spiffe:")) return undefined;
	const linkerd = /^([^.]+)\.([^.]+)\.serviceaccount\.identity\./.exec(principal);
	if (linkerd !== null) return serviceEndpoint(linkerd[1]!, linkerd[2]!);
	const commonName = /(?:^|[,/ ])CN=([^,/]+)/i.exec(principal)?.[1];
	if (commonName !== undefined) return serviceEndpoint(commonName.trim());
	return principal === "" || principal.includes("=") ? undefined : serviceEndpoint(principal);
}

/** Of several names in one field, separated by commas, the SPIFFE id, else the first. */
export function onePrincipal(names: string | undefined): string {
	if (names === undefined || !names.includes(",")) return names ?? "";
	const all = names.split(",").map((name) => name.trim());
	return all.find((name) => name.startsWith("spiffe://")) ?? all[0]!;
}

/** Where a record was made, by its resource; undefined where that names no service. */
export function endpointOfResource(resource: Attributes): Endpoint | undefined {
	const name = resource.get("service.name");
	// What Envoy and SDKs call themselves where nobody named them.
	if (name === undefined || name.startsWith("unknown_service")) return undefined;
	const namespace = resource.get("service.namespace") ?? resource.get("k8s.namespace.name") ?? "";
	const istioSuffix = namespace !== "" && name.length > namespace.length + 1 && name.endsWith(`.${namespace}`);
	return serviceEndpoint(
		istioSuffix ? name.slice(0, -namespace.length - 1) : name,
		namespace,
		resource.get("k8s.workload.name") ?? resource.get("k8s.deployment.name") ?? "",
		resource.get("k8s.cluster.name") ?? "",
	);
}

/** An IP address alone, of kind `unknown`; undefined where it says nothing: loopback, Envoy's internal addresses, sockets. */
export function endpointOfAddress(address: string | undefined): Endpoint | undefined {
	const ip = withoutPort(address ?? "");
	if (ip === "" || !/^[\da-f.:]+$/i.test(ip) || /^127\.|^::1$|^0\.0\.0\.0$|^::$/.test(ip)) return undefined;
	return { kind: "unknown", cluster: "", namespace: "", service: ip, workload: "" };
}

/** `10.1.2.3:80` and `[::1]:80` without the port; other text as it is. */
export function withoutPort(address: string): string {
	const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(address);
	if (bracketed !== null) return bracketed[1]!;
	return /^[^:]*:\d+$/.test(address) ? address.slice(0, address.indexOf(":")) : address;
}

/** Kubernetes draws the random ends of pod names from these characters. */
const RANDOM = "[bcdfghjklmnpqrstvwxz2456789]";
const REPLICA = new RegExp(`^(.+?)(?:-${RANDOM}{6,10})?-${RANDOM}{5}$`);
const ORDINAL = /^(.+)-\d+$/;

/** The Deployment, DaemonSet, Job or StatefulSet that a pod's name comes from; other names as they are. */
export function workloadOfPod(pod: string): string {
	return REPLICA.exec(pod)?.[1] ?? ORDINAL.exec(pod)?.[1] ?? pod;
}
