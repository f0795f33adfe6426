/** Policy at work on real requests: retries, time limits, limits, ejection, breaker, fallback, faults, mirrors, routes. */
import assert from "node:assert/strict";
import type { RequestListener } from "node:http";
import { test } from "node:test";
import { Pool } from "undici";
import type { Dispatcher } from "undici";
import type { ClusterConfig, Endpoint, HttpRoute, RetryPolicy, RouteMatch } from "../../model/mesh/proxy-config.ts";
import { ANY, config, cluster, endpointAt, proxyFor, recordingSink, route, routed, startApp, until, workload } from "./rig.ts";
import type { Cleanup, Routed } from "./rig.ts";

const NO_CHANGES = { set: [], add: [], remove: [] };

function retries(overrides: Partial<RetryPolicy> = {}): RetryPolicy {
	return {
		attempts: 2,
		on: new Set(["5xx", "connect-failure", "reset"]),
		onStatus: new Set(),
		perTryTimeoutMs: 0,
		backoffBaseMs: 1,
		backoffMaxMs: 2,
		...overrides,
	};
}

async function callerOf(t: Cleanup, ...services: readonly Routed[]) {
	const sink = recordingSink();
	const proxy = await proxyFor(t, { workload: workload("web"), outbound: ANY }, config({ routes: services }), sink);
	const pool = new Pool(`http://127.0.0.1:${proxy.addresses.outbound!.port}`, { connections: 16 });
	t.after(() => pool.destroy());
	const ask = (path = "/", options: Partial<Dispatcher.RequestOptions> = {}) =>
		pool.request({ method: "GET", path, ...options, headers: { host: "orders", ...(options.headers as object) } });
	return { sink, proxy, ask };
}

async function service(
	t: Cleanup,
	listeners: readonly RequestListener[],
	overrides: { readonly route?: Partial<HttpRoute>; readonly cluster?: Partial<ClusterConfig> } = {},
) {
	const apps = await Promise.all(listeners.map((listener) => startApp(t, listener)));
	const endpoints: Endpoint[] = apps.map((app) => endpointAt(app));
	return { endpoints, ...(await callerOf(t, routed("orders", endpoints, overrides))) };
}

const ok: RequestListener = (_message, response) => void response.end("ok");
const fail: RequestListener = (_message, response) => void response.writeHead(500).end("failed");
const hang: RequestListener = () => {};

test("a retry goes to another host, and the hop counts it", async (t) => {
	const { ask, sink } = await service(t, [fail, ok], { route: { retries: retries() } });
	for (let i = 0; i < 4; i++) {
		const response = await ask();
		assert.equal(response.statusCode, 200);
		await response.body.dump();
	}
	const hops = await sink.hops("outbound", 4);
	assert.ok(hops.every((hop) => hop.retries <= 1));
	assert.ok(hops.some((hop) => hop.retries === 1));
});

test("retries that are used up pass the last answer on, with URX", async (t) => {
	let asked = 0;
	const count: RequestListener = (message, response) => {
		asked++;
		fail(message, response);
	};
	const { ask, sink } = await service(t, [count], { route: { retries: retries() } });
	const response = await ask();
	assert.equal(response.statusCode, 500);
	assert.equal(await response.body.text(), "failed");
	const [hop] = await sink.hops("outbound", 1);
	assert.equal(hop!.responseFlags, "URX");
	assert.equal(hop!.retries, 2);
	assert.equal(asked, 3);
});

test("a body of up to 64 KiB is sent again whole; a larger one is not retried", async (t) => {
	const lengths: number[] = [];
	let calls = 0;
	const flaky: RequestListener = (message, response) => {
		let length = 0;
		message.on("data", (chunk: Buffer) => (length += chunk.length));
		message.on("end", () => {
			lengths.push(length);
			response.writeHead(calls++ % 2 === 0 ? 503 : 200).end();
		});
	};
	const { ask } = await service(t, [flaky], { route: { retries: retries() } });
	const small = await ask("/", { method: "POST", body: Buffer.alloc(60_000) });
	await small.body.dump();
	assert.equal(small.statusCode, 200);
	assert.deepEqual(lengths, [60_000, 60_000]);
	const large = await ask("/", { method: "POST", body: Buffer.alloc(70_000) });
	await large.body.dump();
	assert.equal(large.statusCode, 503);
	assert.deepEqual(lengths, [60_000, 60_000, 70_000]);
});

