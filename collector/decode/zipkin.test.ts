import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import { MeshscopeError } from "../../model/errors.ts";
import { decodeTracesData } from "../../model/otlp/decode.ts";
import type { OtlpSpan } from "../../model/otlp/types.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import type { TranscodeResult } from "./otlp-json.ts";
import { zipkinJsonToProtobuf, zipkinProtobufToProtobuf } from "./zipkin.ts";

const numRuns = Number(process.env["MESHSCOPE_FUZZ_CASES"] ?? 5_000);
const encoder = new TextEncoder();

function fromJson(json: unknown, limits = DEFAULT_LIMITS): TranscodeResult {
	return zipkinJsonToProtobuf(Uint8Array.from(encoder.encode(typeof json === "string" ? json : JSON.stringify(json))), limits);
}

function spansOf(result: TranscodeResult): readonly OtlpSpan[] {
	const groups = decodeTracesData(result.bytes).resourceSpans ?? [];
	return groups.flatMap((group) => (group.scopeSpans ?? []).flatMap(({ spans }) => spans ?? []));
}

/** Source: openzipkin/zipkin-api zipkin.proto, cut to its fields. */
const SPAN_LIST = protobuf
	.parse(
		`syntax = "proto3";
		message Span {
			bytes trace_id = 1; bytes parent_id = 2; bytes id = 3; int32 kind = 4; string name = 5; fixed64 timestamp = 6;
			uint64 duration = 7; Endpoint local_endpoint = 8; Endpoint remote_endpoint = 9; repeated Annotation annotations = 10;
			map<string, string> tags = 11; bool debug = 12; bool shared = 13;
		}
		message Endpoint { string service_name = 1; bytes ipv4 = 2; bytes ipv6 = 3; int32 port = 4; }
		message Annotation { fixed64 timestamp = 1; string value = 2; }
		message ListOfSpans { repeated Span spans = 1; }`,
	)
	.root.lookupType("ListOfSpans");

interface JsonEndpoint {
	readonly serviceName?: string;
	readonly ipv4?: string;
	readonly port?: number;
}

interface JsonSpan {
	readonly traceId: string;
	readonly id: string;
	readonly parentId?: string;
	readonly kind?: string;
	readonly localEndpoint?: JsonEndpoint;
	readonly remoteEndpoint?: JsonEndpoint;
}

function toProtobuf(spans: readonly JsonSpan[]): Uint8Array<ArrayBuffer> {
	const endpoint = (value?: JsonEndpoint) =>
		value === undefined
			? undefined
			: { ...value, ipv4: value.ipv4 === undefined ? undefined : Uint8Array.from(value.ipv4.split("."), Number) };
	const objects = spans.map((span) => ({
		...span,
		traceId: Buffer.from(span.traceId, "hex"),
		id: Buffer.from(span.id, "hex"),
		parentId: Buffer.from(span.parentId ?? "", "hex"),
		kind: ["", "CLIENT", "SERVER", "PRODUCER", "CONSUMER"].indexOf(span.kind ?? ""),
		localEndpoint: endpoint(span.localEndpoint),
		remoteEndpoint: endpoint(span.remoteEndpoint),
	}));
	return Uint8Array.from(SPAN_LIST.encode(SPAN_LIST.fromObject({ spans: objects })).finish());
}

const hex = (bytes: number) =>
	fc
		.uint8Array({ minLength: bytes, maxLength: bytes })
		.filter((id) => id.some((b) => b !== 0))
		.map((id) => Buffer.from(id).toString("hex"));
const text = fc.string({ unit: "grapheme", maxLength: 10 });
const micros = fc.integer({ min: 0, max: 1_800_000_000_000_000 });
const endpoint = fc.record(
	{ serviceName: fc.constantFrom("a", "b", ""), ipv4: fc.ipV4(), port: fc.nat({ max: 65_535 }) },
	{ requiredKeys: [] },
);
const jsonSpan = fc.record(
	{
		traceId: fc.oneof(hex(16), hex(8)),
		id: hex(8),
		parentId: hex(8),
		kind: fc.constantFrom("CLIENT", "SERVER", "PRODUCER", "CONSUMER"),
		name: text,
		timestamp: micros,
		duration: micros,
		debug: fc.boolean(),
		shared: fc.boolean(),
		localEndpoint: endpoint,
		remoteEndpoint: endpoint,
		annotations: fc.array(fc.record({ timestamp: micros, value: text }), { maxLength: 2 }),
		tags: fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true }),
	},
	{ requiredKeys: ["traceId", "id"] },
);

test("a span in JSON and in protobuf becomes the same OTLP span", () => {
	fc.assert(
		fc.property(fc.array(jsonSpan, { maxLength: 4 }), (spans) => {
			const json = fromJson(spans);
			assert.deepEqual(json.dropped, {}, json.messages.join("; "));
			const wire = zipkinProtobufToProtobuf(toProtobuf(spans), DEFAULT_LIMITS);
			assert.deepEqual(decodeTracesData(json.bytes), decodeTracesData(wire.bytes));
		}),
		{ numRuns: Math.ceil(numRuns / 10) },
	);
});

