/** Virtual hosts of a proxy: the routes of VirtualServices, and a default route for every host of the mesh that has none. */
import type {
	Fallback,
	HttpRoute,
	RetryCondition,
	RetryPolicy,
	RouteAction,
	RouteMatch,
	StringMatch,
	TcpRoute,
	VirtualHost,
	WeightedDestination,
	Workload,
} from "../proxy-config.ts";
import type { Clusters } from "./compile-clusters.ts";
import type { Destination } from "./destination.ts";
import { placeOf } from "./fields.ts";
import { coveringIndex, namesOf } from "./host-names.ts";
import type { HttpMatch } from "./http-match.ts";
import type { HttpRoutePolicy } from "./http-route.ts";
import { isExportedTo, type MeshHost, type MeshHosts } from "./mesh-hosts.ts";
import { warn, within } from "./place.ts";
import type { Policy } from "./policy-set.ts";
import { hasLabels, NO_HEADER_CHANGES } from "./values.ts";
import { destinationsOf, type TcpRoutePolicy, type VirtualService } from "./virtual-service.ts";

/** Istio's, where a route says nothing of retries. */
const DEFAULT_CONDITIONS: ReadonlySet<RetryCondition> = new Set([
	"connect-failure",
	"refused-stream",
	"unavailable",
	"cancelled",
]);
const DEFAULT_ATTEMPTS = 2;
const BACKOFF_BASE_MS = 25;
/** Of a route to a host that nobody knows, where neither the route nor the request names one. */
const DEFAULT_PORT = 80;

interface Named {
	readonly service: Policy<VirtualService>;
	/** As a whole name. */
	readonly host: string;
}

export function compileRoutes(
	hosts: MeshHosts,
	services: readonly Policy<VirtualService>[],
	clusters: Clusters,
	workload: Workload,
): readonly VirtualHost[] {
	const visible = services.filter(({ spec, namespace }) => isExportedTo(spec.exportTo, namespace, workload.namespace));
	for (const service of visible) warnOfDestinations(service, hosts, clusters);
	const named = visible.flatMap((service) =>
		service.spec.hosts.map((host): Named => ({ service, host: hosts.resolve(host, service.namespace) })),
	);
	const covering = coveringIndex(named);
	const names = new Set([...hosts.all.keys(), ...named.map(({ host }) => host)]);
	// A whole name belongs to its host, whatever the short names of others are.
	const taken = new Map([...names].map((host) => [host, host]));
	const virtualHosts = [...names].map((host) => {
		for (const name of namesOf(host, workload.namespace)) if (!taken.has(name)) taken.set(name, host);
		const aliases = namesOf(host, workload.namespace).filter((name) => taken.get(name) === host);
		return virtualHost(host, aliases, servicesFor(host, covering(host)), hosts, clusters, workload);
	});
	return virtualHosts.sort((a, b) => precedence(a.hosts[0]!) - precedence(b.hosts[0]!));
}

function warnOfDestinations(service: Policy<VirtualService>, hosts: MeshHosts, clusters: Clusters): void {
	for (const destination of destinationsOf(service.spec)) {
		const host = hosts.resolve(destination.host, service.namespace);
		const at = placeOf(destination, service.at);
		if (hosts.find(host) === undefined) {
			warn(
				within(at, "host"),
				`${host} is neither a registered service nor the host of a ServiceEntry: until it is, requests fail`,
			);
		} else if (destination.subset !== undefined && !clusters.hasSubset(host, destination.subset)) {
			warn(
				within(at, "subset"),
				`the DestinationRule that gives ${host} the subset ${destination.subset} is not for callers of this namespace: requests fail`,
			);
		}
	}
}

/** Exact hosts first, then suffixes, the longest first. */
function precedence(host: string): number {
	return host.startsWith("*") ? 1000 - host.length : 0;
}

