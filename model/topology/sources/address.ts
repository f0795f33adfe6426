/** IP addresses and host names as telemetry writes them: with ports, in brackets, inside URLs. */
import { type Endpoint, serviceEndpoint } from "../endpoint.ts";

/** `host` of `host`, `host:port`, `[v6]:port` and `v6`; text that is none of these as it is. */
export function withoutPort(text: string): string {
	if (text.startsWith("[")) {
		const end = text.indexOf("]");
		return end === -1 ? text : text.slice(1, end);
	}
	const colon = text.indexOf(":");
	if (colon === -1 || text.includes(":", colon + 1)) return text;
	return /^\d{1,5}$/.test(text.slice(colon + 1)) ? text.slice(0, colon) : text;
}

/** `host[:port]` of a URL or of an authority; without user information. */
export function authorityOf(url: string): string {
	const scheme = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.exec(url);
	const rest = scheme === null ? url : url.slice(scheme[0].length);
	const end = rest.search(/[/?#]/);
	const authority = end === -1 ? rest : rest.slice(0, end);
	return authority.slice(authority.lastIndexOf("@") + 1);
}

const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const IPV6 = /^[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\d{1,3}(?:\.\d{1,3}){3})?(?:%[\w.-]+)?$/;

export function isIpAddress(text: string): boolean {
	const octets = IPV4.exec(text);
	if (octets !== null) return octets.slice(1).every((octet) => Number(octet) < 256);
	return text.length <= 64 && (IPV6.test(text) || /^::ffff:\d{1,3}(?:\.\d{1,3}){3}$/i.test(text));
}

/** IPv4 inside IPv6 as IPv4, everything in lower case: two ends that write one address differently mean the same. */
export function canonicalAddress(text: string): string {
	const lower = text.toLowerCase();
	return lower.startsWith("::ffff:") && lower.includes(".") ? lower.slice(7) : lower;
}

/** 127.0.0.0/8 holds Istio's 127.0.0.6 too, from which a sidecar calls its app. */
export function isLoopback(address: string): boolean {
	return /^127\.\d+\.\d+\.\d+$/.test(address) || address === "::1" || address === "0.0.0.0" || address === "::";
}

/** The address in `text`, ready to be compared; empty where there is none or it is the machine's own loopback. */
export function peerIp(text: string | undefined): string {
	if (text === undefined) return "";
	const address = canonicalAddress(withoutPort(text));
	return isIpAddress(address) && !isLoopback(address) ? address : "";
}

/** Outside of the private, shared and link-local ranges (RFC 1918, 6598, 3927, 4193, 4291). */
export function isPublicAddress(text: string): boolean {
	const address = canonicalAddress(text);
	if (!isIpAddress(address) || isLoopback(address)) return false;
	const octets = IPV4.exec(address);
	if (octets === null) return !/^f(?:[cd]|e[89ab])/.test(address);
	const [first, second] = [Number(octets[1]), Number(octets[2])];
	if (first === 10 || first === 0) return false;
	if (first === 172) return second < 16 || second > 31;
	if (first === 192) return second !== 168;
	if (first === 169) return second !== 254;
	return first !== 100 || second < 64 || second > 127;
}

/**
 * Whom a host name or address stands for, seen from a namespace: Kubernetes' names (`a.b.svc…`) and names without a dot are services,
 * `a.b` is one where b is the caller's own namespace, every other name is outside. A bare address is unknown by itself.
 * Undefined for the caller's own machine and for what is no host.
 */
export function hostEndpoint(text: string | undefined, namespace: string): Endpoint | undefined {
	if (text === undefined) return undefined;
	const host = canonicalAddress(withoutPort(text)).replace(/\.$/, "");
	if (host === "localhost" || host.endsWith(".localhost") || isLoopback(host)) return undefined;
	if (isIpAddress(host)) return addressEndpoint(host);
	if (!/^[\p{L}\p{N}_](?:[\p{L}\p{N}_.-]*[\p{L}\p{N}_])?$/u.test(host)) return undefined;
	const labels = host.split(".");
	if (labels.length === 1) return serviceEndpoint(host, namespace);
	const svc = labels.indexOf("svc", 2);
	if (svc !== -1) return serviceEndpoint(labels[svc - 2]!, labels[svc - 1]!);
	if (labels.length === 2 && namespace !== "" && labels[1] === namespace) return serviceEndpoint(labels[0]!, namespace);
	return { kind: "external", cluster: "", namespace: "", service: host, workload: "" };
}

export function addressEndpoint(address: string): Endpoint {
	return { kind: "unknown", cluster: "", namespace: "", service: address, workload: "" };
}
