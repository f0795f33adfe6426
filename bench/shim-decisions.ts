/**
 * What the shim's decisions cost, in nanoseconds of CPU and bytes each: balancing, routing, authorisation, limits and the rest that
 * every request asks. No sockets. Rounds of all cases are interleaved, and the median is told with its spread. CPU of the thread, so
 * that other work on the machine takes less part.
 *
 * `node --expose-gc bench/shim-decisions.ts [rounds]`; without --expose-gc bytes are left out.
 */
import type { AuthorizationConfig, AuthorizationRule, LoadBalancer, OutlierDetection } from "../model/mesh/proxy-config.ts";
import { authorize } from "../proxy-shim/authz/authorize.ts";
import { normalizePath } from "../proxy-shim/authz/normalize-path.ts";
import type { AuthorizationRequest } from "../proxy-shim/authz/request.ts";
import { createBreaker } from "../proxy-shim/resilience/breaker.ts";
import { parseGrpcTimeout } from "../proxy-shim/resilience/grpc.ts";
import { createLimits, createRetryBudget, createTokenBucket } from "../proxy-shim/resilience/limits.ts";
import { createOutlierDetector } from "../proxy-shim/resilience/outlier.ts";
import { shouldRetry } from "../proxy-shim/resilience/retry.ts";
import { decideFault, pickDestination, rewritePath } from "../proxy-shim/routing/destination.ts";
import { applyHeaders } from "../proxy-shim/routing/headers.ts";
import { createRouter } from "../proxy-shim/routing/router.ts";
import type { AttemptOutcome } from "../proxy-shim/upstream/host.ts";
import { hashOf } from "../proxy-shim/upstream/lb/hash.ts";
import { createPicker } from "../proxy-shim/upstream/lb/picker.ts";
import { contextOf, hostOf, hostsOf } from "../test/mechanisms/hosts.ts";
import { destinationOf, hostWith, matchOf, requestOf, routeOf } from "../test/mechanisms/routes.ts";
import { seededRandom } from "./mesh.ts";
import { spreadOf } from "./statistics.ts";

const ROUNDS = Number(process.argv[2] ?? 15);
/** The kernel counts a thread's CPU in ticks of up to 4 ms: a round has many of them. */
const ROUND_MS = 60;
const WARM_CALLS = 200_000;
const CALLS_FOR_BYTES = 5_000;

interface Case {
	readonly name: string;
	/** One decision; what it returns is summed up, so that none is optimised away. */
	readonly run: (i: number) => number;
	/** In a round. */
	calls: number;
	readonly ns: number[];
	readonly bytes: number[];
}

const cases: Case[] = [];
const random = seededRandom(1);

function measured(name: string, run: (i: number) => number): void {
	cases.push({ name, run, calls: 0, ns: [], bytes: [] });
}

for (const lb of [
	{ kind: "round_robin" },
	{ kind: "random" },
	{ kind: "least_request" },
	{ kind: "peak_ewma", defaultRttMs: 30, decayMs: 10_000 },
	{ kind: "ring_hash", minimumRingSize: 1_024, hash: { on: "source_ip" } },
] satisfies readonly LoadBalancer[]) {
	for (const [what, hosts] of [
		["20 equal hosts", hostsOf(20)],
		["20 weighted hosts", hostsOf(20).map((host, index) => hostOf(host.endpoint.id, 1 + (index % 5)))],
	] as const) {
		const picker = createPicker(lb, random);
		const context = { nowMs: 1, hash: 0, tried: contextOf().tried };
		measured(`pick: ${lb.kind}, ${what}`, (i) => {
			context.nowMs = i * 0.01;
			context.hash = Math.imul(i, 0x9e3779b1) >>> 0;
			const host = picker.pick(hosts, context)!;
			picker.onDone(host, 10, context.nowMs, false);
			return host.activeRequests;
		});
	}
	const hosts = hostsOf(20);
	const picker = createPicker(lb, random);
	const context = contextOf({ nowMs: 1, hash: 77, tried: new Set([hosts[3]!]) });
	measured(`pick: ${lb.kind}, one of 20 was tried`, () => picker.pick(hosts, context)!.activeRequests);
}

