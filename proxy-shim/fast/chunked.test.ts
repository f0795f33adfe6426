import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createChunkedReader } from "./chunked.ts";

interface Outcome {
	readonly taken: number;
	readonly done: boolean;
	readonly bad: boolean;
	readonly data: string;
	readonly trailers: readonly string[];
}

/** The outcome for the whole text, fed in pieces of the given sizes. */
function read(text: string, sizes: readonly number[] = [1 << 20]): Outcome {
	const bytes = Buffer.from(text, "latin1");
	let data = "";
	const reader = createChunkedReader((slice) => (data += slice.toString("latin1")));
	let at = 0;
	for (let i = 0; at < bytes.length && !reader.done && !reader.bad; i++) {
		const piece = bytes.subarray(at, at + Math.max(1, sizes[i % sizes.length]!));
		at += reader.advance(piece, 0);
	}
	return { taken: at, done: reader.done, bad: reader.bad, data, trailers: reader.trailers };
}

const GOOD: readonly (readonly [title: string, body: string, data: string, trailers: readonly string[]])[] = [
	["one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", []],
	["no data", "0\r\n\r\n", "", []],
	["several chunks and upper case", "A\r\n0123456789\r\n1\r\nx\r\n000\r\n\r\n", "0123456789x", []],
	["extensions", '5;a=b;c="d e"\r\nhello\r\n0;last\r\n\r\n', "hello", []],
	["trailers", "1\r\nx\r\n0\r\ngrpc-status: 0\r\nA:\r\n\r\n", "x", ["grpc-status", "0", "A", ""]],
	["data that looks like framing", "8\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n", "0\r\n\r\n0\r\n", []],
];

for (const [title, body, data, trailers] of GOOD) {
	test(`${title}: the end is found, however the bytes are cut`, () => {
		const whole = read(`${body}HTTP/1.1`);
		assert.deepEqual(whole, { taken: body.length, done: true, bad: false, data, trailers });
		fc.assert(
			fc.property(fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), (sizes) => {
				assert.deepEqual(read(`${body}HTTP/1.1`, sizes), whole);
			}),
			{ numRuns: 50 },
		);
	});
}

const BAD: readonly (readonly [title: string, body: string])[] = [
	["no size", "\r\nx"],
	["a signed size", "+5\r\nhello\r\n"],
	["a size with 0x", "0x5\r\nhello\r\n"],
	["a space after the size", "5 \r\nhello\r\n"],
	["a bare LF after the size", "5\nhello\r\n"],
	["a bare LF in an extension", "5;a\nb\r\nhello\r\n"],
	["data longer than its size", "4\r\nhello\r\n"],
	["a bare LF after data", "5\r\nhello\n0\r\n\r\n"],
	["a size of too many digits", "00000000000001\r\nx\r\n"],
	["an extension without end", `5;${"a".repeat(300)}\r\n`],
	["a trailer without a colon", "0\r\nnonsense\r\n\r\n"],
	["a bare LF in the trailer", "0\r\nA: b\n\r\n"],
	["a trailer without end", `0\r\nA: ${"b".repeat(17 << 10)}\r\n\r\n`],
];

for (const [title, body] of BAD) {
	test(`${title} is refused`, () => {
		assert.equal(read(body).bad, true);
	});
}

test("any bytes end in one of three ways, and none is read beyond the end", () => {
	fc.assert(
		fc.property(fc.string({ unit: fc.constantFrom("0", "1", "a", "\r", "\n", ";", ":", "x"), maxLength: 40 }), (body) => {
			const outcome = read(body);
			assert.ok(outcome.taken <= body.length);
			assert.ok(!(outcome.done && outcome.bad));
			if (!outcome.done && !outcome.bad) assert.equal(outcome.taken, body.length);
		}),
		{ numRuns: 5_000 },
	);
});
