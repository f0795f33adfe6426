import assert from "node:assert/strict";
import { test } from "node:test";
import { hostEndpoint, isIpAddress, isPublicAddress, peerIp, withoutPort } from "./address.ts";
import { countOf, normalised, resourceAttributes, spanAttributes, weightOf } from "./attributes.ts";
import {
	ADDRESS_KEYS,
	EDGE_KEYS,
	EXPORT_KEYS,
	HOST_ONLY_KEYS,
	NUMBER_KEYS,
	REQUEST_ID_KEYS,
	reducedName,
	reducedValue,
} from "./keys.ts";
import { notAfterMs, tlsVersion } from "./leg-tls.ts";
import { flagsOf, grpcOutcome, grpcStatusOf, httpOutcome } from "./outcome.ts";
import { CLIENT, SERVER } from "./test-kit.ts";

test("rule 0: absent, empty, `-` and `unknown` are the same", () => {
	for (const nothing of [undefined, "", " ", "-", " - ", "unknown", "x".repeat(5000)])
		assert.equal(normalised(nothing), undefined);
	for (const [given, kept] of [
		["0", "0"],
		["unknown_service:envoy", "unknown_service:envoy"],
		[" a ", "a"],
		["--", "--"],
	] as const) {
		assert.equal(normalised(given), kept);
	}
});

test("rule 0: numeric strings are numbers, and nothing else is", () => {
	for (const [text, count] of [
		["0", 0],
		["503", 503],
		["-1", undefined],
		["1.5", undefined],
		["1e3", undefined],
		["", undefined],
		["9".repeat(16), undefined],
	] as const) {
		assert.equal(countOf(text), count, text);
	}
});

test("numbers and booleans are read as text, lists and maps not at all", () => {
	const attributes = spanAttributes(
		[
			{ key: "http.response.status_code", value: { intValue: "503" } },
			{ key: "tls.established", value: { boolValue: true } },
			{ key: "db.namespace", value: { arrayValue: { values: [{ stringValue: "a" }] } } },
			{ key: "db.name", value: {} },
			{ key: "peer.service" },
		],
		CLIENT,
	);
	assert.equal(attributes.get("http.response.status_code"), "503");
	assert.equal(attributes.get("tls.established"), "true");
	for (const key of ["db.namespace", "db.name", "peer.service"] as const) assert.equal(attributes.get(key), undefined);
});

test("of equal keys the last one holds, even where it says nothing", () => {
	const values = (second: string) => [
		{ key: "service.name", value: { stringValue: "a" } },
		{ key: "service.name", value: { stringValue: second } },
	];
	assert.equal(resourceAttributes(values("b")).get("service.name"), "b");
	assert.equal(resourceAttributes(values("-")).get("service.name"), undefined);
});

test("keys that no module reads are left behind", () => {
	const attributes: { get(key: string): string | undefined } = spanAttributes(
		[{ key: "user.id", value: { stringValue: "7" } }],
		CLIENT,
	);
	assert.equal(attributes.get("user.id"), undefined);
});

test("no key that differs from request to request is a key of profiles", () => {
	const keys = new Set<string>(EDGE_KEYS);
	for (const key of [...REQUEST_ID_KEYS, ...NUMBER_KEYS.requestBytes, ...NUMBER_KEYS.responseBytes])
		assert.equal(keys.has(key), false, key);
	for (const key of [
		"url.query",
		"http.route",
		"user_agent",
		"db.query.text",
		"db.statement",
		"network.peer.port",
		"server.port",
	])
		assert.equal(keys.has(key), false, key);
	assert.equal(keys.size, EDGE_KEYS.length);
});

test("of URLs the authority passes, of paths nothing, of addresses no port", () => {
	for (const key of HOST_ONLY_KEYS) {
		assert.equal(reducedValue(key, CLIENT, "https://u:p@a.example:8443/x/7?q=1#f"), "a.example:8443");
		assert.equal(reducedValue(key, SERVER, "https://a.example/x"), undefined);
	}
	for (const key of EXPORT_KEYS) {
		assert.equal(reducedValue(key, CLIENT, "/users/7"), undefined);
		assert.equal(reducedValue(key, CLIENT, "/v1/traces"), "/v1/traces");
	}
	for (const key of ADDRESS_KEYS) {
		assert.equal(reducedValue(key, CLIENT, "203.0.113.7:443"), "203.0.113.7");
		assert.equal(reducedValue(key, SERVER, "10.0.0.7:51234"), "10.0.0.7");
		assert.equal(reducedValue(key, SERVER, "[2001:db8::1]:51234"), "public");
	}
	assert.equal(reducedValue("service.peer.name", SERVER, "a:1/b"), "a:1/b");
	assert.equal(reducedValue("url.full", CLIENT, "http://c:4318/v1/traces?x"), "c:4318/v1/traces");
	assert.equal(reducedValue("url.full", CLIENT, "http://c/otlp/v1/logs"), "c/otlp/v1/logs");
});

test("of names those pass that tell emitters and roles apart", () => {
	for (const [name, passes] of [
		["kong", "kong"],
		["kong.balancer", "kong.balancer"],
		["kong.access.plugin.jwt", ""],
		["router outbound|80||a egress", "router egress"],
		["egress", "egress"],
		["egress backend.demo", "egress"],
		["egressive", ""],
		["async authz egress", "async egress"],
		["GET /users/7", ""],
		["/api/vote", ""],
		[
			"/opentelemetry.proto.collector.trace.v1.TraceService/Export",
			"/opentelemetry.proto.collector.trace.v1.TraceService/Export",
		],
	] as const) {
		assert.equal(reducedName(name), passes, name);
	}
});

