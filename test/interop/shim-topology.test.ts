/**
 * What the proxy tells of its hops, through the real server into the graph: pairs of proxies, each with telemetry of its own that
 * exports as it does in production. Sampled or not, a request is one request.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { GraphAnswer, GraphEdgeAnswer } from "../../api/contract/topology.ts";
import type { HttpHop } from "../../proxy-shim/telemetry/hop.ts";
import { createTelemetry, type Telemetry } from "../../proxy-shim/telemetry/telemetry.ts";
import {
	answering,
	httpHop,
	mutualTls,
	NOT_AFTER_MS,
	noTls,
	peer,
	spiffeId,
	tcpHop,
	workload,
} from "../../proxy-shim/telemetry/test-kit.ts";
import { readTraceContext, traceHeaders } from "../../proxy-shim/telemetry/trace-context.ts";
import { createIdSource } from "../../proxy-shim/telemetry/trace-ids.ts";
import { temporaryFolder } from "../chaos/temporary.ts";
import { askUntil, getJson, getSpans } from "./api.ts";
import { type RunningServer, startServer } from "./server.ts";

const SERVICES = ["shop", "cart", "legacy", "oneway", "impostor", "flaky", "ledger", "db", "plainflaky"] as const;
type Service = (typeof SERVICES)[number];

const SAMPLED = 20;
const UNSAMPLED = 15;
const LEGACY = 10;
const ONE_WAY = 7;
const IMPOSTOR = 4;
const FLAKY = 6;
/** Of the flaky ones, whose first try found no handshake. */
const HEALED = 2;
const CONNECTIONS = 3;
const STRANGER = 5;
/** By gRPC status: OK, NOT_FOUND, UNAVAILABLE. */
const GRPC = new Map([
	[0, 8],
	[5, 2],
	[14, 3],
]);

const NO_COUNTS = { mutual_tls: 0, tls: 0, plaintext: 0, none: 0, mixed: 0, unknown: 0 };

let folder: AsyncDisposable & { readonly path: string };
let server: RunningServer;
const proxies = new Map<Service, Telemetry>();
let edges: ReadonlyMap<string, GraphEdgeAnswer>;
const ids = createIdSource();
let shown = "";

before(async () => {
	folder = await temporaryFolder("shim-topology");
	server = await startServer({ dataDirectory: folder.path });
	for (const service of SERVICES)
		proxies.set(
			service,
			createTelemetry({
				local: workload(service),
				version: "1",
				otlp: { url: `http://${server.addresses.otlpGrpc}` },
				metricsIntervalMs: 300,
				log: () => undefined,
			}),
		);
	sendEverything();
	// One-sided spans are said after 30 s; counts come with the metrics.
	edges = await askUntil(readEdges, (answer) => answer.size >= 8 && [...answer.values()].every(isComplete), 60_000);
});

after(async () => {
	for (const proxy of proxies.values()) proxy.close();
	await server.stop();
	await folder[Symbol.asyncDispose]();
});

function isComplete(edge: GraphEdgeAnswer): boolean {
	if (edge.target === "demo/impostor") return edge.requests === IMPOSTOR && edge.mtls.failedHandshakes === IMPOSTOR;
	return Object.keys(edge.basis.counts ?? {}).length > 0 && edge.sampled === false;
}

async function readEdges(): Promise<ReadonlyMap<string, GraphEdgeAnswer>> {
	const graph = (await getJson(server.addresses.http, "/api/v1/graph?from=now-15m&to=now")) as GraphAnswer;
	return new Map(graph.edges.map((edge) => [`${edge.source}>${edge.target}`.replaceAll("demo/", ""), edge]));
}

function proxy(service: Service): Telemetry {
	return proxies.get(service)!;
}

/** Trace contexts as the two proxies of a call make them: of the second what the first passes on. */
function contexts(sampled: boolean) {
	const first = readTraceContext((name) => (name === "b3" ? (sampled ? "1" : "0") : undefined), ids);
	const passedOn = new Map(traceHeaders(first));
	return { first, next: () => readTraceContext((name) => passedOn.get(name), ids) };
}