test("every field of a span finds its place in OTLP", () => {
	const result = fromJson([
		{
			traceId: "48485a3953bb6124",
			parentId: "2D1D0DEEEF67A4E5",
			id: "352bff9a74ca9ad2",
			kind: "CLIENT",
			name: "get /api",
			timestamp: 1472470996199000,
			duration: 207000,
			debug: true,
			shared: true,
			localEndpoint: { serviceName: "frontend", ipv4: "127.0.0.1", port: 8080 },
			remoteEndpoint: { serviceName: "backend", ipv6: "2001:db8::1", port: 9000 },
			annotations: [{ timestamp: 1472470996238000, value: "ws" }],
			tags: { "http.method": "GET", error: "timed out", n: 5, b: true },
		},
	]);
	assert.deepEqual(decodeTracesData(result.bytes), {
		resourceSpans: [
			{
				resource: { attributes: [{ key: "service.name", value: { stringValue: "frontend" } }] },
				scopeSpans: [
					{
						scope: {},
						spans: [
							{
								traceId: "000000000000000048485a3953bb6124",
								spanId: "352bff9a74ca9ad2",
								parentSpanId: "2d1d0deeef67a4e5",
								name: "get /api",
								kind: 3,
								startTimeUnixNano: "1472470996199000000",
								endTimeUnixNano: "1472470996406000000",
								attributes: [
									{ key: "http.method", value: { stringValue: "GET" } },
									{ key: "error", value: { stringValue: "timed out" } },
									{ key: "n", value: { stringValue: "5" } },
									{ key: "b", value: { stringValue: "true" } },
									{ key: "network.local.address", value: { stringValue: "127.0.0.1" } },
									{ key: "network.local.port", value: { intValue: "8080" } },
									{ key: "service.peer.name", value: { stringValue: "backend" } },
									{ key: "network.peer.address", value: { stringValue: "2001:db8::1" } },
									{ key: "network.peer.port", value: { intValue: "9000" } },
									{ key: "zipkin.debug", value: { boolValue: true } },
									{ key: "zipkin.shared", value: { boolValue: true } },
								],
								events: [{ timeUnixNano: "1472470996238000000", name: "ws" }],
								status: { message: "timed out", code: 2 },
							},
						],
					},
				],
			},
		],
	});
});

test("spans of one service share a resource, spans without one have none", () => {
	const ids = { traceId: "1", id: "2" };
	const result = fromJson([
		{ ...ids, localEndpoint: { serviceName: "a" } },
		ids,
		{ ...ids, localEndpoint: { serviceName: "b" } },
		{ ...ids, localEndpoint: { serviceName: "a" } },
	]);
	const groups = decodeTracesData(result.bytes).resourceSpans!;
	assert.deepEqual(
		groups.map(({ resource, scopeSpans }) => [resource?.attributes?.[0]?.value?.stringValue, scopeSpans![0]!.spans!.length]),
		[
			["a", 2],
			[undefined, 1],
			["b", 1],
		],
	);
});

test("the two halves of a shared span stay two spans with one id", () => {
	const half = { traceId: "1", id: "2", timestamp: 1 };
	const spans = spansOf(
		fromJson([
			{ ...half, kind: "CLIENT" },
			{ ...half, kind: "SERVER", shared: true },
		]),
	);
	assert.deepEqual(
		spans.map(({ spanId, kind }) => [spanId, kind]),
		[
			["0000000000000002", 3],
			["0000000000000002", 2],
		],
	);
});

test("an error tag is an error status, except when it says false", () => {
	const status = (tags: object) => spansOf(fromJson([{ traceId: "1", id: "2", tags }]))[0]!.status;
	assert.deepEqual(status({ error: "" }), { code: 2 });
	assert.deepEqual(status({ error: "true" }), { code: 2 });
	assert.deepEqual(status({ error: "boom" }), { code: 2, message: "boom" });
	assert.equal(status({ error: "false" }), undefined);
	assert.deepEqual(status({ "otel.status_code": "OK" }), { code: 1 });
	assert.deepEqual(status({ "otel.status_code": "ERROR", error: "why" }), { code: 2, message: "why" });
});

test("a span without a timestamp begins with its first annotation", () => {
	const [span] = spansOf(fromJson([{ traceId: "1", id: "2", annotations: [{ timestamp: 5, value: "cs" }] }]));
	assert.equal(span!.startTimeUnixNano, "5000");
	assert.equal(span!.endTimeUnixNano, "5000");
	assert.equal(span!.name, undefined);
});

