/**
 * What is to become of an outbound request, decided from its head alone: the route, the destination by weight, the cluster, the fault.
 * Plain functions over a small view of the request, so that both tiers of the data path decide alike.
 */
import type { HeaderChanges, HttpRoute, ProxyConfig, RouteMatch, WeightedDestination } from "../../model/mesh/proxy-config.ts";
import { decideFault, pickDestination } from "../routing/destination.ts";
import type { FaultDecision } from "../routing/destination.ts";
import { queryParameter } from "../routing/match.ts";
import type { RouteRequest } from "../routing/request.ts";
import { createRouter } from "../routing/router.ts";
import type { Router } from "../routing/router.ts";
import type { ClusterSet } from "../upstream/cluster-set.ts";
import type { Cluster } from "../upstream/cluster.ts";
import { hashOf } from "../upstream/lb/hash.ts";
import type { HeaderList, RequestHead } from "./message.ts";
import { joinedHeader } from "./message.ts";

/** One configuration as requests see it; those under way keep theirs. */
export interface OutboundPolicy {
	readonly config: ProxyConfig;
	readonly router: Router;
}

export function outboundPolicy(config: ProxyConfig): OutboundPolicy {
	return { config, router: createRouter(config.virtualHosts) };
}

export type OutboundPlan =
	| {
			readonly kind: "forward";
			readonly route: HttpRoute | undefined;
			readonly match: RouteMatch | undefined;
			readonly destination: WeightedDestination;
			readonly cluster: Cluster;
			readonly fault: FaultDecision;
	  }
	| {
			readonly kind: "answer";
			readonly route: string;
			readonly status: number;
			readonly body: string;
			readonly headers: HeaderList;
	  }
	| {
			readonly kind: "refuse";
			readonly route: string;
			readonly status: number;
			readonly flag: "NR" | "NC";
			readonly message: string;
	  };

const NO_CHANGES: HeaderChanges = { set: [], add: [], remove: [] };
const NO_FAULT: FaultDecision = { delayMs: 0, abort: undefined };

export interface PlanParts {
	readonly clusters: Pick<ClusterSet, "get" | "passthrough">;
	readonly random: () => number;
	/** Whether a host that no policy names may be called: an address of the proxy's own would go round in circles. */
	readonly mayPassThrough: (host: string, port: number) => boolean;
}

export function planOutbound(
	request: RouteRequest,
	policy: OutboundPolicy,
	parts: PlanParts,
	passthroughProtocol: "http1" | "http2",
): OutboundPlan {
	const found = policy.router.match(request);
	if (found === undefined) return planUnmatched(request, policy, parts, passthroughProtocol);
	const { route, match } = found;
	const { action } = route;
	if (action.kind === "answer")
		return { kind: "answer", route: route.name, status: action.status, body: action.body, headers: [] };
	if (action.kind === "redirect") {
		const scheme = action.scheme ?? request.scheme;
		const authority = action.authority ?? request.header("host") ?? request.host;
		const path = action.path ?? (request.query === "" ? request.path : `${request.path}?${request.query}`);
		const location = `${scheme}://${authority}${path}`;
		return { kind: "answer", route: route.name, status: action.status, body: "", headers: ["location", location] };
	}
	const destination = pickDestination(action.destinations, parts.random);
	const cluster = destination === undefined ? undefined : parts.clusters.get(destination.cluster);
	if (destination === undefined || cluster === undefined) {
		const message = `no cluster ${destination?.cluster ?? "for this route"}`;
		return { kind: "refuse", route: route.name, status: 503, flag: "NC", message };
	}
	return { kind: "forward", route, match, destination, cluster, fault: decideFault(route.fault, parts.random) };
}