/** Those that name the host, else those of the longest suffix that covers it. */
function servicesFor(host: string, covering: readonly Named[]): readonly Policy<VirtualService>[] {
	const exact = covering.filter((one) => one.host === host);
	const longest = Math.max(0, ...covering.map((one) => one.host.length));
	const chosen = exact.length > 0 ? exact : covering.filter((one) => one.host.length === longest);
	const services = [...new Set(chosen.map(({ service }) => service))];
	for (const service of services.slice(1)) {
		warn(
			service.at,
			`${host} has VirtualService ${services[0]!.namespace}/${services[0]!.name} already: its routes come first; Istio would let only one of them count`,
		);
	}
	return services;
}

function virtualHost(
	host: string,
	names: readonly string[],
	services: readonly Policy<VirtualService>[],
	hosts: MeshHosts,
	clusters: Clusters,
	workload: Workload,
): VirtualHost {
	const known = hosts.find(host);
	const http = services.flatMap((service) => (service.spec.http ?? []).flatMap((route) => httpRoutes(route, context(service))));
	const tcp = services.flatMap((service) => (service.spec.tcp ?? []).flatMap((route) => tcpRoutes(route, context(service))));
	const [first] = services;
	return {
		name: first === undefined ? host : `${first.namespace}/${first.name}`,
		hosts: names,
		// Routes that are all for other sources leave the host as if nobody had named it.
		http: http.length > 0 ? http : defaultHttpRoutes(host, known, clusters),
		tcp: [...tcp, ...defaultTcpRoutes(host, known, clusters)],
	};

	function context(service: Policy<VirtualService>): Context {
		return { service, hosts, clusters, workload };
	}
}

interface Context {
	readonly service: Policy<VirtualService>;
	readonly hosts: MeshHosts;
	readonly clusters: Clusters;
	readonly workload: Workload;
}

// ---- defaults

function defaultHttpRoutes(host: string, known: MeshHost | undefined, clusters: Clusters): readonly HttpRoute[] {
	const ports = (known?.ports ?? []).filter(({ protocol }) => protocol !== "tcp").map(({ port }) => port);
	const route = (port: number, matches: readonly RouteMatch[]): HttpRoute => ({
		name: "default",
		matches,
		action: { kind: "forward", destinations: [single(clusters.use(host, port, undefined))] },
		rewrite: undefined,
		requestHeaders: NO_HEADER_CHANGES,
		responseHeaders: NO_HEADER_CHANGES,
		timeoutMs: 0,
		retries: retryPolicy(undefined),
		fault: undefined,
		mirrors: [],
		fallback: undefined,
	});
	const [first] = ports;
	if (first === undefined) return [];
	// The first port takes what names none of the others: a caller need not know the port of a service with one.
	return [...ports.slice(1).map((port) => route(port, [{ ...MATCH_ALL, port }])), route(first, [])];
}

function defaultTcpRoutes(host: string, known: MeshHost | undefined, clusters: Clusters): readonly TcpRoute[] {
	return (known?.ports ?? [])
		.filter(({ protocol }) => protocol === "tcp")
		.map(({ port }) => ({ port, destinations: [single(clusters.use(host, port, undefined))] }));
}

function single(cluster: string): WeightedDestination {
	return { cluster, weight: 100, requestHeaders: NO_HEADER_CHANGES, responseHeaders: NO_HEADER_CHANGES };
}

const MATCH_ALL: RouteMatch = {
	name: "",
	path: undefined,
	ignorePathCase: false,
	method: undefined,
	authority: undefined,
	headers: [],
	withoutHeaders: [],
	query: [],
	port: undefined,
};

// ---- ports

/**
 * A destination that names no port means the port that was asked for, where its service has several. Such a route is repeated for each
 * of them, and once more for every other port.
 */