test("the retry budget holds a storm back", async (t) => {
	let asked = 0;
	const slow: RequestListener = (_message, response) => {
		asked++;
		setTimeout(() => response.writeHead(503).end(), 30);
	};
	const { ask, sink } = await service(t, [slow], {
		route: { retries: retries({ attempts: 5 }) },
		cluster: { retryBudget: { percent: 10, minConcurrent: 1 } },
	});
	const answers = await Promise.all(Array.from({ length: 16 }, () => ask()));
	for (const answer of answers) await answer.body.dump();
	assert.ok(asked < 40, `${asked}`);
	assert.ok((await sink.hops("outbound", 16)).some((hop) => hop.responseFlags.includes("UO")));
});

test("the time limit of a route includes its retries; that of a try begins anew", async (t) => {
	const whole = await service(t, [hang], { route: { timeoutMs: 100, retries: retries({ perTryTimeoutMs: 40, attempts: 9 }) } });
	const response = await whole.ask();
	assert.equal(response.statusCode, 504);
	assert.equal(await response.body.text(), "upstream request timeout");
	const [hop] = await whole.sink.hops("outbound", 1);
	assert.match(hop!.responseFlags, /UT/);
	assert.ok(hop!.durationNs < 1e9);
	assert.ok(hop!.retries >= 1);
	const tries = await service(t, [hang, ok], { route: { retries: retries({ perTryTimeoutMs: 50 }) } });
	for (let i = 0; i < 3; i++) {
		const answer = await tries.ask();
		await answer.body.dump();
		assert.equal(answer.statusCode, 200);
	}
});

test("beyond the limit of requests the answer is 503 with UO at once", async (t) => {
	const slow: RequestListener = (_message, response) => void setTimeout(() => response.end("late"), 150);
	const limits = cluster("orders", []).limits;
	const { ask, sink } = await service(t, [slow], { cluster: { limits: { ...limits, maxRequests: 2 } } });
	const answers = await Promise.all(Array.from({ length: 5 }, () => ask()));
	const statuses = answers.map((answer) => answer.statusCode).toSorted();
	for (const answer of answers) await answer.body.dump();
	assert.deepEqual(statuses, [200, 200, 503, 503, 503]);
	const refused = (await sink.hops("outbound", 5)).filter((hop) => hop.status === 503);
	assert.ok(refused.every((hop) => hop.responseFlags === "UO"));
	assert.equal(answers.find((answer) => answer.statusCode === 503)!.headers["x-envoy-overloaded"], "true");
});

test("requests wait for a connection only as many as may", async (t) => {
	const slow: RequestListener = (_message, response) => void setTimeout(() => response.end("late"), 100);
	const limits = { ...cluster("orders", []).limits, maxConnections: 1, maxPendingRequests: 2 };
	const { ask } = await service(t, [slow], { cluster: { limits } });
	const first = ask();
	await new Promise((resolve) => setTimeout(resolve, 40));
	const answers = await Promise.all([first, ...Array.from({ length: 4 }, () => ask())]);
	for (const answer of answers) await answer.body.dump();
	assert.deepEqual(answers.map((answer) => answer.statusCode).toSorted(), [200, 200, 200, 503, 503]);
});

