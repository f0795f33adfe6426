import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterConfig } from "../proxy-config.ts";
import { document, proxyFor } from "../../../test/mesh/canned-mesh.ts";

const REVIEWS = "reviews.default.svc.cluster.local|9080|";
const NO_LIMIT = 2 ** 32 - 1;

function rule(spec: string, name = "reviews", namespace = "default"): string {
	return document("DestinationRule", name, spec, namespace);
}

/** The cluster of reviews for one traffic policy. */
function withPolicy(policy: string): ClusterConfig {
	return proxyFor(rule(`{host: reviews, trafficPolicy: ${policy}}`)).cluster(REVIEWS);
}

test("without a word of policy a cluster has Istio's defaults", () => {
	assert.deepEqual(proxyFor("").cluster(REVIEWS), {
		name: REVIEWS,
		host: "reviews.default.svc.cluster.local",
		port: 9080,
		subset: "",
		service: "reviews",
		namespace: "default",
		external: false,
		protocol: "http1",
		labels: {},
		discovery: { kind: "registry" },
		tls: { mode: "auto" },
		loadBalancer: { kind: "least_request" },
		limits: {
			maxConnections: NO_LIMIT,
			maxPendingRequests: NO_LIMIT,
			maxRequests: NO_LIMIT,
			maxRetries: NO_LIMIT,
			maxRequestsPerConnection: 0,
			connectTimeoutMs: 10_000,
			idleTimeoutMs: 3_600_000,
		},
		outlier: undefined,
		breaker: undefined,
		retryBudget: { percent: 20, minConcurrent: 3 },
	});
});

test("a port's protocol decides how it is spoken to", () => {
	const { cluster } = proxyFor("");
	const protocols = ["80", "81", "90"].map((port) => cluster(`orders.shop.svc.cluster.local|${port}|`).protocol);
	assert.deepEqual(protocols, ["http1", "http2", "tcp"]);
	assert.equal(withPolicy("{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}").protocol, "http2");
	assert.equal(withPolicy("{connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}}").protocol, "http1");
});

test("circuit breaking takes the limits that are written and leaves the others lifted", () => {
	const cluster = withPolicy(`{
    connectionPool: {tcp: {maxConnections: 1, connectTimeout: 30ms}, http: {http1MaxPendingRequests: 2, maxRequestsPerConnection: 3}},
    outlierDetection: {consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 3m, maxEjectionPercent: 100}}`);
	assert.deepEqual(cluster.limits, {
		maxConnections: 1,
		maxPendingRequests: 2,
		maxRequests: NO_LIMIT,
		maxRetries: NO_LIMIT,
		maxRequestsPerConnection: 3,
		connectTimeoutMs: 30,
		idleTimeoutMs: 3_600_000,
	});
	assert.deepEqual(cluster.outlier, {
		consecutive5xx: 1,
		consecutiveGatewayErrors: 0,
		consecutiveLocalOriginFailures: 5,
		splitLocalOriginErrors: false,
		intervalMs: 1000,
		baseEjectionTimeMs: 180_000,
		maxEjectionTimeMs: 300_000,
		maxEjectionPercent: 100,
		successRateMinimumHosts: 0,
		successRateRequestVolume: 100,
		successRateStdevFactor: 1.9,
		minHealthPercent: 0,
	});
	const { limits } = withPolicy(
		"{connectionPool: {tcp: {idleTimeout: 1s}, http: {http2MaxRequests: 4, maxRetries: 0, idleTimeout: 2s}}}",
	);
	assert.deepEqual([limits.maxRequests, limits.maxRetries, limits.idleTimeoutMs], [4, 0, 2000]);
	const mongo = proxyFor(
		rule(
			"{host: mongo, trafficPolicy: {connectionPool: {tcp: {idleTimeout: 1s}, http: {idleTimeout: 2s}}}}",
			"mongo",
			"shop",
		),
	);
	assert.equal(mongo.cluster("mongo.shop.svc.cluster.local|27017|").limits.idleTimeoutMs, 1000);
});

