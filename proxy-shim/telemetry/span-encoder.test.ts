import assert from "node:assert/strict";
import { test } from "node:test";
import { type Attributes, TraceFlags } from "@opentelemetry/api";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import fc from "fast-check";
import { attributeMap, decodeProtobuf, type OtlpData, type SpanInContext, spansOf } from "../../test/interop/otlp.ts";
import type { HopTls, HttpHop } from "./hop.ts";
import { redactQuery } from "./query-redaction.ts";
import { encodeResource, encodeScope, SCOPE_NAME, SpanChunk } from "./span-chunk.ts";
import { SpanEncoder } from "./span-encoder.ts";
import { httpHop, mutualTls, noTls, peer, spiffeId, trace, workload } from "./test-kit.ts";

const VERSION = "1.2.3";

function encoded(hops: readonly HttpHop[], encoder = new SpanEncoder()): Buffer {
	const chunk = new SpanChunk(encodeResource(hops[0]!.local, { cluster: "", version: VERSION }), encodeScope(VERSION));
	for (const hop of hops) encoder.append(chunk, hop);
	return chunk.seal();
}

/** The message behind gRPC's prefix, whose length must be right. */
function messageOf(bytes: Buffer): Buffer {
	assert.equal(bytes[0], 0);
	assert.equal(bytes.readUInt32BE(1), bytes.length - 5);
	return bytes.subarray(5);
}

function spanOf(hop: HttpHop): SpanInContext {
	return spansOf(decodeProtobuf("traces", messageOf(encoded([hop]))))[0]!;
}

function attributesOf(hop: HttpHop): Readonly<Record<string, unknown>> {
	return Object.fromEntries(
		Object.entries(attributeMap(spanOf(hop).span.attributes)).map(([key, value]) => [key, Object.values(value)[0]]),
	);
}

