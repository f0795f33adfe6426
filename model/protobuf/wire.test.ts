import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import { WIRE_FIXED32, WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT, WireError, WireReader } from "./reader.ts";
import { utf8Text } from "./utf8.ts";
import { WireWriter } from "./writer.ts";

const numRuns = Number(process.env["MESHSCOPE_FUZZ_CASES"] ?? 5_000);

function written(write: (writer: WireWriter) => void): WireReader {
	const writer = new WireWriter(1);
	write(writer);
	return new WireReader(writer.finish());
}

test("every 64-bit integer survives a varint and a fixed64", () => {
	fc.assert(
		fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }), (value) => {
			assert.equal(written((w) => w.varint64(value)).uint64(), BigInt.asUintN(64, value));
			assert.equal(written((w) => w.varint64(value)).int64(), BigInt.asIntN(64, value));
			assert.equal(written((w) => w.fixed64(value)).fixed64(), BigInt.asUintN(64, value));
			assert.equal(written((w) => w.fixed64(value)).sfixed64(), BigInt.asIntN(64, value));
		}),
		{ numRuns },
	);
});

test("a varint is written as protobufjs writes it", () => {
	fc.assert(
		fc.property(fc.maxSafeNat(), (value) => {
			const theirs = protobuf.Writer.create().uint64(value).finish();
			const writer = new WireWriter();
			writer.varint(value);
			assert.deepEqual([...writer.finish()], [...theirs]);
		}),
		{ numRuns },
	);
});

test("any text survives, lone surrogates as U+FFFD, and a kept text never stands for another", () => {
	const text = fc.oneof(
		fc.string({ unit: "binary" }),
		fc.string({ maxLength: 3 }),
		fc.string({ unit: "binary", minLength: 60, maxLength: 200 }),
	);
	fc.assert(
		fc.property(text, (value) => {
			const reader = written((w) => w.stringField(7, value));
			assert.equal(reader.next(), true);
			assert.equal(reader.field, 7);
			assert.equal(reader.string(), value.toWellFormed());
			assert.equal(reader.next(), false);
		}),
		{ numRuns },
	);
});

test("bytes that are not UTF-8 become U+FFFD as TextDecoder has it, and a byte order mark stays", () => {
	const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
			assert.equal(utf8Text(bytes, 0, bytes.length), decoder.decode(bytes));
		}),
		{ numRuns },
	);
	assert.equal(utf8Text(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61), 0, 4), "\ufeffa");
});

test("sub-messages of any size nest, their lengths put in afterwards", () => {
	for (const size of [0, 1, 127, 128, 129, 16_383, 16_384, 2_100_000]) {
		const payload = new Uint8Array(size).fill(7);
		const reader = written((w) => {
			const outer = w.begin(1);
			const inner = w.begin(2);
			w.bytesField(3, payload);
			w.end(inner);
			w.fixed32Field(4, 0xffff_fffe);
			w.end(outer);
		});
		assert.ok(reader.next());
		const outer = reader.message();
		assert.ok(outer.next());
		const inner = outer.message();
		assert.ok(inner.next());
		assert.deepEqual(inner.view(), payload);
		assert.equal(inner.next(), false);
		assert.ok(outer.next());
		assert.equal(outer.fixed32(), 0xffff_fffe);
		assert.equal(reader.next(), false);
	}
});

test("doubles keep their bits, the infinities and NaN included", () => {
	for (const value of [0, -0, 1.5, Number.MAX_VALUE, Number.MIN_VALUE, Infinity, -Infinity, NaN]) {
		assert.ok(Object.is(written((w) => w.double(value)).double(), value));
	}
});

test("what was truncated was never written", () => {
	const writer = new WireWriter();
	writer.varintField(1, 5);
	const { length } = writer;
	writer.stringField(2, "gone");
	writer.truncate(length);
	assert.deepEqual([...writer.finish()], [8, 5]);
});

test("groups, field number 0, lengths beyond the end and cut values throw with the byte offset", () => {
	const cases: readonly (readonly [string, readonly number[], number])[] = [
		["group", [0x0b, 0x0c], 0],
		["field 0", [0x00, 0x01], 0],
		["length beyond the end", [0x0a, 0x05, 0x61], 1],
		["length of 4 GiB", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], 1],
		["varint cut short", [0x08, 0x80], 1],
		["varint of 11 bytes", [0x08, ...new Array<number>(10).fill(0x80), 0x01], 1],
		["fixed64 cut short", [0x09, 1, 2, 3], 1],
		["fixed32 cut short", [0x0d, 1, 2, 3], 1],
	];
	for (const [what, bytes, offset] of cases) {
		assert.throws(
			() => {
				const reader = new WireReader(Uint8Array.from(bytes));
				while (reader.next()) reader.skip();
			},
			(error) => error instanceof WireError && error.offset === offset,
			what,
		);
	}
});

test("random bytes are read or refused with WireError, within their range", () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat({ max: 8 }), (bytes, margin) => {
			const end = Math.max(0, bytes.length - margin);
			try {
				const reader = new WireReader(bytes, 0, end);
				while (reader.next()) {
					assert.ok(reader.position <= end);
					if (reader.field % 2 === 0) reader.skip();
					else if (reader.wireType === WIRE_VARINT) reader.uint64();
					else if (reader.wireType === WIRE_FIXED64) reader.fixed64();
					else if (reader.wireType === WIRE_FIXED32) reader.fixed32();
					else if (reader.is(WIRE_LENGTH)) assert.ok(reader.view().length <= end);
				}
			} catch (error) {
				if (!(error instanceof WireError)) throw error;
				assert.ok(error.offset <= end);
			}
		}),
		{ numRuns },
	);
});
