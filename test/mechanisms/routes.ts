/** Virtual hosts, routes and requests with nothing in them but what a test names. */
import type { HeaderChanges, HttpRoute, RouteMatch, VirtualHost, WeightedDestination } from "../../model/mesh/proxy-config.ts";
import type { RouteRequest } from "../../proxy-shim/routing/request.ts";

export const NO_CHANGES: HeaderChanges = { set: [], add: [], remove: [] };

export function destinationOf(cluster: string, weight = 100): WeightedDestination {
	return { cluster, weight, requestHeaders: NO_CHANGES, responseHeaders: NO_CHANGES };
}

export function routeOf(name: string, ...matches: readonly RouteMatch[]): HttpRoute {
	return {
		name,
		matches,
		action: { kind: "forward", destinations: [destinationOf(name)] },
		rewrite: undefined,
		requestHeaders: NO_CHANGES,
		responseHeaders: NO_CHANGES,
		timeoutMs: 0,
		retries: { attempts: 0, on: new Set(), onStatus: new Set(), perTryTimeoutMs: 0, backoffBaseMs: 25, backoffMaxMs: 250 },
		fault: undefined,
		mirrors: [],
		fallback: undefined,
	};
}

export function matchOf(parts: Partial<RouteMatch>): RouteMatch {
	return {
		name: "",
		path: undefined,
		ignorePathCase: false,
		method: undefined,
		authority: undefined,
		headers: [],
		withoutHeaders: [],
		query: [],
		port: undefined,
		...parts,
	};
}

export function hostWith(hosts: readonly string[], ...http: readonly HttpRoute[]): VirtualHost {
	return { name: hosts[0] ?? "none", hosts, http, tcp: [] };
}

export interface RequestParts extends Partial<Omit<RouteRequest, "header">> {
	readonly headers?: Readonly<Record<string, string>>;
}

export function requestOf({ headers = {}, ...parts }: RequestParts = {}): RouteRequest {
	return {
		host: "shop",
		port: 80,
		method: "GET",
		path: "/",
		query: "",
		scheme: "http",
		...parts,
		header: (name) => headers[name],
	};
}