test("a host that fails again and again is ejected; without any host the answer is 503 with UH", async (t) => {
	const outlier = {
		consecutive5xx: 3,
		consecutiveGatewayErrors: 0,
		consecutiveLocalOriginFailures: 5,
		splitLocalOriginErrors: false,
		intervalMs: 10_000,
		baseEjectionTimeMs: 30_000,
		maxEjectionTimeMs: 300_000,
		maxEjectionPercent: 100,
		successRateMinimumHosts: 5,
		successRateRequestVolume: 100,
		successRateStdevFactor: 1.9,
		minHealthPercent: 0,
	};
	const { ask, sink } = await service(t, [fail, ok], { cluster: { outlier } });
	const statuses: number[] = [];
	for (let i = 0; i < 20; i++) {
		const answer = await ask();
		await answer.body.dump();
		statuses.push(answer.statusCode);
	}
	assert.equal(statuses.filter((status) => status === 500).length, 3);
	assert.ok(sink.events.some((event) => event.kind === "ejected" && event.reason === "consecutive_5xx"));
	const alone = await service(t, [fail], { cluster: { outlier } });
	for (let i = 0; i < 4; i++) await (await alone.ask()).body.dump();
	const last = await alone.ask();
	assert.equal(last.statusCode, 503);
	assert.equal(await last.body.text(), "no healthy upstream");
	assert.equal((await alone.sink.hops("outbound", 5)).at(-1)!.responseFlags, "UH");
});

const breaker = {
	slidingWindowSize: 4,
	minimumNumberOfCalls: 4,
	failureRateThreshold: 50,
	slowCallDurationThresholdMs: 60_000,
	slowCallRateThreshold: 100,
	waitDurationInOpenStateMs: 150,
	permittedNumberOfCallsInHalfOpenState: 2,
	maxWaitDurationInHalfOpenStateMs: 0,
};

test("an open breaker answers with the fallback, and closes when the callee is well again", async (t) => {
	let isIll = true;
	const app: RequestListener = (message, response) => (isIll ? fail : ok)(message, response);
	const { ask, sink } = await service(t, [app], {
		cluster: { breaker },
		route: { fallback: { kind: "answer", status: 203, body: '{"cached":true}', contentType: "application/json" } },
	});
	for (let i = 0; i < 4; i++) await (await ask()).body.dump();
	const open = await ask();
	assert.equal(open.statusCode, 203);
	assert.equal(open.headers["content-type"], "application/json");
	assert.equal(await open.body.text(), '{"cached":true}');
	const hop = (await sink.hops("outbound", 5)).at(-1)!;
	assert.equal(hop.breakerState, "open");
	assert.equal(hop.fellBack, true);
	isIll = false;
	await new Promise((resolve) => setTimeout(resolve, 200));
	for (let i = 0; i < 3; i++) {
		const answer = await ask();
		await answer.body.dump();
		assert.equal(answer.statusCode, 200);
	}
	const transitions = sink.events.flatMap((event) => (event.kind === "breaker" ? [`${event.from}>${event.to}`] : []));
	assert.deepEqual(transitions, ["closed>open", "open>half_open", "half_open>closed"]);
});

test("a fallback destination takes what the first cannot, body and all", async (t) => {
	const spare = await startApp(t, (message, response) => void message.pipe(response));
	const gone = cluster("orders", []);
	const other = cluster("spare", [endpointAt(spare)]);
	const target = {
		...routed("orders", []),
		clusters: [gone, other],
		virtualHost: {
			name: "shop/orders",
			hosts: ["orders"],
			http: [route(gone.name, { fallback: { kind: "destination", cluster: other.name } })],
			tcp: [],
		},
	};
	const { ask, sink } = await callerOf(t, target);
	const response = await ask("/", { method: "POST", body: "kept" });
	assert.equal(response.statusCode, 200);
	assert.equal(await response.body.text(), "kept");
	const [hop] = await sink.hops("outbound", 1);
	assert.equal(hop!.fellBack, true);
});

test("faults delay and abort, and the hop says that they were injected", async (t) => {
	const aborted = await service(t, [ok], {
		route: {
			fault: { delay: { percent: 100, ms: 60 }, abort: { percent: 100, httpStatus: 418, grpcStatus: undefined } },
		},
	});
	const startMs = performance.now();
	const response = await aborted.ask();
	assert.equal(response.statusCode, 418);
	await response.body.dump();
	assert.ok(performance.now() - startMs >= 55);
	const [hop] = await aborted.sink.hops("outbound", 1);
	assert.equal(hop!.responseFlags, "DI,FI");
	assert.equal(hop!.faultInjected, true);
});