const ADDRESSES = Array.from({ length: 64 }, (_, index) => `192.168.100.${100 + index}`);
measured("hashOf: 15 characters", (i) => hashOf(ADDRESSES[i & 63]!));
const services = Array.from({ length: 30 }, (_, index) => `svc${index}.shop.svc.cluster.local`);
const router = createRouter([
	...services.map((host, index) => hostWith([host, `svc${index}`, `svc${index}.shop`], routeOf(`svc${index}`))),
	hostWith(
		["reviews"],
		routeOf("v2", matchOf({ headers: [{ name: "end-user", match: { kind: "exact", value: "jason" } }] })),
		routeOf(
			"api",
			matchOf({ path: { kind: "prefix", value: "/api/v1" } }),
			matchOf({ path: { kind: "exact", value: "/api" } }),
		),
		routeOf("item", matchOf({ path: { kind: "regex", value: "/items/[0-9]+", pattern: /\/items\/[0-9]+/ } })),
		routeOf("rest"),
	),
	hostWith(["*.example"], routeOf("external")),
]);
const requests = services.map((host) => requestOf({ host, path: "/orders/17" }));
measured("route: by host alone, of 31", (i) => router.match(requests[i % 30]!)!.route.timeoutMs);
const review = requestOf({ host: "reviews", path: "/items/123", headers: { "end-user": "tom" } });
measured("route: fourth of four (header, two paths, expression)", () => router.match(review)!.route.timeoutMs);
const external = requestOf({ host: "api.pay.example" });
measured("route: by suffix", () => router.match(external)!.route.timeoutMs);
const destinations = [destinationOf("v1", 90), destinationOf("v2", 10)];
measured("pick one of two destinations", () => pickDestination(destinations, random)!.weight);
const rewrite = { path: "/", pathRegex: undefined, authority: undefined };
const rewritten = matchOf({ path: { kind: "prefix", value: "/api" } });
measured("rewrite a prefix", () => rewritePath(rewrite, rewritten, "/api/orders/17?x=1").length);
const fault = { delay: { percent: 0.1, ms: 5_000 }, abort: undefined };
measured("decide a fault of 0.1 %", () => decideFault(fault, random).delayMs);
const changes = { set: [["x-canary", "1"]], add: [], remove: ["x-internal"] } as const;
const headers = ["Host", "orders", "User-Agent", "x", "Accept", "*/*", "X-Request-Id", "1", "traceparent", "00-1-2-01"];
measured("change headers: one set, one removed, of five", () => applyHeaders(changes, headers).length);

const ANY_SOURCE = { principals: [], notPrincipals: [], namespaces: [], notNamespaces: [], ipBlocks: [], notIpBlocks: [] };
const ANY_OPERATION = { hosts: [], notHosts: [], ports: [], notPorts: [], methods: [], notMethods: [], paths: [], notPaths: [] };

function ruleOf(policy: string, from: Partial<typeof ANY_SOURCE> | object, to: object): AuthorizationRule {
	return { policy, from: [{ ...ANY_SOURCE, ...from }], to: [{ ...ANY_OPERATION, ...to }], when: [] };
}

const usual: AuthorizationConfig = {
	deny: [ruleOf("shop/no-admin", { notNamespaces: ["admin"] }, { paths: ["/admin*"] })],
	allow: [
		ruleOf(
			"shop/web",
			{ principals: ["cluster.local/ns/shop/sa/web"] },
			{ methods: ["GET", "POST"], paths: ["/orders*", "/items/{*}"] },
		),
		ruleOf("shop/ops", { namespaces: ["ops"] }, { ports: ["8080"] }),
	],
	audit: [],
	hasAllowPolicy: true,
};
const many: AuthorizationConfig = {
	...usual,
	allow: [
		...Array.from({ length: 20 }, (_, index) =>
			ruleOf(`shop/p${index}`, { principals: [`cluster.local/ns/shop/sa/s${index}`] }, { paths: [`/p${index}/*`] }),
		),
		...usual.allow,
	],
};
const authorized: AuthorizationRequest = {
	principal: "spiffe://cluster.local/ns/shop/sa/web",
	namespace: "shop",
	sourceIp: "10.0.0.7",
	host: "orders",
	port: 8080,
	method: "GET",
	path: "/orders/17?verbose=1",
	header: () => undefined,
	sni: "",
	destinationIp: "10.0.0.9",
};
/** Each request has a path of its own, as on the wire. */
const authorizedEach = Array.from({ length: 64 }, (_, index) => ({ ...authorized, path: `/orders/${index}?verbose=1` }));
measured("authorise: a DENY and two ALLOW rules", (i) => authorize(usual, authorizedEach[i & 63]!).policy.length);
measured("authorise: a DENY and 22 ALLOW rules, the 21st matches", (i) => authorize(many, authorizedEach[i & 63]!).policy.length);
const blocks: AuthorizationConfig = {
	...usual,
	deny: [ruleOf("shop/net", { notIpBlocks: ["10.0.0.0/8", "fd00::/8", "192.168.0.0/16"] }, {})],
};
measured("authorise: IP blocks as well", (i) => authorize(blocks, authorizedEach[i & 63]!).policy.length);
const none: AuthorizationConfig = { deny: [], allow: [], audit: [], hasAllowPolicy: false };
measured("authorise: no policy", () => authorize(none, authorized).policy.length);
const twisted = Array.from({ length: 64 }, (_, index) => `/public/%2e%2e/admin/${index}`);
measured("normalise a twisted path", (i) => normalizePath(twisted[i & 63]!)!.length);