/** The same hop by way of the SDK: an attribute table of its own, and the SDK's serializer. */
function bySdk(hop: HttpHop): OtlpData {
	const isClient = hop.direction === "outbound";
	const query = hop.path.includes("?") ? hop.path.slice(hop.path.indexOf("?") + 1) : "";
	const host = /^(.*?)(?::(\d+))?$/.exec(hop.authority)!;
	const { tls } = hop;
	const hasNone = hop.failedHandshakes > 0 && tls.status === "unknown" && tls.noTlsReason !== "";
	const handshake = tls.version !== "" ? true : hasNone ? false : undefined;
	const grpc = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT"];
	const codeIsFault = hop.grpcStatus !== undefined && (isClient ? hop.grpcStatus !== 0 : hop.grpcStatus === 2);
	const isError =
		hop.isGrpc && hop.grpcStatus !== undefined ? codeIsFault : hop.status === 0 || hop.status >= (isClient ? 400 : 500);
	const errorType = !isError
		? undefined
		: handshake === false
			? "handshake_failed"
			: hop.isGrpc && hop.grpcStatus !== undefined
				? grpc[hop.grpcStatus]
				: hop.status === 0
					? hop.responseFlags || "cancelled"
					: String(hop.status);
	const given: Record<string, string | number | boolean | undefined> = {
		"http.request.method": hop.method,
		"http.response.status_code": hop.status || undefined,
		"url.scheme": hop.scheme,
		"server.address": host[1],
		"server.port": host[2] === undefined ? undefined : Number(host[2]),
		"network.protocol.version": hop.protocolVersion,
		"network.peer.address": hop.peer.address,
		"rpc.system.name": hop.isGrpc ? "grpc" : undefined,
		"rpc.method": hop.isGrpc ? hop.path.slice(1) : undefined,
		"rpc.status_code": hop.isGrpc && hop.grpcStatus !== undefined ? grpc[hop.grpcStatus] : undefined,
		"rpc.grpc.status_code": hop.isGrpc ? hop.grpcStatus : undefined,
		"error.type": errorType,
		"service.peer.name": hop.peer.service,
		"service.peer.namespace": hop.peer.service === "" ? undefined : hop.peer.namespace,
		"tls.established": handshake,
		"meshscope.tls.failed_handshakes": hop.failedHandshakes || undefined,
		"tls.protocol.version": tls.version,
		"tls.cipher": tls.cipher,
		"tls.client.subject": tls.clientSubject,
		"tls.server.subject": tls.serverSubject,
		"tls.client.not_after": tls.clientNotAfterMs > 0 ? new Date(tls.clientNotAfterMs).toISOString() : undefined,
		"tls.server.not_after": tls.serverNotAfterMs > 0 ? new Date(tls.serverNotAfterMs).toISOString() : undefined,
		"meshscope.mtls.status": tls.status,
		"meshscope.source.principal": tls.clientPrincipal,
		"meshscope.destination.principal": tls.serverPrincipal,
		"meshscope.peer.verified": tls.version === "" ? undefined : tls.peerVerified,
		"meshscope.no_tls_reason": tls.noTlsReason,
		"meshscope.direction": hop.direction,
		"meshscope.mtls.mode": hop.mtlsMode,
		"meshscope.response_flags": hop.responseFlags,
		"meshscope.breaker.state": hop.breakerState,
		"meshscope.lb.policy": hop.lbPolicy,
		"meshscope.route": hop.route,
		"meshscope.route.subset": hop.subset,
		"meshscope.authz.policy": hop.authzPolicy,
		"meshscope.authz.decision": hop.authzDecision,
		"meshscope.config.version": hop.configVersion,
		"meshscope.fallback": hop.fellBack || undefined,
		"meshscope.fault_injected": hop.faultInjected || undefined,
		upstream_cluster: hop.upstreamCluster,
		"url.path": hop.isGrpc ? undefined : hop.path.replace(/\?.*$/s, ""),
		"url.query": redactQuery(query),
		"user_agent.original": hop.userAgent.slice(0, 512),
		"network.peer.port": hop.peer.port || undefined,
		"http.request.body.size": hop.requestBytes,
		"http.response.body.size": hop.responseBytes,
		"http.request.resend_count": hop.retries || undefined,
		"meshscope.retry.count": hop.retries || undefined,
		"meshscope.upstream_service_time_ms": hop.upstreamServiceTimeMs < 0 ? undefined : hop.upstreamServiceTimeMs,
		"guid:x-request-id": hop.requestId,
	};
	const attributes: Attributes = {};
	for (const [key, value] of Object.entries(given)) if (value !== undefined && value !== "") attributes[key] = value;
	const hr = (ns: bigint): [number, number] => [Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n)];
	const own = hop.trace;
	const verb = hop.route === "" || hop.route === "default" ? hop.method : `${hop.method} ${hop.route}`;
	const span: ReadableSpan = {
		name: hop.isGrpc ? hop.path.slice(1) : verb,
		kind: isClient ? 2 : 1,
		spanContext: () => ({
			traceId: own.traceId,
			spanId: own.spanId,
			traceFlags: own.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
			...(own.traceState === ""
				? {}
				: { traceState: { serialize: () => own.traceState, get: () => "", set: never, unset: never } }),
			...(own.parentSpanId === "" ? {} : { isRemote: true }),
		}),
		...(own.parentSpanId === ""
			? {}
			: {
					parentSpanContext: {
						traceId: own.traceId,
						spanId: own.parentSpanId,
						traceFlags: TraceFlags.SAMPLED,
						isRemote: true,
					},
				}),
		startTime: hr(hop.startTimeUnixNano),
		endTime: hr(hop.startTimeUnixNano + BigInt(hop.durationNs)),
		status: { code: isError ? 2 : 0 },
		attributes,
		links: [],
		events: [],
		duration: [0, hop.durationNs],
		ended: true,
		resource: resourceFromAttributes({
			"service.name": hop.local.service,
			"service.namespace": hop.local.namespace,
			"service.version": hop.local.version,
			"service.instance.id": hop.local.instanceId,
			"meshscope.workload": hop.local.workload,
			"telemetry.sdk.name": SCOPE_NAME,
			"telemetry.sdk.language": "nodejs",
			"telemetry.sdk.version": VERSION,
		}),
		instrumentationScope: { name: SCOPE_NAME, version: VERSION },
		droppedAttributesCount: 0,
		droppedEventsCount: 0,
		droppedLinksCount: 0,
	};
	return decodeProtobuf("traces", ProtobufTraceSerializer.serializeRequest([span])!);
}

function never(): never {
	throw new Error("the serializer changes no tracestate");
}

/** Attributes in the order of their keys; the zeros that the SDK spells out, and proto3 leaves out, are gone. */
function comparable(value: unknown): unknown {
	if (Array.isArray(value)) {
		const items = value.map(comparable);
		const isPairs = items.every((item) => typeof item === "object" && item !== null && "key" in item);
		return isPairs ? items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : items;
	}
	if (typeof value !== "object" || value === null) return value;
	return Object.fromEntries(
		Object.entries(value)
			.filter(([key, item]) => !(key.startsWith("dropped") && item === 0) && !(key === "status" && !isFailure(item)))
			.map(([key, item]) => [key, comparable(item)]),
	);
}

function isFailure(status: unknown): boolean {
	return typeof status === "object" && status !== null && "code" in status && status.code !== 0;
}

const digit = fc.constantFrom(..."0123456789abcdef");
const hexId = (digits: number) =>
	fc.array(digit, { minLength: digits, maxLength: digits }).map((all) => `1${all.join("").slice(1)}`);
