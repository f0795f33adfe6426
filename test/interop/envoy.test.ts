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
const CONNECTIONS = 3;
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

/** One request as it is found again: two spans and four access-log records under one trace id. */
interface FoundRequest {
	readonly traceId: string;
	readonly client: SpanInContext;
	readonly server: SpanInContext;
	readonly clientLog: LogEntry;
	readonly serverLog: LogEntry;
	/** From the gRPC access log service. */
	readonly clientAls: LogEntry;
	readonly serverAls: LogEntry;
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
			(answer) => answer.length >= 4,
			ARRIVAL_MS,
		);
		assert.equal(logs.length, 4, "one record from each logger of each sidecar");
		const log = (name: string, direction: string): LogEntry => {
			const match = logs.find(
				({ resource }) => resource["log_name"] === name && resource["meshscope.direction"] === direction,
			);
			assert.ok(match !== undefined, `${name} ${direction}`);
			return match;
		};
		found.set(urlPath, {
			traceId,
			client,
			server: serverSpan,
			clientLog: log("meshscope", "outbound"),
			serverLog: log("meshscope", "inbound"),
			clientAls: log("frontend-outbound", "outbound"),
			serverAls: log("backend-inbound", "inbound"),
		});
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

/** The access log service says more than was asked for, and of TLS towards the upstream only what custom tags bring. */
function assertAls(
	log: LogEntry,
	side: { readonly service: string; readonly logName: string; readonly direction: string },
	expected: Readonly<Record<string, string>>,
): void {
	assert.deepEqual(log.resource, {
		"service.name": side.service,
		log_name: side.logName,
		node_name: "n1",
		cluster_name: "demo",
		"meshscope.direction": side.direction,
	});
	const rest: Record<string, unknown> = { ...log.attributes };
	for (const [key, pattern] of Object.entries(ALS_VARYING)) {
		assert.match(String(rest[key]), pattern, key);
		delete rest[key];
	}
	assert.deepEqual(rest, expected);
	assert.ok(Math.abs(Number(BigInt(log.timeUnixNano) / 1_000_000n) - Date.now()) < 120_000);
}

const ALS_VARYING: Readonly<Record<string, RegExp>> = {
	duration_ms: /^\d+(?:\.\d{1,6})?$/,
	downstream_remote: /^127\.0\.0\.1:\d+$/,
	stream_id: /^[0-9a-f-]{36}$/,
};

const ALS_NO_TLS = { downstream_tls_version: "-", downstream_peer_uri_san: "-", downstream_local_uri_san: "-" };
const ALS_UPSTREAM_TLS = {
	upstream_tls_version: "TLSv1.2",
	upstream_peer_uri_san: BACKEND_ID,
	upstream_local_uri_san: FRONTEND_ID,
};
const ALS_DOWNSTREAM_TLS = {
	downstream_tls_version: "TLSv1.2",
	downstream_tls_cipher: "ECDHE-ECDSA-AES128-GCM-SHA256",
	downstream_peer_uri_san: FRONTEND_ID,
	downstream_peer_subject: "CN=frontend",
	downstream_peer_issuer: "CN=demo authority",
	downstream_local_uri_san: BACKEND_ID,
	downstream_local_subject: "CN=backend",
};
const FRONTEND_ALS = { service: "frontend", logName: "frontend-outbound", direction: "outbound" } as const;
const BACKEND_ALS = { service: "backend", logName: "backend-inbound", direction: "inbound" } as const;

function alsFields(
	request: FoundRequest,
	urlPath: string,
	status: number,
	cluster: string,
	upstreamPort: number,
): Record<string, string> {
	return {
		log_type: "DownstreamEnd",
		protocol: "HTTP/1.1",
		method: "GET",
		scheme: "http",
		authority: "backend.demo",
		path: urlPath,
		user_agent: "interop-test",
		request_id: attributeMap(request.client.span.attributes)["guid:x-request-id"]?.stringValue ?? "",
		response_code: String(status),
		response_code_details: "via_upstream",
		response_flags: "-",
		bytes_received: "0",
		bytes_sent: "3",
		attempts: "1",
		upstream_cluster: cluster,
		upstream_host: `127.0.0.1:${upstreamPort}`,
		trace_id: request.traceId,
	};
}

