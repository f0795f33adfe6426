import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import { MeshscopeError } from "../../model/errors.ts";
import { WireError } from "../../model/protobuf/reader.ts";
import { decodeProtobuf, logsOf } from "../../test/interop/otlp.ts";
import { NO_IDENTITY, alsPayload } from "./envoy-als-identity.ts";
import { envoyAlsToProtobuf } from "./envoy-als.ts";
import { DEFAULT_LIMITS } from "./limits.ts";

const numRuns = Number(process.env["MESHSCOPE_FUZZ_CASES"] ?? 3_000);

/** Sources: the .proto files that the modules name, cut to the fields used here. */
const MESSAGE = protobuf
	.parse(
		`syntax = "proto3";
		message StreamAccessLogsMessage { Identifier identifier = 1; HttpLogs http_logs = 2; TcpLogs tcp_logs = 3; }
		message Identifier { Node node = 1; string log_name = 2; }
		message Node { string id = 1; string cluster = 2; Struct metadata = 3; Locality locality = 4; string user_agent_name = 6;
			repeated Extension extensions = 9; }
		message Extension { string name = 1; }
		message Locality { string region = 1; string zone = 2; }
		message Struct { map<string, Value> fields = 1; }
		message Value { oneof kind { double number_value = 2; string string_value = 3; Struct struct_value = 5; } }
		message HttpLogs { repeated HttpEntry log_entry = 1; }
		message TcpLogs { repeated TcpEntry log_entry = 1; }
		message HttpEntry { Common common_properties = 1; int32 protocol_version = 2; Request request = 3; Response response = 4; }
		message TcpEntry { Common common_properties = 1; Connection connection_properties = 2; }
		message Connection { uint64 received_bytes = 1; uint64 sent_bytes = 2; }
		message Common {
			Address downstream_remote_address = 2; Address downstream_local_address = 3; Tls tls_properties = 4; Time start_time = 5;
			Time time_to_last_downstream_tx_byte = 12; Address upstream_remote_address = 13; string upstream_cluster = 15;
			Flags response_flags = 16; string upstream_transport_failure_reason = 18; string route_name = 19;
			Address downstream_direct_remote_address = 20; map<string, string> custom_tags = 22; Time duration = 23;
			uint32 upstream_request_attempt_count = 24; bool intermediate_log_entry = 27;
			string downstream_transport_failure_reason = 28; int32 access_log_type = 33; }
		message Time { int64 seconds = 1; int32 nanos = 2; }
		message Flags { bool no_healthy_upstream = 2; bool upstream_connection_failure = 6; Unauthorized unauthorized_details = 13;
			bool upstream_retry_limit_exceeded = 16; bool of_later_days = 90; }
		message Unauthorized { int32 reason = 1; }
		message Address { SocketAddress socket_address = 1; Pipe pipe = 2; Internal envoy_internal_address = 3; }
		message SocketAddress { string address = 2; uint32 port_value = 3; }
		message Pipe { string path = 1; uint32 mode = 2; }
		message Internal { string server_listener_name = 1; string endpoint_id = 2; }
		message Tls { int32 tls_version = 1; UInt32 tls_cipher_suite = 2; string tls_sni_hostname = 3;
			Certificate local_certificate_properties = 4; Certificate peer_certificate_properties = 5; string ja3_fingerprint = 7; }
		message UInt32 { uint32 value = 1; }
		message Certificate { repeated San subject_alt_name = 1; string subject = 2; string issuer = 3; }
		message San { oneof san { string uri = 1; string dns = 2; } }
		message Request { int32 request_method = 1; string scheme = 2; string authority = 3; string path = 5; string user_agent = 6;
			string request_id = 9; uint64 request_body_bytes = 12; map<string, string> request_headers = 13; }
		message Response { UInt32 response_code = 1; uint64 response_body_bytes = 3; map<string, string> response_headers = 4;
			map<string, string> response_trailers = 5; string response_code_details = 6; }`,
		{ keepCase: true },
	)
	.root.lookupType("StreamAccessLogsMessage");

type Fields = Readonly<Record<string, unknown>>;

function wire(message: Fields): Uint8Array<ArrayBuffer> {
	return Uint8Array.from(MESSAGE.encode(MESSAGE.fromObject(message)).finish());
}

interface Log {
	readonly resource: Readonly<Record<string, string>>;
	readonly attributes: Readonly<Record<string, string>>;
	readonly timeNs: string | undefined;
	readonly traceId: string | undefined;
}

