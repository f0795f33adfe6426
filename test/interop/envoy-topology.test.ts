import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import type { TestContext } from "node:test";
import type { EdgeAnswer, GraphAnswer, GraphEdgeAnswer, MtlsAnswer } from "../../api/contract/topology.ts";
import { askUntil, getJson, getSpans, searchTraces } from "./api.ts";
import { identityOf, startMesh } from "./envoy/mesh.ts";
import type { Answered, MeshTarget, RunningMesh } from "./envoy/mesh.ts";
import { skipUnless } from "./fetch/cache.ts";
import { fetchEnvoy } from "./fetch/python.ts";
import { startServer } from "./server.ts";
import type { RunningServer } from "./server.ts";

/** Bars: from a request at a proxy to its edge in the answer. */
const PAIR_VISIBLE_MS = 10_000;
const ONE_SIDED_VISIBLE_MS = 40_000;
const HISTOGRAM_ERROR = 0.011;

const REQUESTS = 60;
const LEGACY = { ok: 25, failed: 15 };
/** How often each gRPC status is answered: OK, NOT_FOUND, INTERNAL, UNAVAILABLE. */
const GRPC = new Map([
	[0, 30],
	[5, 4],
	[13, 3],
	[14, 5],
]);
/** Requests by how many of their first tries fail; there are three tries. */
const FAILED_TRIES = new Map([
	[0, 10],
	[1, 6],
	[2, 4],
	[3, 5],
]);
const CROWDED = 6;
const IMPOSTOR = 7;
const SILENT = 9;
const BATCH = 8;

const skip = await skipUnless(fetchEnvoy);

let server: RunningServer;
let mesh: RunningMesh;
let folder: string;
/** What the load generator measured at the sidecar of "shop". */
const measured: number[] = [];
let oneSidedSentMs = 0;
let pairsVisibleMs = 0;
let oneSidedVisibleMs = 0;
let edges: ReadonlyMap<string, GraphEdgeAnswer>;

before(async () => {
	if (skip !== false) return;
	folder = await mkdtemp(path.join(tmpdir(), "meshscope-envoy-topology-"));
	server = await startServer({ dataDirectory: path.join(folder, "data") });
	await mkdir(path.join(folder, "envoy"));
	mesh = await startMesh(await fetchEnvoy(), path.join(folder, "envoy"), server.addresses);
	await sendEverything();
	const pairsSentMs = performance.now();
	edges = await askUntil(readEdges, (answer) => countOf(answer, PAIRS) === PAIR_REQUESTS, PAIR_VISIBLE_MS);
	pairsVisibleMs = performance.now() - pairsSentMs;
	edges = await askUntil(readEdges, (answer) => countOf(answer, ONE_SIDED) === IMPOSTOR + SILENT + BATCH, ONE_SIDED_VISIBLE_MS);
	oneSidedVisibleMs = performance.now() - oneSidedSentMs;
});

after(async () => {
	if (skip !== false) return;
	await mesh.stop();
	await server.stop();
	await rm(folder, { recursive: true });
});

const PAIRS = ["shop>cart", "shop>legacy", "shop>ledger", "shop>flaky", "shop>brittle", "shop>crowded"];
const ONE_SIDED = ["shop>impostor", "shop>silent", "demo/batch>cart"];
const GRPC_REQUESTS = sum(GRPC.values());
const RETRIED = sum(FAILED_TRIES.values());
const PAIR_REQUESTS = REQUESTS + LEGACY.ok + LEGACY.failed + GRPC_REQUESTS + 2 * RETRIED + CROWDED;

function sum(values: Iterable<number>): number {
	return [...values].reduce((total, one) => total + one, 0);
}

async function times(
	count: number,
	send: (i: number) => Promise<Answered>,
	isRight: (answer: Answered) => boolean,
): Promise<void> {
	for (let i = 0; i < count; i++) {
		const answer = await send(i);
		assert.ok(isRight(answer), JSON.stringify(answer));
	}
}

