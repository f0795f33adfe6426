/**
 * A real Envoy as the sidecars of a small mesh, for tests of the graph: every kind of edge that proxies can tell apart, with the
 * applications at both ends. The one who starts it owns the folder it is given, and stops it.
 *
 * | edge | what is special about it |
 * | --- | --- |
 * | shop → cart | mutual TLS |
 * | shop → legacy | plaintext |
 * | shop → ledger | gRPC over mutual TLS |
 * | shop → flaky | a failed try is repeated, twice at most; one span for all tries |
 * | shop → brittle | the same with a span of its own for each try |
 * | shop → crowded | plaintext; a failed try is to be repeated, and there is no room for any retry |
 * | shop → impostor | whoever answers is not whom the certificate must name, so that every handshake fails |
 * | shop → silent | plaintext to a service without a sidecar |
 * | batch → cart | mutual TLS from a service without a sidecar |
 */
import * as grpc from "@grpc/grpc-js";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { RequestOptions } from "node:https";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { issueCertificate } from "../certificates.ts";
import type { Issued } from "../certificates.ts";
import { freePorts, portOf, runEnvoy } from "./run.ts";
import type { EnvoyProcess } from "./run.ts";

export type MeshTarget = "cart" | "legacy" | "ledger" | "flaky" | "brittle" | "crowded" | "impostor" | "silent";

export interface Answered {
	/** HTTP status; 0 where gRPC answers. */
	readonly status: number;
	/** gRPC status; -1 where HTTP answers. */
	readonly grpcStatus: number;
	readonly durationMs: number;
}

export interface RunningMesh {
	/** From the application "shop" through its sidecar. */
	send(target: Exclude<MeshTarget, "ledger">, urlPath: string): Promise<Answered>;
	/** A gRPC call to "ledger", which answers with this status. */
	call(grpcStatus: number): Promise<Answered>;
	/** From "batch", which has a certificate and no sidecar, to the sidecar of "cart". */
	sendFromBatch(urlPath: string): Promise<Answered>;
	/** When the certificate of each workload expires. */
	readonly notAfter: ReadonlyMap<string, Date>;
	stop(): Promise<void>;
}

/** SPIFFE id of a workload of this mesh. */
export function identityOf(workload: string): string {
	return `spiffe://demo.local/ns/demo/sa/${workload}`;
}

/** Workloads that have a certificate. */
const CERTIFIED = ["shop", "cart", "ledger", "flaky", "brittle", "batch"] as const;
type Certified = (typeof CERTIFIED)[number];
const TRIES = 3;