const breaker = createBreaker(
	{
		slidingWindowSize: 100,
		minimumNumberOfCalls: 100,
		failureRateThreshold: 50,
		slowCallDurationThresholdMs: 60_000,
		slowCallRateThreshold: 100,
		waitDurationInOpenStateMs: 60_000,
		permittedNumberOfCallsInHalfOpenState: 10,
		maxWaitDurationInHalfOpenStateMs: 0,
	},
	() => {},
);
measured("breaker: acquire and result", (i) => {
	const permitted = breaker.tryAcquire(i);
	breaker.onResult(5, (i & 7) === 0, i);
	return permitted ? 1 : 0;
});
const limits = createLimits({
	maxConnections: 1_024,
	maxPendingRequests: 1_024,
	maxRequests: 1_024,
	maxRetries: 3,
	maxRequestsPerConnection: 0,
	connectTimeoutMs: 10_000,
	idleTimeoutMs: 3_600_000,
});
measured("limits: requests acquired and released", () => {
	const acquired = limits.requests.tryAcquire();
	limits.requests.release();
	return acquired ? 1 : 0;
});
const budget = createRetryBudget({ percent: 20, minConcurrent: 3 });
measured("retry budget: acquired and released", (i) => {
	const acquired = budget.tryAcquire(i & 127);
	budget.release();
	return acquired ? 1 : 0;
});
const bucket = createTokenBucket({ maxTokens: 100, tokensPerFill: 100, fillIntervalMs: 10 });
measured("token bucket", (i) => (bucket.tryConsume(i * 0.1) ? 1 : 0));
const detection: OutlierDetection = {
	consecutive5xx: 5,
	consecutiveGatewayErrors: 5,
	consecutiveLocalOriginFailures: 5,
	splitLocalOriginErrors: false,
	intervalMs: 10_000,
	baseEjectionTimeMs: 30_000,
	maxEjectionTimeMs: 300_000,
	maxEjectionPercent: 10,
	successRateMinimumHosts: 5,
	successRateRequestVolume: 100,
	successRateStdevFactor: 1.9,
	minHealthPercent: 0,
};
const watched = hostsOf(20);
const detector = createOutlierDetector(detection, { clusterName: "bench", onEvent: () => {} });
watched[4]!.ejectedUntilMs = 1e9;
const good: AttemptOutcome = { kind: "response", status: 200, grpcStatus: undefined };
measured("outlier detection: eligible hosts and a report", (i) => {
	const eligible = detector.eligible(watched, i);
	detector.report(eligible[i % 19]!, good, i);
	return eligible.length;
});
const policy = routeOf("retry").retries;
const retried = {
	...policy,
	on: new Set(["connect-failure", "refused-stream", "unavailable", "cancelled"] as const),
	onStatus: new Set([503]),
};
measured("should a 200 be retried", () => (shouldRetry(retried, good, false) ? 1 : 0));
measured("parse a grpc-timeout", () => parseGrpcTimeout("1500m")!);

let check = 0;
const collect = (globalThis as { gc?: () => void }).gc;

function call(one: Case, calls: number): void {
	const { run } = one;
	let sum = 0;
	for (let i = 1; i <= calls; i++) sum += run(i);
	check += sum;
}

function round(one: Case): void {
	const before = process.threadCpuUsage();
	call(one, one.calls);
	const { user, system } = process.threadCpuUsage(before);
	one.ns.push(((user + system) * 1_000) / one.calls);
	if (collect === undefined) return;
	// So few calls that no collection comes in between.
	collect();
	const heapBytes = process.memoryUsage().heapUsed;
	call(one, CALLS_FOR_BYTES);
	one.bytes.push((process.memoryUsage().heapUsed - heapBytes) / CALLS_FOR_BYTES);
}

for (const one of cases) {
	call(one, WARM_CALLS);
	const started = process.hrtime.bigint();
	call(one, WARM_CALLS);
	one.calls = Math.ceil((WARM_CALLS * ROUND_MS * 1e6) / Number(process.hrtime.bigint() - started));
}
for (let i = 0; i < ROUNDS; i++) for (const one of cases) round(one);

const heading = `${"decision".padEnd(58)} ${"ns".padStart(8)} ${"min".padStart(8)} ${"max".padStart(8)}`;
console.log(
	`Node ${process.version}, ${ROUNDS} interleaved rounds of about ${ROUND_MS} ms each; check ${Math.round(check) % 97}`,
);
console.log(collect === undefined ? heading : `${heading} ${"bytes".padStart(7)}`);
for (const { name, ns, bytes } of cases) {
	const { median, min, max } = spreadOf(ns);
	const figures = [median, min, max].map((value) => value.toFixed(1).padStart(8)).join(" ");
	console.log(`${name.padEnd(58)} ${figures}${collect === undefined ? "" : spreadOf(bytes).median.toFixed(0).padStart(8)}`);
}