/** Envoy writes a certificate's end as RFC 3339 with milliseconds. */
function certificateEnd(date: Date): string {
	return date.toISOString();
}

test(
	"each request through Envoy's mutual TLS arrives as two spans and four access-log records with exact attributes",
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
			assertAls(request.clientAls, FRONTEND_ALS, {
				...alsFields(request, urlPath, 200, "backend", pair.inboundPort),
				...ALS_NO_TLS,
				...ALS_UPSTREAM_TLS,
				"meshscope.tls.reported": "1",
				downstream_local: `127.0.0.1:${pair.outboundPort}`,
			});
			assertAls(request.serverAls, BACKEND_ALS, {
				...alsFields(request, urlPath, 200, "app", envoy.appPort),
				...ALS_DOWNSTREAM_TLS,
				downstream_local: `127.0.0.1:${pair.inboundPort}`,
			});
		}
	},
);

test(
	"each failed request through Envoy's plaintext pair arrives as two error spans and four records without any TLS",
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
			assertAls(request.clientAls, FRONTEND_ALS, {
				...alsFields(request, urlPath, 500, "backend-plain", pair.inboundPort),
				...ALS_NO_TLS,
				"meshscope.tls.reported": "1",
				downstream_local: `127.0.0.1:${pair.outboundPort}`,
			});
			assertAls(request.serverAls, BACKEND_ALS, {
				...alsFields(request, urlPath, 500, "app", envoy.appPort),
				...ALS_NO_TLS,
				downstream_local: `127.0.0.1:${pair.inboundPort}`,
			});
		}
	},
);

test("each connection through Envoy's TCP proxy arrives as one record of its access log service", { skip }, async () => {
	for (let i = 0; i < CONNECTIONS; i++) assert.equal(await envoy.send(envoy.tcp, `/tcp/${i}`), 200);
	const found = await askUntil(
		() => getLogs(server.addresses.http, { attr: "log_type=TcpConnectionEnd" }),
		(answer) => answer.length >= CONNECTIONS,
		ARRIVAL_MS,
	);
	assert.equal(found.length, CONNECTIONS);
	for (const log of found) {
		const { bytes_received: received, bytes_sent: sent, ...attributes } = log.attributes;
		assert.ok(Number(received) > 50 && Number(sent) > 50, `${String(received)} ${String(sent)}`);
		const side = { service: "frontend", logName: "frontend-outbound-tcp", direction: "outbound" };
		assertAls({ ...log, attributes }, side, {
			log_type: "TcpConnectionEnd",
			protocol: "TCP",
			response_flags: "-",
			attempts: "1",
			upstream_cluster: "backend",
			upstream_host: `127.0.0.1:${envoy.tcp.inboundPort}`,
			downstream_local: `127.0.0.1:${envoy.tcp.outboundPort}`,
			"meshscope.tls.reported": "1",
			...ALS_NO_TLS,
			...ALS_UPSTREAM_TLS,
		});
	}
});

test("nothing of what Envoy sent was dropped, refused or stored twice", { skip }, async () => {
	const status = await getStatus(server.addresses.http);
	// Behind the TCP proxy, the backend's sidecar sees requests like any others.
	assert.equal(status.store.spans, 4 * REQUESTS + CONNECTIONS);
	assert.equal(status.store.logs, 8 * REQUESTS + 3 * CONNECTIONS);
	assert.deepEqual(status.ingest.traces.droppedRecords, {});
	assert.deepEqual(status.ingest.traces.refusedBatches, {});
	assert.deepEqual(status.ingest.logs.droppedRecords, {});
	assert.deepEqual(status.ingest.logs.refusedBatches, {});
});
