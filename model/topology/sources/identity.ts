/** Workload identities as certificates hold them, and which service each one names. */
import { type Endpoint, serviceEndpoint } from "../endpoint.ts";
import { consulNamespace, kumaService } from "./envoy-cluster.ts";

/** Of several names, which Envoy joins with commas, the SPIFFE id, else the first; empty for none. */
export function principalOf(names: string | undefined): string {
	if (names === undefined) return "";
	const list = names.split(",").map((name) => name.trim());
	return list.find((name) => name.startsWith("spiffe://")) ?? list.find((name) => name !== "") ?? "";
}

/** The same identity in one spelling: the labels of some of Istio's metrics leave the scheme out. */
export function normalPrincipal(text: string | undefined): string {
	if (text === undefined) return "";
	const trimmed = text.trim();
	return /^[^/:]+\/ns\/[^/]+\/sa\/[^/]+$/.test(trimmed) ? `spiffe://${trimmed}` : trimmed;
}

/**
 * The service that an identity names, by the forms of Istio, Consul, Kuma and Linkerd. Undefined where it names none: subjects,
 * identities of agents, and the account `default`, which all services of a namespace share.
 */
export function identityEndpoint(principal: string): Endpoint | undefined {
	if (principal.startsWith("spiffe://")) return spiffeEndpoint(principal.slice("spiffe://".length).split("/"));
	const linkerd = /^([^.]+)\.([^.]+)\.serviceaccount\.identity\.[^.]+\./.exec(principal);
	return linkerd === null ? undefined : accountEndpoint(linkerd[1]!, linkerd[2]!);
}

/** Trust domain first, then the path's segments. */
function spiffeEndpoint(parts: readonly string[]): Endpoint | undefined {
	const path = parts.slice(1);
	if (path.length === 1 && path[0] !== "") return kumaService(path[0]!) ?? serviceEndpoint(path[0]!);
	if (path.length % 2 !== 0) return undefined;
	const value = (key: string): string => {
		const at = path.findIndex((segment, i) => i % 2 === 0 && segment === key);
		return at === -1 ? "" : path[at + 1]!;
	};
	const namespace = value("ns");
	if (value("svc") !== "") return serviceEndpoint(value("svc"), consulNamespace(namespace));
	return namespace === "" || value("sa") === "" ? undefined : accountEndpoint(value("sa"), namespace);
}

function accountEndpoint(account: string, namespace: string): Endpoint | undefined {
	if (account === "default") return undefined;
	// Istio's gateways: `istio-ingressgateway-service-account`.
	const service = account.replace(/(?<=.)-service-account$/, "");
	const endpoint = serviceEndpoint(service, namespace);
	return isIstioGateway(service) ? { ...endpoint, kind: "gateway" } : endpoint;
}

/** By the names that Istio's installation gives its gateways. */
export function isIstioGateway(service: string): boolean {
	return /(?:^|-)(?:ingress|egress|eastwest)gateway$/.test(service);
}