async function sendEverything(): Promise<void> {
	const http = (status: number) => (answer: Answered) => answer.status === status;
	await times(IMPOSTOR, (i) => mesh.send("impostor", `/i/${i}`), http(503));
	await times(SILENT, (i) => mesh.send("silent", `/s/${i}`), http(200));
	await times(BATCH, (i) => mesh.sendFromBatch(`/b/${i}`), http(200));
	oneSidedSentMs = performance.now();
	// The first request of a connection pays for the handshake: it is measured as any other, by both.
	await times(
		REQUESTS,
		async (i) => {
			const answer = await mesh.send("cart", `/ms/${2 + ((i * 37) % REQUESTS)}/${i}`);
			measured.push(answer.durationMs);
			return answer;
		},
		http(200),
	);
	await times(LEGACY.ok, (i) => mesh.send("legacy", `/l/${i}`), http(200));
	await times(LEGACY.failed, (i) => mesh.send("legacy", `/fail/${i}`), http(500));
	await times(CROWDED, (i) => mesh.send("crowded", `/fail/${i}`), http(500));
	for (const [status, count] of GRPC)
		await times(
			count,
			() => mesh.call(status),
			(answer) => answer.grpcStatus === status,
		);
	for (const target of ["flaky", "brittle"] as const)
		for (const [failed, count] of FAILED_TRIES)
			await times(count, (i) => mesh.send(target, `/fails/${failed}/${i}-${target}`), http(failed < 3 ? 200 : 503));
}

const range = "from=now-15m&to=now";

async function readEdges(): Promise<ReadonlyMap<string, GraphEdgeAnswer>> {
	const graph = (await getJson(server.addresses.http, `/api/v1/graph?${range}`)) as GraphAnswer;
	return new Map(graph.edges.map((edge) => [`${edge.source}>${edge.target}`, edge]));
}

function countOf(answer: ReadonlyMap<string, GraphEdgeAnswer>, names: readonly string[]): number {
	return sum(names.map((name) => answer.get(name)?.requests ?? 0));
}

function edgeTo(target: MeshTarget): GraphEdgeAnswer {
	const edge = edges.get(`shop>${target}`);
	assert.ok(edge !== undefined, `no edge to ${target}: ${[...edges.keys()].join(", ")}`);
	return edge;
}

test("every edge of the mesh is found and none is invented", { skip }, () => {
	assert.deepEqual(
		[...edges]
			.filter(([, { requests }]) => requests > 0)
			.map(([name, { protocol }]) => `${name} ${protocol}`)
			.sort(),
		[...PAIRS, ...ONE_SIDED].map((name) => `${name} ${name.endsWith("ledger") ? "grpc" : "http"}`).sort(),
	);
});

test("pairs are in the graph 10 s after the request, one-sided edges after 40 s", { skip }, (context: TestContext) => {
	context.diagnostic(
		`visible after the last request: pairs ${pairsVisibleMs.toFixed(0)} ms, one-sided ${oneSidedVisibleMs.toFixed(0)} ms`,
	);
	assert.equal(countOf(edges, PAIRS), PAIR_REQUESTS);
	assert.ok(pairsVisibleMs <= PAIR_VISIBLE_MS);
	assert.ok(oneSidedVisibleMs <= ONE_SIDED_VISIBLE_MS);
});

test(
	"a pair with mutual TLS has exact counts, both identities, the version and the first certificate to expire",
	{ skip },
	async () => {
		const edge = edgeTo("cart");
		assert.equal(edge.requests, REQUESTS);
		assert.equal(edge.errors, 0);
		assert.equal(edge.sampled, true, "Envoy's tracestate tells no threshold");
		assert.deepEqual(edge.evidence, { pair: REQUESTS });
		assert.equal(edge.reporter, "both");
		assert.deepEqual(edge.codes, { "200": REQUESTS });
		assert.deepEqual(edge.mtls, {
			status: "mutual_tls",
			percent: 100,
			counts: { ...NO_COUNTS, mutual_tls: REQUESTS },
			sourcePrincipals: [identityOf("shop")],
			destinationPrincipals: [identityOf("cart")],
			tlsVersions: ["1.3"],
			ciphers: [],
			certificateNotAfter: mesh.notAfter.get("shop")!.toISOString(),
			verified: true,
			verifiedBy: "server",
			failedHandshakes: 0,
			contradicted: false,
		});
		const detail = (await getJson(server.addresses.http, `/api/v1/edges/${edge.id}?${range}`)) as EdgeAnswer;
		assert.equal(sum(detail.series.map(({ requests }) => requests)), REQUESTS);
		assert.equal(sum(detail.histogram.map(({ count }) => count)), REQUESTS);
		assert.ok(
			detail.histogram.some(({ exemplars }) => exemplars.length > 0),
			"a trace to look at",
		);
	},
);