function requestPorts(
	destinations: readonly Destination[],
	protocol: "http" | "tcp",
	{ service, hosts }: Context,
): readonly number[] {
	const ports = new Set<number>();
	for (const { host, port } of destinations) {
		const known = hosts.find(hosts.resolve(host, service.namespace));
		if (port !== undefined || known === undefined || known.ports.length < 2) continue;
		for (const one of known.ports) if ((one.protocol === "tcp") === (protocol === "tcp")) ports.add(one.port);
	}
	return ports.size < 2 ? [] : [...ports];
}

function clusterOf(
	destination: Destination,
	requestPort: number | undefined,
	protocol: "http" | "tcp",
	{ service, hosts, clusters }: Context,
): string {
	const host = hosts.resolve(destination.host, service.namespace);
	const ports = hosts.find(host)?.ports ?? [];
	const preferred = ports.find((one) => (one.protocol === "tcp") === (protocol === "tcp")) ?? ports[0];
	const asked = ports.length > 1 ? ports.find(({ port }) => port === requestPort) : undefined;
	return clusters.use(host, destination.port ?? (asked ?? preferred)?.port ?? requestPort ?? DEFAULT_PORT, destination.subset);
}

// ---- HTTP

function httpRoutes(route: HttpRoutePolicy, context: Context): readonly HttpRoute[] {
	const fromHere = (route.match ?? []).filter((match) => isFromHere(match, context.workload));
	// Matches of other sources only: not a route without matches, which takes everything.
	if (fromHere.length === 0 && (route.match ?? []).length > 0) return [];
	const matches = fromHere.map(routeMatch);
	const ports = requestPorts(
		(route.route ?? []).map((one) => one.destination),
		"http",
		context,
	);
	if (ports.length === 0) return [httpRoute(route, matches, matches.length === 1 ? matches[0]!.port : undefined, context)];
	const routes: HttpRoute[] = [];
	const anyPort = matches.length === 0 ? [MATCH_ALL] : matches.filter(({ port }) => port === undefined);
	for (const port of new Set([...ports, ...matches.flatMap((match) => match.port ?? [])])) {
		const here = [...matches.filter((match) => match.port === port), ...anyPort.map((match) => ({ ...match, port }))];
		if (here.length > 0) routes.push(httpRoute(route, here, port, context));
	}
	if (anyPort.length > 0) routes.push(httpRoute(route, matches.length === 0 ? [] : anyPort, undefined, context));
	return routes;
}

function isFromHere(match: Pick<HttpMatch, "sourceLabels" | "sourceNamespace">, workload: Workload): boolean {
	return hasLabels(workload.labels, match.sourceLabels) && (match.sourceNamespace ?? workload.namespace) === workload.namespace;
}

function routeMatch(match: HttpMatch): RouteMatch {
	const named = (map: ReadonlyMap<string, StringMatch | "present"> | undefined): RouteMatch["headers"] =>
		[...(map ?? [])].map(([name, one]) => ({ name, match: one === "present" ? undefined : one }));
	return {
		name: match.name ?? "",
		path: match.uri,
		ignorePathCase: match.ignoreUriCase ?? false,
		method: match.method,
		scheme: match.scheme,
		authority: match.authority,
		headers: named(match.headers),
		withoutHeaders: named(match.withoutHeaders),
		query: named(match.queryParams),
		port: match.port,
	};
}

function httpRoute(
	route: HttpRoutePolicy,
	matches: readonly RouteMatch[],
	port: number | undefined,
	context: Context,
): HttpRoute {
	const cluster = (destination: Destination): string => clusterOf(destination, port, "http", context);
	const mirrors =
		route.mirror === undefined ? (route.mirrors ?? []) : [{ destination: route.mirror, percentage: route.mirrorPercentage }];
	return {
		name: route.name ?? "default",
		matches,
		action: routeAction(route, cluster),
		rewrite:
			route.rewrite === undefined
				? undefined
				: { path: route.rewrite.uri, pathRegex: route.rewrite.uriRegexRewrite, authority: route.rewrite.authority },
		requestHeaders: route.headers?.request ?? NO_HEADER_CHANGES,
		responseHeaders: route.headers?.response ?? NO_HEADER_CHANGES,
		timeoutMs: route.timeout ?? 0,
		retries: retryPolicy(route.retries),
		fault: faultOf(route),
		mirrors: mirrors.map((one) => ({ cluster: cluster(one.destination), percent: one.percentage ?? 100 })),
		fallback: fallbackOf(route, cluster),
	};
}

