import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EXTERNAL, UNKNOWN, serviceEndpoint } from "../endpoint.ts";
import type { LegTls, LogAttributes, LogFacts } from "../facts.ts";
import {
	ACCESS_LOG_KEYS,
	ACCESS_LOG_NUMBERS,
	ACCESS_LOG_RESOURCE_KEYS,
	isAccessLogKey,
	logFacts,
	logNumbers,
	reducedLogValue,
} from "./access-log.ts";
import { ztunnelAttributes } from "./ztunnel-log.ts";

type Texts = Readonly<Record<string, string>>;

/** Rule 0, and what was read. */
function attributes(texts: Texts, asked: Set<string> = new Set()): LogAttributes {
	const has = (key: string): boolean => (asked.add(key), Object.hasOwn(texts, key));
	return {
		has,
		get: (key) => (has(key) && !["", "-", "unknown"].includes(texts[key]!) ? texts[key] : undefined),
	};
}

function facts(resource: Texts, record: Texts): LogFacts | undefined {
	return logFacts({ resource: attributes(resource), attributes: attributes(record) });
}

const FRONTEND = "spiffe://demo.local/ns/demo/sa/frontend";
const BACKEND = "spiffe://demo.local/ns/demo/sa/backend";
const OUTBOUND: Texts = { "service.name": "frontend", "service.namespace": "demo", "meshscope.direction": "outbound" };
const INBOUND: Texts = { "service.name": "backend", "service.namespace": "demo", "meshscope.direction": "inbound" };
const CLUSTER = "outbound|9080||backend.demo.svc.cluster.local";

