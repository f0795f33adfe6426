/**
 * A real pair of proxies that speak plaintext to each other on one machine, each with telemetry of its own, into the real server: one
 * call is one request of one edge, whatever of it is told by whom.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import type { GraphAnswer, GraphEdgeAnswer } from "../../api/contract/topology.ts";
import type { Workload } from "../../model/mesh/proxy-config.ts";
import { createTelemetry, type Telemetry } from "../../proxy-shim/telemetry/telemetry.ts";
import { temporaryFolder } from "../chaos/temporary.ts";
import { ANY, config, endpointAt, proxyFor, routed, startApp, workload } from "../proxy/rig.ts";
import { askUntil, getJson } from "./api.ts";
import { type RunningServer, startServer } from "./server.ts";

const SAMPLED = 12;
const UNSAMPLED = 9;
const STRANGERS = 4;

function ask(port: number, headers: Readonly<Record<string, string>> = {}): Promise<number> {
	return new Promise((resolve, reject) => {
		request({ host: "127.0.0.1", port, agent: false, headers: { host: "orders", ...headers } }, (response) => {
			response.resume().once("end", () => resolve(response.statusCode ?? 0));
		})
			.once("error", reject)
			.end();
	});
}

function telemetryFor(t: TestContext, server: RunningServer, local: Workload): Telemetry {
	const telemetry = createTelemetry({
		local,
		version: "1",
		otlp: { url: `http://${server.addresses.otlpGrpc}` },
		metricsIntervalMs: 3_600_000,
		log: () => {},
	});
	t.after(() => telemetry.close());
	return telemetry;
}

async function edgesOf(http: string): Promise<readonly GraphEdgeAnswer[]> {
	const { edges } = (await getJson(http, "/api/v1/graph?from=now-15m&to=now")) as GraphAnswer;
	return edges;
}

function named(edges: readonly GraphEdgeAnswer[]): readonly string[] {
	return edges.map(({ source, target, requests }) => `${source}>${target} ${requests}`).toSorted();
}

test("calls between two proxies in plaintext are one edge, and those of a caller without a proxy another", async (t: TestContext) => {
	await using folder = await temporaryFolder("shim-pair");
	const server = await startServer({ dataDirectory: folder.path });
	t.after(() => server.stop());
	const [web, orders] = [workload("web"), workload("orders")];
	const [ofWeb, ofOrders] = [telemetryFor(t, server, web), telemetryFor(t, server, orders)];
	const app = await startApp(t, (_request, response) => void response.end("ok"));
	const inbound = [{ listen: ANY, app, servicePort: 80, protocol: "http" as const }];
	const callee = await proxyFor(t, { workload: orders, inbound }, config(), ofOrders);
	const port = callee.addresses.inbound[0]!;
	const route = routed("orders", [endpointAt(port)]);
	const caller = await proxyFor(t, { workload: web, outbound: ANY }, config({ routes: [route] }), ofWeb);

	for (let i = 0; i < SAMPLED; i++) assert.equal(await ask(caller.addresses.outbound!.port), 200);
	// Spans go out by themselves, and say that none is missing: the edge is no estimate before the counters come.
	const { http } = server.addresses;
	const early = await askUntil(
		() => edgesOf(http),
		(edges) => edges.some(({ evidence }) => evidence["pair"] === SAMPLED),
		20_000,
	);
	assert.deepEqual(named(early), [`shop/web>shop/orders ${SAMPLED}`]);
	assert.equal(early[0]!.sampled, false);

	for (let i = 0; i < UNSAMPLED; i++) assert.equal(await ask(caller.addresses.outbound!.port, { b3: "0" }), 200);
	for (let i = 0; i < STRANGERS; i++) assert.equal(await ask(port.port, { b3: "0" }), 200);
	await Promise.all([ofWeb, ofOrders].map((telemetry) => telemetry.flush(5_000)));
	const both = [`external:external>shop/orders ${STRANGERS}`, `shop/web>shop/orders ${SAMPLED + UNSAMPLED}`];
	const edges = await askUntil(
		() => edgesOf(http),
		(found) => named(found).join() === both.join(),
		20_000,
	).catch(() => edgesOf(http));
	assert.deepEqual(named(edges), both);
	for (const edge of edges) {
		assert.equal(edge.sampled, false, edge.source);
		assert.equal(edge.mtls.status, "plaintext", edge.source);
		assert.equal(edge.basis.counts, "metrics", edge.source);
	}
});

const lacksAddresses = process.platform === "linux" ? false : "only Linux has more addresses of loopback than one";

test(
	"TCP connections between two proxies in plaintext are one edge, and those of others another",
	{
		skip: lacksAddresses,
	},
	async (t: TestContext) => {
		await using folder = await temporaryFolder("shim-pair-tcp");
		const server = await startServer({ dataDirectory: folder.path });
		t.after(() => server.stop());
		const [web, orders] = [workload("web"), workload("orders")];
		const [ofWeb, ofOrders] = [telemetryFor(t, server, web), telemetryFor(t, server, orders)];
		const callers: (string | undefined)[] = [];
		const app = await startTcpApp(t);
		const inbound = [{ listen: ANY, app, servicePort: 5432, protocol: "tcp" as const }];
		const callee = await proxyFor(t, { workload: orders, inbound }, config(), ofOrders);
		const port = callee.addresses.inbound[0]!;
		// One that has no proxy may have rules about the addresses that it takes connections from.
		const bare = await startTcpApp(t, (socket) => callers.push(socket.remoteAddress));
		const tcp = (name: string, servicePort: number) => ({
			cluster: { protocol: "tcp" as const, name: `${name}.shop.svc.cluster.local|${servicePort}|`, port: servicePort },
		});
		const principal = "spiffe://cluster.local/ns/shop/sa/orders";
		const caller = await proxyFor(
			t,
			{
				workload: web,
				upstreams: [
					{ listen: ANY, host: "orders", port: 5432 },
					{ listen: ANY, host: "db", port: 5433 },
				],
			},
			config({
				routes: [
					routed("orders", [endpointAt(port, { principal })], tcp("orders", 5432)),
					routed("db", [endpointAt(bare)], tcp("db", 5433)),
				],
			}),
			ofWeb,
		);
		const [toOrders, toDb] = caller.addresses.upstreams;
		for (let i = 0; i < SAMPLED; i++) await talk(toOrders!.port);
		for (let i = 0; i < STRANGERS; i++) await talk(port.port);
		await talk(toDb!.port);
		assert.deepEqual(callers, ["127.0.0.1"]);
		await Promise.all([ofWeb, ofOrders].map((telemetry) => telemetry.flush(5_000)));
		const expected = [`external:external>shop/orders ${STRANGERS}`, "shop/web>shop/db 1", `shop/web>shop/orders ${SAMPLED}`];
		const { http } = server.addresses;
		const connections = (edges: readonly GraphEdgeAnswer[]): readonly string[] =>
			edges.map(({ source, target, connections: count }) => `${source}>${target} ${count}`).toSorted();
		const edges = await askUntil(
			() => edgesOf(http),
			(found) => connections(found).join() === expected.join(),
			20_000,
		).catch(() => edgesOf(http));
		assert.deepEqual(connections(edges), expected);
		for (const edge of edges) assert.equal(edge.mtls.status, "plaintext", edge.source);
	},
);

/** An app that says back what it hears. */
async function startTcpApp(
	t: TestContext,
	onSocket: (socket: Socket) => void = () => {},
): Promise<{ host: string; port: number }> {
	const app = createServer({ allowHalfOpen: true }, (socket) => {
		onSocket(socket);
		socket.on("error", () => {}).pipe(socket);
	}).listen(0, "127.0.0.1");
	await once(app, "listening");
	t.after(() => app.close());
	return { host: "127.0.0.1", port: (app.address() as AddressInfo).port };
}

async function talk(port: number): Promise<void> {
	const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
	socket.end("hello");
	assert.equal(await text(socket), "hello");
}