const header = fc.oneof(
	fc.string({ maxLength: 20 }),
	fc.string({ unit: "binary", maxLength: 60 }),
	fc.string({ minLength: 40, maxLength: 400 }),
	fc.constantFrom("", "ä", "x".repeat(127), "x".repeat(128), "é".repeat(64), "x".repeat(511)),
);
const tls: fc.Arbitrary<HopTls> = fc.oneof(
	fc.constant(mutualTls("shop", "cart")),
	fc.constant(mutualTls("shop", "cart", { status: "tls", clientPrincipal: "", clientSubject: "", clientNotAfterMs: 0 })),
	fc.constant(noTls("plaintext", "permissive_plaintext")),
	fc.constant(noTls("unknown", "wrong_identity")),
	fc.constant(noTls("unknown", "")),
);

const hop: fc.Arbitrary<HttpHop> = fc
	.record({
		direction: fc.constantFrom("inbound" as const, "outbound" as const),
		traceId: hexId(32),
		spanId: hexId(16),
		parentSpanId: fc.oneof(fc.constant(""), hexId(16)),
		sampled: fc.boolean(),
		traceState: fc.constantFrom("", "ot=th:c", "a=1,b=2"),
		start: fc.bigInt({ min: 0n, max: 4_000_000_000_000_000_000n }),
		durationNs: fc.oneof(fc.nat(), fc.integer({ min: 0, max: 2 ** 45 }), fc.constant(0)),
		tls,
		status: fc.constantFrom(200, 404, 500, 503, 0),
		grpcStatus: fc.option(fc.constantFrom(0, 1, 2, 3), { nil: undefined }),
		isGrpc: fc.boolean(),
		text: fc.tuple(header, header, header),
		query: fc.oneof(fc.constant(undefined), header),
		requestBytes: fc.oneof(fc.constantFrom(0, 127, 128), fc.maxSafeNat()),
		responseBytes: fc.maxSafeNat(),
		retries: fc.constantFrom(0, 0, 2, 300),
		failedHandshakes: fc.constantFrom(0, 0, 1, 3),
		flags: fc.constantFrom("", "UF", "UF,URX"),
		time: fc.constantFrom(-1, 0, 3, 1.5, 0.0625),
		route: fc.constantFrom("default", "", "canary"),
		flag: fc.boolean(),
		port: fc.constantFrom(0, 80, 40_000),
	})
	.map((r) =>
		httpHop({
			direction: r.direction,
			trace: trace({
				traceId: r.traceId,
				spanId: r.spanId,
				parentSpanId: r.parentSpanId,
				sampled: r.sampled,
				traceState: r.traceState,
			}),
			startTimeUnixNano: r.start,
			durationNs: r.durationNs,
			tls: r.tls,
			status: r.status,
			grpcStatus: r.isGrpc ? r.grpcStatus : undefined,
			isGrpc: r.isGrpc,
			path: r.isGrpc ? "/shop.Cart/Add" : `/${r.text[0].replaceAll("?", "")}${r.query === undefined ? "" : `?${r.query}`}`,
			userAgent: r.text[1],
			requestId: r.text[2],
			requestBytes: r.requestBytes,
			responseBytes: r.responseBytes,
			retries: r.retries,
			failedHandshakes: r.failedHandshakes,
			responseFlags: r.flags,
			upstreamServiceTimeMs: r.time,
			route: r.route,
			fellBack: r.flag,
			faultInjected: r.flag,
			peer: peer(r.flag ? "cart" : "", { port: r.port }),
			authority: r.flag ? "cart" : "cart.demo:8080",
		}),
	);

test("any hop means the same as by the SDK's own serializer", () => {
	// One encoder for all: its templates must never stand for another hop.
	const encoder = new SpanEncoder();
	fc.assert(
		fc.property(hop, (one) => {
			const ours = decodeProtobuf("traces", messageOf(encoded([one], encoder)));
			assert.deepEqual(comparable(ours), comparable(bySdk(one)));
		}),
		{ numRuns: Number(process.env["MESHSCOPE_FUZZ_CASES"] ?? 1_500) },
	);
});

test("many spans of one chunk are each what they are alone, whatever their sizes", () => {
	fc.assert(
		fc.property(fc.array(hop, { minLength: 1, maxLength: 60 }), (hops) => {
			const all = spansOf(decodeProtobuf("traces", messageOf(encoded(hops))));
			assert.deepEqual(
				all.map(({ span }) => span),
				hops.map((one) => spanOf(one).span),
			);
		}),
		{ numRuns: 60 },
	);
});

