/** The demo as a person starts it: what its graph says of the shop, and that nothing is left of it, however it ends. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { graphAnswer } from "../../api/contract/topology.ts";
import type { GraphAnswer, GraphEdgeAnswer } from "../../api/contract/topology.ts";
import { askUntil, getJson, getLogs, getSpanIds, searchTraces } from "../interop/api.ts";
import { startDemo } from "./running-demo.ts";

/** The wave of the flaky service is 40 s; half a minute more for what only one end reports. */
const GRAPH_LIMIT_MS = 90_000;

/** Every process that the demo has started, and theirs. */
function descendants(pid: number): readonly number[] {
	const parents = new Map<number, number>();
	for (const name of readdirSync("/proc")) {
		if (!/^\d+$/.test(name)) continue;
		const stat = statOf(Number(name));
		if (stat !== undefined) parents.set(Number(name), Number(stat[1]));
	}
	const isBelow = (one: number): boolean => {
		for (let at = parents.get(one); at !== undefined && at > 1; at = parents.get(at)) if (at === pid) return true;
		return false;
	};
	return [...parents.keys()].filter(isBelow);
}

/** State and parent; undefined for a process that is gone. */
function statOf(pid: number): readonly string[] | undefined {
	try {
		// The name before it may hold spaces and parentheses.
		return readFileSync(`/proc/${pid}/stat`, "utf8")
			.replace(/^.*\) /s, "")
			.split(" ");
	} catch {
		return undefined;
	}
}

function isRunning(pid: number): boolean {
	const state = statOf(pid)?.[0];
	// A zombie holds nothing; whoever inherited it has yet to read its exit code.
	return state !== undefined && state !== "Z";
}

async function untilGone(pids: readonly number[], limitMs: number): Promise<readonly number[]> {
	const endMs = performance.now() + limitMs;
	while (pids.some(isRunning) && performance.now() < endMs) await delay(50);
	return pids.filter(isRunning);
}

async function askGraph(http: string, groupBy: string): Promise<GraphAnswer> {
	return graphAnswer.parse(await getJson(http, `/api/v1/graph?from=now-5m&groupBy=${groupBy}`));
}

type Edges = ReadonlyMap<string, GraphEdgeAnswer>;

/** By `storefront>cart`, or by `storefront-v1>cart-v1` where the graph is one of workloads (`shop/cart@cart-v1`). */
function edgesOf(graph: GraphAnswer): Edges {
	const last = (id: string): string => id.split(/[/@]/).at(-1) ?? id;
	return new Map(graph.edges.map((edge) => [`${last(edge.source)}>${last(edge.target)}`, edge]));
}

const SECURED = [
	...["visitors>storefront", "visitors>notifications", "storefront>catalogue", "storefront>cart", "storefront>reviews"],
	...["storefront>checkout", "catalogue>inventory", "reviews>catalogue", "cart>store", "reporting>cart"],
	...["checkout>cart", "checkout>payments", "checkout>shipping", "checkout>notifications"],
];
const PLAINTEXT = "checkout>legacy-billing";

/** With how each is secured: an edge whose other end has no shim waits half a minute for that end's word. */
function isComplete(edges: Edges): boolean {
	const hasAll = [...SECURED, PLAINTEXT].every((name) => (edges.get(name)?.mtls.status ?? "unknown") !== "unknown");
	const flaky = edges.get("checkout>shipping");
	// The breaker opens some failures after the first ones, and is told of by what it kept back after that.
	const hasOpened = (flaky?.errors ?? 0) > 5 && (flaky?.flags["UO"] ?? 0) > 0;
	return hasAll && hasOpened && (edges.get("storefront>catalogue")?.requests ?? 0) > 400;
}