/** @param targets `host:port` of the OTLP receivers */
export async function startMesh(
	binary: string,
	folder: string,
	targets: { readonly otlpGrpc: string; readonly otlpHttp: string },
): Promise<RunningMesh> {
	const certificates = await writeCertificates(folder);
	const app = await startApp();
	const ledger = await startLedger();
	const ports = await freePorts(14);
	const port = (i: number): number => ports[i]!;
	const out: Readonly<Record<MeshTarget, number>> = {
		cart: port(0),
		legacy: port(1),
		ledger: port(2),
		flaky: port(3),
		brittle: port(4),
		impostor: port(5),
		silent: port(6),
		crowded: port(12),
	};
	const inPorts = { cart: port(7), legacy: port(8), ledger: port(9), flaky: port(10), brittle: port(11), crowded: port(13) };
	const retry = {
		retry_on: "5xx",
		num_retries: TRIES - 1,
		retry_back_off: { base_interval: "0.001s", max_interval: "0.002s" },
	};
	const config = {
		node: { id: "n1", cluster: "demo" },
		admin: { address: address(0) },
		layered_runtime: {
			layers: [
				{
					name: "static",
					static_layer: { "tracing.opentelemetry.min_flush_spans": 1, "tracing.opentelemetry.flush_interval_ms": 200 },
				},
			],
		},
		static_resources: {
			listeners: [
				listener("OUTBOUND", out.cart, "shop", "cart"),
				listener("OUTBOUND", out.legacy, "shop", "legacy"),
				listener("OUTBOUND", out.ledger, "shop", "ledger"),
				listener("OUTBOUND", out.flaky, "shop", "flaky", { retry }),
				listener("OUTBOUND", out.brittle, "shop", "brittle", { retry, ownSpanATry: true }),
				listener("OUTBOUND", out.crowded, "shop", "crowded", { retry }),
				listener("OUTBOUND", out.impostor, "shop", "impostor"),
				listener("OUTBOUND", out.silent, "shop", "silent"),
				listener("INBOUND", inPorts.cart, "cart", "app", { tls: serverTls(folder, "cart") }),
				listener("INBOUND", inPorts.legacy, "legacy", "app"),
				listener("INBOUND", inPorts.crowded, "crowded", "app"),
				listener("INBOUND", inPorts.ledger, "ledger", "ledger-app", { tls: serverTls(folder, "ledger") }),
				listener("INBOUND", inPorts.flaky, "flaky", "app", { tls: serverTls(folder, "flaky") }),
				listener("INBOUND", inPorts.brittle, "brittle", "app", { tls: serverTls(folder, "brittle") }),
			],
			clusters: [
				cluster("cart", inPorts.cart, { tls: clientTls(folder, "cart") }),
				cluster("legacy", inPorts.legacy),
				cluster("ledger", inPorts.ledger, { tls: clientTls(folder, "ledger"), http2: true }),
				cluster("flaky", inPorts.flaky, { tls: clientTls(folder, "flaky") }),
				cluster("brittle", inPorts.brittle, { tls: clientTls(folder, "brittle") }),
				cluster("crowded", inPorts.crowded, { maxRetries: 0 }),
				cluster("impostor", inPorts.cart, { tls: clientTls(folder, "impostor") }),
				cluster("silent", app.port),
				cluster("app", app.port),
				cluster("ledger-app", ledger.port, { http2: true }),
				cluster("otlp_grpc", portOf(targets.otlpGrpc), { http2: true }),
			],
		},
	};
	let envoy: EnvoyProcess;
	try {
		envoy = await runEnvoy(binary, folder, "mesh.json", JSON.stringify(config));
	} catch (error) {
		await Promise.all([app.stop(), ledger.stop()]);
		throw error;
	}
	const grpcClient = new grpc.Client(`127.0.0.1:${out.ledger}`, grpc.credentials.createInsecure(), {
		"grpc.enable_retries": 0,
	});
	const batch = certificates.get("batch")!;
	return {
		send: (target, urlPath) => sendHttp(httpRequest, { host: "127.0.0.1", port: out[target], path: urlPath }),
		call: (grpcStatus) => callLedger(grpcClient, grpcStatus),
		sendFromBatch: (urlPath) =>
			sendHttp(httpsRequest, {
				host: "127.0.0.1",
				port: inPorts.cart,
				path: urlPath,
				cert: batch.certificatePem,
				key: batch.keyPem,
				ca: certificates.get("authority")!.certificatePem,
				// The sidecar's certificate names a workload, not a host.
				checkServerIdentity: () => undefined,
			}),
		notAfter: new Map([...certificates].map(([workload, { notAfter }]) => [workload, notAfter])),
		async stop() {
			grpcClient.close();
			await envoy.stop();
			await Promise.all([app.stop(), ledger.stop()]);
		},
	};
}

function address(port: number): object {
	return { socket_address: { address: "127.0.0.1", port_value: port } };
}

/** As docs/topology.md asks for. */
const TAGS = [
	{ tag: "meshscope.tls.reported", literal: { value: "1" } },
	...["downstream", "upstream"].flatMap((leg) =>
		[
			["tls.version", "TLS_VERSION"],
			["peer.uri_san", "PEER_URI_SAN"],
			["local.uri_san", "LOCAL_URI_SAN"],
			["peer.cert_end", "PEER_CERT_V_END"],
		].map(([name, operator]) => ({ tag: `meshscope.${leg}.${name}`, value: `%${leg.toUpperCase()}_${operator}%` })),
	),
	{ tag: "meshscope.upstream.tls.failure", value: "%UPSTREAM_TRANSPORT_FAILURE_REASON%" },
];