test("ejection is on where it is named, with Envoy's defaults", () => {
	assert.deepEqual(withPolicy("{outlierDetection: {}}").outlier, {
		consecutive5xx: 5,
		consecutiveGatewayErrors: 0,
		consecutiveLocalOriginFailures: 5,
		splitLocalOriginErrors: false,
		intervalMs: 10_000,
		baseEjectionTimeMs: 30_000,
		maxEjectionTimeMs: 300_000,
		maxEjectionPercent: 10,
		successRateMinimumHosts: 0,
		successRateRequestVolume: 100,
		successRateStdevFactor: 1.9,
		minHealthPercent: 0,
	});
	const own = withPolicy(
		"{outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 4, consecutiveLocalOriginFailures: 6, splitExternalLocalOriginErrors: true, baseEjectionTime: 10m, minHealthPercent: 50}}",
	).outlier!;
	assert.deepEqual(
		[
			own.consecutive5xx,
			own.consecutiveGatewayErrors,
			own.consecutiveLocalOriginFailures,
			own.splitLocalOriginErrors,
			own.minHealthPercent,
		],
		[0, 4, 6, true, 50],
	);
	// Never shorter than the first ejection.
	assert.equal(own.maxEjectionTimeMs, 600_000);
});

test("hosts are ejected by success rate only where our block asks for it, with Envoy's values or those it names", () => {
	const rates = (block: string): readonly number[] => {
		const { outlier } = withPolicy(`{outlierDetection: {}, meshscope: ${block}}`);
		return [outlier!.successRateMinimumHosts, outlier!.successRateRequestVolume, outlier!.successRateStdevFactor];
	};
	assert.deepEqual(rates("{}"), [0, 100, 1.9]);
	assert.deepEqual(rates("{successRate: {}}"), [5, 100, 1.9]);
	assert.deepEqual(rates("{successRate: {minimumHosts: 3, requestVolume: 20, stdevFactor: 1}}"), [3, 20, 1]);
});

test("each load balancer is compiled, and ours stands in place of Istio's", () => {
	const of = (policy: string): unknown => withPolicy(policy).loadBalancer;
	assert.deepEqual(of("{loadBalancer: {simple: ROUND_ROBIN}}"), { kind: "round_robin" });
	assert.deepEqual(of("{loadBalancer: {simple: RANDOM}}"), { kind: "random" });
	for (const word of ["LEAST_REQUEST", "LEAST_CONN", "UNSPECIFIED"])
		assert.deepEqual(of(`{loadBalancer: {simple: ${word}}}`), { kind: "least_request" });
	assert.deepEqual(of("{meshscope: {loadBalancer: PEAK_EWMA}}"), { kind: "peak_ewma", defaultRttMs: 30, decayMs: 10_000 });
	const ring = (hash: unknown, minimumRingSize = 1024): unknown => ({ kind: "ring_hash", minimumRingSize, hash });
	assert.deepEqual(
		of("{loadBalancer: {consistentHash: {httpHeaderName: X-User, ringHash: {minimumRingSize: 9}}}}"),
		ring({ on: "header", name: "x-user" }, 9),
	);
	assert.deepEqual(of("{loadBalancer: {consistentHash: {httpQueryParameterName: User}}}"), ring({ on: "query", name: "User" }));
	assert.deepEqual(of("{loadBalancer: {consistentHash: {useSourceIp: true}}}"), ring({ on: "source_ip" }));
	assert.deepEqual(
		of("{loadBalancer: {consistentHash: {httpCookie: {name: u, ttl: 0s}}}}"),
		ring({ on: "cookie", name: "u", path: "/", ttlMs: 0 }),
	);
	assert.deepEqual(
		of("{loadBalancer: {consistentHash: {httpCookie: {name: u, path: /a, ttl: 1m}}}}"),
		ring({ on: "cookie", name: "u", path: "/a", ttlMs: 60_000 }),
	);
});

test("the breaker has Resilience4j's defaults, and a minimum that its window can reach", () => {
	assert.deepEqual(withPolicy("{meshscope: {breaker: {}}}").breaker, {
		slidingWindowSize: 100,
		minimumNumberOfCalls: 100,
		failureRateThreshold: 50,
		slowCallDurationThresholdMs: 60_000,
		slowCallRateThreshold: 100,
		waitDurationInOpenStateMs: 60_000,
		permittedNumberOfCallsInHalfOpenState: 10,
		maxWaitDurationInHalfOpenStateMs: 0,
	});
	assert.deepEqual(
		withPolicy(
			"{meshscope: {breaker: {slidingWindowSize: 10, failureRateThreshold: 25.5, slowCallDurationThreshold: 2s, slowCallRateThreshold: 80, waitDurationInOpenState: 5s, permittedNumberOfCallsInHalfOpenState: 3, maxWaitDurationInHalfOpenState: 1s}}}",
		).breaker,
		{
			slidingWindowSize: 10,
			minimumNumberOfCalls: 10,
			failureRateThreshold: 25.5,
			slowCallDurationThresholdMs: 2000,
			slowCallRateThreshold: 80,
			waitDurationInOpenStateMs: 5000,
			permittedNumberOfCallsInHalfOpenState: 3,
			maxWaitDurationInHalfOpenStateMs: 1000,
		},
	);
	assert.equal(withPolicy("{meshscope: {breaker: {minimumNumberOfCalls: 5}}}").breaker!.minimumNumberOfCalls, 5);
});