test("a mirror gets a copy with -shadow, and its failure is nobody's", async (t) => {
	const seen: string[] = [];
	const shadow = await startApp(t, (message, response) => {
		let body = "";
		message.on("data", (chunk: Buffer) => (body += chunk.toString()));
		message.on("end", () => {
			seen.push(`${message.headers.host} ${message.method} ${message.url} ${body}`);
			response.writeHead(500).end();
		});
	});
	const copy = cluster("copy", [endpointAt(shadow)]);
	const app = await startApp(t, ok);
	const main = routed("orders", [endpointAt(app)], { route: { mirrors: [{ cluster: copy.name, percent: 100 }] } });
	const { ask, sink } = await callerOf(t, { ...main, clusters: [...main.clusters, copy] });
	const response = await ask("/m", { method: "PUT", body: "payload" });
	assert.equal(response.statusCode, 200);
	await response.body.dump();
	await until(() => (seen.length === 1 ? true : undefined), "the copy");
	assert.deepEqual(seen, ["orders-shadow PUT /m payload"]);
	assert.equal((await sink.hops("outbound", 1)).length, 1);
});

const byPrefix = (value: string): RouteMatch => ({
	name: "",
	path: { kind: "prefix", value },
	ignorePathCase: false,
	method: undefined,
	authority: undefined,
	headers: [],
	withoutHeaders: [],
	query: [],
	port: undefined,
});

test("routes match in order: rewritten, redirected, answered, by weight; headers are changed both ways", async (t) => {
	const app = await startApp(t, (message, response) => {
		response.setHeader("x-internal", "1");
		response.end(`${message.headers.host}${message.url} ${message.headers["x-team"]} ${message.headers["x-secret"]}`);
	});
	const canary = await startApp(t, (_message, response) => response.end("canary"));
	const v1 = cluster("orders", [endpointAt(app)]);
	const v2 = cluster("orders", [endpointAt(canary)], { name: "orders|80|v2", subset: "v2" });
	const target: Routed = {
		clusters: [v1, v2],
		virtualHost: {
			name: "shop/orders",
			hosts: ["orders"],
			tcp: [],
			http: [
				route(v1.name, {
					name: "api",
					matches: [byPrefix("/api/")],
					rewrite: { path: "/v2/", pathRegex: undefined, authority: "orders.internal" },
					requestHeaders: { set: [["x-team", "shop"]], add: [], remove: ["x-secret"] },
					responseHeaders: { set: [], add: [["x-served", "yes"]], remove: ["x-internal"] },
				}),
				route(v1.name, {
					matches: [byPrefix("/old")],
					action: { kind: "redirect", status: 308, authority: undefined, scheme: "https", path: "/new" },
				}),
				route(v1.name, {
					matches: [byPrefix("/teapot")],
					action: { kind: "answer", status: 418, body: "short and stout" },
				}),
				route(v1.name, {
					matches: [byPrefix("/split")],
					action: {
						kind: "forward",
						destinations: [
							{ cluster: v1.name, weight: 0, requestHeaders: NO_CHANGES, responseHeaders: NO_CHANGES },
							{ cluster: v2.name, weight: 100, requestHeaders: NO_CHANGES, responseHeaders: NO_CHANGES },
						],
					},
				}),
			],
		},
	};
	const { ask, sink } = await callerOf(t, target);
	const api = await ask("/api/items?x=1", { headers: { "x-secret": "s" } });
	assert.equal(await api.body.text(), "orders.internal/v2/items?x=1 shop undefined");
	assert.equal(api.headers["x-served"], "yes");
	assert.equal(api.headers["x-internal"], undefined);
	const moved = await ask("/old/page");
	await moved.body.dump();
	assert.equal(moved.statusCode, 308);
	assert.equal(moved.headers["location"], "https://orders/new");
	const teapot = await ask("/teapot");
	assert.equal(teapot.statusCode, 418);
	assert.equal(await teapot.body.text(), "short and stout");
	assert.equal(await (await ask("/split")).body.text(), "canary");
	const none = await ask("/else");
	assert.equal(none.statusCode, 404);
	await none.body.dump();
	const hops = await sink.hops("outbound", 5);
	assert.equal(hops[0]!.route, "api");
	assert.equal(hops[3]!.subset, "v2");
	assert.equal(hops[4]!.responseFlags, "NR");
});