function listener(
	direction: "INBOUND" | "OUTBOUND",
	port: number,
	service: string,
	clusterName: string,
	more: { readonly tls?: object; readonly retry?: object; readonly ownSpanATry?: boolean } = {},
): object {
	const route = {
		match: { prefix: "/" },
		route: { cluster: clusterName, ...(more.retry === undefined ? {} : { retry_policy: more.retry }) },
	};
	const manager = {
		"@type": `${HTTP_TYPE}.http_connection_manager.v3.HttpConnectionManager`,
		stat_prefix: `${service}_${clusterName}`,
		tracing: {
			random_sampling: { value: 100 },
			custom_tags: TAGS,
			...(more.ownSpanATry === true ? { spawn_upstream_span: true } : {}),
			provider: {
				name: "envoy.tracers.opentelemetry",
				typed_config: {
					"@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
					service_name: service,
					grpc_service: { envoy_grpc: { cluster_name: "otlp_grpc" }, timeout: "5s" },
				},
			},
		},
		http_filters: [
			{
				name: "envoy.filters.http.router",
				typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
			},
		],
		route_config: { virtual_hosts: [{ name: "v", domains: ["*"], routes: [route] }] },
	};
	return {
		name: `${direction}-${service}-${clusterName}`,
		traffic_direction: direction,
		address: address(port),
		filter_chains: [
			{
				...(more.tls === undefined ? {} : { transport_socket: more.tls }),
				filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }],
			},
		],
	};
}

const HTTP_TYPE = "type.googleapis.com/envoy.extensions.filters.network";
const TLS_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";

function cluster(
	name: string,
	port: number,
	more: { readonly tls?: object; readonly http2?: boolean; readonly maxRetries?: number } = {},
): object {
	return {
		name,
		...(more.maxRetries === undefined ? {} : { circuit_breakers: { thresholds: [{ max_retries: more.maxRetries }] } }),
		load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }] },
		...(more.tls === undefined ? {} : { transport_socket: more.tls }),
		...(more.http2 === true
			? {
					typed_extension_protocol_options: {
						"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
							"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
							explicit_http_config: { http2_protocol_options: {} },
						},
					},
				}
			: {}),
	};
}

function certificateFiles(folder: string, workload: Certified): object {
	return {
		certificate_chain: { filename: path.join(folder, "certificates", `${workload}.crt`) },
		private_key: { filename: path.join(folder, "certificates", `${workload}.key`) },
	};
}

function serverTls(folder: string, workload: Certified): object {
	return {
		name: "envoy.transport_sockets.tls",
		typed_config: {
			"@type": `${TLS_TYPE}.DownstreamTlsContext`,
			require_client_certificate: true,
			common_tls_context: {
				tls_certificates: [certificateFiles(folder, workload)],
				validation_context: { trusted_ca: { filename: path.join(folder, "certificates", "authority.crt") } },
				alpn_protocols: ["h2", "http/1.1"],
			},
		},
	};
}

/** As "shop", to whom must be `workload`. */
function clientTls(folder: string, workload: string): object {
	return {
		name: "envoy.transport_sockets.tls",
		typed_config: {
			"@type": `${TLS_TYPE}.UpstreamTlsContext`,
			sni: `${workload}.demo`,
			common_tls_context: {
				tls_params: { tls_maximum_protocol_version: "TLSv1_3" },
				tls_certificates: [certificateFiles(folder, "shop")],
				validation_context: {
					trusted_ca: { filename: path.join(folder, "certificates", "authority.crt") },
					match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: identityOf(workload) } }],
				},
			},
		},
	};
}