test("the retry budget is Istio's or ours", () => {
	assert.deepEqual(withPolicy("{retryBudget: {percent: 30, minRetryConcurrency: 1}}").retryBudget, {
		percent: 30,
		minConcurrent: 1,
	});
	assert.deepEqual(withPolicy("{meshscope: {retryBudget: {percent: 0, minConcurrent: 0}}}").retryBudget, {
		percent: 0,
		minConcurrent: 0,
	});
	assert.deepEqual(withPolicy("{meshscope: {retryBudget: {minConcurrent: 9}}}").retryBudget, { percent: 20, minConcurrent: 9 });
});

test("each mode of TLS is compiled", () => {
	const of = (tls: string): unknown => withPolicy(`{tls: ${tls}}`).tls;
	assert.deepEqual(of("{mode: DISABLE}"), { mode: "disable" });
	assert.deepEqual(of("{mode: ISTIO_MUTUAL, subjectAltNames: [a], sni: b}"), {
		mode: "istio_mutual",
		subjectAltNames: ["a"],
		sni: "b",
	});
	const files = {
		caFile: undefined,
		certificateFile: undefined,
		keyFile: undefined,
		subjectAltNames: [],
		sni: undefined,
		insecureSkipVerify: false,
	};
	assert.deepEqual(of("{mode: SIMPLE}"), { mode: "simple", ...files });
	assert.deepEqual(
		of("{mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: /ca, sni: s, insecureSkipVerify: true}"),
		{
			...files,
			mode: "mutual",
			caFile: "/ca",
			certificateFile: "/c",
			keyFile: "/k",
			sni: "s",
			insecureSkipVerify: true,
		},
	);
});

test("a port's settings replace all others, a subset's replace the rule's block by block", () => {
	const { cluster } = proxyFor(
		rule(`
  host: orders.shop.svc.cluster.local
  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    connectionPool: {tcp: {maxConnections: 5}}
    portLevelSettings:
      - port: {number: 81}
        loadBalancer: {simple: ROUND_ROBIN}
  subsets:
    - name: v1
      labels: {version: v1}
      trafficPolicy:
        loadBalancer: {simple: LEAST_REQUEST}
        portLevelSettings:
          - {port: {number: 90}, tls: {mode: DISABLE}}
    - name: v2
      labels: {version: v2}`),
	);
	const of = (port: number, subset: string): unknown => {
		const { loadBalancer, limits, tls } = cluster(`orders.shop.svc.cluster.local|${port}|${subset}`);
		return [loadBalancer.kind, limits.maxConnections, tls.mode];
	};
	assert.deepEqual(of(80, ""), ["random", 5, "auto"]);
	assert.deepEqual(of(81, ""), ["round_robin", NO_LIMIT, "auto"]);
	assert.deepEqual(of(80, "v1"), ["least_request", 5, "auto"]);
	assert.deepEqual(of(81, "v1"), ["least_request", NO_LIMIT, "auto"]);
	assert.deepEqual(of(90, "v1"), ["least_request", NO_LIMIT, "disable"]);
	assert.deepEqual(of(80, "v2"), ["random", 5, "auto"]);
});

test("the rule of the caller's namespace counts before the service's, and that before the mesh's", () => {
	const limit = (host: string, max: number, name: string, namespace: string): string =>
		rule(`{host: ${host}, trafficPolicy: {connectionPool: {tcp: {maxConnections: ${max}}}}}`, name, namespace);
	const host = "orders.shop.svc.cluster.local";
	const mesh = limit('"*.svc.cluster.local"', 1, "mesh", "istio-system");
	const service = limit(host, 2, "service", "shop");
	const caller = limit('"*.shop.svc.cluster.local"', 3, "caller", "default");
	const other = limit(host, 4, "other", "elsewhere");
	const max = (...texts: string[]): number => proxyFor(texts.join("")).cluster(`${host}|80|`).limits.maxConnections;
	assert.equal(max(other), NO_LIMIT);
	assert.equal(max(other, mesh), 1);
	assert.equal(max(mesh, service), 2);
	assert.equal(max(mesh, service, caller), 3);
	// The more specific of one namespace.
	assert.equal(max(caller, limit(host, 5, "exact", "default")), 5);
});