test("a sampling threshold gives how many spans one stands for", () => {
	for (const [traceState, weight] of [
		["ot=th:0", 1],
		["ot=th:8", 2],
		["ot=th:c", 4],
		["vendor=x, ot=rv:1234567890abcd;th:c ,b=y", 4],
		["ot=th:fd70a3d70a3d71", 100],
		["ot=th:fffff", 2 ** 20],
		// Beyond, a sum of such weights would lose single requests, and any caller may send the header.
		["ot=th:fffff1", 0],
		["ot=th:ffffffffffffff", 0],
		["", 0],
		["ot=rv:1234567890abcd", 0],
		["ot=th:", 0],
		["ot=th:C", 0],
		["ot=th:123456789abcdef", 0],
		["other=th:8", 0],
		["xot=th:8", 0],
	] as const) {
		assert.ok(
			Math.abs(weightOf(traceState) - weight) < 1e-9 * weight || weightOf(traceState) === weight,
			`${traceState}: ${weightOf(traceState)}`,
		);
	}
});

test("ports are cut off addresses and nothing else is", () => {
	for (const [text, host] of [
		["a:80", "a"],
		["a", "a"],
		["[::1]:80", "::1"],
		["::1", "::1"],
		["a:b", "a:b"],
		["[x", "[x"],
		["envoy://internal_client_address/", "envoy://internal_client_address/"],
	] as const) {
		assert.equal(withoutPort(text), host);
	}
	assert.equal(peerIp("envoy://internal_client_address/"), "");
	assert.equal(peerIp("127.0.0.6:4711"), "");
	assert.equal(peerIp("10.0.0.256"), "");
	assert.equal(peerIp("FD00::A"), "fd00::a");
});

test("addresses are told from names, and public ones from private ones", () => {
	for (const address of ["1.2.3.4", "fe80::1%eth0", "::ffff:1.2.3.4", "2001:db8::1"]) assert.ok(isIpAddress(address), address);
	for (const name of ["1.2.3", "a.b.c.d", "256.1.1.1", "", "::g"]) assert.ok(!isIpAddress(name), name);
	for (const address of ["8.8.8.8", "172.32.0.1", "192.169.0.1", "100.128.0.1", "2001:db8::1"])
		assert.ok(isPublicAddress(address), address);
	for (const address of [
		"10.1.1.1",
		"172.16.0.1",
		"172.31.9.9",
		"192.168.1.1",
		"100.64.0.1",
		"169.254.1.1",
		"127.0.0.1",
		"fd00::1",
		"fe80::1",
		"::1",
		"::ffff:10.0.0.1",
		"name",
	]) {
		assert.ok(!isPublicAddress(address), address);
	}
});

test("what is no host stands for nobody", () => {
	for (const text of [undefined, "", "/tmp/my.sock", "a b", "http://x", ".", "-a-", "localhost:80", "x.localhost", "0.0.0.0"]) {
		assert.equal(hostEndpoint(text, ""), undefined, text);
	}
});

test("versions of TLS have one form", () => {
	for (const [text, version] of [
		["TLSv1.3", "1.3"],
		["TLSv1.2", "1.2"],
		["1.2", "1.2"],
		["TLSv1", "1.0"],
		["tls 1.3", "1.3"],
		["TLSv1_3", "1.3"],
		["3", ""],
		["DTLSv1.2", ""],
		["", ""],
		[undefined, ""],
	] as const) {
		assert.equal(tlsVersion(text), version, text);
	}
});

test("a certificate's end is read in the forms of Envoy, the conventions and OpenSSL, and only with its time zone", () => {
	assert.equal(notAfterMs("2027-03-01T12:00:00.000Z"), Date.UTC(2027, 2, 1, 12));
	assert.equal(notAfterMs("2027-03-01T12:00:00+01:00"), Date.UTC(2027, 2, 1, 11));
	assert.equal(notAfterMs("Mar  1 12:00:00 2027 GMT"), Date.UTC(2027, 2, 1, 12));
	for (const text of ["2027-03-01", "2027-03-01T12:00:00", "2027-99-01T12:00:00Z", "soon", undefined])
		assert.equal(notAfterMs(text), undefined);
});

test("gRPC codes: number or name, and whose fault each one is", () => {
	for (const [text, status] of [
		["14", 14],
		["UNAVAILABLE", 14],
		["Unavailable", 14],
		["DEADLINE_EXCEEDED", 4],
		["Canceled", 1],
		["OK", 0],
		["nonsense", undefined],
	] as const) {
		assert.equal(grpcStatusOf(text), status, text);
	}
	const outcomes = Array.from({ length: 18 }, (_, status) => grpcOutcome(status));
	const [ok, client, server] = ["ok", "client_error", "server_error"];
	assert.deepEqual(outcomes, [
		ok,
		client,
		server,
		client,
		server,
		client,
		client,
		client,
		client,
		client,
		client,
		client,
		server,
		server,
		server,
		server,
		client,
		server,
	]);
});

test("HTTP codes and their classes", () => {
	for (const [status, outcome] of [
		[0, "no_response"],
		[101, "ok"],
		[200, "ok"],
		[304, "ok"],
		[399, "ok"],
		[400, "client_error"],
		[499, "client_error"],
		[500, "server_error"],
		[599, "server_error"],
	] as const) {
		assert.equal(httpOutcome(status), outcome, String(status));
	}
});

test("flags are letters, in the order given", () => {
	for (const [text, flags] of [
		["UF,URX", "UF,URX"],
		[" UF , URX ", "UF,URX"],
		["UF,<script>", "UF"],
		[undefined, ""],
	] as const)
		assert.equal(flagsOf(text), flags);
});