const NO_COUNTS = { mutual_tls: 0, tls: 0, plaintext: 0, none: 0, mixed: 0, unknown: 0 };

test(
	"client latency is what Envoy reported within the histogram's error, and within what the load generator measured",
	{ skip },
	async (context: TestContext) => {
		const { http } = server.addresses;
		const traces = await searchTraces(http, { attr: "upstream_cluster=cart", service: "shop", limit: "1000" });
		const reported: number[] = [];
		for (const { traceId } of traces)
			for (const { span } of await getSpans(http, traceId))
				if (span.kind === 3) reported.push(Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6);
		assert.equal(reported.length, REQUESTS);
		reported.sort((a, b) => a - b);
		const byGenerator = measured.toSorted((a, b) => a - b);
		const { latencyMs, latencySide } = edgeTo("cart");
		assert.equal(latencySide, "source");
		for (const [name, quantile] of [
			["p50", 0.5],
			["p90", 0.9],
			["p95", 0.95],
			["p99", 0.99],
		] as const) {
			const rank = Math.ceil(quantile * REQUESTS) - 1;
			const exact = reported[rank]!;
			const shown = latencyMs![name];
			context.diagnostic(
				`${name}: Envoy ${exact.toFixed(3)}, graph ${shown.toFixed(3)}, generator ${byGenerator[rank]!.toFixed(3)} ms`,
			);
			assert.ok(Math.abs(shown - exact) <= HISTOGRAM_ERROR * exact, `${name} ${shown} ms is not ${exact} ms`);
			// Nobody measures less outside than inside; on top comes what the generator itself takes for a request.
			assert.ok(exact <= byGenerator[rank]!, `${name}: ${exact} ms inside, ${byGenerator[rank]} ms outside`);
			assert.ok(
				byGenerator[rank]! - exact <= GENERATOR_OVERHEAD_MS,
				`${name}: ${byGenerator[rank]! - exact} ms of overhead`,
			);
		}
	},
);

/** A connection, two passes through an event loop: 2 ms in rest, more beside other work. */
const GENERATOR_OVERHEAD_MS = 25;

test("a plaintext pair is plaintext to the last request, and its errors are counted", { skip }, () => {
	const edge = edgeTo("legacy");
	assert.equal(edge.requests, LEGACY.ok + LEGACY.failed);
	assert.equal(edge.errors, LEGACY.failed);
	assert.deepEqual(edge.codes, { "200": LEGACY.ok, "500": LEGACY.failed });
	assert.equal(edge.mtls.status, "plaintext");
	assert.equal(edge.mtls.percent, 0);
	assert.deepEqual(edge.mtls.counts, { ...NO_COUNTS, plaintext: LEGACY.ok + LEGACY.failed });
	assert.deepEqual(edge.mtls.sourcePrincipals, []);
});

test("gRPC errors under HTTP 200 are errors, by their status", { skip }, () => {
	const edge = edgeTo("ledger");
	assert.equal(edge.protocol, "grpc");
	assert.equal(edge.requests, GRPC_REQUESTS);
	assert.equal(edge.errors, GRPC.get(13)! + GRPC.get(14)!);
	assert.equal(edge.clientErrors, GRPC.get(5)!);
	assert.deepEqual(edge.codes, Object.fromEntries([...GRPC].map(([status, count]) => [`grpc:${status}`, count])));
	assert.deepEqual(edge.mtls.counts, { ...NO_COUNTS, mutual_tls: GRPC_REQUESTS });
});

for (const target of ["flaky", "brittle"] as const) {
	const how = target === "flaky" ? "in one span" : "in spans of their own";
	test(`a request is counted once and its tries beside it, retries reported ${how}`, { skip }, () => {
		const edge = edgeTo(target);
		const tries = sum([...FAILED_TRIES].map(([failed, count]) => count * Math.min(3, failed + 1)));
		assert.equal(edge.requests, RETRIED);
		assert.equal(edge.errors, FAILED_TRIES.get(3)!);
		assert.deepEqual(edge.codes, { "200": RETRIED - FAILED_TRIES.get(3)!, "503": FAILED_TRIES.get(3)! });
		assert.deepEqual(edge.attempts, { requests: RETRIED, tries, retries: tries - RETRIED });
		assert.deepEqual(edge.mtls.counts, { ...NO_COUNTS, mutual_tls: RETRIED });
		assert.deepEqual(edge.mtls.destinationPrincipals, [identityOf(target)]);
	});
}

