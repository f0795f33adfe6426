import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { graphHistoryAnswer } from "../../api/contract/topology.ts";
import type { GraphAnswer, GraphEdgeAnswer, MeshPointAnswer } from "../../api/contract/topology.ts";
import { seededRandom } from "../../bench/mesh.ts";
import { httpSender } from "../chaos/sending.ts";
import { temporaryFolder } from "../chaos/temporary.ts";
import { askUntil, getJson } from "../interop/api.ts";
import { encodeProtobuf } from "../interop/otlp.ts";
import { startServer } from "../interop/server.ts";
import { createKnownMesh } from "./known-mesh.ts";
import type { Grouping, KnownEdge, KnownMesh, MeshSize } from "./known-mesh.ts";

const HISTOGRAM_ERROR = 0.011;
const SIZE: MeshSize =
	process.env["MESHSCOPE_LONG"] === "1"
		? { services: 1_000, edges: 3_000, requests: 40 }
		: { services: 100, edges: 300, requests: 20 };
/** Nothing in it is waited for, but everything has to be read. */
const VISIBLE_MS = process.env["MESHSCOPE_LONG"] === "1" ? 45_000 : 20_000;

/** What the graph must show of one edge of a grouping. */
interface Truth {
	requests: number;
	errors: number;
	attempts: number;
	readonly sourceNs: number[];
	readonly destinationNs: number[];
	/** Some of its requests left no span. */
	isSampled: boolean;
	readonly mtls: Record<string, number>;
}

function nodeOf({ kind, namespace, service, workload }: KnownEdge["source"], groupBy: Grouping): string {
	const isPlain = kind === "service" || kind === "gateway";
	if (groupBy === "namespace" && isPlain) return namespace;
	const name = `${isPlain ? "" : `${kind}:`}${namespace === "" ? "" : `${namespace}/`}${service}`;
	return groupBy === "workload" && workload !== "" && workload !== service ? `${name}@${workload}` : name;
}

function truthOf({ edges }: KnownMesh, groupBy: Grouping): ReadonlyMap<string, Truth> {
	const truths = new Map<string, Truth>();
	for (const edge of edges) {
		const key = `${nodeOf(edge.source, groupBy)} > ${nodeOf(edge.target, groupBy)} ${edge.protocol}`;
		let truth = truths.get(key);
		if (truth === undefined) {
			const nothing = { requests: 0, errors: 0, attempts: 0, sourceNs: [], destinationNs: [], isSampled: false, mtls: {} };
			truths.set(key, (truth = nothing));
		}
		truth.requests += edge.requests;
		truth.errors += edge.errors;
		truth.attempts += edge.attempts;
		truth.sourceNs.push(...edge.sourceNs);
		truth.destinationNs.push(...edge.destinationNs);
		truth.isSampled ||= edge.isSampled;
		truth.mtls[edge.mtls] = (truth.mtls[edge.mtls] ?? 0) + edge.requests;
	}
	return truths;
}

async function readGraph(http: string, groupBy: Grouping): Promise<GraphAnswer> {
	return (await getJson(http, `/api/v1/graph?from=now-1h&to=now&groupBy=${groupBy}`)) as GraphAnswer;
}

function requestsIn({ edges }: GraphAnswer): number {
	return edges.reduce((sum, { requests }) => sum + requests, 0);
}

function assertLatency(key: string, shown: GraphEdgeAnswer["latencyMs"], exactNs: readonly number[]): void {
	assert.equal(shown?.count ?? 0, exactNs.length, `${key}: latencies`);
	if (shown === undefined) return;
	const sorted = exactNs.toSorted((a, b) => a - b);
	for (const [name, quantile] of [
		["p50", 0.5],
		["p90", 0.9],
		["p95", 0.95],
		["p99", 0.99],
	] as const) {
		const exactMs = sorted[Math.ceil(quantile * sorted.length) - 1]! / 1e6;
		assert.ok(
			Math.abs(shown[name] - exactMs) <= HISTOGRAM_ERROR * exactMs,
			`${key} ${name}: ${shown[name]} is not ${exactMs}`,
		);
	}
}