function call(target: Service, sampled: boolean, out: Partial<HttpHop>, attempts: readonly Partial<HttpHop>[]): void {
	const { first, next } = contexts(sampled);
	const hop = httpHop({
		peer: peer(target, { address: `10.0.1.${SERVICES.indexOf(target)}` }),
		tls: mutualTls("shop", target),
		upstreamCluster: `outbound|8080||${target}.demo.svc.cluster.local`,
		authority: target,
		startTimeUnixNano: BigInt(Date.now()) * 1_000_000n,
		trace: first,
		requestId: first.requestId,
		...out,
	});
	for (const attempt of attempts) {
		const own = next();
		proxy(target).http(answering(hop, { trace: own, requestId: own.requestId, ...attempt }));
	}
	proxy("shop").http(hop);
}

function times(count: number, send: (i: number) => void): void {
	for (let i = 0; i < count; i++) send(i);
}

function sendEverything(): void {
	times(SAMPLED, () => call("cart", true, {}, [{}]));
	times(UNSAMPLED, () => call("cart", false, {}, [{}]));
	times(LEGACY, (i) => {
		const tls = noTls("plaintext", "permissive_plaintext");
		call("legacy", i % 2 === 0, { tls, status: i < 3 ? 500 : 200 }, [{ tls }]);
	});
	times(ONE_WAY, () => {
		const tls = mutualTls("", "oneway", { status: "tls", clientPrincipal: "", clientSubject: "", clientNotAfterMs: 0 });
		call("oneway", true, { tls }, [{ tls: { ...tls, peerVerified: false } }]);
	});
	times(IMPOSTOR, (i) => {
		const tls = noTls("unknown", "wrong_identity");
		call(
			"impostor",
			i % 2 === 0,
			{ tls, failedHandshakes: 1, status: 503, responseFlags: "UF", upstreamServiceTimeMs: -1 },
			[],
		);
	});
	times(FLAKY, (i) => {
		const failedHandshakes = i < HEALED ? 1 : 0;
		const tries = failedHandshakes === 1 ? [{ status: 200 }] : [{ status: 503 }, { status: 200 }];
		call("flaky", i % 2 === 0, { retries: 1, failedHandshakes }, tries);
	});
	for (const [grpcStatus, count] of GRPC)
		times(count, () => {
			const grpc = { isGrpc: true, path: "/shop.Ledger/Add", method: "POST", protocolVersion: "2", grpcStatus };
			call("ledger", true, grpc, [grpc]);
		});
	times(CONNECTIONS, () => {
		const hop = tcpHop({ startTimeUnixNano: BigInt(Date.now()) * 1_000_000n });
		proxy("shop").tcpOpened("outbound");
		proxy("shop").tcp(hop);
		proxy("db").tcpOpened("inbound");
		proxy("db").tcp({
			...hop,
			direction: "inbound",
			local: workload("db"),
			peer: peer("shop", { address: "10.0.0.3" }),
			upstreamCluster: "inbound|5432||",
		});
	});
	// A caller without a proxy, of whom only the address is known; half of its calls are sampled.
	times(STRANGER, (i) => {
		const { first } = contexts(i % 2 === 0);
		shown = i === 0 ? first.traceId : shown;
		proxy("cart").http(
			answering(httpHop(), {
				local: workload("cart"),
				peer: peer("", { namespace: "", workload: "", instanceId: "", address: "10.9.9.9" }),
				tls: noTls("plaintext", "permissive_plaintext"),
				trace: first,
				startTimeUnixNano: BigInt(Date.now()) * 1_000_000n,
			}),
		);
	});
}

function edgeTo(target: string): GraphEdgeAnswer {
	const edge = edges.get(`shop>${target}`);
	assert.ok(edge !== undefined, `no edge to ${target}: ${[...edges.keys()].join(", ")}`);
	return edge;
}

test("each pair of services is one edge, and none is invented", () => {
	assert.deepEqual(
		[...edges].map(([name, { protocol, unit }]) => `${name} ${protocol} ${unit}`).sort(),
		[
			"unknown:unknown>cart http requests",
			"shop>cart http requests",
			"shop>db tcp connections",
			"shop>flaky http requests",
			"shop>impostor http requests",
			"shop>ledger grpc requests",
			"shop>legacy http requests",
			"shop>oneway http requests",
		].sort(),
	);
});