test("a rule for the host itself keeps out those for its suffixes, however long they are", () => {
	const entry = document(
		"ServiceEntry",
		"e",
		"{hosts: [a.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}",
	);
	const { cluster, config, warnings } = proxyFor(
		entry +
			rule('{host: "*.example.com", trafficPolicy: {loadBalancer: {simple: RANDOM}}, subsets: [{name: wide}]}', "wide") +
			rule('{host: "*.com", subsets: [{name: wider}]}', "wider") +
			rule("{host: a.example.com, subsets: [{name: own}]}", "own"),
	);
	assert.equal(cluster("a.example.com|80|").loadBalancer.kind, "least_request");
	assert.deepEqual(
		[...config.clusters.keys()].filter((name) => name.startsWith("a.")),
		["a.example.com|80|", "a.example.com|80|own"],
	);
	assert.deepEqual(warnings, []);
});

test("a subset's blocks stand in place of the rule's one by one, and what it leaves out is the rule's", () => {
	const blocks = (percent: number): string =>
		`tls: {mode: SIMPLE, sni: s${percent}}, outlierDetection: {maxEjectionPercent: ${percent}}, retryBudget: {percent: ${percent}}, connectionPool: {tcp: {maxConnections: ${percent}}}`;
	const { cluster } = proxyFor(
		rule(`
  host: reviews
  trafficPolicy: {${blocks(11)}, meshscope: {breaker: {}}}
  subsets:
    - {name: all, trafficPolicy: {${blocks(22)}, meshscope: {loadBalancer: PEAK_EWMA}}}
    - {name: none, trafficPolicy: {loadBalancer: {simple: RANDOM}}}`),
	);
	const of = (subset: string): unknown => {
		const { tls, outlier, retryBudget, limits, breaker, loadBalancer } = cluster(REVIEWS + subset);
		const sni = "sni" in tls ? tls.sni : "";
		return [
			sni,
			outlier?.maxEjectionPercent,
			retryBudget.percent,
			limits.maxConnections,
			breaker !== undefined,
			loadBalancer.kind,
		];
	};
	assert.deepEqual(of("all"), ["s22", 22, 22, 22, false, "peak_ewma"]);
	assert.deepEqual(of("none"), ["s11", 11, 11, 11, true, "random"]);
});

test("a service that is registered twice has each of its ports once", () => {
	const service = (
		...ports: number[]
	): { namespace: string; service: string; ports: { servicePort: number; protocol: "http" }[] } => ({
		namespace: "default",
		service: "a",
		ports: ports.map((servicePort) => ({ servicePort, protocol: "http" })),
	});
	const { routes } = proxyFor("", {}, [service(80, 81), service(81, 82)]);
	assert.deepEqual(
		routes("a").map(({ matches }) => matches[0]?.port),
		[81, 82, undefined],
	);
});

test("a rule is only for the callers that it selects and is exported to", () => {
	const random = (more: string): string => rule(`{host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}}, ${more}}`);
	const kind = (text: string, namespace = "default"): string =>
		proxyFor(text, { namespace }).cluster(REVIEWS).loadBalancer.kind;
	assert.equal(kind(random("workloadSelector: {matchLabels: {app: productpage}}")), "random");
	assert.equal(kind(random("workloadSelector: {matchLabels: {app: details}}")), "least_request");
	assert.equal(kind(random('exportTo: ["."]')), "random");
	assert.equal(kind(random('exportTo: ["."]'), "shop"), "least_request");
});

test("rules of one host join their subsets; the first traffic policy counts, and that is told", () => {
	const { cluster, warnings } = proxyFor(
		rule("{host: reviews, subsets: [{name: v1, labels: {version: v1}}]}", "a") +
			rule(
				"{host: reviews.default, trafficPolicy: {loadBalancer: {simple: RANDOM}}, subsets: [{name: v1, labels: {version: x}}, {name: v2, labels: {version: v2}}]}",
				"b",
			),
	);
	assert.deepEqual([cluster(`${REVIEWS}v1`).labels, cluster(`${REVIEWS}v2`).labels], [{ version: "v1" }, { version: "v2" }]);
	assert.equal(cluster(REVIEWS).loadBalancer.kind, "random");
	assert.deepEqual(warnings, [
		"DestinationRule default/b: reviews.default.svc.cluster.local has DestinationRule default/a already: subsets are joined, and the first trafficPolicy counts",
	]);
});