test(
	"a retry that finds no room leaves the answer of the try before: Envoy flags it as if nobody had been reached",
	{ skip },
	() => {
		const edge = edgeTo("crowded");
		assert.equal(edge.requests, CROWDED);
		assert.deepEqual(edge.flags, { UO: CROWDED });
		assert.deepEqual(edge.outcomes, { ok: 0, client_error: 0, server_error: CROWDED, no_response: 0 });
		assert.deepEqual(edge.codes, { "500": CROWDED });
		assert.deepEqual(edge.evidence, { pair: CROWDED });
		assert.equal(edge.disagreement, undefined);
	},
);

test("a handshake that failed is counted as such: no request arrived, and nothing is said of its encryption", { skip }, () => {
	const edge = edgeTo("impostor");
	assert.equal(edge.requests, IMPOSTOR);
	assert.equal(edge.errors, IMPOSTOR);
	assert.deepEqual(edge.outcomes, { ok: 0, client_error: 0, server_error: 0, no_response: IMPOSTOR });
	assert.equal(edge.flags["UF"], IMPOSTOR);
	assert.equal(edge.mtls.failedHandshakes, IMPOSTOR);
	assert.equal(edge.mtls.status, "unknown");
	assert.deepEqual(edge.mtls.counts, { ...NO_COUNTS, unknown: IMPOSTOR });
	assert.deepEqual(edge.evidence, { "client-only": IMPOSTOR });
});

test(
	"a service without a sidecar is an end of its edges: by the caller's cluster, or by the certificate it showed",
	{ skip },
	() => {
		const silent = edgeTo("silent");
		assert.equal(silent.requests, SILENT);
		assert.equal(silent.reporter, "source");
		assert.equal(silent.mtls.status, "plaintext");
		const batch = edges.get("demo/batch>cart")!;
		assert.equal(batch.requests, BATCH);
		assert.equal(batch.reporter, "destination");
		assert.deepEqual(batch.evidence, { "server-only": BATCH });
		assert.equal(batch.mtls.status, "mutual_tls");
		assert.equal(batch.mtls.verifiedBy, "server");
		assert.deepEqual(batch.mtls.sourcePrincipals, [identityOf("batch")]);
		assert.deepEqual(batch.mtls.destinationPrincipals, [identityOf("cart")]);
	},
);

test(
	"the report on mutual TLS adds up to the edges, and lists every certificate that was shown by its expiry",
	{ skip },
	async () => {
		const report = (await getJson(server.addresses.http, `/api/v1/mtls?${range}`)) as MtlsAnswer;
		const plaintext = LEGACY.ok + LEGACY.failed + SILENT + CROWDED;
		assert.deepEqual(report.coverage.requests.counts, {
			...NO_COUNTS,
			mutual_tls: REQUESTS + GRPC_REQUESTS + 2 * RETRIED + BATCH,
			plaintext,
			unknown: IMPOSTOR,
		});
		assert.deepEqual(
			report.plaintext.map(({ source, target, counts }) => `${source}>${target} ${counts.plaintext}`),
			[`shop>legacy ${LEGACY.ok + LEGACY.failed}`, `shop>silent ${SILENT}`, `shop>crowded ${CROWDED}`],
		);
		for (const { samples } of report.plaintext) assert.ok(samples.length > 0, "a trace that shows it");
		assert.deepEqual(report.mixed, []);
		assert.deepEqual(
			report.certificates.map(({ principal, notAfter }) => `${principal} ${notAfter}`),
			["shop", "cart", "ledger", "flaky", "brittle", "batch"].map(
				(workload) => `${identityOf(workload)} ${mesh.notAfter.get(workload)!.toISOString()}`,
			),
		);
		assert.deepEqual(
			report.identities
				.filter(({ asSource }) => asSource)
				.map(({ principal }) => principal)
				.sort(),
			[identityOf("batch"), identityOf("shop")],
		);
	},
);