test("a host that no policy names is passed through or refused, as the mesh has it, and never to the proxy itself", async (t) => {
	const app = await startApp(t, ok);
	const sink = recordingSink();
	const open = await proxyFor(t, { workload: workload("web"), outbound: ANY }, config({ unknownHosts: "passthrough" }), sink);
	const port = open.addresses.outbound!.port;
	const askHost = async (host: string): Promise<number> => {
		const pool = new Pool(`http://127.0.0.1:${port}`);
		const response = await pool.request({ method: "GET", path: "/", headers: { host } });
		await response.body.dump();
		await pool.destroy();
		return response.statusCode;
	};
	assert.equal(await askHost(`127.0.0.1:${app.port}`), 200);
	assert.equal(await askHost(`localhost:${port}`), 508);
	open.setConfig(config({ unknownHosts: "refuse" }));
	assert.equal(await askHost(`127.0.0.1:${app.port}`), 502);
	const hops = await sink.hops("outbound", 3);
	assert.deepEqual(
		hops.map((hop) => hop.responseFlags),
		["", "NR", "NR"],
	);
});

test("policy changes under load, and no request fails", async (t) => {
	const first = await startApp(t, (_message, response) => void setTimeout(() => response.end("first"), 5));
	const second = await startApp(t, (_message, response) => void setTimeout(() => response.end("second"), 5));
	const { ask, proxy } = await callerOf(t, routed("orders", [endpointAt(first)]));
	let running = true;
	const failures: unknown[] = [];
	const answers = new Map<string, number>();
	const workers = Array.from({ length: 8 }, async () => {
		while (running) {
			try {
				const response = await ask("/", { method: "POST", body: "x" });
				const body = await response.body.text();
				answers.set(body, (answers.get(body) ?? 0) + 1);
				if (response.statusCode !== 200) failures.push(response.statusCode);
			} catch (error) {
				failures.push(error);
			}
		}
	});
	for (let i = 0; i < 20; i++) {
		await new Promise((resolve) => setTimeout(resolve, 20));
		const endpoint = endpointAt(i % 2 === 0 ? second : first);
		proxy.setConfig({
			...config({ routes: [routed("orders", [endpoint], { route: { timeoutMs: 1_000 + i } })] }),
			version: String(i),
		});
	}
	running = false;
	await Promise.all(workers);
	assert.deepEqual(failures, []);
	assert.ok((answers.get("first") ?? 0) > 10 && (answers.get("second") ?? 0) > 10, JSON.stringify([...answers]));
});

test("draining lets what is under way end, tells callers to close, and takes nothing new", async (t) => {
	let release = (): void => {};
	const app: RequestListener = (_message, response) => void (release = () => response.end("finished"));
	const { ask, proxy } = await service(t, [app]);
	const port = proxy.addresses.outbound!.port;
	const running = ask();
	await until(() => (proxy.active() === 1 ? true : undefined), "the request");
	const drained = proxy.drain(5_000);
	await new Promise((resolve) => setTimeout(resolve, 50));
	await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
	release();
	const response = await running;
	assert.equal(response.statusCode, 200);
	assert.equal(await response.body.text(), "finished");
	assert.equal(await drained, true);
});

test("what does not end within the drain time is cut off, and that is told", async (t) => {
	const { ask, proxy } = await service(t, [hang]);
	const running = ask();
	running.catch(() => {});
	await until(() => (proxy.active() === 1 ? true : undefined), "the request");
	assert.equal(await proxy.drain(100), false);
	await assert.rejects(running);
});