test("a wrong type costs its span alone, each by its reason", () => {
	const good = { traceId: "1", id: "2" };
	const bad: readonly (readonly [unknown, string])[] = [
		[{ ...good, traceId: "xyz" }, "invalid_trace_id"],
		[{ ...good, id: 5 }, "invalid_span_id"],
		[{ ...good, parentId: "-" }, "invalid_parent_id"],
		[{ ...good, name: {} }, "malformed_record"],
		[{ ...good, timestamp: -1 }, "malformed_record"],
		[{ ...good, timestamp: "99999999999999999999" }, "malformed_record"],
		[{ ...good, duration: 1e300 }, "malformed_record"],
		[{ ...good, annotations: [5] }, "malformed_record"],
		[{ ...good, annotations: [{ timestamp: 1e18 }] }, "malformed_record"],
		[{ ...good, tags: ["a"] }, "malformed_record"],
		[{ ...good, tags: { a: {} } }, "malformed_record"],
		[{ ...good, remoteEndpoint: { port: 70000 } }, "malformed_record"],
		[{ ...good, localEndpoint: 5 }, "malformed_record"],
		[{ ...good, debug: "yes" }, "malformed_record"],
		[null, "malformed_record"],
		[[], "malformed_record"],
	];
	for (const [span, reason] of bad) {
		const result = fromJson([good, span, good]);
		assert.deepEqual(result.dropped, { [reason]: 1 }, JSON.stringify(span));
		assert.equal(result.messages.length, 1);
		assert.equal(spansOf(result).length, 2);
	}
});

test("a malformed protobuf span costs itself, a malformed list the batch", () => {
	const list = toProtobuf([{ traceId: "00000000000000000000000000000001", id: "0000000000000002" }]);
	const result = zipkinProtobufToProtobuf(Uint8Array.from([...list, 0x0a, 2, 0x0a, 0x7f, ...list]), DEFAULT_LIMITS);
	assert.deepEqual(result.dropped, { malformed_record: 1 });
	assert.equal(spansOf(result).length, 2);
	assert.throws(
		() => zipkinProtobufToProtobuf(Uint8Array.from([...list, 0x0a, 99]), DEFAULT_LIMITS),
		(error) => error instanceof MeshscopeError && error.code === "malformed_payload",
	);
});

test("what is no JSON list is refused, and more spans than the limit refuse the batch", () => {
	for (const input of ["", "{}", "[", "[{}", "[{}] []", "[".repeat(1_000_000)]) {
		assert.throws(
			() => fromJson(input),
			(error) => error instanceof MeshscopeError && error.code === "malformed_payload",
		);
	}
	const limits = { ...DEFAULT_LIMITS, maxRecords: 3 };
	const tooLarge = (error: unknown) => error instanceof MeshscopeError && error.code === "payload_too_large";
	assert.throws(() => fromJson("[{},{},{},{}]", limits), tooLarge);
	assert.throws(() => zipkinProtobufToProtobuf(Uint8Array.of(10, 0, 10, 0, 10, 0, 10, 0), limits), tooLarge);
	assert.deepEqual(fromJson("[]").bytes, new Uint8Array(0));
});

test("50,000 services cost no more than their spans", () => {
	const count = 50_000;
	const spans = Array.from({ length: count }, (_, i) => ({ traceId: "1", id: "2", localEndpoint: { serviceName: `s${i}` } }));
	const result = fromJson(spans);
	assert.equal(decodeTracesData(result.bytes).resourceSpans!.length, count);
	assert.ok(result.bytes.length < count * 100);
});

test("IPv6 addresses are written the short way", () => {
	const address = (ipv6: readonly number[]) => {
		const bytes = SPAN_LIST.encode(
			SPAN_LIST.fromObject({ spans: [{ remoteEndpoint: { ipv6: Uint8Array.from(ipv6) } }] }),
		).finish();
		return spansOf(zipkinProtobufToProtobuf(Uint8Array.from(bytes), DEFAULT_LIMITS))[0]!.attributes?.[0]?.value?.stringValue;
	};
	const zeros = (count: number) => new Array<number>(count).fill(0);
	assert.equal(address([...zeros(15), 1]), "::1");
	assert.equal(address([0x20, 1, 0xd, 0xb8, ...zeros(11), 1]), "2001:db8::1");
	assert.equal(address([0xfe, 0x80, ...zeros(14)]), "fe80::");
	assert.equal(address([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1]), "1:0:1::1:1:1");
	assert.equal(address(zeros(16)), "::");
	assert.equal(address(zeros(5)), undefined);
});

test("damaged and random payloads are transcoded, dropped in part or refused, and never anything else", () => {
	const edits = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 5 });
	const attempt = (run: () => TranscodeResult) => {
		try {
			decodeTracesData(run().bytes);
		} catch (error) {
			assert.ok(error instanceof MeshscopeError, String(error));
		}
	};
	fc.assert(
		fc.property(fc.array(jsonSpan, { minLength: 1, maxLength: 3 }), edits, (spans, changes) => {
			const json = Uint8Array.from(encoder.encode(JSON.stringify(spans)));
			const wire = toProtobuf(spans);
			for (const [at, byte] of changes) {
				json[at % json.length] = byte;
				wire[at % wire.length] = byte;
			}
			attempt(() => zipkinJsonToProtobuf(json, DEFAULT_LIMITS));
			attempt(() => zipkinProtobufToProtobuf(wire, DEFAULT_LIMITS));
		}),
		{ numRuns },
	);
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
			attempt(() => zipkinJsonToProtobuf(Uint8Array.from(bytes), DEFAULT_LIMITS));
			attempt(() => zipkinProtobufToProtobuf(Uint8Array.from(bytes), DEFAULT_LIMITS));
		}),
		{ numRuns },
	);
});
