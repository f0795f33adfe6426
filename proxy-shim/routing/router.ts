/**
 * Which route a request takes: the virtual host by its host, then the first of its routes that matches. Compiled once for each
 * configuration; matching allocates one small object, the result.
 */
import type { HttpRoute, RouteMatch, TcpRoute, VirtualHost } from "../../model/mesh/proxy-config.ts";
import { type CompiledMatch, compileMatch } from "./match.ts";
import type { RouteRequest } from "./request.ts";

export interface RouteMatchResult {
	readonly virtualHost: VirtualHost;
	readonly route: HttpRoute;
	/** The one of the route's matches that matched; undefined for a route that takes everything. */
	readonly match: RouteMatch | undefined;
}

export interface Router {
	/** Undefined: no virtual host (ask `virtualHost`), or none of its routes. */
	match(request: RouteRequest): RouteMatchResult | undefined;
	/** By host in lower case, without port. */
	virtualHost(host: string): VirtualHost | undefined;
	/** The TCP route of a host for a port. */
	matchTcp(host: string, port: number): TcpRoute | undefined;
}

interface CompiledHost {
	readonly virtualHost: VirtualHost;
	readonly routes: readonly {
		/** Empty: everything. */
		readonly matches: readonly CompiledMatch[];
		/** Without a match, the same for all requests. */
		readonly result: RouteMatchResult;
	}[];
}

/** Of two virtual hosts with the same host the first one counts. */
export function createRouter(virtualHosts: readonly VirtualHost[]): Router {
	const exact = new Map<string, CompiledHost>();
	/** By `.suffix`. */
	const suffixes = new Map<string, CompiledHost>();
	let any: CompiledHost | undefined;

	for (const virtualHost of virtualHosts) {
		const compiled = compileHost(virtualHost);
		for (const host of virtualHost.hosts) {
			if (host === "*") any ??= compiled;
			else if (host.startsWith("*.")) putIfAbsent(suffixes, host.slice(1), compiled);
			else putIfAbsent(exact, host, compiled);
		}
	}

	function find(host: string): CompiledHost | undefined {
		const found = exact.get(host);
		if (found !== undefined) return found;
		if (suffixes.size > 0) {
			// From the first dot on, so the longest suffix is met first. What stands for the star is not empty.
			for (let dot = host.indexOf(".", 1); dot >= 0; dot = host.indexOf(".", dot + 1)) {
				const bySuffix = suffixes.get(host.slice(dot));
				if (bySuffix !== undefined) return bySuffix;
			}
		}
		return any;
	}

	return {
		match(request) {
			const host = find(request.host);
			if (host === undefined) return undefined;
			for (const { matches, result } of host.routes) {
				if (matches.length === 0) return result;
				for (const { source, matches: isMatch } of matches) {
					if (isMatch(request)) return { virtualHost: result.virtualHost, route: result.route, match: source };
				}
			}
			return undefined;
		},
		virtualHost: (host) => find(host)?.virtualHost,
		matchTcp: (host, port) => find(host)?.virtualHost.tcp.find((route) => route.port === undefined || route.port === port),
	};
}

function compileHost(virtualHost: VirtualHost): CompiledHost {
	return {
		virtualHost,
		routes: virtualHost.http.map((route) => ({
			matches: route.matches.map(compileMatch),
			result: { virtualHost, route, match: undefined },
		})),
	};
}

function putIfAbsent(map: Map<string, CompiledHost>, key: string, value: CompiledHost): void {
	if (!map.has(key)) map.set(key, value);
}
