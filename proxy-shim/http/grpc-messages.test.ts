import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeGrpcMessage, grpcStatusOf, MessageCounter, parseGrpcStatus } from "./grpc-messages.ts";

test("messages are counted however the bytes are cut", () => {
	fc.assert(
		fc.property(
			fc.array(fc.nat(700), { maxLength: 20 }),
			fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }),
			(lengths, cuts) => {
				const stream = Buffer.concat(
					lengths.map((length) => {
						const message = Buffer.alloc(5 + length, 0xff);
						message[0] = 0;
						message.writeUInt32BE(length, 1);
						return message;
					}),
				);
				const counter = new MessageCounter();
				for (let at = 0, i = 0; at < stream.length; i++) {
					const step = cuts[i % cuts.length]!;
					counter.add(stream.subarray(at, at + step));
					at += step;
				}
				assert.equal(counter.count, lengths.length);
			},
		),
	);
});

test("a status of the proxy's own is gRPC's for that of HTTP, and a timeout is told as one", () => {
	assert.deepEqual([400, 401, 403, 404, 429, 502, 503, 504, 418].map(grpcStatusOf), [13, 16, 7, 12, 14, 14, 14, 4, 2]);
});

test("a status is a number or it is none; a message is printable ASCII", () => {
	assert.equal(parseGrpcStatus("14"), 14);
	assert.equal(parseGrpcStatus("x"), undefined);
	assert.equal(parseGrpcStatus(undefined), undefined);
	assert.equal(encodeGrpcMessage("no, since: ü\n100%"), "no, since: %C3%BC%0A100%25");
});
