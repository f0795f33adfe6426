import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { askUntil, getLogs, getSpans, getStatus, searchTraces } from "./api.ts";
import { BACKEND_ID, FRONTEND_ID, startEnvoy } from "./envoy/run.ts";
import type { EnvoyPair, RunningEnvoy } from "./envoy/run.ts";
import { skipUnless } from "./fetch/cache.ts";
import { fetchEnvoy } from "./fetch/python.ts";
import type { LogEntry } from "../../store/store.ts";
import { attributeMap } from "./otlp.ts";
import type { SpanInContext } from "./otlp.ts";
import { startServer } from "./server.ts";
import type { RunningServer } from "./server.ts";

/** Requests through each pair. */
const REQUESTS = 20;
const SPAN_KIND_SERVER = 2;
const SPAN_KIND_CLIENT = 3;
/** Envoy buffers spans and records for 0.2 s, then meshscope commits. */
const ARRIVAL_MS = 10_000;

const skip = await skipUnless(fetchEnvoy);

let server: RunningServer;
let envoy: RunningEnvoy;
let folder: string;

before(async () => {
	if (skip !== false) return;
	folder = await mkdtemp(path.join(tmpdir(), "meshscope-interop-envoy-"));
	server = await startServer({ dataDirectory: path.join(folder, "data") });
	await mkdir(path.join(folder, "envoy"));
	envoy = await startEnvoy(await fetchEnvoy(), path.join(folder, "envoy"), server.addresses);
});

after(async () => {
	if (skip !== false) return;
	await envoy.stop();
	await server.stop();
	await rm(folder, { recursive: true });
});

/** One request as it is found again: two spans and two access-log records under one trace id. */
interface FoundRequest {
	readonly traceId: string;
	readonly client: SpanInContext;
	readonly server: SpanInContext;
	readonly clientLog: LogEntry;
	readonly serverLog: LogEntry;
}

async function sendAndFind(pair: EnvoyPair, pathPrefix: string): Promise<Map<string, FoundRequest>> {
	const { http } = server.addresses;
	for (let i = 0; i < REQUESTS; i++) {
		assert.equal(await envoy.send(pair, `${pathPrefix}/${i}`), pathPrefix.startsWith("/fail") ? 500 : 200);
	}
	const found = new Map<string, FoundRequest>();
	for (let i = 0; i < REQUESTS; i++) {
		const urlPath = `${pathPrefix}/${i}`;
		const traces = await askUntil(
			() => searchTraces(http, { attr: `http.url=http://backend.demo${urlPath}` }),
			(answer) => answer[0]?.spanCount === 2,
			ARRIVAL_MS,
		);
		assert.equal(traces.length, 1, `one trace for ${urlPath}`);
		const traceId = traces[0]!.traceId;
		const spans = await getSpans(http, traceId);
		assert.equal(spans.length, 2, "one span from each sidecar");
		const client = spans.find(({ span }) => span.kind === SPAN_KIND_CLIENT);
		const serverSpan = spans.find(({ span }) => span.kind === SPAN_KIND_SERVER);
		assert.ok(client !== undefined && serverSpan !== undefined);
		const logs = await askUntil(
			() => getLogs(http, { traceId }),
			(answer) => answer.length >= 2,
			ARRIVAL_MS,
		);
		assert.equal(logs.length, 2, "one record from each sidecar");
		const clientLog = logs.find((log) => log.resource["meshscope.direction"] === "outbound");
		const serverLog = logs.find((log) => log.resource["meshscope.direction"] === "inbound");
		assert.ok(clientLog !== undefined && serverLog !== undefined);
		found.set(urlPath, { traceId, client, server: serverSpan, clientLog, serverLog });
	}
	assert.equal(
		new Set([...found.values()].map(({ traceId }) => traceId)).size,
		REQUESTS,
		"each request has a trace of its own",
	);
	return found;
}

function text(value: string): { stringValue: string } {
	return { stringValue: value };
}

/** Attributes whose value a run decides; what they must look like. */
const VARYING: Readonly<Record<string, RegExp>> = {
	"guid:x-request-id": /^[0-9a-f-]{36}$/,
};

function assertSpanAttributes(found: SpanInContext, expected: Readonly<Record<string, { stringValue: string }>>): void {
	const attributes = attributeMap(found.span.attributes);
	for (const [key, pattern] of Object.entries(VARYING)) {
		assert.match(attributes[key]?.stringValue ?? "", pattern, key);
		delete attributes[key];
	}
	assert.deepEqual(attributes, expected);
}

/** What Envoy says of every request in these tests, whichever sidecar speaks. */
function commonTags(urlPath: string, status: number): Record<string, { stringValue: string }> {
	return {
		node_id: text("n1"),
		zone: text(""),
		component: text("proxy"),
		"http.method": text("GET"),
		"http.url": text(`http://backend.demo${urlPath}`),
		"http.protocol": text("HTTP/1.1"),
		"http.status_code": text(String(status)),
		downstream_cluster: text("-"),
		user_agent: text("interop-test"),
		"peer.address": text("127.0.0.1"),
		request_size: text("0"),
		response_size: text("3"),
		response_flags: text("-"),
		"meshscope.tls.reported": text("1"),
		...(status === 500 ? { error: text("true") } : {}),
	};
}

function cluster(name: string): Record<string, { stringValue: string }> {
	return { upstream_cluster: text(name), "upstream_cluster.name": text(name) };
}