/** As documented, with every field that was not used empty. */
const EMPTY: Texts = {
	log_type: "DownstreamEnd",
	response_code: "200",
	grpc_status: "-",
	response_flags: "-",
	attempts: "1",
	upstream_cluster: "-",
	upstream_host: "-",
	downstream_remote: "-",
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
const OUT: Texts = { ...EMPTY, upstream_cluster: CLUSTER, upstream_host: "10.1.0.2:9080" };
const IN: Texts = {
	...EMPTY,
	upstream_cluster: "inbound|9080||",
	upstream_host: "127.0.0.1:9080",
	downstream_remote: "10.1.0.1",
};
const OUT_TLS: Texts = {
	...OUT,
	upstream_tls_version: "TLSv1.3",
	upstream_peer_uri_san: BACKEND,
	upstream_local_uri_san: FRONTEND,
	upstream_peer_cert_end: "2026-09-01T00:00:00.000Z",
};
const IN_TLS: Texts = {
	...IN,
	downstream_tls_version: "TLSv1.2",
	downstream_tls_cipher: "ECDHE-RSA-AES128-GCM-SHA256",
	downstream_peer_uri_san: FRONTEND,
	downstream_local_uri_san: BACKEND,
	downstream_peer_cert_end: "2026-09-02T00:00:00Z",
	downstream_peer_issuer: "CN=demo authority",
};

function without(record: Texts, ...keys: readonly string[]): Texts {
	return Object.fromEntries(Object.entries(record).filter(([key]) => !keys.some((start) => key.startsWith(start))));
}

/** Rows of the table of mTLS findings that are about logs. */
const ROWS: readonly (readonly [rule: string, resource: Texts, record: Texts, expected: Partial<LegTls>])[] = [
	[
		"inbound: version and peer SAN are mutual TLS, verified by the server",
		INBOUND,
		IN_TLS,
		{
			status: "mutual_tls",
			version: "1.2",
			cipher: "ECDHE-RSA-AES128-GCM-SHA256",
			peerPrincipal: FRONTEND,
			localPrincipal: BACKEND,
			verifiedBy: "server",
			peerNotAfterMs: Date.UTC(2026, 8, 2),
			peerIssuer: "CN=demo authority",
		},
	],
	[
		"inbound: a subject alone is a peer certificate too",
		INBOUND,
		{ ...IN_TLS, downstream_peer_uri_san: "-", downstream_peer_subject: "CN=legacy,O=demo" },
		{ status: "mutual_tls", peerPrincipal: "CN=legacy,O=demo" },
	],
	[
		"inbound: of several SANs the SPIFFE id counts",
		INBOUND,
		{ ...IN_TLS, downstream_peer_uri_san: `urn:x,${FRONTEND}` },
		{ status: "mutual_tls", peerPrincipal: FRONTEND },
	],
	[
		"inbound: a version without a peer certificate is TLS",
		INBOUND,
		{ ...IN, downstream_tls_version: "TLSv1.3", downstream_local_uri_san: BACKEND },
		{ status: "tls", version: "1.3", peerPrincipal: "", verifiedBy: "server" },
	],
	[
		"inbound: a version where no peer field was configured is unknown",
		INBOUND,
		without({ ...IN, downstream_tls_version: "TLSv1.3" }, "downstream_peer"),
		{ status: "unknown", version: "1.3" },
	],
	["inbound: a field that was reported and is empty is plaintext", INBOUND, IN, { status: "plaintext", verifiedBy: "server" }],
	[
		"inbound: a field that was not reported is unknown",
		INBOUND,
		without(IN, "downstream_tls", "downstream_peer"),
		{ status: "unknown" },
	],
	[
		"inbound: the leg to the own application is never looked at",
		INBOUND,
		{ ...IN, upstream_tls_version: "TLSv1.3", upstream_peer_uri_san: BACKEND, upstream_local_uri_san: BACKEND },
		{ status: "plaintext" },
	],
	[
		"inbound: a handshake that failed is counted apart and is not plaintext",
		INBOUND,
		{ ...IN, log_type: "NotSet", protocol: "TCP", downstream_tls_failure: "TLS_error:|268435581:SSL routines" },
		{ status: "unknown", failure: "TLS_error:|268435581:SSL routines" },
	],
	[
		"outbound: version and both SANs are mutual TLS, verified by the client",
		OUTBOUND,
		OUT_TLS,
		{
			status: "mutual_tls",
			version: "1.3",
			peerPrincipal: BACKEND,
			localPrincipal: FRONTEND,
			verifiedBy: "client",
			peerNotAfterMs: Date.UTC(2026, 8, 1),
		},
	],
	[
		"outbound: a version without a local certificate is TLS",
		OUTBOUND,
		{ ...OUT_TLS, upstream_local_uri_san: "-" },
		{ status: "tls", peerPrincipal: BACKEND, verifiedBy: "client" },
	],
	[
		"outbound: a version where no local field was configured is unknown",
		OUTBOUND,
		without(OUT_TLS, "upstream_local"),
		{ status: "unknown", version: "1.3" },
	],
	[
		"outbound: reported and empty with an upstream host is plaintext",
		OUTBOUND,
		OUT,
		{ status: "plaintext", verifiedBy: "client" },
	],
	[
		"outbound: reported and empty without an upstream host is unknown",
		OUTBOUND,
		{ ...OUT, upstream_host: "-" },
		{ status: "unknown" },
	],
	["outbound: not reported is unknown", OUTBOUND, without(OUT, "upstream_tls_version"), { status: "unknown" }],
	...["UF", "UF,URX", "UH", "UO", "NR", "NC", "DF"].map(
		(flags) =>
			[
				`outbound: failed before connecting (${flags}) is unknown`,
				OUTBOUND,
				{ ...OUT, response_code: "503", response_flags: flags },
				{ status: "unknown", failure: "" },
			] as const,
	),
	[
		"outbound: a failed handshake is counted apart",
		OUTBOUND,
		{
			...OUT,
			response_code: "503",
			response_flags: "UF",
			upstream_tls_failure: "TLS_error:|268435581:SSL_routines:CERTIFICATE_VERIFY_FAILED",
		},
		{ status: "unknown", failure: "TLS_error:|268435581:SSL_routines:CERTIFICATE_VERIFY_FAILED" },
	],
	[
		"outbound: a refused connection is no failed handshake, though Envoy reports both in one field",
		OUTBOUND,
		{ ...OUT, response_code: "503", response_flags: "UF", upstream_tls_failure: "delayed_connect_error:_Connection_refused" },
		{ status: "unknown", failure: "" },
	],
	[
		"gRPC access log: where the tag says that tags report, an upstream version left out is plaintext",
		OUTBOUND,
		{ ...without(OUT, "upstream_tls", "upstream_peer", "upstream_local"), "meshscope.tls.reported": "1" },
		{ status: "plaintext" },
	],
];

for (const [rule, resource, record, expected] of ROWS) {
	test(`mTLS, ${rule}`, () => {
		const { tls } = facts(resource, record)!;
		assert.deepEqual({ ...tls, ...expected }, tls);
	});
}

test("outbound: from the resource's service to the upstream cluster, reported by the source", () => {
	assert.deepEqual(facts(OUTBOUND, OUT_TLS), {
		emitter: "istio",
		source: serviceEndpoint("frontend", "demo"),
		target: serviceEndpoint("backend", "demo"),
		reporter: "source",
		protocol: "http",
		unit: "requests",
		outcome: "ok",
		code: "200",
		flags: "",
		attempts: 1,
		tls: facts(OUTBOUND, OUT_TLS)!.tls,
		sourcePrincipal: FRONTEND,
		destinationPrincipal: BACKEND,
	});
});

test("inbound: from the peer's SAN to the resource's service, reported by the destination", () => {
	const { source, target, reporter, sourcePrincipal, destinationPrincipal } = facts(INBOUND, IN_TLS)!;
	assert.deepEqual([source, target], [serviceEndpoint("frontend", "demo"), serviceEndpoint("backend", "demo")]);
	assert.deepEqual([reporter, sourcePrincipal, destinationPrincipal], ["destination", FRONTEND, BACKEND]);
});

test("a caller without a certificate is its address, which is never a node of its own; loopback is nobody", () => {
	assert.deepEqual(facts(INBOUND, IN)!.source, { ...UNKNOWN, service: "10.1.0.1" });
	assert.deepEqual(facts(INBOUND, { ...IN, downstream_remote: "[fd00::7]:4711" })!.source, { ...UNKNOWN, service: "fd00::7" });
	for (const address of ["127.0.0.1:5000", "envoy://internal_client_address/", "-", "@/socket"]) {
		assert.equal(facts(INBOUND, { ...IN, downstream_remote: address })!.source, UNKNOWN);
	}
});

test("behind passthrough the target is whom the certificate names, else the address", () => {
	const passthrough = { upstream_cluster: "PassthroughCluster" };
	assert.deepEqual(facts(OUTBOUND, { ...OUT_TLS, ...passthrough })!.target, serviceEndpoint("backend", "demo"));
	assert.deepEqual(facts(OUTBOUND, { ...OUT, ...passthrough })!.target, { ...UNKNOWN, service: "10.1.0.2" });
	assert.equal(facts(OUTBOUND, { ...OUT, ...passthrough, upstream_host: "-" })!.target, UNKNOWN);
});

test("a record whose resource names nobody is placed by its own certificate, and states nothing where both ends stay unknown", () => {
	assert.deepEqual(facts({ "meshscope.direction": "outbound" }, OUT_TLS)!.source, serviceEndpoint("frontend", "demo"));
	assert.deepEqual(facts({ "meshscope.direction": "inbound" }, IN_TLS)!.target, serviceEndpoint("backend", "demo"));
	const unnamed = { "service.name": "unknown", "meshscope.direction": "inbound" };
	assert.equal(facts(unnamed, { ...IN, downstream_remote: "-" }), undefined);
});

test("Istio's service.namespace suffix is taken off only where the namespace is known", () => {
	const source = (resource: Texts) => facts({ "meshscope.direction": "outbound", ...resource }, OUT)!.source;
	assert.deepEqual(source({ "service.name": "web.shop", "service.namespace": "shop" }), serviceEndpoint("web", "shop"));
	assert.deepEqual(source({ "service.name": "web.shop" }), serviceEndpoint("web.shop"));
	assert.deepEqual(
		source({ "service.name": "web", "k8s.namespace.name": "shop", "k8s.workload.name": "web-v1", "k8s.cluster.name": "c1" }),
		serviceEndpoint("web", "shop", "web-v1", "c1"),
	);
});

test("the side is said by meshscope.direction, else by the cluster's name, else by a verified peer, else not at all", () => {
	const nameless = { "service.name": "x" };
	assert.equal(facts(nameless, OUT)!.reporter, "source");
	assert.equal(facts(nameless, IN)!.reporter, "destination");
	assert.equal(facts(nameless, { ...OUT, upstream_cluster: "backend" }), undefined);
	assert.equal(facts(nameless, { ...OUT_TLS, upstream_cluster: "backend" })!.reporter, "source");
	assert.equal(facts(nameless, { ...IN_TLS, upstream_cluster: "app" })!.reporter, "destination");
	assert.equal(facts(OUTBOUND, { ...OUT, upstream_cluster: "backend" })!.target.service, "backend");
});

test("a gateway's record is about what it calls, and it is a node of its own kind", () => {
	const edge = facts(
		{ "service.name": "edge", "meshscope.direction": "gateway" },
		{ ...OUT, upstream_cluster: "web", downstream_remote: "9.9.9.9" },
	)!;
	assert.deepEqual(edge.source, { ...serviceEndpoint("edge"), kind: "gateway" });
	assert.deepEqual([edge.target.service, edge.reporter, edge.emitter], ["web", "source", "envoy"]);
});

test("control planes' names of clusters are read as those of spans are", () => {
	const called = (upstream_cluster: string) => facts({ "service.name": "web" }, { ...OUT, upstream_cluster })!;
	const consul = called("api.team.dc1.internal.6c2b.consul");
	assert.deepEqual([consul.emitter, consul.target], ["consul", serviceEndpoint("api", "team")]);
	const kuma = called("backend_kuma-demo_svc_3001");
	assert.deepEqual([kuma.emitter, kuma.target], ["kuma", serviceEndpoint("backend", "kuma-demo")]);
	assert.equal(facts({ "service.name": "web" }, { ...IN, upstream_cluster: "local_app" })!.reporter, "destination");
});

test("what carries telemetry or goes to a control plane is no edge", () => {
	for (const upstream_cluster of ["outbound|4317||collector.demo.svc.cluster.local", "xds-grpc", "otel-collector:4317"])
		assert.equal(facts(OUTBOUND, { ...OUT, upstream_cluster }), undefined, upstream_cluster);
});

test("an account that all services of a namespace share names none: the address is left", () => {
	const shared = { ...IN_TLS, downstream_peer_uri_san: "spiffe://demo.local/ns/demo/sa/default" };
	const { source, sourcePrincipal, tls } = facts(INBOUND, shared)!;
	assert.deepEqual(source, { ...UNKNOWN, service: "10.1.0.1" });
	assert.deepEqual([sourcePrincipal, tls.status], [shared.downstream_peer_uri_san, "mutual_tls"]);
});

test("of addresses the port is left out, and callers with a public one are one", () => {
	assert.equal(reducedLogValue("upstream_host", "10.1.0.2:9080"), "10.1.0.2");
	assert.equal(reducedLogValue("dst.addr", "[fd00::7]:4711"), "fd00::7");
	assert.equal(reducedLogValue("upstream_host", "9.9.9.9:443"), "9.9.9.9");
	assert.equal(reducedLogValue("downstream_remote", "9.9.9.9:443"), "public");
	assert.equal(reducedLogValue("src.addr", "10.1.0.1:443"), "10.1.0.1");
	assert.equal(reducedLogValue("upstream_cluster", "a:1"), "a:1");
	assert.equal(facts(INBOUND, { ...IN, downstream_remote: "public" })!.source, EXTERNAL);
});

test("a waypoint's record is about the caller and the service behind it", () => {
	const waypoint = { ...IN_TLS, upstream_cluster: "inbound-vip|9080|http|reviews.demo.svc.cluster.local" };
	const { emitter, reporter, source, target } = facts({ "service.name": "waypoint" }, waypoint)!;
	assert.deepEqual([emitter, reporter], ["waypoint", "waypoint"]);
	assert.deepEqual([source, target], [serviceEndpoint("frontend", "demo"), serviceEndpoint("reviews", "demo")]);
});

test("only the last record about a request or connection is counted", () => {
	for (const type of ["DownstreamEnd", "TcpConnectionEnd", "NotSet", "-"])
		assert.ok(facts(OUTBOUND, { ...OUT, log_type: type }), type);
	assert.ok(facts(OUTBOUND, without(OUT, "log_type")), "no log_type");
	for (const type of [
		"DownstreamStart",
		"DownstreamPeriodic",
		"UpstreamEnd",
		"UpstreamPoolReady",
		"TcpPeriodic",
		"UdpSessionEnd",
	]) {
		assert.equal(facts(OUTBOUND, { ...OUT, log_type: type }), undefined, type);
	}
});

test("what is no access log states nothing", () => {
	assert.equal(facts(OUTBOUND, {}), undefined);
	assert.equal(facts(OUTBOUND, { response_code: "200", duration_ms: "5", path: "/" }), undefined);
	assert.equal(facts(OUTBOUND, without(OUT, "response_code")), undefined, "how it ended is not said");
	for (const key of ["response_code", "duration_ms", "message", "direction", "service.name"])
		assert.ok(!isAccessLogKey(key), key);
	for (const key of ["response_flags", "upstream_cluster", "src.addr"]) assert.ok(isAccessLogKey(key), key);
});

test("outcomes: HTTP by class, gRPC by status under HTTP 200, TCP by flags", () => {
	const result = (record: Texts) => {
		const { protocol, unit, outcome, code } = facts(OUTBOUND, { ...OUT, ...record })!;
		return [protocol, unit, outcome, code];
	};
	assert.deepEqual(result({ response_code: "302" }), ["http", "requests", "ok", "302"]);
	assert.deepEqual(result({ response_code: "404" }), ["http", "requests", "client_error", "404"]);
	assert.deepEqual(result({ response_code: "503" }), ["http", "requests", "server_error", "503"]);
	assert.deepEqual(result({ response_code: "504", response_flags: "UT" }), ["http", "requests", "server_error", "504"]);
	assert.deepEqual(result({ response_code: "503", response_flags: "UF,URX" }), ["http", "requests", "no_response", "503"]);
	for (const none of ["0", "-", "", "abc", "1e400"])
		assert.deepEqual(result({ response_code: none }), ["http", "requests", "no_response", ""]);
	assert.deepEqual(result({ grpc_status: "0" }), ["grpc", "requests", "ok", "grpc:0"]);
	assert.deepEqual(result({ grpc_status: "14" }), ["grpc", "requests", "server_error", "grpc:14"]);
	assert.deepEqual(result({ grpc_status: "NotFound" }), ["grpc", "requests", "client_error", "grpc:5"]);
	assert.deepEqual(result({ grpc_status: "DATA_LOSS" }), ["grpc", "requests", "server_error", "grpc:15"]);
	const tcp = { log_type: "TcpConnectionEnd", response_code: "0" };
	assert.deepEqual(result(tcp), ["tcp", "connections", "ok", ""]);
	assert.deepEqual(result({ ...tcp, response_flags: "UF,URX" }), ["tcp", "connections", "no_response", ""]);
	assert.deepEqual(result({ log_type: "-", protocol: "TCP" }), ["tcp", "connections", "ok", ""]);
});

test("tries are the outbound proxy's; what an inbound one tries again stays behind the edge", () => {
	assert.equal(facts(OUTBOUND, { ...OUT, attempts: "3" })!.attempts, 3);
	assert.equal(facts(OUTBOUND, { ...OUT, attempts: "0", upstream_host: "-" })!.attempts, 0);
	assert.equal(facts(OUTBOUND, { ...OUT, attempts: "many" })!.attempts, 1);
	assert.equal(facts(INBOUND, { ...IN, attempts: "3" })!.attempts, 1);
});

test("bytes from source to target are sent ones, whoever counted them", () => {
	const get = (texts: Texts) => (key: string) => texts[key];
	const counted = { duration_ms: "12.5", bytes_received: "100", bytes_sent: "2000" };
	for (const observed of [facts(OUTBOUND, OUT)!, facts(INBOUND, IN)!]) {
		assert.deepEqual(logNumbers(observed, get(counted)), { durationNs: 12_500_000, bytesSent: 100, bytesReceived: 2000 });
	}
	const nothing = { durationNs: 0, bytesSent: 0, bytesReceived: 0 };
	assert.deepEqual(
		logNumbers(facts(OUTBOUND, OUT)!, get({ duration_ms: "-", bytes_sent: "x", bytes_received: "-1" })),
		nothing,
	);
	const source = facts({}, ZTUNNEL_OUT)!;
	assert.deepEqual(logNumbers(source, get(ZTUNNEL_OUT)), { durationNs: 15e6, bytesSent: 84, bytesReceived: 358 });
	const destination = facts({}, ZTUNNEL_IN)!;
	assert.deepEqual(logNumbers(destination, get(ZTUNNEL_IN)), { durationNs: 15e6, bytesSent: 84, bytesReceived: 358 });
});

/** istio.io, "Verify mutual TLS is enabled". */
const ZTUNNEL_LINE =
	'2024-08-21T15:32:05.754291Z\tinfo\taccess\tconnection complete\tsrc.addr=10.42.0.9:33772 src.workload="sleep-7656cf8794-6lsm4" ' +
	'src.namespace="default" src.identity="spiffe://cluster.local/ns/default/sa/sleep" dst.addr=10.42.0.5:15008 ' +
	'dst.hbone_addr=10.42.0.5:9080 dst.service="details.default.svc.cluster.local" dst.workload="details-v1-857849f66-ft8wx" ' +
	'dst.namespace="default" dst.identity="spiffe://cluster.local/ns/default/sa/bookinfo-details" direction="outbound" ' +
	'bytes_sent=84 bytes_recv=358 duration="15ms"';
const ZTUNNEL_OUT: Texts = Object.fromEntries(ztunnelAttributes(ZTUNNEL_LINE)!);
const ZTUNNEL_IN: Texts = { ...ZTUNNEL_OUT, direction: "inbound", bytes_sent: "358", bytes_recv: "84" };

test("ztunnel: both ends by name, connections, mutual TLS proven by the destination and meant by the source", () => {
	const tls: LegTls = {
		status: "mutual_tls",
		peerPrincipal: "spiffe://cluster.local/ns/default/sa/bookinfo-details",
		localPrincipal: "spiffe://cluster.local/ns/default/sa/sleep",
		version: "",
		cipher: "",
		verifiedBy: "",
		peerNotAfterMs: undefined,
		peerIssuer: "",
		failure: "",
	};
	assert.deepEqual(facts({}, ZTUNNEL_OUT), {
		emitter: "ztunnel",
		source: serviceEndpoint("sleep", "default", "sleep"),
		target: serviceEndpoint("details", "default", "details-v1"),
		reporter: "source",
		protocol: "tcp",
		unit: "connections",
		outcome: "ok",
		code: "",
		flags: "",
		attempts: 1,
		tls,
		sourcePrincipal: tls.localPrincipal,
		destinationPrincipal: tls.peerPrincipal,
	});
	const inbound = facts({}, ZTUNNEL_IN)!;
	assert.deepEqual([inbound.reporter, inbound.tls.status, inbound.tls.verifiedBy], ["destination", "mutual_tls", "server"]);
	assert.equal(inbound.tls.peerPrincipal, tls.localPrincipal);
});

test("ztunnel: without identities nothing is known, plaintext least of all", () => {
	for (const record of [ZTUNNEL_OUT, ZTUNNEL_IN]) {
		const { tls, source, target } = facts({}, without(record, "src.identity", "dst.identity"))!;
		assert.equal(tls.status, "unknown");
		assert.deepEqual([source.service, target.service], ["sleep", "details"]);
	}
});

test("ztunnel: an opened connection is not counted, a failed one is, by what failed", () => {
	assert.equal(facts({}, without(ZTUNNEL_OUT, "duration", "bytes")), undefined);
	const failed = (error: string, record = ZTUNNEL_OUT) => {
		const { outcome, flags, tls } = facts({}, { ...record, error })!;
		return [outcome, flags, tls.status, tls.failure];
	};
	assert.deepEqual(failed("connection closed due to policy rejection: allow policies exist, but none allowed", ZTUNNEL_IN), [
		...["client_error", "DENY", "mutual_tls", ""],
	]);
	assert.deepEqual(failed("tls error: invalid peer certificate"), [
		...["no_response", "TLS_FAILURE", "unknown", "tls error: invalid peer certificate"],
	]);
	assert.deepEqual(failed("connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008"), [
		...["no_response", "CONNECT", "unknown", ""],
	]);
	assert.deepEqual(failed("http2 handshake failed: broken pipe"), ["no_response", "H2_HANDSHAKE_FAILURE", "unknown", ""]);
	assert.deepEqual(failed("io error: broken pipe"), ["server_error", "", "unknown", ""]);
	const denied = { "src.addr": "10.0.0.1:5", "dst.addr": "10.0.0.2:6", direction: "inbound", error: "unknown destination" };
	assert.deepEqual(facts({}, denied)!.target, { ...UNKNOWN, service: "10.0.0.2" });
});

test("ztunnel: JSON bodies, flat or nested, give the same attributes as text", () => {
	const numbers = { ...ZTUNNEL_OUT, bytes_sent: 84, bytes_recv: 358 };
	const flat = JSON.stringify({ level: "info", scope: "access", message: "connection complete", ...numbers });
	assert.deepEqual(Object.fromEntries(ztunnelAttributes(flat)!), ZTUNNEL_OUT);
	const nested: Record<string, unknown> = { src: {}, dst: {} };
	for (const [key, value] of Object.entries(numbers)) {
		const [outer, inner] = key.split(".");
		if (inner === undefined) nested[key] = value;
		else (nested[outer!] as Record<string, unknown>)[inner] = value;
	}
	assert.deepEqual(Object.fromEntries(ztunnelAttributes(JSON.stringify(nested))!), ZTUNNEL_OUT);
});

test("ztunnel: other bodies, large ones and deep ones give nothing", () => {
	for (const body of ["", "{", "src", '{"src.addr":1}', "[]", "access src.addr=1", '{"message":"the src of it"}']) {
		assert.equal(ztunnelAttributes(body), undefined, body);
	}
	assert.equal(ztunnelAttributes(ZTUNNEL_LINE + " ".repeat(10_000)), undefined);
	assert.equal(ztunnelAttributes(`{"src":${'{"src":'.repeat(900)}1${"}".repeat(901)}`), undefined);
});

const text = fc.oneof(
	fc.string({ maxLength: 40 }),
	fc.constantFrom(
		"-",
		"",
		"TLSv1.3",
		"inbound",
		"outbound",
		CLUSTER,
		BACKEND,
		"TcpConnectionEnd",
		"10.0.0.1:80",
		"tls error",
		"5ms",
	),
);
const KEYS = [...ACCESS_LOG_KEYS, ...ACCESS_LOG_NUMBERS, ...ACCESS_LOG_RESOURCE_KEYS];
const record = fc.dictionary(fc.constantFrom(...KEYS), text, { maxKeys: 20 });

test("whatever a record says, it is judged without fault and by the listed keys alone", () => {
	const listed = new Set([...ACCESS_LOG_KEYS, "duration"]);
	fc.assert(
		fc.property(record, record, (resource, own) => {
			const asked = new Set<string>();
			const askedOfResource = new Set<string>();
			const observed = logFacts({ resource: attributes(resource, askedOfResource), attributes: attributes(own, asked) });
			for (const key of asked) assert.ok(listed.has(key), key);
			for (const key of askedOfResource) assert.ok(ACCESS_LOG_RESOURCE_KEYS.has(key), key);
			if (observed === undefined) return;
			assert.ok(Object.keys(own).some(isAccessLogKey));
			const numbers = logNumbers(observed, (key) => (assert.ok(ACCESS_LOG_NUMBERS.has(key)), own[key]));
			for (const value of Object.values(numbers)) assert.ok(Number.isFinite(value) && value >= 0);
		}),
		{ numRuns: 2_000 },
	);
	fc.assert(fc.property(fc.string(), (body) => void ztunnelAttributes(`access src.addr=${body}`)));
});