function texts(attributes: readonly { key?: string; value?: { stringValue?: string } }[] | undefined): Record<string, string> {
	return Object.fromEntries((attributes ?? []).map(({ key = "", value }) => [key, value?.stringValue ?? ""]));
}

/** What is stored of a message, in the order of its resources, read by another decoder than meshscope's. */
function logs(message: Fields, identity = NO_IDENTITY): readonly Log[] {
	const { bytes, dropped } = envoyAlsToProtobuf(alsPayload(wire(message), identity).bytes, DEFAULT_LIMITS);
	assert.deepEqual(dropped, {});
	return logsOf(decodeProtobuf("logs", bytes)).map(({ resource, log }) => ({
		resource: texts(resource.attributes),
		attributes: texts(log.attributes),
		timeNs: log.timeUnixNano,
		traceId: log.traceId,
	}));
}

function http(common: Fields, rest: Fields = {}): Fields {
	return { http_logs: { log_entry: [{ common_properties: common, ...rest }] } };
}

const socket = (address: string, port: number) => ({ socket_address: { address, port_value: port } });
const FRONTEND = "spiffe://demo.local/ns/demo/sa/frontend";
const BACKEND = "spiffe://demo.local/ns/demo/sa/backend";
const NO_TLS = { downstream_tls_version: "-", downstream_peer_uri_san: "-", downstream_local_uri_san: "-" };