test("a subset that is not for this caller has no endpoints, rather than all of them", () => {
	const { cluster, warnings } = proxyFor(
		rule('{host: orders, exportTo: ["."], subsets: [{name: v1, labels: {version: v1}}]}', "orders", "shop") +
			document(
				"VirtualService",
				"orders",
				"{hosts: [orders.shop], http: [{route: [{destination: {host: orders.shop, subset: v1, port: {number: 80}}}]}]}",
			),
	);
	assert.deepEqual(cluster("orders.shop.svc.cluster.local|80|v1").discovery, { kind: "static", endpoints: [] });
	assert.deepEqual(warnings, [
		"VirtualService default/orders: spec.http[0].route[0].destination.subset: the DestinationRule that gives orders.shop.svc.cluster.local the subset v1 is not for callers of this namespace: requests fail",
	]);
});

// ---- ServiceEntry

const STATIC = document(
	"ServiceEntry",
	"legacy",
	`
  hosts: [legacy.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8000}, {number: 90, name: grpc, protocol: GRPC}]
  endpoints:
    - {address: 10.0.0.1, ports: {http: 8080}, labels: {version: v1}, weight: 3, serviceAccount: legacy}
    - {address: "2001:db8::1", labels: {version: v2}}`,
);

test("static endpoints have addresses, ports, labels and weights, and an identity where they have a service account", () => {
	const { cluster } = proxyFor(STATIC);
	const legacy = cluster("legacy.example.com|80|");
	assert.deepEqual(
		[legacy.service, legacy.namespace, legacy.external, legacy.protocol],
		["legacy.example.com", "default", false, "http1"],
	);
	assert.deepEqual(legacy.discovery, {
		kind: "static",
		endpoints: [
			{
				id: "10.0.0.1:8080",
				address: "10.0.0.1",
				port: 8080,
				labels: { version: "v1" },
				weight: 3,
				principal: "spiffe://cluster.local/ns/default/sa/legacy",
				healthy: true,
				hboneAddress: undefined,
			},
			{
				id: "[2001:db8::1]:8000",
				address: "2001:db8::1",
				port: 8000,
				labels: { version: "v2" },
				weight: 1,
				principal: undefined,
				healthy: true,
				hboneAddress: undefined,
			},
		],
	});
	const grpc = cluster("legacy.example.com|90|");
	assert.ok(grpc.discovery.kind === "static");
	assert.deepEqual([grpc.protocol, grpc.discovery.endpoints.map(({ port }) => port)], ["http2", [90, 90]]);
});

test("a subset of a ServiceEntry has the endpoints that bear its labels", () => {
	const { cluster } = proxyFor(
		STATIC + rule("{host: legacy.example.com, subsets: [{name: v2, labels: {version: v2}}]}", "legacy"),
	);
	const { discovery } = cluster("legacy.example.com|80|v2");
	assert.ok(discovery.kind === "static");
	assert.deepEqual(
		discovery.endpoints.map(({ id }) => id),
		["[2001:db8::1]:8000"],
	);
});

test("only what is inside of the mesh has an identity, the entry's own name where it is one", () => {
	const principals = (text: string): readonly (string | undefined)[] => {
		const { discovery } = proxyFor(text).cluster("legacy.example.com|80|");
		return discovery.kind === "static" ? discovery.endpoints.map(({ principal }) => principal) : [];
	};
	const named = `${STATIC}  subjectAltNames: [spiffe://td/ns/a/sa/b]\n`;
	assert.deepEqual(principals(named), ["spiffe://cluster.local/ns/default/sa/legacy", "spiffe://td/ns/a/sa/b"]);
	assert.deepEqual(principals(named.replace("MESH_INTERNAL", "MESH_EXTERNAL")), [undefined, undefined]);
	assert.deepEqual(principals(`${STATIC}  subjectAltNames: [legacy.example.com]\n`).slice(1), [undefined]);
});