async function writeCertificates(folder: string): Promise<ReadonlyMap<string, Issued>> {
	const target = path.join(folder, "certificates");
	await mkdir(target, { recursive: true });
	const dayMs = 86_400_000;
	const wholeSecondMs = Math.floor(Date.now() / 1_000) * 1_000;
	const notBefore = new Date(wholeSecondMs - dayMs);
	const authority = issueCertificate({
		commonName: "demo authority",
		notBefore,
		notAfter: new Date(wholeSecondMs + 90 * dayMs),
	});
	const issued = new Map<string, Issued>([["authority", authority]]);
	await writeFile(path.join(target, "authority.crt"), authority.certificatePem);
	for (const [i, workload] of CERTIFIED.entries()) {
		const certificate = issueCertificate({
			commonName: workload,
			uris: [identityOf(workload)],
			notBefore,
			notAfter: new Date(wholeSecondMs + (10 + i) * dayMs),
			issuer: authority,
		});
		issued.set(workload, certificate);
		await writeFile(path.join(target, `${workload}.crt`), certificate.certificatePem);
		await writeFile(path.join(target, `${workload}.key`), certificate.keyPem, { mode: 0o600 });
	}
	return issued;
}

interface App {
	readonly port: number;
	stop(): Promise<void>;
}

/**
 * What every HTTP sidecar stands before. `/ms/N/…` answers after N ms, `/fail/…` with 500; `/fails/N/…` with 503 to the first N tries
 * of that path.
 */
async function startApp(): Promise<App> {
	const triesOf = new Map<string, number>();
	const server = createServer((incoming, response) => {
		const url = incoming.url ?? "";
		const [, what, number] = url.split("/");
		const tries = (triesOf.get(url) ?? 0) + 1;
		triesOf.set(url, tries);
		const status = what === "fail" ? 500 : what === "fails" && tries <= Number(number) ? 503 : 200;
		const answer = (): void => void response.writeHead(status, { "content-type": "text/plain" }).end("ok\n");
		if (what === "ms") setTimeout(answer, Number(number));
		else answer();
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		port: (server.address() as AddressInfo).port,
		async stop() {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

const BYTES = (bytes: Buffer): Buffer => bytes;
const POST_PATH = "/demo.Ledger/Post";

/** Answers with the gRPC status that its one-byte request asks for. */
async function startLedger(): Promise<App> {
	const server = new grpc.Server();
	server.addService(
		{
			post: {
				path: POST_PATH,
				requestStream: false,
				responseStream: false,
				requestSerialize: BYTES,
				requestDeserialize: BYTES,
				responseSerialize: BYTES,
				responseDeserialize: BYTES,
			},
		},
		{
			post: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
				const code = call.request[0] ?? 0;
				if (code === 0) done(null, Buffer.from("ok"));
				else done({ code, details: "as asked for" });
			},
		},
	);
	const port = await new Promise<number>((resolve, reject) => {
		server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
			error === null ? resolve(bound) : reject(error),
		);
	});
	return {
		port,
		async stop() {
			server.forceShutdown();
		},
	};
}

function callLedger(client: grpc.Client, grpcStatus: number): Promise<Answered> {
	const startedMs = performance.now();
	return new Promise((resolve) => {
		client.makeUnaryRequest(
			POST_PATH,
			BYTES,
			BYTES,
			Buffer.from([grpcStatus]),
			{ deadline: Date.now() + 10_000 },
			(error) => {
				resolve({ status: 0, grpcStatus: error?.code ?? 0, durationMs: performance.now() - startedMs });
			},
		);
	});
}

function sendHttp(send: typeof httpRequest | typeof httpsRequest, options: RequestOptions): Promise<Answered> {
	const startedMs = performance.now();
	return new Promise((resolve, reject) => {
		const outgoing = send({ ...options, headers: { host: "mesh.demo", "user-agent": "interop-test" } }, (response) => {
			response.resume();
			response.on("end", () =>
				resolve({ status: response.statusCode ?? 0, grpcStatus: -1, durationMs: performance.now() - startedMs }),
			);
		});
		outgoing.on("error", reject);
		outgoing.end();
	});
}