function routeAction(route: HttpRoutePolicy, cluster: (destination: Destination) => string): RouteAction {
	const { redirect, directResponse } = route;
	if (redirect !== undefined) {
		const port = redirect.port === undefined ? "" : `:${redirect.port}`;
		return {
			kind: "redirect",
			status: redirect.redirectCode ?? 301,
			authority: redirect.authority === undefined ? undefined : redirect.authority + port,
			scheme: redirect.scheme,
			path: redirect.uri,
		};
	}
	if (directResponse !== undefined)
		return { kind: "answer", status: directResponse.status, body: directResponse.body?.string ?? "" };
	const destinations = route.route ?? [];
	return {
		kind: "forward",
		destinations: destinations.map((one) => ({
			cluster: cluster(one.destination),
			weight: destinations.length === 1 ? 100 : (one.weight ?? 0),
			requestHeaders: one.headers?.request ?? NO_HEADER_CHANGES,
			responseHeaders: one.headers?.response ?? NO_HEADER_CHANGES,
		})),
	};
}

function retryPolicy(retries: HttpRoutePolicy["retries"]): RetryPolicy {
	const base = retries?.backoff ?? BACKOFF_BASE_MS;
	return {
		attempts: retries === undefined ? DEFAULT_ATTEMPTS : (retries.attempts ?? 0),
		on: retries?.retryOn?.conditions ?? DEFAULT_CONDITIONS,
		onStatus: retries?.retryOn?.statuses ?? new Set(),
		perTryTimeoutMs: retries?.perTryTimeout ?? 0,
		backoffBaseMs: base,
		backoffMaxMs: base * 10,
	};
}

function faultOf({ fault }: HttpRoutePolicy): HttpRoute["fault"] {
	if (fault === undefined) return undefined;
	const { delay, abort } = fault;
	return {
		delay: delay === undefined ? undefined : { percent: delay.percentage ?? 0, ms: delay.fixedDelay },
		abort:
			abort === undefined
				? undefined
				: { percent: abort.percentage ?? 0, httpStatus: abort.httpStatus ?? 200, grpcStatus: abort.grpcStatus },
	};
}

function fallbackOf({ meshscope }: HttpRoutePolicy, cluster: (destination: Destination) => string): Fallback | undefined {
	const fallback = meshscope?.fallback;
	if (fallback === undefined) return undefined;
	if (fallback.destination !== undefined) return { kind: "destination", cluster: cluster(fallback.destination) };
	return {
		kind: "answer",
		status: fallback.status ?? 503,
		body: fallback.body ?? "",
		contentType: fallback.contentType ?? "text/plain; charset=utf-8",
	};
}

// ---- TCP

function tcpRoutes(route: TcpRoutePolicy, context: Context): readonly TcpRoute[] {
	const fromHere = (route.match ?? []).filter((match) => isFromHere(match, context.workload));
	if (fromHere.length === 0 && (route.match ?? []).length > 0) return [];
	const asked = fromHere.length === 0 ? [undefined] : fromHere.map((match) => match.port);
	const own = requestPorts(
		route.route.map((one) => one.destination),
		"tcp",
		context,
	);
	const ports = asked.flatMap((port) => (port === undefined ? [...own, undefined] : [port]));
	return ports.map((port) => ({
		port,
		destinations: route.route.map((one) => ({
			...single(clusterOf(one.destination, port, "tcp", context)),
			weight: route.route.length === 1 ? 100 : (one.weight ?? 0),
		})),
	}));
}