function assertHop(request: FoundRequest, status: number): void {
	assert.equal(request.server.span.parentSpanId, request.client.span.spanId);
	assert.equal(request.client.span.parentSpanId ?? "", "");
	assert.equal(request.client.span.name, "egress backend.demo");
	assert.equal(request.server.span.name, "ingress");
	assert.deepEqual(attributeMap(request.client.resource.attributes)["service.name"], text("frontend"));
	assert.deepEqual(attributeMap(request.server.resource.attributes)["service.name"], text("backend"));
	assert.equal(request.client.span.status?.code ?? 0, status === 500 ? 2 : 0);
	for (const { span } of [request.client, request.server]) {
		assert.ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano));
		assert.ok(Math.abs(Number(BigInt(span.startTimeUnixNano) / 1_000_000n) - Date.now()) < 120_000);
	}
	assert.equal(request.clientLog.spanId, request.client.span.spanId);
	assert.equal(request.serverLog.spanId, request.server.span.spanId);
	assert.equal(request.clientLog.service, "frontend");
	assert.equal(request.serverLog.service, "backend");
	for (const log of [request.clientLog, request.serverLog]) {
		assert.equal(log.resource["log_name"], "meshscope");
		assert.equal(log.resource["cluster_name"], "demo");
		assert.equal(log.resource["node_name"], "n1");
	}
}

const NO_TLS = {
	downstream_tls_version: "-",
	downstream_peer_uri_san: "-",
	downstream_local_uri_san: "-",
	downstream_peer_cert_end: "-",
	upstream_tls_version: "-",
	upstream_peer_uri_san: "-",
	upstream_local_uri_san: "-",
	upstream_peer_cert_end: "-",
	upstream_tls_failure: "-",
};

function assertLogAttributes(log: LogEntry, expected: Readonly<Record<string, string>>): void {
	const { duration_ms: durationMs, downstream_remote: downstreamRemote, ...rest } = log.attributes;
	assert.match(String(durationMs), /^\d+$/);
	assert.match(String(downstreamRemote), /^127\.0\.0\.1:\d+$/);
	assert.deepEqual(rest, expected);
}

function commonFields(urlPath: string, status: number, clusterName: string, upstreamPort: number): Record<string, string> {
	return {
		log_type: "DownstreamEnd",
		authority: "backend.demo",
		path: urlPath,
		response_code: String(status),
		grpc_status: "-",
		response_flags: "-",
		attempts: "1",
		upstream_cluster: clusterName,
		upstream_host: `127.0.0.1:${upstreamPort}`,
	};
}

/** Envoy writes a certificate's end as RFC 3339 with milliseconds. */
function certificateEnd(date: Date): string {
	return date.toISOString();
}

test(
	"each request through Envoy's mutual TLS arrives as two spans and two access-log records with exact attributes",
	{ skip },
	async () => {
		const pair = envoy.mutualTls;
		for (const [urlPath, request] of await sendAndFind(pair, "/mtls")) {
			assertHop(request, 200);
			assertSpanAttributes(request.client, {
				...commonTags(urlPath, 200),
				...cluster("backend"),
				"meshscope.upstream.tls.version": text("TLSv1.2"),
				"meshscope.upstream.peer.uri_san": text(BACKEND_ID),
				"meshscope.upstream.local.uri_san": text(FRONTEND_ID),
			});
			assertSpanAttributes(request.server, {
				...commonTags(urlPath, 200),
				...cluster("app"),
				"meshscope.downstream.tls.version": text("TLSv1.2"),
				"meshscope.downstream.peer.uri_san": text(FRONTEND_ID),
				"meshscope.downstream.local.uri_san": text(BACKEND_ID),
			});
			assertLogAttributes(request.clientLog, {
				...commonFields(urlPath, 200, "backend", pair.inboundPort),
				...NO_TLS,
				upstream_tls_version: "TLSv1.2",
				upstream_peer_uri_san: BACKEND_ID,
				upstream_local_uri_san: FRONTEND_ID,
				upstream_peer_cert_end: certificateEnd(envoy.backendNotAfter),
			});
			assertLogAttributes(request.serverLog, {
				...commonFields(urlPath, 200, "app", envoy.appPort),
				...NO_TLS,
				downstream_tls_version: "TLSv1.2",
				downstream_peer_uri_san: FRONTEND_ID,
				downstream_local_uri_san: BACKEND_ID,
				downstream_peer_cert_end: certificateEnd(envoy.frontendNotAfter),
			});
		}
	},
);

test(
	"each failed request through Envoy's plaintext pair arrives as two error spans and two records without any TLS",
	{ skip },
	async () => {
		const pair = envoy.plaintext;
		for (const [urlPath, request] of await sendAndFind(pair, "/fail-plain")) {
			assertHop(request, 500);
			assertSpanAttributes(request.client, { ...commonTags(urlPath, 500), ...cluster("backend-plain") });
			assertSpanAttributes(request.server, { ...commonTags(urlPath, 500), ...cluster("app") });
			assertLogAttributes(request.clientLog, {
				...commonFields(urlPath, 500, "backend-plain", pair.inboundPort),
				...NO_TLS,
			});
			assertLogAttributes(request.serverLog, { ...commonFields(urlPath, 500, "app", envoy.appPort), ...NO_TLS });
		}
	},
);

test("nothing of what Envoy sent was dropped, refused or stored twice", { skip }, async () => {
	const status = await getStatus(server.addresses.http);
	assert.equal(status.store.spans, 4 * REQUESTS);
	assert.equal(status.store.logs, 4 * REQUESTS);
	assert.deepEqual(status.ingest.traces.droppedRecords, {});
	assert.deepEqual(status.ingest.traces.refusedBatches, {});
	assert.deepEqual(status.ingest.logs.droppedRecords, {});
	assert.deepEqual(status.ingest.logs.refusedBatches, {});
});