test(`of ${SIZE.services} services and ${SIZE.edges} edges every edge is found and none invented, with exact counts and percentiles`, async (context: TestContext) => {
	await using folder = await temporaryFolder("known-mesh");
	const mesh = createKnownMesh(SIZE, seededRandom(17), Date.now());
	const requests = mesh.edges.reduce((sum, edge) => sum + edge.requests, 0);
	const server = await startServer({ dataDirectory: folder.path });
	const sender = httpSender(server.addresses.otlpHttp);
	try {
		const { http } = server.addresses;
		for (const data of mesh.metrics) await sendMetrics(server.addresses.otlpHttp, encodeProtobuf("metrics", data));
		for (const data of mesh.traces) {
			const outcome = await sender.send({ signal: "traces", bytes: encodeProtobuf("traces", data) });
			assert.equal(outcome.kind, "acked", JSON.stringify(outcome));
		}
		const sentMs = performance.now();
		await askUntil(
			() => readGraph(http, "service"),
			(graph) => requestsIn(graph) === requests && graph.edges.length === mesh.edges.length,
			VISIBLE_MS,
		);
		context.diagnostic(
			`${requests} requests, ${mesh.spans} spans; all in the graph ${(performance.now() - sentMs).toFixed(0)} ms after the last batch`,
		);
		for (const groupBy of ["service", "workload", "namespace"] as const) {
			const truths = truthOf(mesh, groupBy);
			const graph = await readGraph(http, groupBy);
			const shown = new Map(graph.edges.map((edge) => [`${edge.source} > ${edge.target} ${edge.protocol}`, edge]));
			assert.equal(shown.size, graph.edges.length, "no edge is there twice");
			assert.deepEqual(
				[...shown.keys()].filter((key) => !truths.has(key)),
				[],
				`invented, by ${groupBy}`,
			);
			assert.deepEqual(
				[...truths.keys()].filter((key) => !shown.has(key)),
				[],
				`not found, by ${groupBy}`,
			);
			for (const [key, truth] of truths) {
				const edge = shown.get(key)!;
				assert.equal(edge.requests, truth.requests, `${key}: requests`);
				assert.equal(edge.errors, truth.errors, `${key}: errors`);
				assert.deepEqual(
					Object.fromEntries(Object.entries(edge.mtls.counts).filter(([, count]) => count > 0)),
					truth.mtls,
					`${key}: mTLS`,
				);
				if (groupBy === "service" && edge.attempts !== undefined && truth.sourceNs.length > 0)
					assert.equal(edge.attempts.tries, truth.attempts, `${key}: tries`);
				assertLatency(`${key}, source`, edge.sourceLatencyMs, truth.sourceNs);
				assertLatency(`${key}, destination`, edge.destinationLatencyMs, truth.destinationNs);
			}
		}
		// In many steps or in few: whom to believe is decided for all of them at once, as in the graph.
		for (const step of ["1m", "1h", "7d"]) {
			const history = await getJson(http, `/api/v1/graph/history?from=now-1h&to=now&step=${step}`);
			const { points } = graphHistoryAnswer.parse(history);
			const sum = (read: (point: MeshPointAnswer) => number): number =>
				points.reduce((total, point) => total + read(point), 0);
			const known = (read: (edge: KnownEdge) => number): number =>
				mesh.edges.reduce((total, edge) => total + read(edge), 0);
			assert.equal(
				sum((point) => point.requests),
				requests,
			);
			assert.equal(
				sum((point) => point.errors),
				known(({ errors }) => errors),
			);
			for (const status of ["mutual_tls", "plaintext", "unknown"] as const)
				assert.equal(
					sum((point) => point.requestMtls[status]),
					known((edge) => (edge.mtls === status ? edge.requests : 0)),
					`history, ${status}`,
				);
		}
	} finally {
		sender.close();
		await server.stop();
	}
});

async function sendMetrics(otlpHttp: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
	const headers = { "content-type": "application/x-protobuf" };
	const response = await fetch(`http://${otlpHttp}/v1/metrics`, { method: "POST", headers, body });
	assert.equal(response.status, 200);
}
