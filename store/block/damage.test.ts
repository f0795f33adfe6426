import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { skimTraces } from "../../collector/decode/skim.ts";
import { RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { protobufjsEncode } from "../conformance/otlp-arbitraries.ts";
import { BlockBuilder } from "./builder.ts";
import { DamagedBlockError } from "./bytes.ts";
import { type BlockParts, PART_NAMES, type PartName } from "./format.ts";
import { packParts, unpackPart } from "./pack.ts";
import { BlockReader } from "./reader.ts";
import { openPart, sealPart } from "./seal.ts";

const TIME_NS = 1_800_000_000_000_000_000n;

const SPANS = 1_100;

/** A final block with every part, in two stretches, of spans that share little. */
function block(): BlockParts {
	const spans = Array.from({ length: SPANS }, (_, i) => ({
		traceId: (1 + (i >> 2)).toString(16).padStart(32, "a"),
		spanId: (1 + i).toString(16).padStart(16, "b"),
		...(i % 4 === 0 ? {} : { parentSpanId: (i - (i % 4) + 1).toString(16).padStart(16, "b") }),
		name: `op ${i % 7}`,
		kind: i % 6,
		startTimeUnixNano: String(TIME_NS + BigInt(i * 1_000)),
		endTimeUnixNano: String(TIME_NS + BigInt(i * 3_000)),
		attributes: [{ key: "n", value: { stringValue: `value ${i}` } }],
	}));
	const columns = new RecordColumns(SPAN_SHAPE);
	const request = protobufjsEncode("TracesData", { resourceSpans: [{ scopeSpans: [{ spans }] }] });
	skimTraces(request, columns, DEFAULT_LIMITS);
	const builder = new BlockBuilder(SPAN_SHAPE);
	builder.addColumns(columns);
	return builder.finish({ level: 3, withFilter: true }).parts;
}

const PARTS = block();

function recordsOf(load: (part: PartName) => Uint8Array | undefined): string[] {
	const reader = new BlockReader(load);
	reader.filter();
	reader.ids();
	return Array.from({ length: reader.head().rows }, (_, row) => Buffer.from(reader.record(row)).toString("hex"));
}

const RECORDS = recordsOf((part) => PARTS[part]);

function assertDamaged(load: (part: PartName) => Uint8Array | undefined): void {
	assert.throws(() => recordsOf(load), DamagedBlockError);
}

test("the block that is about to be damaged is whole", () => {
	assert.equal(RECORDS.length, SPANS);
	assert.deepEqual(Object.keys(PARTS).sort(), [...PART_NAMES].sort());
});

for (const name of PART_NAMES) {
	test(`a flipped bit anywhere in the ${name} is found, and no wrong record comes of it`, () => {
		fc.assert(
			fc.property(fc.nat(), fc.nat({ max: 7 }), (at, bit) => {
				const damaged = Uint8Array.from(PARTS[name]!);
				damaged[at % damaged.length]! ^= 1 << bit;
				assertDamaged((part) => (part === name ? damaged : PARTS[part]));
			}),
			{ numRuns: 150 },
		);
	});

	test(`the ${name} cut off anywhere, or grown, is found`, () => {
		fc.assert(
			fc.property(fc.nat(), (at) => {
				const whole = PARTS[name]!;
				assertDamaged((part) => (part === name ? whole.subarray(0, at % whole.length) : PARTS[part]));
			}),
			{ numRuns: 60 },
		);
		const grown = new Uint8Array(PARTS[name]!.length + 1);
		grown.set(PARTS[name]!);
		assertDamaged((part) => (part === name ? grown : PARTS[part]));
	});

	if (name !== "filter")
		test(`a block without its ${name} is damaged`, () => {
			assertDamaged((part) => (part === name ? undefined : PARTS[part]));
		});
}

test("a pack gives every part back, and damage to it never gives a wrong record", () => {
	const pack = packParts(PARTS);
	for (const name of PART_NAMES) assert.deepEqual(unpackPart(pack, name), PARTS[name]);
	fc.assert(
		fc.property(fc.nat(), fc.nat({ max: 255 }), fc.boolean(), (at, byte, cut) => {
			const damaged = cut ? pack.slice(0, at % pack.length) : Uint8Array.from(pack);
			if (!cut) damaged[at % damaged.length] = byte;
			try {
				assert.deepEqual(
					recordsOf((part) => unpackPart(damaged, part)),
					RECORDS,
				);
			} catch (error) {
				assert.ok(error instanceof DamagedBlockError, String(error));
			}
		}),
		{ numRuns: 400 },
	);
});

test("what is sealed opens again, at any level and size, and is compressed only where that helps", () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 500 }), fc.constantFrom(0, 1, 3), fc.nat({ max: 300 }), (bytes, level, times) => {
			const content = Buffer.concat(Array.from({ length: times }, () => bytes));
			const sealed = sealPart(content, level);
			assert.equal(Buffer.compare(openPart(sealed), content), 0);
			assert.ok(sealed.length <= content.length + 9);
		}),
		{ numRuns: 200 },
	);
	const zeros = new Uint8Array(8 << 20);
	assert.ok(sealPart(zeros, 1).length < 4_096);
	assert.equal(openPart(sealPart(zeros, 1)).length, zeros.length);
});

test("a sealed part of an unknown kind, and one that is no zstd frame in spite of its checksum, are damaged", () => {
	for (const kind of [1, 2, 255]) {
		const forged = new Uint8Array([kind, ...Buffer.from("twelve bytes"), 0, 0, 0, 0]);
		new DataView(forged.buffer).setUint32(forged.length - 4, crc32(forged.subarray(0, -4)), true);
		assert.throws(() => openPart(forged), DamagedBlockError, `kind ${kind}`);
	}
});