test("an HTTP entry becomes a log record with the documented attributes", () => {
	const [log, ...others] = logs({
		identifier: { node: { id: "n1", cluster: "backend", locality: { region: "r", zone: "z1" } }, log_name: "inbound" },
		...http(
			{
				downstream_remote_address: socket("203.0.113.9", 1),
				downstream_local_address: socket("fd00::2", 15006),
				downstream_direct_remote_address: socket("10.0.0.1", 40000),
				upstream_remote_address: socket("127.0.0.1", 8080),
				upstream_cluster: "app",
				start_time: { seconds: 1_790_000_000, nanos: 123_456_789 },
				duration: { seconds: 1, nanos: 250_000 },
				time_to_last_downstream_tx_byte: { nanos: 1 },
				upstream_request_attempt_count: 2,
				response_flags: {
					upstream_connection_failure: true,
					upstream_retry_limit_exceeded: true,
					unauthorized_details: {},
				},
				route_name: "default",
				access_log_type: 6,
				tls_properties: {
					tls_version: 4,
					tls_cipher_suite: { value: 0x1302 },
					tls_sni_hostname: "backend.demo",
					local_certificate_properties: { subject_alt_name: [{ uri: BACKEND }], subject: "CN=backend" },
					peer_certificate_properties: {
						subject_alt_name: [{ uri: FRONTEND }, { dns: "frontend.demo" }, { uri: "urn:x" }],
						subject: "CN=frontend",
						issuer: "CN=demo authority",
					},
				},
			},
			{
				protocol_version: 3,
				request: {
					request_method: 3,
					scheme: "https",
					authority: "backend.demo",
					path: "/orders?id=1",
					user_agent: "curl",
					request_id: "3f1c",
					request_body_bytes: 17,
					request_headers: { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" },
				},
				response: {
					response_code: { value: 200 },
					response_body_bytes: 2 ** 40,
					response_trailers: { "grpc-status": "14" },
					response_code_details: "via_upstream",
				},
			},
		),
	});
	assert.deepEqual(others, []);
	assert.deepEqual(log!.resource, {
		"service.name": "backend",
		log_name: "inbound",
		node_name: "n1",
		cluster_name: "backend",
		zone_name: "z1",
		"meshscope.direction": "inbound",
	});
	assert.equal(log!.timeNs, "1790000000123456789");
	assert.equal(log!.traceId, "4bf92f3577b34da6a3ce929d0e0e4736");
	assert.deepEqual(log!.attributes, {
		log_type: "DownstreamEnd",
		protocol: "HTTP/2",
		method: "POST",
		scheme: "https",
		authority: "backend.demo",
		path: "/orders?id=1",
		user_agent: "curl",
		request_id: "3f1c",
		"http.request.header.traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		response_code: "200",
		response_code_details: "via_upstream",
		grpc_status: "14",
		response_flags: "UF,UAEX,URX",
		duration_ms: "1000.25",
		attempts: "2",
		bytes_received: "17",
		bytes_sent: "1099511627776",
		route_name: "default",
		upstream_cluster: "app",
		upstream_host: "127.0.0.1:8080",
		downstream_remote: "10.0.0.1:40000",
		downstream_local: "[fd00::2]:15006",
		requested_server_name: "backend.demo",
		downstream_tls_version: "TLSv1.3",
		downstream_tls_cipher: "TLS_AES_256_GCM_SHA384",
		downstream_peer_uri_san: `${FRONTEND},urn:x`,
		downstream_peer_dns_san: "frontend.demo",
		downstream_peer_subject: "CN=frontend",
		downstream_peer_issuer: "CN=demo authority",
		downstream_local_uri_san: BACKEND,
		downstream_local_subject: "CN=backend",
	});
});

test("a TCP entry becomes a record of a connection", () => {
	const [log] = logs({
		tcp_logs: {
			log_entry: [
				{
					common_properties: {
						upstream_cluster: "outbound|5432||db.demo.svc.cluster.local",
						upstream_transport_failure_reason: "TLS_error:|268435581",
						downstream_transport_failure_reason: "TLS_error:|1",
						duration: { nanos: 1_000_000 },
						access_log_type: 3,
					},
					connection_properties: { received_bytes: 5, sent_bytes: 7 },
				},
			],
		},
	});
	assert.deepEqual(log, {
		resource: { "meshscope.direction": "outbound" },
		attributes: {
			log_type: "TcpConnectionEnd",
			protocol: "TCP",
			response_flags: "-",
			duration_ms: "1",
			bytes_received: "5",
			bytes_sent: "7",
			upstream_cluster: "outbound|5432||db.demo.svc.cluster.local",
			upstream_tls_failure: "TLS_error:|268435581",
			downstream_tls_failure: "TLS_error:|1",
			...NO_TLS,
		},
		timeNs: undefined,
		traceId: undefined,
	});
});

test("TLS is reported by its version; no TLS properties are no TLS, a server name or fingerprint alone says nothing", () => {
	const tls = (properties?: Fields) => {
		const { attributes } = logs(http(properties === undefined ? {} : { tls_properties: properties }))[0]!;
		return [attributes["downstream_tls_version"], attributes["downstream_peer_uri_san"]];
	};
	assert.deepEqual(tls(), ["-", "-"]);
	assert.deepEqual(tls({ tls_sni_hostname: "x" }), [undefined, "-"]);
	assert.deepEqual(tls({ ja3_fingerprint: "x" }), [undefined, "-"]);
	assert.deepEqual(
		[1, 2, 3, 4].map((version) => tls({ tls_version: version, peer_certificate_properties: {} })),
		["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"].map((name) => [name, "-"]),
	);
	assert.deepEqual(tls({ tls_version: 9 }), [undefined, "-"]);
	const cipher = (value: number) =>
		logs(http({ tls_properties: { tls_cipher_suite: { value } } }))[0]!.attributes["downstream_tls_cipher"];
	assert.deepEqual([0xc02f, 0xcca8, 0x1301, 0xabc].map(cipher), [
		...["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305", "TLS_AES_128_GCM_SHA256", "0x0ABC"],
	]);
});

test("the service is the canonical name, the app label, the workload or the node's cluster, in this order", () => {
	const value = (entry: unknown): Fields =>
		typeof entry === "string"
			? { string_value: entry }
			: { struct_value: { fields: Object.fromEntries(Object.entries(entry as Fields).map(([k, v]) => [k, value(v)])) } };
	const resource = (metadata: Fields) => {
		const node = { id: "id", cluster: "cluster", metadata: value(metadata)["struct_value"] };
		return logs({ identifier: { node, log_name: "l" }, ...http({}) })[0]!.resource;
	};
	const labels = { app: "app", "app.kubernetes.io/name": "named", "service.istio.io/canonical-name": "canonical", other: "x" };
	const all = { NAMESPACE: "ns", WORKLOAD_NAME: "web-v1", CLUSTER_ID: "c1", LABELS: labels, OTHER: { app: "no" } };
	assert.deepEqual(resource(all), {
		"service.name": "canonical",
		"service.namespace": "ns",
		"k8s.workload.name": "web-v1",
		"k8s.cluster.name": "c1",
		log_name: "l",
		node_name: "id",
		cluster_name: "cluster",
	});
	const { "service.istio.io/canonical-name": _, ...named } = labels;
	assert.equal(resource({ ...all, LABELS: named })["service.name"], "named");
	assert.equal(resource({ ...all, LABELS: { app: "app" } })["service.name"], "app");
	assert.equal(resource({ ...all, LABELS: {} })["service.name"], "web-v1");
	assert.equal(resource({ LABELS: { app: "" } })["service.name"], "cluster");
});

test("the side is Istio's cluster name, else the log's name; custom tags of the resource's names come first", () => {
	const direction = (cluster: string, logName: string, tags: Fields = {}) =>
		logs({ identifier: { log_name: logName }, ...http({ upstream_cluster: cluster, custom_tags: tags }) })[0]!.resource[
			"meshscope.direction"
		];
	assert.equal(direction("inbound|80||", "outbound"), "inbound");
	assert.equal(direction("inbound-vip|80|http|a.b.svc.cluster.local", "x"), "inbound");
	assert.equal(direction("InboundPassthroughClusterIpv4", ""), "inbound");
	assert.equal(direction("outbound|80||a.b.svc.cluster.local", "inbound"), "outbound");
	assert.equal(direction("PassthroughCluster", ""), "outbound");
	assert.equal(direction("backend", "als-outbound"), "outbound");
	assert.equal(direction("backend", "inbounds"), undefined);
	const [log] = logs({
		identifier: { node: { cluster: "demo" }, log_name: "outbound" },
		...http({
			custom_tags: {
				"service.name": "web",
				"meshscope.direction": "inbound",
				tier: "gold",
				upstream_tls_version: "TLSv1.3",
			},
		}),
	});
	assert.deepEqual(log!.resource, {
		"service.name": "web",
		log_name: "outbound",
		cluster_name: "demo",
		"meshscope.direction": "inbound",
	});
	assert.equal(log!.attributes["tier"], "gold");
	assert.equal(log!.attributes["upstream_tls_version"], "TLSv1.3");
	assert.equal(log!.attributes["service.name"], undefined);
});

test("entries of one message are gathered by what they say of their proxy", () => {
	const entry = (cluster: string) => ({ common_properties: { upstream_cluster: cluster } });
	const found = logs({ http_logs: { log_entry: ["inbound|1||", "outbound|2||a", "inbound|3||", "x"].map(entry) } });
	assert.deepEqual(
		found.map(({ resource, attributes }) => [resource["meshscope.direction"], attributes["upstream_cluster"]]),
		[
			["inbound", "inbound|1||"],
			["inbound", "inbound|3||"],
			["outbound", "outbound|2||a"],
			[undefined, "x"],
		],
	);
});

test("the trace is that of a tag, of traceparent or of B3; anything else is none", () => {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736";
	const trace = (headers: Fields, tags: Fields = {}) =>
		logs(http({ custom_tags: tags }, { request: { request_headers: headers } }))[0]!.traceId;
	assert.equal(trace({}, { trace_id: id }), id);
	assert.equal(trace({ b3: `${id}-00f067aa0ba902b7-1` }), id);
	assert.equal(trace({ "x-b3-traceid": id.slice(16) }), id.slice(16).padStart(32, "0"));
	for (const header of ["", `00-${id.slice(1)}-00f067aa0ba902b7-01`, `00-${"0".repeat(32)}-00f067aa0ba902b7-01`, id]) {
		assert.equal(trace({ traceparent: header }), undefined, header);
	}
});

test("an entry that is not the last of its request says so, also from builds before the log type", () => {
	const type = (common: Fields) => logs(http(common))[0]!.attributes["log_type"];
	assert.equal(type({ access_log_type: 5 }), "DownstreamPeriodic");
	assert.equal(type({ intermediate_log_entry: true }), "DownstreamPeriodic");
	assert.equal(type({}), undefined);
	assert.equal(type({ access_log_type: 99 }), "99");
	const tcp = { tcp_logs: { log_entry: [{ common_properties: { intermediate_log_entry: true } }] } };
	assert.equal(logs(tcp)[0]!.attributes["log_type"], "TcpPeriodic");
});

test("addresses are printed as Envoy prints them", () => {
	const host = (address: Fields) => logs(http({ upstream_remote_address: address }))[0]!.attributes["upstream_host"];
	assert.equal(host({ pipe: { path: "/run/app.sock", mode: 384 } }), "/run/app.sock");
	assert.equal(
		host({ envoy_internal_address: { server_listener_name: "connect_originate", endpoint_id: "10.0.0.1:80" } }),
		"envoy://connect_originate/10.0.0.1:80",
	);
	assert.equal(host({}), undefined);
});

test("only the first message says who sends; a node of any size leaves at most a few hundred bytes", () => {
	const extensions = Array.from({ length: 2_000 }, (_, i) => ({ name: `envoy.extension.number.${i}` }));
	const node = { id: "n", cluster: "c".repeat(100_000), extensions };
	const first = alsPayload(wire({ identifier: { node, log_name: "l" }, ...http({}) }), NO_IDENTITY);
	assert.ok(first.identity.length < 1_000, String(first.identity.length));
	const second = alsPayload(wire(http({ upstream_cluster: "x" })), first.identity);
	assert.equal(second.identity, first.identity);
	const [log] = logs(http({ upstream_cluster: "x" }), first.identity);
	assert.equal(log!.resource["node_name"], "n");
	assert.equal(log!.resource["service.name"], "c".repeat(256));
	const silent = alsPayload(wire({ identifier: { log_name: "l" } }), NO_IDENTITY);
	assert.equal(silent.bytes.length, silent.identity.length, "an identifier alone holds no entry");
});

test("a malformed entry costs itself, a malformed message the batch", () => {
	const good = wire(http({ upstream_cluster: "x" }));
	// log_entry { common_properties: a length beyond its end }
	const bad = Uint8Array.of(0x12, 4, 0x0a, 2, 0x0a, 0x7f);
	const result = envoyAlsToProtobuf(Uint8Array.from([...good, ...bad, ...good]), DEFAULT_LIMITS);
	assert.deepEqual(result.dropped, { malformed_record: 1 });
	assert.equal(logsOf(decodeProtobuf("logs", result.bytes)).length, 2);
	const future = wire(http({ start_time: { seconds: "99999999999" } }));
	assert.deepEqual(envoyAlsToProtobuf(future, DEFAULT_LIMITS).dropped, { malformed_record: 1 });
	const small = { ...DEFAULT_LIMITS, maxRecordBytes: 4 };
	assert.deepEqual(envoyAlsToProtobuf(good, small).dropped, { record_too_large: 1 });
	assert.throws(
		() => envoyAlsToProtobuf(Uint8Array.from([...good, 0x12, 99]), DEFAULT_LIMITS),
		(error) => error instanceof MeshscopeError && error.code === "malformed_payload",
	);
	assert.throws(() => alsPayload(Uint8Array.of(0x12, 99), NO_IDENTITY), WireError);
	assert.throws(
		() => envoyAlsToProtobuf(Uint8Array.from([...good, ...good, ...good]), { ...DEFAULT_LIMITS, maxRecords: 2 }),
		(error) => error instanceof MeshscopeError && error.code === "payload_too_large",
	);
});

test("damaged and random messages are converted, dropped in part or refused, and never anything else", () => {
	const sample = wire({
		identifier: {
			node: { id: "n", cluster: "c", metadata: { fields: { NAMESPACE: { string_value: "ns" } } } },
			log_name: "l",
		},
		...http(
			{
				tls_properties: { tls_version: 4, peer_certificate_properties: { subject_alt_name: [{ uri: FRONTEND }] } },
				upstream_remote_address: socket("10.0.0.1", 80),
				custom_tags: { a: "b" },
				start_time: { seconds: 1 },
			},
			{ request: { request_headers: { a: "b" } }, response: { response_code: { value: 200 } } },
		),
		tcp_logs: { log_entry: [{ connection_properties: { sent_bytes: 1 } }] },
	});
	const attempt = (bytes: Uint8Array) => {
		try {
			decodeProtobuf("logs", envoyAlsToProtobuf(alsPayload(bytes, NO_IDENTITY).bytes, DEFAULT_LIMITS).bytes);
		} catch (error) {
			assert.ok(error instanceof MeshscopeError || error instanceof WireError, String(error));
		}
	};
	fc.assert(
		fc.property(fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 5 }), (edits) => {
			const damaged = Uint8Array.from(sample);
			for (const [at, byte] of edits) damaged[at % damaged.length] = byte;
			attempt(damaged);
		}),
		{ numRuns },
	);
	fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), attempt), { numRuns });
});
