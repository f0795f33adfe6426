/** The collector is killed under a proxy's telemetry: requests go on, and once it is back each is there once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { GraphAnswer, GraphEdgeAnswer } from "../../api/contract/topology.ts";
import { createTelemetry } from "../../proxy-shim/telemetry/telemetry.ts";
import { answering, httpHop, workload } from "../../proxy-shim/telemetry/test-kit.ts";
import { readTraceContext, traceHeaders } from "../../proxy-shim/telemetry/trace-context.ts";
import { createIdSource } from "../../proxy-shim/telemetry/trace-ids.ts";
import { temporaryFolder } from "../chaos/temporary.ts";
import { askUntil, getJson } from "./api.ts";
import { startServer } from "./server.ts";

const BEFORE = 400;
const AWAY = 900;
const AFTER = 100;

test("a collector that was killed and comes back has every request once, in spans and in counts", async () => {
	await using folder = await temporaryFolder("shim-away");
	let server = await startServer({ dataDirectory: folder.path });
	const { otlpGrpc } = server.addresses;
	const ids = createIdSource();
	const [shop, cart] = ["shop", "cart"].map((service) =>
		createTelemetry({
			local: workload(service),
			version: "1",
			otlp: { url: `http://${otlpGrpc}` },
			metricsIntervalMs: 200,
			log: () => undefined,
		}),
	);
	const call = (): void => {
		const first = readTraceContext(() => undefined, ids);
		const passedOn = new Map(traceHeaders(first));
		const startTimeUnixNano = BigInt(Date.now()) * 1_000_000n;
		const hop = httpHop({ trace: first, requestId: first.requestId, startTimeUnixNano });
		shop!.http(hop);
		cart!.http(answering(hop, { trace: readTraceContext((name) => passedOn.get(name), ids) }));
	};
	try {
		// Killed with chunks under way: whether they were stored the proxy cannot know.
		for (let i = 0; i < BEFORE; i++) call();
		await delay(250);
		await server.kill();
		for (let i = 0; i < AWAY; i++) {
			call();
			if (i % 100 === 0) await delay(20);
		}
		await askUntil(
			() => Promise.resolve(shop!.stats()),
			({ spans }) => spans!.retries > 1,
			10_000,
		);
		assert.ok(shop!.stats().spans!.queuedSpans > 0);
		server = await startServer({ dataDirectory: folder.path, flags: ["--otlp-grpc", otlpGrpc] });
		for (let i = 0; i < AFTER; i++) call();
		const total = BEFORE + AWAY + AFTER;
		const edge = await askUntil(
			async () => {
				const graph = (await getJson(server.addresses.http, "/api/v1/graph?from=now-15m&to=now")) as GraphAnswer;
				return graph.edges.find(({ source, target }) => source === "demo/shop" && target === "demo/cart");
			},
			(found: GraphEdgeAnswer | undefined) => found?.evidence["pair"] === total && found.requests === total,
			30_000,
		);
		assert.equal(edge?.evidence["pair"], total, "each pair of spans");
		assert.equal(edge.requests, total, "each request");
		for (const proxy of [shop!, cart!]) {
			const { spans } = proxy.stats();
			assert.deepEqual([spans!.queuedSpans, Object.values(spans!.dropped).every((count) => count === 0)], [0, true]);
			assert.ok(spans!.retries > 0);
		}
	} finally {
		shop!.close();
		cart!.close();
		await server.stop();
	}
});