function planUnmatched(
	request: RouteRequest,
	policy: OutboundPolicy,
	parts: PlanParts,
	protocol: "http1" | "http2",
): OutboundPlan {
	const isKnown = policy.router.virtualHost(request.host) !== undefined;
	if (isKnown || policy.config.unknownHosts === "refuse" || request.host === "") {
		const message = isKnown ? "no route matches" : `no route to ${request.host === "" ? "an empty host" : request.host}`;
		// As Istio: a host outside the registry is Envoy's BlackHoleCluster, 502.
		return { kind: "refuse", route: "", status: isKnown ? 404 : 502, flag: "NR", message };
	}
	if (!parts.mayPassThrough(request.host, request.port)) {
		return { kind: "refuse", route: "", status: 508, flag: "NR", message: "the request would come back to this proxy" };
	}
	const cluster = parts.clusters.passthrough(request.host, request.port, protocol);
	const destination = { cluster: cluster.config.name, weight: 100, requestHeaders: NO_CHANGES, responseHeaders: NO_CHANGES };
	return { kind: "forward", route: undefined, match: undefined, destination, cluster, fault: NO_FAULT };
}

/** The view of a head. `port` is the one of the authority, else the scheme's. */
export function routeRequest(head: RequestHead, authority: string): RouteRequest {
	const queryAt = head.path.indexOf("?");
	const { host, port } = splitAuthority(authority, head.scheme === "https" ? 443 : 80);
	return {
		host,
		port,
		method: head.method,
		path: queryAt < 0 ? head.path : head.path.slice(0, queryAt),
		query: queryAt < 0 ? "" : head.path.slice(queryAt + 1),
		scheme: head.scheme,
		header: (name) => (name === "host" ? authority : joinedHeader(head.headers, name)),
	};
}

/** Host in lower case, without brackets; the port, or the one given. */
export function splitAuthority(authority: string, defaultPort: number): { readonly host: string; readonly port: number } {
	const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(authority);
	if (match === null) return { host: authority.toLowerCase(), port: defaultPort };
	const port = match[3] === undefined || match[3] === "" ? defaultPort : Number(match[3]);
	return { host: (match[1] ?? match[2] ?? "").toLowerCase(), port };
}

/** What ring hash hashes, and the cookie to set where it is by a cookie that is not there yet. */
export interface HashInput {
	readonly hash: number;
	readonly setCookie: string | undefined;
}

const NO_HASH: HashInput = { hash: 0, setCookie: undefined };

export function hashInput(cluster: Cluster, request: RouteRequest, sourceIp: string, random: () => number): HashInput {
	const { loadBalancer } = cluster.config;
	if (loadBalancer.kind !== "ring_hash") return NO_HASH;
	const { hash: by } = loadBalancer;
	switch (by.on) {
		case "header":
			return hashed(request.header(by.name), random);
		case "query":
			return hashed(queryParameter(request.query, by.name), random);
		case "source_ip":
			return hashed(sourceIp, random);
		case "cookie": {
			const present = cookieValue(request.header("cookie"), by.name);
			if (present !== undefined || by.ttlMs <= 0) return hashed(present, random);
			const value = Math.floor(random() * 2 ** 52).toString(16);
			const path = by.path === "" ? "" : `; Path=${by.path}`;
			const setCookie = `${by.name}="${value}"; Max-Age=${Math.ceil(by.ttlMs / 1_000)}${path}; HttpOnly`;
			return { hash: hashOf(value), setCookie };
		}
	}
}

/** Without the value that should be hashed any host will do. */
function hashed(text: string | undefined, random: () => number): HashInput {
	return { hash: text === undefined ? Math.floor(random() * 2 ** 32) : hashOf(text), setCookie: undefined };
}

function cookieValue(cookies: string | undefined, name: string): string | undefined {
	for (const pair of cookies?.split(";") ?? []) {
		const at = pair.indexOf("=");
		if (at > 0 && pair.slice(0, at).trim() === name)
			return pair
				.slice(at + 1)
				.trim()
				.replaceAll('"', "");
	}
	return undefined;
}
