/** What a hostile sender can choose so that every look-up meets every other: the cost must stay in proportion to the rows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { skimTraces } from "../../collector/decode/skim.ts";
import { RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import { BlockBuilder } from "./builder.ts";
import { ItemDictionary } from "./dictionary.ts";
import { traceHash } from "./format.ts";
import { BlockReader } from "./reader.ts";

type WriteSpan = (writer: WireWriter, i: number) => void;

/** Milliseconds and memory that a block of these spans costs: skimmed, built, read, merged. */
function costOf(rows: number, write: WriteSpan): { readonly ms: number; readonly heldBytes: number } {
	const writer = new WireWriter(1 << 20);
	const group = writer.begin(1);
	const scope = writer.begin(2);
	for (let i = 0; i < rows; i++) {
		const span = writer.begin(2);
		write(writer, i);
		writer.end(span);
	}
	writer.end(scope);
	writer.end(group);
	const request = writer.finish();
	const startedMs = performance.now();
	const columns = new RecordColumns(SPAN_SHAPE);
	assert.equal(skimTraces(request, columns, DEFAULT_LIMITS).accepted, rows);
	const builder = new BlockBuilder(SPAN_SHAPE);
	builder.addColumns(columns);
	const fresh = builder.finish({ level: 1, withFilter: false });
	const reader = new BlockReader((part) => fresh.parts[part]);
	const before = process.memoryUsage();
	builder.addBlock(reader);
	const after = process.memoryUsage();
	const merged = builder.finish({ level: 1, withFilter: true });
	assert.equal(merged.summary.rows, rows);
	const held = (usage: NodeJS.MemoryUsage): number => usage.heapUsed + usage.external;
	return { ms: performance.now() - startedMs, heldBytes: held(after) - held(before) };
}

const traceId = Buffer.alloc(16, 7);
const spanId = Buffer.alloc(8, 9);

function writeIds(writer: WireWriter, i: number): void {
	traceId.writeUInt32BE(i >> 2, 12);
	spanId.writeUInt32BE(i + 1, 4);
	writer.bytesField(1, traceId);
	writer.bytesField(2, spanId);
}

test("30,000 trace ids made to share one hash cost no more than a second or two", () => {
	const seen = new Set<number>();
	const { ms } = costOf(30_000, (writer, i) => {
		const w0 = Math.imul(i, 0x9e3779b1) >>> 0;
		const w3 = (Math.imul(w0 ^ 0x2545f491, 0x9e3779b1) ^ 0x12345678) >>> 0;
		const w2 = (Math.imul(i ^ 0x6c8e9cf5, 0xc2b2ae35) ^ 0x09abcdef) >>> 0;
		seen.add(traceHash(w0, i, w2, w3));
		const id = Buffer.alloc(16);
		[w0, i, w2, w3].forEach((word, at) => id.writeUInt32BE(word, at * 4));
		writer.bytesField(1, id);
		writer.bytesField(2, spanId);
	});
	assert.equal(seen.size, 1, "the attack is one");
	assert.ok(ms < 3_000, `${ms.toFixed(0)} ms`);
});

test("30,000 spans that repeat their name field cost no more than a second or two", () => {
	const { ms } = costOf(30_000, (writer, i) => {
		writeIds(writer, i);
		writer.stringField(5, "a");
		writer.stringField(5, "b");
	});
	assert.ok(ms < 3_000, `${ms.toFixed(0)} ms`);
});

test("30,000 spans that are all laid out differently cost neither minutes nor 100 MB", () => {
	const { ms, heldBytes } = costOf(30_000, (writer, i) => {
		writeIds(writer, i);
		for (let k = 0; k < 10; k++) {
			const attribute = writer.begin(9);
			writer.stringField(1, "k".repeat(1 + ((i >> (k * 2)) & 3) + k));
			const value = writer.begin(2);
			writer.stringField(1, "v");
			writer.end(value);
			writer.end(attribute);
		}
	});
	assert.ok(ms < 5_000, `${ms.toFixed(0)} ms`);
	assert.ok(heldBytes < 100e6, `${(heldBytes / 1e6).toFixed(0)} MB`);
});

test("16,384 attribute values that collide whatever the hash's seed cost no more than a second or two", () => {
	// Flipping the top bit of one word and, two words later, what that flip becomes after a multiplication by any odd number.
	const pairs = 14;
	const base = Buffer.alloc(pairs * 16, 0x61);
	const dictionary = new ItemDictionary();
	const startedMs = performance.now();
	for (let mask = 0; mask < 1 << pairs; mask++) {
		const run = Buffer.from(base);
		for (let pair = 0; pair < pairs; pair++) {
			if (((mask >> pair) & 1) === 0) continue;
			run.writeInt32LE(run.readInt32LE(pair * 16) ^ 0x8000_0000, pair * 16);
			run.writeInt32LE(run.readInt32LE(pair * 16 + 8) ^ 0x8001_0000, pair * 16 + 8);
		}
		const id = dictionary.intern(run, new DataView(run.buffer, run.byteOffset, run.length), 0, run.length);
		assert.equal(Buffer.compare(dictionary.item(id), run), 0);
	}
	assert.ok(performance.now() - startedMs < 1_500, `${(performance.now() - startedMs).toFixed(0)} ms`);
});