test("a trust domain that makes no ID gives no identity, and no throw", () => {
	const { discovery } = proxyFor(STATIC, { trustDomain: "Not a domain" }).cluster("legacy.example.com|80|");
	assert.ok(discovery.kind === "static");
	assert.deepEqual(
		discovery.endpoints.map(({ principal }) => principal),
		[undefined, undefined],
	);
});

test("names are looked up: the host's own, or those of the endpoints", () => {
	const entry = (more: string): string =>
		document(
			"ServiceEntry",
			"e",
			`{hosts: [api.example.com], ports: [{number: 443, name: tls, protocol: TLS}, {number: 80, name: http, protocol: HTTP, targetPort: 8080}], ${more}}`,
		);
	const { cluster, virtualHost } = proxyFor(entry("resolution: DNS"));
	const tls = cluster("api.example.com|443|");
	assert.deepEqual(
		[tls.external, tls.protocol, tls.discovery],
		[true, "tcp", { kind: "dns", endpoints: [{ host: "api.example.com", port: 443, weight: 1 }] }],
	);
	assert.deepEqual(cluster("api.example.com|80|").discovery, {
		kind: "dns",
		endpoints: [{ host: "api.example.com", port: 8080, weight: 1 }],
	});
	assert.deepEqual([virtualHost("api.example.com").tcp.length, virtualHost("api.example.com").http.length], [1, 1]);
	assert.deepEqual(proxyFor(entry("location: MESH_EXTERNAL")).cluster("api.example.com|443|").discovery.kind, "dns");
	const endpoints = entry("resolution: DNS, endpoints: [{address: eu.example.com, weight: 2, ports: {http: 81}}]");
	assert.deepEqual(proxyFor(endpoints).cluster("api.example.com|80|").discovery, {
		kind: "dns",
		endpoints: [{ host: "eu.example.com", port: 81, weight: 2 }],
	});
});

test("TLS to an entry checks the names that the entry has, unless the rule has its own", () => {
	const entry = document(
		"ServiceEntry",
		"e",
		"{hosts: [api.example.com], ports: [{number: 443, name: https, protocol: HTTP}], resolution: DNS, subjectAltNames: [a]}",
	);
	const names = (tls: string): unknown => {
		const { tls: compiled } = proxyFor(entry + rule(`{host: api.example.com, trafficPolicy: {tls: ${tls}}}`, "api")).cluster(
			"api.example.com|443|",
		);
		return "subjectAltNames" in compiled ? compiled.subjectAltNames : undefined;
	};
	assert.deepEqual(names("{mode: SIMPLE}"), ["a"]);
	assert.deepEqual(names("{mode: SIMPLE, subjectAltNames: [b]}"), ["b"]);
});

test("an entry counts before a registered service and before later entries, and is seen where it is exported to", () => {
	const entry = (name: string, address: string, more = ""): string =>
		document(
			"ServiceEntry",
			name,
			`{hosts: [reviews.default.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 9080, name: http, protocol: HTTP}], endpoints: [{address: ${address}}]${more}}`,
		);
	const { cluster, warnings } = proxyFor(entry("a", "10.0.0.1") + entry("b", "10.0.0.2"));
	const { discovery, service } = cluster(REVIEWS);
	assert.ok(discovery.kind === "static");
	assert.deepEqual([discovery.endpoints.map(({ address }) => address), service], [["10.0.0.1"], "reviews"]);
	assert.deepEqual(warnings, [
		"ServiceEntry default/a: reviews.default.svc.cluster.local is a registered service too: the ServiceEntry counts",
		"ServiceEntry default/b: reviews.default.svc.cluster.local is in ServiceEntry default/a already: the first one counts",
	]);
	assert.equal(
		proxyFor(entry("a", "10.0.0.1", ', exportTo: ["."]'), { namespace: "shop" }).cluster(REVIEWS).discovery.kind,
		"registry",
	);
});

test("an entry's suffix serves the hosts below it", () => {
	const { cluster, virtualHost } = proxyFor(
		document(
			"ServiceEntry",
			"w",
			'{hosts: ["*.legacy.example.com"], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 10.0.0.1}]}',
		) +
			document(
				"VirtualService",
				"a",
				"{hosts: [a.legacy.example.com], http: [{route: [{destination: {host: a.legacy.example.com}}]}]}",
			),
	);
	assert.equal(virtualHost("*.legacy.example.com").http.length, 1);
	assert.equal(cluster("a.legacy.example.com|80|").discovery.kind, "static");
});
