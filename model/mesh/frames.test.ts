import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeFrame, FrameError, frameReader } from "./frames.ts";

test("frames come back as they were sent, however the bytes are cut", () => {
	const message = fc.record({ kind: fc.string(), value: fc.jsonValue() });
	fc.assert(
		fc.property(
			fc.array(message, { maxLength: 8 }),
			fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
			(messages, cuts) => {
				const bytes = Buffer.concat(messages.map(encodeFrame));
				const reader = frameReader(1 << 20);
				const read: unknown[] = [];
				for (let at = 0, turn = 0; at < bytes.length; turn++) {
					const end = at + cuts[turn % cuts.length]!;
					read.push(...reader.push(bytes.subarray(at, end)));
					at = end;
				}
				assert.deepEqual(read, JSON.parse(JSON.stringify(messages)));
			},
		),
	);
});

test("a frame of the limit is read, a longer one is refused before its end has come", () => {
	const frame = encodeFrame({ kind: "x" });
	assert.equal(frameReader(frame.length - 1).push(frame).length, 1);
	assert.throws(() => frameReader(frame.length - 2).push(frame), FrameError);
	const reader = frameReader(1_000);
	for (let i = 0; i < 10; i++) reader.push(Buffer.alloc(100, 0x20));
	assert.throws(() => reader.push(Buffer.alloc(1, 0x20)), /longer than 1000 bytes/);
});

test("empty lines are nothing; what is no object with a kind is refused", () => {
	const reader = frameReader(100);
	assert.deepEqual(reader.push(Buffer.from("\n\r\n  \n")), []);
	for (const text of ["1", "null", "[]", "{}", '{"kind":1}', "{", '"kind"'])
		assert.throws(() => frameReader(100).push(Buffer.from(`${text}\n`)), FrameError, text);
	assert.throws(() => frameReader(100).push(Buffer.from([0xff, 0x0a])), /UTF-8/);
});
