import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Endpoint } from "../endpoint.ts";
import type { LegTls, SpanInput } from "../facts.ts";
import { EDGE_KEYS, type EdgeKey } from "./keys.ts";
import { spanFacts } from "./span-facts.ts";
import { inputOf } from "./test-kit.ts";

const EMITTERS = [
	"envoy",
	"istio",
	"waypoint",
	"linkerd",
	"nginx",
	"caddy",
	"traefik",
	"kong",
	"apisix",
	"kuma",
	"consul",
	"dapr",
	"shim",
	"otel",
];
const KINDS = ["service", "gateway", "database", "messaging", "external", "unknown", "overflow"];

function assertEndpoint({ kind, cluster, namespace, service, workload }: Endpoint): void {
	assert.ok(KINDS.includes(kind), kind);
	assert.notEqual(service, "");
	for (const part of [cluster, namespace, service, workload]) assert.equal(typeof part, "string");
}

function assertLeg({ status, verifiedBy, version, peerNotAfterMs, ...texts }: LegTls): void {
	assert.ok(["mutual_tls", "tls", "plaintext", "unknown"].includes(status), status);
	assert.ok(["server", "client", "header", ""].includes(verifiedBy), verifiedBy);
	assert.match(version, /^(?:1\.[0-3]|2\.[0-3]|)$/);
	assert.ok(peerNotAfterMs === undefined || Number.isFinite(peerNotAfterMs));
	for (const text of Object.values(texts)) assert.equal(typeof text, "string");
}

function assertValid(input: SpanInput): void {
	const facts = spanFacts(input);
	assert.ok(EMITTERS.includes(facts.emitter), facts.emitter);
	assert.ok([1, 2, 3, 4, 5].includes(facts.kind), String(facts.kind));
	assertEndpoint(facts.local);
	if (facts.peer !== undefined) {
		assertEndpoint(facts.peer.endpoint);
		assert.ok(["identity", "declared", "address"].includes(facts.peer.from));
		// Only what a certificate proved is an identity.
		if (facts.peer.from === "identity")
			assert.ok(
				[facts.downstream, facts.upstream].some(({ verifiedBy }) => verifiedBy === "server" || verifiedBy === "client"),
			);
	}
	if (facts.both !== undefined) {
		assertEndpoint(facts.both.source);
		assertEndpoint(facts.both.destination);
	}
	assert.ok(["http", "grpc", "tcp", "database", "messaging", "unknown"].includes(facts.protocol), facts.protocol);
	assert.ok(["ok", "client_error", "server_error", "no_response"].includes(facts.outcome), facts.outcome);
	assert.match(facts.code, /^(?:\d{1,3}|grpc:\d{1,15}|)$/);
	assert.match(facts.flags, /^[A-Za-z0-9_,]*$/);
	assert.ok(Number.isSafeInteger(facts.retry) && facts.retry >= 0);
	for (const address of [facts.localAddress, facts.peerAddress]) assert.match(address, /^[0-9a-f.:]*(?:%[\w.-]+)?$/);
	assertLeg(facts.downstream);
	assertLeg(facts.upstream);
	assert.ok(facts.ignored === undefined || facts.ignored !== "");
}

/** Parts of which real values are made, so that parsers get past their first test. */
const PART = fc.constantFrom(
	...'outbound inbound inbound-vip | _. . : ~ / , ; = " - unknown 9080 v1 a default svc cluster local internal internal-v1 consul spiffe:// ns sa dc kri_msvc_ _svc_ _msvc_ cds_egress_ http _ 10.0.0.1 127.0.0.1 [::1] ::ffff: 203.0.113.1 sidecar~ router~ waypoint~ true false 0 200 503 14 UF TLSv1.3 1.2 grpc URI= By= localhost'.split(
		" ",
	),
);
const VALUE = fc.oneof(
	fc.array(PART, { maxLength: 9 }).map((parts) => parts.join("")),
	fc.string({ unit: "binary", maxLength: 40 }),
);
const VALUES = fc
	.array(fc.tuple(fc.constantFrom<EdgeKey>(...EDGE_KEYS), VALUE), { maxLength: 24 })
	.map((entries) => Object.fromEntries(entries));
const COMMON = {
	kind: fc.integer({ min: -1, max: 7 }),
	status: fc.integer({ min: 0, max: 3 }),
	name: fc.oneof(fc.constantFrom("kong", "kong.dns", "kong.balancer", "router x egress", "async x egress"), VALUE),
	scope: fc.constantFrom(
		"",
		"envoy",
		"nginx",
		"kong-internal",
		"dapr-diagnostics",
		"opentelemetry-lua",
		"github.com/traefik/traefik",
	),
};

test("whatever the attributes are, nothing is thrown and every field is one of its values", () => {
	fc.assert(
		fc.property(fc.record({ ...COMMON, resource: VALUES, attributes: VALUES }), (sketch) => assertValid(inputOf(sketch))),
		{ numRuns: 3000 },
	);
});

test("that holds too for values that were not reduced", () => {
	const raw = VALUES.map((values) => ({ get: (key: EdgeKey) => values[key] || undefined }));
	fc.assert(
		fc.property(fc.record({ ...COMMON, resource: raw, attributes: raw }), (input) => assertValid(input)),
		{ numRuns: 2000 },
	);
});

test("a value of the longest kind is read in bounded time", () => {
	const long = 4096;
	for (const unit of ["a", ".", ":", "|", "_", "/", "-1", "~", ",", ";", "_svc_1", "a.", "::", '"', "-aaaaa", " "]) {
		const value = unit.repeat(long / unit.length);
		const attributes = Object.fromEntries(EDGE_KEYS.map((key) => [key, value]));
		const started = process.cpuUsage();
		for (let kind = 1; kind <= 5; kind++)
			assertValid({ ...inputOf({ kind, scope: "envoy", resource: attributes, attributes }), name: value });
		const { user } = process.cpuUsage(started);
		assert.ok(user < 1_000_000, `${JSON.stringify(unit)}: ${user} µs`);
	}
});