test("of a pair every request counts once, sampled or not, with both verified identities", () => {
	const edge = edgeTo("cart");
	assert.equal(edge.requests, SAMPLED + UNSAMPLED);
	assert.equal(edge.sampled, false);
	assert.deepEqual(edge.codes, { "200": SAMPLED + UNSAMPLED });
	assert.equal(edge.evidence["pair"], SAMPLED);
	const { mtls } = edge;
	assert.deepEqual(mtls.counts, { ...NO_COUNTS, mutual_tls: SAMPLED + UNSAMPLED });
	assert.deepEqual([mtls.status, mtls.percent, mtls.verified, mtls.contradicted], ["mutual_tls", 100, true, false]);
	assert.deepEqual(mtls.sourcePrincipals, [spiffeId("shop")]);
	assert.deepEqual(mtls.destinationPrincipals, [spiffeId("cart")]);
	assert.deepEqual([mtls.tlsVersions, mtls.ciphers], [["1.3"], ["TLS_AES_128_GCM_SHA256"]]);
	assert.equal(mtls.certificateNotAfter, new Date(NOT_AFTER_MS).toISOString());
});

test("plaintext is plaintext to the last request, and its errors are those that the caller saw", () => {
	const edge = edgeTo("legacy");
	assert.equal(edge.requests, LEGACY);
	assert.equal(edge.mtls.status, "plaintext");
	assert.deepEqual(edge.mtls.counts, { ...NO_COUNTS, plaintext: LEGACY });
	assert.deepEqual(edge.mtls.sourcePrincipals, []);
});

test("TLS without a client certificate is tls, not mutual", () => {
	const edge = edgeTo("oneway");
	assert.equal(edge.requests, ONE_WAY);
	assert.deepEqual(edge.mtls.counts, { ...NO_COUNTS, tls: ONE_WAY });
});

test("a failed handshake is counted as such; nothing is said of encryption", () => {
	const edge = edgeTo("impostor");
	assert.equal(edge.requests, IMPOSTOR);
	assert.equal(edge.mtls.failedHandshakes, IMPOSTOR);
	assert.deepEqual(edge.mtls.counts, { ...NO_COUNTS, unknown: IMPOSTOR });
	assert.deepEqual(edge.outcomes, { ok: 0, client_error: 0, server_error: 0, no_response: IMPOSTOR });
	assert.equal(edge.flags["UF"], IMPOSTOR);
});

test("a request that was tried twice is one request that ended well", () => {
	const edge = edgeTo("flaky");
	assert.equal(edge.requests, FLAKY);
	assert.equal(edge.errors, 0);
	assert.deepEqual(edge.mtls.counts, { ...NO_COUNTS, mutual_tls: FLAKY });
	assert.equal(edge.attempts?.retries, FLAKY / 2, "of those that were sampled");
	assert.equal(edge.mtls.failedHandshakes, HEALED);
});

test("gRPC errors under HTTP 200 are errors, by their status", () => {
	const edge = edgeTo("ledger");
	assert.deepEqual(edge.codes, Object.fromEntries([...GRPC].map(([status, count]) => [`grpc:${status}`, count])));
	assert.equal(edge.errors, GRPC.get(14));
	assert.equal(edge.clientErrors, GRPC.get(5));
});

test("TCP is counted in connections and bytes, authenticated by both", () => {
	const edge = edgeTo("db");
	assert.equal(edge.connections, CONNECTIONS);
	assert.deepEqual(edge.mtls.counts, { ...NO_COUNTS, mutual_tls: CONNECTIONS });
	assert.deepEqual(edge.mtls.destinationPrincipals, [spiffeId("db")]);
	assert.deepEqual([edge.bytes.sent, edge.bytes.received], [100 * CONNECTIONS, 2000 * CONNECTIONS]);
});

test("a caller without a name is its address, to spans and metrics alike, and counts once a request", () => {
	const edge = edges.get("unknown:unknown>cart")!;
	assert.equal(edge.requests, STRANGER);
	assert.equal(edge.mtls.status, "plaintext");
});

test("the spans are there as they were told", async () => {
	const [span] = await getSpans(server.addresses.http, shown);
	assert.equal(span!.scope.name, "meshscope-shim");
	const dropped = [...proxies.values()].map((one) => one.stats().spans!);
	for (const stats of dropped)
		assert.equal(
			Object.values(stats.dropped).reduce((sum, count) => sum + count, 0),
			0,
		);
});