test("the graph of the demo says what is in the shop, and Ctrl-C leaves nothing behind", async (t) => {
	const demo = startDemo((end) => t.after(end));
	const { http } = (await demo.event("ready")) as { readonly http: string };
	const alive = await demo.event("alive");
	t.diagnostic(`the graph was alive after ${String(alive["seconds"])} s`);

	const ask = async (): Promise<Edges> => edgesOf(await askGraph(http, "service"));
	const edges = await askUntil(ask, isComplete, GRAPH_LIMIT_MS);
	const statuses = Object.fromEntries([...edges].map(([name, edge]) => [name, edge.mtls.status]));
	assert.deepEqual(statuses, Object.fromEntries([...SECURED.map((name) => [name, "mutual_tls"]), [PLAINTEXT, "plaintext"]]));
	const edge = (name: string): GraphEdgeAnswer => edges.get(name)!;
	assert.equal(edge("checkout>payments").protocol, "grpc");
	assert.equal(edge("cart>store").protocol, "tcp");
	assert.ok(edge("cart>store").connections > 0);
	const denied = edge("reporting>cart").codes;
	assert.ok((denied["403"] ?? 0) > 0 && denied["200"] === undefined, JSON.stringify(denied));
	assert.deepEqual(edge("storefront>cart").mtls.sourcePrincipals, ["spiffe://cluster.local/ns/shop/sa/storefront"]);
	assert.ok(edge("checkout>shipping").errors > 5, "the flaky one has failed");
	assert.ok((edge("checkout>shipping").flags["UO"] ?? 0) > 0, "its open breaker has kept requests from it");
	assert.ok((edge("catalogue>inventory").latencyMs?.p50 ?? 0) >= 100, "the slow one is slow");

	// One in ten, with what chance does to some hundred requests.
	const byWorkload = edgesOf(await askGraph(http, "workload"));
	const requestsTo = (version: string): number =>
		[...byWorkload].reduce((sum, [name, one]) => sum + (name.endsWith(`>catalogue-${version}`) ? one.requests : 0), 0);
	const share = requestsTo("v2") / (requestsTo("v1") + requestsTo("v2"));
	assert.ok(share > 0.04 && share < 0.18, `the canary has ${share}`);

	const opened = await askUntil(
		() => searchTraces(http, { attr: "meshscope.breaker.state=open", from: "now-5m", limit: "5" }),
		(traces) => traces.length > 0,
		GRAPH_LIMIT_MS,
	);
	assert.ok(opened.length > 0, "the breaker has opened");
	// An order is one trace from the visitor to the payment, across an app that forwards nothing but by the preload.
	const whole = ["visitors", "storefront", "checkout", "payments", "cart"];
	const isWhole = ({ services }: { readonly services: readonly string[] }): boolean =>
		whole.every((name) => services.includes(name));
	const orders = await askUntil(
		() => searchTraces(http, { service: "payments", from: "now-5m", limit: "50" }),
		// The newest are still on their way.
		(traces) => traces.some(isWhole),
		20_000,
	);
	assert.ok(orders.some(isWhole), JSON.stringify(orders.map(({ services }) => services)));

	// What an app says of an order lies in the order's trace, at the call that it was told of it by.
	const said = await askUntil(
		() => getLogs(http, { service: "checkout", from: "now-5m", limit: "50" }),
		(logs) => logs.length > 0,
		20_000,
	);
	const [record] = said.toReversed();
	assert.match(String(record?.body), /order \d+ /);
	assert.ok((await getSpanIds(http, record!.traceId)).includes(record!.spanId), JSON.stringify(record));

	const pids = descendants(demo.process.pid!);
	assert.ok(pids.length > 15, `${pids.length} processes`);
	demo.process.kill("SIGINT");
	assert.deepEqual(await demo.exited, [0, null], demo.said());
	assert.deepEqual(await untilGone(pids, 1_000), []);
	assert.deepEqual(readdirSync(demo.temporary), []);
});

test("with one proxy for all and without Python the shop lives too; killed outright, it leaves neither a process nor a file", async (t) => {
	const demo = startDemo((end) => t.after(end), ["--no-python", "--node-proxy"]);
	const alive = await demo.event("alive");
	t.diagnostic(`with a node proxy the graph was alive after ${String(alive["seconds"])} s`);
	const pids = descendants(demo.process.pid!);
	assert.ok(pids.length > 4 && pids.length < 10, `${pids.length} processes`);
	demo.process.kill("SIGKILL");
	await demo.exited;
	assert.deepEqual(await untilGone(pids, 15_000), []);
	for (let tries = 0; tries < 100 && readdirSync(demo.temporary).length > 0; tries++) await delay(50);
	assert.deepEqual(readdirSync(demo.temporary), []);
});
