/** How the labels of metrics name the ends of an edge: workload identities and host names. */
import { EXTERNAL, UNKNOWN, serviceEndpoint } from "../endpoint.ts";
import type { Endpoint } from "../endpoint.ts";

/** The same identity in one spelling: Istio's labels leave the scheme out in some versions. */
export function normalPrincipal(text: string | undefined): string {
	if (text === undefined) return "";
	const trimmed = text.trim();
	if (/^[^/:]+\/ns\/[^/]+\/sa\/[^/]+$/.test(trimmed)) return `spiffe://${trimmed}`;
	return trimmed;
}

const SPIFFE = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/(?:dc\/[^/]+\/svc|sa)\/([^/]+)$/;
const LINKERD = /^([^.]+)\.([^.]+)\.serviceaccount\.identity\./;

/**
 * Whom an identity belongs to: Istio's and Linkerd's service accounts, Consul's services. The account `default` is shared by whatever
 * has none of its own, so it names nobody.
 */
export function principalEndpoint(principal: string): Endpoint | undefined {
	const spiffe = SPIFFE.exec(principal);
	const linkerd = LINKERD.exec(principal);
	const [namespace, service] =
		spiffe !== null ? [spiffe[1]!, spiffe[2]!] : linkerd !== null ? [linkerd[2]!, linkerd[1]!] : ["", ""];
	return service === "" || service === "default" ? undefined : serviceEndpoint(service, namespace);
}

const CLUSTER_HOST = /^([^.]+)\.([^.]+)\.svc(?:\.|$)/;

/** `reviews.default.svc.cluster.local:9080` is a service of the mesh, an address is to be explained later, other names lie outside. */
export function hostEndpoint(authority: string | undefined): Endpoint {
	if (authority === undefined) return UNKNOWN;
	const host = withoutPort(authority.trim().toLowerCase()).replace(/\.$/, "");
	if (host === "") return UNKNOWN;
	const inCluster = CLUSTER_HOST.exec(host);
	if (inCluster !== null) return serviceEndpoint(inCluster[1]!, inCluster[2]!);
	if (isAddress(host)) return { ...UNKNOWN, service: host };
	return { ...EXTERNAL, service: host };
}

function withoutPort(authority: string): string {
	const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(authority);
	if (bracketed !== null) return bracketed[1]!;
	// More than one colon without brackets is a bare IPv6 address.
	return /^[^:]+:\d+$/.test(authority) ? authority.slice(0, authority.indexOf(":")) : authority;
}

function isAddress(host: string): boolean {
	return host.includes(":") || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(host);
}
