import assert from "node:assert/strict";
import { test } from "node:test";
import protobuf from "protobufjs";
import { concat, encodeExportResponse, encodeStatus, exportResponseJson, readString, statusJson, stringField } from "./wire.ts";

/** The messages as their .proto files define them: the oracle for bytes written by hand. */
const { root } = protobuf.parse(`
	syntax = "proto3";
	message PartialSuccess { int64 rejected = 1; string error_message = 2; }
	message Response { PartialSuccess partial_success = 1; }
	message Any { string type_url = 1; bytes value = 2; }
	message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
	message Duration { int64 seconds = 1; int32 nanos = 2; }
	message RetryInfo { Duration retry_delay = 1; }
	message FieldViolation { string field = 1; string description = 2; }
	message BadRequest { repeated FieldViolation field_violations = 1; }
	message Check { string service = 1; }
`);

function decode(type: string, bytes: Uint8Array): Record<string, unknown> {
	const message = root.lookupType(type);
	return message.toObject(message.decode(bytes), { longs: Number }) as Record<string, unknown>;
}

test("full success is the empty message in both encodings", () => {
	assert.equal(encodeExportResponse(0, "").length, 0);
	assert.equal(exportResponseJson("traces", 0, ""), "{}");
});

test("partial success carries count and message, beyond 32 bits too", () => {
	for (const rejected of [1, 127, 128, 300, 2 ** 31, 2 ** 40 + 5]) {
		assert.deepEqual(decode("Response", encodeExportResponse(rejected, "zu groß")), {
			partialSuccess: { rejected, errorMessage: "zu groß" },
		});
	}
});

test("a warning keeps rejected at 0 and still has a partial_success", () => {
	assert.deepEqual(decode("Response", encodeExportResponse(0, "slow down")), { partialSuccess: { errorMessage: "slow down" } });
	assert.equal(exportResponseJson("logs", 0, "slow down"), '{"partialSuccess":{"errorMessage":"slow down"}}');
});

test("the JSON field of the count is that of the signal, as a decimal string", () => {
	assert.equal(exportResponseJson("traces", 3, "x"), '{"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}}');
	assert.equal(exportResponseJson("logs", 3, "x"), '{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"x"}}');
	assert.equal(exportResponseJson("metrics", 3, "x"), '{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"x"}}');
});

test("a retryable refusal carries RetryInfo with its delay", () => {
	const status = decode("Status", encodeStatus({ code: "overloaded", message: "full", retryAfterMs: 2_500 }));
	assert.equal(status["code"], 14);
	assert.equal(status["message"], "full");
	const [detail] = status["details"] as [{ type_url?: string; typeUrl: string; value: Uint8Array }];
	assert.equal(detail.typeUrl, "type.googleapis.com/google.rpc.RetryInfo");
	assert.deepEqual(decode("RetryInfo", detail.value), { retryDelay: { seconds: 2, nanos: 500_000_000 } });
	assert.deepEqual(JSON.parse(statusJson({ code: "overloaded", message: "full", retryAfterMs: 2_500 })), {
		code: 14,
		message: "full",
		details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "2.5s" }],
	});
});

test("bad data carries BadRequest, and never RetryInfo", () => {
	const status = decode("Status", encodeStatus({ code: "malformed_payload", message: "byte 7" }));
	const [detail] = status["details"] as [{ typeUrl: string; value: Uint8Array }];
	assert.equal(detail.typeUrl, "type.googleapis.com/google.rpc.BadRequest");
	assert.deepEqual(decode("BadRequest", detail.value), { fieldViolations: [{ field: "body", description: "byte 7" }] });
});

test("a payload that is too large carries no details: the client must not retry", () => {
	assert.deepEqual(decode("Status", encodeStatus({ code: "payload_too_large", message: "m" })), { code: 8, message: "m" });
	assert.deepEqual(JSON.parse(statusJson({ code: "payload_too_large", message: "m" })), { code: 8, message: "m" });
});

test("a string is read whatever unknown fields stand around it", () => {
	const check = root.lookupType("Check");
	assert.equal(readString(check.encode({ service: "a.b.C" }).finish(), 1), "a.b.C");
	const around = concat([Uint8Array.from([0x10, 0xff, 0x01, 0x1d, 1, 2, 3, 4]), stringField(1, "x"), stringField(7, "y")]);
	assert.equal(readString(around, 1), "x");
	assert.equal(readString(new Uint8Array(0), 1), "");
});

test("bytes that are not protobuf yield undefined and never a throw", () => {
	for (const bytes of [
		[0x0a],
		[0x0a, 5, 1],
		[0x0b, 1],
		[0x0f],
		[0x00],
		[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
		[0x09, 1],
	]) {
		assert.equal(readString(Uint8Array.from(bytes), 1), undefined, bytes.join(" "));
	}
});