test("a span of an edge that was seen is the same as the first one, byte for byte", () => {
	const encoder = new SpanEncoder();
	const first = Buffer.from(encoded([httpHop()], encoder));
	assert.deepEqual(encoded([httpHop()], encoder), first);
	assert.equal(encoder.templates.made, 1);
	// The connection's TLS is another object with the same findings.
	assert.deepEqual(encoded([httpHop({ tls: mutualTls("shop", "cart") })], encoder), first);
	encoded([httpHop({ tls: mutualTls("shop", "cart", { peerVerified: false }) })], encoder);
	assert.equal(encoder.templates.made, 2);
});

test("a flood of edges makes templates and keeps a bounded number of them", () => {
	const encoder = new SpanEncoder();
	for (let i = 0; i < 5_000; i++) encoded([httpHop({ authority: `host-${i}` })], encoder);
	assert.equal(encoder.templates.made, 5_000);
	assert.deepEqual(attributesOf(httpHop({ authority: "host-1" }))["server.address"], "host-1");
});

test("names follow the conventions: method, route, gRPC method, and HTTP for a method that nobody knows", () => {
	const name = (overrides: Partial<HttpHop>): string | undefined => spanOf(httpHop(overrides)).span.name;
	assert.equal(name({}), "GET");
	assert.equal(name({ route: "canary" }), "GET canary");
	assert.equal(name({ isGrpc: true, path: "/shop.Cart/Add" }), "shop.Cart/Add");
	assert.equal(name({ method: "BREW" }), "HTTP");
	assert.equal(attributesOf(httpHop({ method: "BREW" }))["http.request.method_original"], "BREW");
});

test("principals, certificates and verdicts are attributes of the span; the resource says who speaks", () => {
	const one = httpHop({ authzPolicy: "demo/cart-callers", authzDecision: "allow", subset: "v1", breakerState: "half_open" });
	const attributes = attributesOf(one);
	assert.equal(attributes["meshscope.source.principal"], spiffeId("shop"));
	assert.equal(attributes["tls.server.not_after"], "2030-01-02T03:05:05.000Z");
	assert.equal(attributes["meshscope.authz.policy"], "demo/cart-callers");
	assert.equal(attributes["meshscope.breaker.state"], "half_open");
	const resource = attributeMap(spanOf(httpHop({ local: workload("shop") })).resource.attributes);
	assert.deepEqual(resource["meshscope.workload"], { stringValue: "shop-v1" });
});

test("secrets in queries are redacted, whatever their spelling, and everything else is left alone", () => {
	for (const [query, expected] of [
		["a=1&b=2", "a=1&b=2"],
		["token=abc&a=1", "token=REDACTED&a=1"],
		["X-Amz-Signature=f00&X-Amz-Date=1", "X-Amz-Signature=REDACTED&X-Amz-Date=1"],
		["access_token=x;sig=y", "access_token=REDACTED;sig=REDACTED"],
		["PassWord=x&client_secret=y&api-key=z", "PassWord=REDACTED&client_secret=REDACTED&api-key=REDACTED"],
		["%74oken=x", "%74oken=REDACTED"],
		["%zz=1&sig=", "%zz=1&sig=REDACTED"],
		["design=sig&monkey=banana&keyboard=de", "design=sig&monkey=banana&keyboard=de"],
		["token", "token"],
		["a=b=c&pwd=x=y", "a=b=c&pwd=REDACTED"],
	] as const)
		assert.equal(redactQuery(query), expected);
	assert.equal(attributesOf(httpHop({ path: "/p?token=t" }))["url.query"], "token=REDACTED");
});

test("numbers and ids that make no sense cost their own span nothing but themselves", () => {
	const odd = httpHop({
		requestBytes: -1,
		responseBytes: Number.NaN,
		durationNs: Number.NaN,
		upstreamServiceTimeMs: Number.POSITIVE_INFINITY,
		startTimeUnixNano: -1n,
		retries: 1.5,
		trace: trace({ traceId: "x", spanId: "" }),
	});
	const [first, second] = spansOf(decodeProtobuf("traces", messageOf(encoded([odd, httpHop()]))));
	assert.deepEqual(attributeMap(first!.span.attributes)["http.request.body.size"], { intValue: "0" });
	assert.deepEqual(second!.span, spanOf(httpHop()).span);
});

test("texts beyond their limits are cut, and a chunk grows for them", () => {
	const long = httpHop({
		path: `/${"p".repeat(9_000)}?${"q".repeat(9_000)}`,
		userAgent: "u".repeat(20_000),
		authority: "a".repeat(9_000),
	});
	const attributes = attributesOf(long);
	assert.deepEqual(
		["url.path", "url.query", "user_agent.original", "server.address"].map((key) => String(attributes[key]).length),
		[2048, 2048, 512, 512],
	);
});
