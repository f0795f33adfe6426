import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { skimLogs, skimTraces } from "../../collector/decode/skim.ts";
import { LOG_SHAPE, RecordColumns, type RecordShape, SPAN_SHAPE } from "../../model/columns.ts";
import type { WireWriter } from "../../model/protobuf/writer.ts";
import { NOW_NS, oddRequest, requestOf, spanIdOf, type Write } from "../conformance/odd-spans.ts";
import { logsData, protobufjsEncode, tracesData } from "../conformance/otlp-arbitraries.ts";
import { BlockBuilder } from "./builder.ts";
import { type EncodedBlock, OLDEST_BLOCK_FORMAT } from "./format.ts";
import { BlockReader } from "./reader.ts";
import { openPart, sealPart } from "./seal.ts";

const numRuns = Math.ceil(Number(process.env["MESHSCOPE_FUZZ_CASES"] ?? 5_000) / 10);
const FRESH = { level: 1, withFilter: false } as const;
const FINAL = { level: 3, withFilter: true } as const;

function skimAll(shape: RecordShape, requests: readonly Uint8Array[]): RecordColumns {
	const columns = new RecordColumns(shape);
	for (const request of requests) (shape === SPAN_SHAPE ? skimTraces : skimLogs)(request, columns, DEFAULT_LIMITS);
	return columns;
}

function readerOf(block: EncodedBlock): BlockReader {
	return new BlockReader((part) => block.parts[part]);
}

// One builder for every block of the file, as in the writer thread.
const builders = new Map<RecordShape, BlockBuilder>([SPAN_SHAPE, LOG_SHAPE].map((shape) => [shape, new BlockBuilder(shape)]));

function build(columns: RecordColumns): EncodedBlock {
	const builder = builders.get(columns.shape)!;
	builder.addColumns(columns);
	return builder.finish(FRESH);
}

function merge(
	blocks: readonly EncodedBlock[],
	options: { readonly level: number; readonly withFilter: boolean } = FINAL,
): EncodedBlock {
	const builder = builders.get(readerOf(blocks[0]!).shape)!;
	for (const block of blocks) builder.addBlock(readerOf(block));
	return builder.finish(options);
}

function hex(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

function id(words: Uint32Array, at: number, count: number): string {
	return Array.from(words.subarray(at, at + count), (word) => word.toString(16).padStart(8, "0")).join("");
}

interface Row {
	readonly record: string;
	readonly resource: string;
	readonly scope: string;
	readonly service: string;
	readonly name: string;
	readonly kind: number;
	readonly status: number;
	readonly traceId: string;
	readonly spanId: string;
	readonly parentId: string;
	readonly time0: bigint;
	readonly time1: bigint;
}

function sorted(rows: readonly Row[]): Row[] {
	const keyed = rows.map(
		(row) => [[row.traceId, row.spanId, row.record, row.resource, row.scope, row.name].join("|"), row] as const,
	);
	return keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, row]) => row);
}

/** What was put in. */
function rowsOfColumns(columns: RecordColumns): Row[] {
	const text = (start: number, end: number): string => new TextDecoder().decode(columns.bytes.subarray(start, end));
	const own = (first: number, count: number): string => {
		let out = "";
		for (let i = first; i < first + count; i++)
			out += hex(columns.bytes.subarray(columns.rangeStart[i]!, columns.rangeEnd[i]!));
		return out;
	};
	const time = (halves: Uint32Array, row: number): bigint => (BigInt(halves[row * 2 + 1]!) << 32n) | BigInt(halves[row * 2]!);
	return Array.from({ length: columns.count }, (_, row) => {
		const scope = columns.scope[row]!;
		const resource = columns.scopeResource[scope]!;
		return {
			record: hex(columns.bytes.subarray(columns.recordStart(row), columns.recordEnd(row))),
			resource: own(columns.resourceFirstRange[resource]!, columns.resourceRangeCount[resource]!),
			scope: own(columns.scopeFirstRange[scope]!, columns.scopeRangeCount[scope]!),
			service: text(columns.serviceStart[resource]!, columns.serviceEnd[resource]!),
			name: text(columns.nameStart[row]!, columns.nameEnd[row]!),
			kind: columns.kind[row]!,
			status: columns.status[row]!,
			traceId: id(columns.traceId, row * 4, 4),
			spanId: id(columns.spanId, row * 2, 2),
			parentId: id(columns.parentId, row * 2, 2),
			time0: time(columns.time0, row),
			time1: time(columns.time1, row),
		};
	});
}

/** What a block gives back. */
function rowsOfBlock(block: EncodedBlock): Row[] {
	const reader = readerOf(block);
	const head = reader.head();
	const { spans, parents } = reader.ids();
	const classes = reader.rowClasses();
	const { ids } = reader.traces();
	return Array.from({ length: head.rows }, (_, row) => {
		const entry = head.classes.at(classes[row]!);
		const scope = head.scopes[entry.scope]!;
		assert.equal(entry.service, scope.service);
		return {
			record: hex(reader.record(row)),
			resource: hex(reader.item(scope.resourceItem)),
			scope: hex(reader.item(scope.scopeItem)),
			service: entry.service,
			name: entry.name,
			kind: entry.kind,
			status: entry.status,
			traceId: id(ids, reader.traceOfRow(row) * 4, 4),
			spanId: id(spans, row * 2, 2),
			parentId: id(parents, row * 2, 2),
			time0: reader.time0(row),
			time1: reader.time1(row),
		};
	});
}

interface ClassFigures {
	rows: number;
	minDuration: number;
	maxDuration: number;
}

/** Statistics by what a class means; blocks may split a class in two. */
function classFigures(block: EncodedBlock): Map<string, ClassFigures> {
	const figures = new Map<string, ClassFigures>();
	for (const { service, name, kind, status, rows, minDuration, maxDuration } of readerOf(block).head().classes.all()) {
		const key = JSON.stringify([service, name, kind, status]);
		const known = figures.get(key);
		if (known === undefined) figures.set(key, { rows, minDuration, maxDuration });
		else {
			known.rows += rows;
			known.minDuration = Math.min(known.minDuration, minDuration);
			known.maxDuration = Math.max(known.maxDuration, maxDuration);
		}
	}
	return figures;
}

/** As the block should have them, from the rows; durations beyond the columns count as the longest they hold. */
function expectedFigures(rows: readonly Row[]): Map<string, ClassFigures> {
	const figures = new Map<string, ClassFigures>();
	for (const { service, name, kind, status, time0, time1 } of rows) {
		const key = JSON.stringify([service, name, kind, status]);
		const known = figures.get(key) ?? { rows: 0, minDuration: Infinity, maxDuration: -Infinity };
		const duration = Math.max(-(2 ** 52), Math.min(2 ** 52, Number(time1 - time0)));
		known.rows++;
		known.minDuration = Math.min(known.minDuration, duration);
		known.maxDuration = Math.max(known.maxDuration, duration);
		figures.set(key, known);
	}
	return figures;
}

/** Shortest and longest durations are read as bounds, no further off than single precision makes them. */
function assertFigures(figures: Map<string, ClassFigures>, expected: Map<string, ClassFigures>): void {
	assert.deepEqual([...figures.keys()].sort(), [...expected.keys()].sort());
	for (const [key, { rows, minDuration, maxDuration }] of figures) {
		const exact = expected.get(key)!;
		assert.equal(rows, exact.rows);
		assert.ok(minDuration <= exact.minDuration && maxDuration >= exact.maxDuration, "durations lie within their bounds");
		assert.ok(exact.minDuration - minDuration <= Math.abs(exact.minDuration) * 2 ** -22, "the lower bound is close");
		assert.ok(maxDuration - exact.maxDuration <= Math.abs(exact.maxDuration) * 2 ** -22, "the upper bound is close");
	}
}

const MAX_INT64 = (1n << 63n) - 1n;
const clamped = (time: bigint): bigint => (time > MAX_INT64 ? MAX_INT64 : time);

function assertHolds(block: EncodedBlock, rows: readonly Row[]): void {
	assert.deepEqual(sorted(rowsOfBlock(block)), sorted(rows));
	assertFigures(classFigures(block), expectedFigures(rows));
	const { summary } = block;
	const traces = new Set(rows.map(({ traceId }) => traceId));
	assert.deepEqual([summary.rows, summary.traces], [rows.length, traces.size]);
	assert.deepEqual(summary.services, [...new Set(summary.services)].sort());
	for (const { service } of rows) assert.ok(summary.services.includes(service));
	for (const { time0, time1 } of rows) {
		assert.ok(summary.minTimeNs <= clamped(time0) && clamped(time0) <= summary.maxTimeNs, "the zone map hides no time");
		const duration = Math.max(-(2 ** 52), Math.min(2 ** 52, Number(time1 - time0)));
		assert.ok(summary.minDurationNs <= duration && duration <= summary.maxDurationNs, "nor a duration");
	}
	assert.equal(block.traceHashes.length, traces.size);
	assert.deepEqual(
		[...block.traceHashes],
		[...block.traceHashes].sort((a, b) => a - b),
	);
	const reader = readerOf(block);
	for (const traceId of traces) {
		const [w0, w1, w2, w3] = [0, 8, 16, 24].map((at) => Number.parseInt(traceId.slice(at, at + 8), 16));
		const found = reader.findTrace(w0!, w1!, w2!, w3!);
		assert.ok(found !== undefined, `trace ${traceId} is found`);
		const count = rows.filter((row) => row.traceId === traceId).length;
		assert.equal(found[1] - found[0], count, "a trace's rows are together");
	}
	assert.equal(reader.findTrace(1, 2, 3, 4), undefined);
}

const spanRequest = tracesData.map((json) => protobufjsEncode("TracesData", json));
const logRequest = logsData.map((json) => protobufjsEncode("LogsData", json));

for (const [shape, request] of [
	[SPAN_SHAPE, spanRequest],
	[LOG_SHAPE, logRequest],
] as const) {
	test(`${shape.signal}: a block gives every record back to the byte, with its ids, times, names and scopes`, () => {
		fc.assert(
			fc.property(fc.array(request, { minLength: 1, maxLength: 4 }), (requests) => {
				const columns = skimAll(shape, requests);
				if (columns.count > 0) assertHolds(build(columns), rowsOfColumns(columns));
			}),
			{ numRuns },
		);
	});
}

test("fields in any order, repeated, oddly encoded, with times from 0 to 2^64 - 1, come back to the byte", () => {
	fc.assert(
		fc.property(fc.array(oddRequest, { minLength: 1, maxLength: 4 }), (requests) => {
			const columns = skimAll(SPAN_SHAPE, requests);
			assertHolds(build(columns), rowsOfColumns(columns));
		}),
		{ numRuns },
	);
});

test("merging blocks in any order, and merging what was merged, holds what one block of all rows holds", () => {
	const order = fc.array(fc.nat(), { minLength: 5, maxLength: 5 });
	fc.assert(
		fc.property(fc.array(fc.oneof(oddRequest, spanRequest), { minLength: 2, maxLength: 5 }), order, (requests, keys) => {
			const groups = requests.map((request) => skimAll(SPAN_SHAPE, [request])).filter((columns) => columns.count > 0);
			if (groups.length === 0) return;
			const rows = groups.flatMap(rowsOfColumns);
			const whole = build(skimAll(SPAN_SHAPE, requests));
			const blocks = groups.map((columns) => build(columns));
			const shuffled = blocks.map((block, i) => ({ block, key: keys[i]! })).sort((a, b) => a.key - b.key);
			const merged = merge(shuffled.map(({ block }) => block));
			assertHolds(merged, rows);
			assert.deepEqual(merged.traceHashes, whole.traceHashes);
			const half = Math.ceil(blocks.length / 2);
			const halves = [blocks.slice(0, half), blocks.slice(half)].filter((part) => part.length > 0);
			const twice = merge(
				halves.map((part) => merge(part, FRESH)),
				FINAL,
			);
			assertHolds(twice, rows);
			assertHolds(merge([twice]), rows);
		}),
		{ numRuns },
	);
});

function plainSpan(i: number, ...more: readonly Write[]): readonly Write[] {
	const traceId = Buffer.alloc(16, 7);
	traceId.writeUInt32BE(i >> 2, 12);
	const spanId = Buffer.alloc(8, 9);
	spanId.writeUInt32BE(i, 4);
	return [
		(writer) => writer.bytesField(1, traceId),
		(writer) => writer.bytesField(2, spanId),
		(writer) => writer.fixed64Field(7, NOW_NS + BigInt(i)),
		(writer) => writer.fixed64Field(8, NOW_NS + BigInt(i) + 5n),
		...more,
	];
}

test("a column of 70,000 distinct values comes back, fresh and merged", () => {
	const spans = Array.from({ length: 70_000 }, (_, i) => plainSpan(i, (writer) => writer.stringField(3, `state ${i}`)));
	const columns = skimAll(SPAN_SHAPE, [requestOf("cart", spans)]);
	const block = build(columns);
	const other = build(skimAll(SPAN_SHAPE, [requestOf("cart", [plainSpan(70_000)])]));
	const expected = sorted(rowsOfColumns(columns));
	assert.deepEqual(sorted(rowsOfBlock(block)), expected);
	const merged = merge([other, block]);
	assert.equal(merged.summary.rows, 70_001);
	const records = new Set(rowsOfBlock(merged).map(({ record }) => record));
	for (const { record } of expected) assert.ok(records.has(record));
});

test("257 and 65,537 operations come back: class numbers of two and of four bytes", () => {
	for (const count of [257, 65_537]) {
		const spans = Array.from({ length: count }, (_, i) => plainSpan(i, (writer) => writer.stringField(5, `op ${i}`)));
		const columns = skimAll(SPAN_SHAPE, [requestOf("cart", spans)]);
		const block = build(columns);
		assert.deepEqual(sorted(rowsOfBlock(block)), sorted(rowsOfColumns(columns)));
		assert.equal(block.operations.length, count);
	}
});

test("a block of no rows is refused", () => {
	assert.throws(() => new BlockBuilder(SPAN_SHAPE).finish({ level: 1, withFilter: false }), /a row at least/);
});

test("a block of one row holds", () => {
	const columns = skimAll(SPAN_SHAPE, [requestOf("", [plainSpan(0)])]);
	assertHolds(build(columns), rowsOfColumns(columns));
	assertHolds(merge([build(columns)]), rowsOfColumns(columns));
});

test("a trace of 5,000 spans of one moment keeps the order of their arrival", () => {
	const same: readonly Write[] = [(writer) => writer.fixed64Field(7, NOW_NS)];
	const spans = Array.from({ length: 5_000 }, (_, i): readonly Write[] => [
		(writer) => writer.bytesField(1, Buffer.alloc(16, 1)),
		(writer) => {
			const spanId = Buffer.alloc(8, 1);
			spanId.writeUInt32BE(i, 0);
			writer.bytesField(2, spanId);
		},
		...same,
	]);
	const block = build(skimAll(SPAN_SHAPE, [requestOf("cart", spans)]));
	const { spans: ids } = readerOf(block).ids();
	assert.deepEqual(
		Array.from({ length: 5_000 }, (_, row) => ids[row * 2]),
		spans.map((_, i) => i),
	);
});

test("span ids that differ only in their last bits keep their own parents", () => {
	// As doubles such ids are equal beyond 53 bits, and a trace of more than 48 spans looks parents up as doubles.
	const parentOf = (i: number): Uint8Array => Buffer.from((0xffff_ffff_ffff_f000n + BigInt(i)).toString(16), "hex");
	const spans = Array.from({ length: 100 }, (_, i): readonly Write[] => [
		(writer) => writer.bytesField(1, Buffer.alloc(16, 1)),
		(writer) => writer.bytesField(2, parentOf(i)),
		(writer) => writer.bytesField(4, parentOf((i * 7 + 1) % 100)),
	]);
	const columns = skimAll(SPAN_SHAPE, [requestOf("cart", spans)]);
	assertHolds(build(columns), rowsOfColumns(columns));
});

test("a span without a name is not found under the name of one whose name field is repeated", () => {
	const twice: readonly Write[] = [(writer) => writer.stringField(5, "first"), (writer) => writer.stringField(5, "last")];
	const columns = skimAll(SPAN_SHAPE, [requestOf("cart", [plainSpan(0, ...twice), plainSpan(1), plainSpan(2, ...twice)])]);
	const block = build(columns);
	assertHolds(block, rowsOfColumns(columns));
	assertHolds(merge([build(skimAll(SPAN_SHAPE, [requestOf("cart", [plainSpan(9)])])), block].slice(1)), rowsOfColumns(columns));
	const unnamed = skimAll(SPAN_SHAPE, [requestOf("cart", [plainSpan(5)])]);
	assertHolds(merge([block, build(unnamed)]), [...rowsOfColumns(columns), ...rowsOfColumns(unnamed)]);
});

test("service names that begin with the same 1,024 bytes stay apart", () => {
	const long = "s".repeat(1_024);
	const columns = skimAll(SPAN_SHAPE, [requestOf(`${long}tail`, [plainSpan(0)]), requestOf(long, [plainSpan(1)])]);
	assertHolds(build(columns), rowsOfColumns(columns));
});

test("in a trace of 3,000 spans each row alone names the parent that all rows together name, known or not", () => {
	const hexOf = (number: number): string => number.toString(16).padStart(16, "0");
	// Some without a parent, some below the first spans, some far down, some below one that never came.
	const parentOf = (i: number): number => [0, 1 + (i % 200), i, 1_000_000 + i][(i * 7) % 4]!;
	const spans = Array.from({ length: 3_000 }, (_, i) => ({
		traceId: "7a5c3e1f9b8d6e4c0000000000000001",
		spanId: hexOf(i + 1),
		...(parentOf(i) === 0 ? {} : { parentSpanId: hexOf(parentOf(i)) }),
		name: "op",
		startTimeUnixNano: String(1_800_000_000_000_000_000n + BigInt(i)),
	}));
	const request = protobufjsEncode("TracesData", { resourceSpans: [{ scopeSpans: [{ spans }] }] });
	const reader = readerOf(build(skimAll(SPAN_SHAPE, [request])));
	const { parents } = reader.ids();
	for (let row = spans.length - 1; row >= 0; row--) {
		const expected = [parents[row * 2], parents[row * 2 + 1]];
		assert.deepEqual([...reader.parentId(row)], expected, `row ${row}`);
		assert.deepEqual(expected, [0, parentOf(row)], `row ${row}`);
	}
});

/** 1,300 traces of four spans each, with a value of its own in each span, one in each trace, and some that all share. */
function manyTraces(first: number): RecordColumns {
	const spans = Array.from({ length: 5_200 }, (_, i) =>
		plainSpan(
			first + i,
			(writer) => writer.stringField(5, `op ${i % 5}`),
			(writer) => writer.stringField(3, `trace ${(first + i) >> 2}`),
			...(i % 3 === 0 ? [(writer: WireWriter): void => writer.stringField(3, `span ${first + i}`)] : []),
			(writer) => writer.stringField(3, `one of ${i % 40}`),
		),
	);
	return skimAll(SPAN_SHAPE, [requestOf("cart", spans)]);
}

test("a block of several stretches holds every row, fresh and merged, and gives single rows as it gives all", () => {
	const [one, other] = [manyTraces(0), manyTraces(5_200)];
	const [rowsOfOne, rowsOfOther] = [rowsOfColumns(one), rowsOfColumns(other)];
	const [fresh, next] = [build(one), build(other)];
	assert.ok(fresh.parts.stretches !== undefined);
	assert.deepEqual(sorted(rowsOfBlock(fresh)), sorted(rowsOfOne));
	const merged = merge([fresh, next]);
	assert.deepEqual(sorted(rowsOfBlock(merged)), sorted([...rowsOfOne, ...rowsOfOther]));
	const whole = readerOf(merged);
	const { spans, parents } = whole.ids();
	const [offsets, durations, classes] = [whole.offsets(), whole.durations(), whole.rowClasses()];
	const single = readerOf(merged);
	for (let row = merged.summary.rows - 1; row >= 0; row -= 7) {
		assert.deepEqual([...single.spanId(row)], [spans[row * 2], spans[row * 2 + 1]]);
		assert.deepEqual([...single.parentId(row)], [parents[row * 2], parents[row * 2 + 1]]);
		assert.deepEqual([single.offsetOfRow(row), single.durationOfRow(row)], [offsets[row], durations[row]]);
		assert.equal(single.classOfRow(row), classes[row]);
		assert.equal(single.traceOfRow(row), whole.traceOfRow(row));
	}
});

/** Checks that the block gives back each of these traces, and with it at most so many bytes of its parts. */
function assertReadAlone(block: EncodedBlock, traces: Iterable<readonly [string, string[]]>, maxBytes: number): void {
	for (const [traceId, records] of traces) {
		let loaded = 0;
		const counted = (bytes: Uint8Array | undefined): Uint8Array | undefined => {
			loaded += bytes?.length ?? 0;
			return bytes;
		};
		const reader = new BlockReader({
			load: (part) => counted(block.parts[part]),
			loadRange: (part, start, end) => counted(block.parts[part]?.subarray(start, end)),
		});
		const [w0, w1, w2, w3] = [0, 8, 16, 24].map((at) => Number.parseInt(traceId.slice(at, at + 8), 16));
		const [first, end] = reader.findTrace(w0!, w1!, w2!, w3!)!;
		const found = Array.from({ length: end - first }, (_, i) => hex(reader.record(first + i)));
		assert.deepEqual(found.sort(), records.sort());
		assert.ok(loaded < maxBytes, `${loaded} bytes, at most ${maxBytes} wanted`);
	}
}

function recordsByTrace(columns: RecordColumns): Map<string, string[]> {
	return new Map(
		[...Map.groupBy(rowsOfColumns(columns), ({ traceId }) => traceId)].map(([traceId, rows]) => [
			traceId,
			rows.map(({ record }) => record),
		]),
	);
}

test("a trace is found in any stretch, and read without the rest of the block", () => {
	const columns = manyTraces(0);
	const block = build(columns);
	const partBytes = Object.values(block.parts).reduce((total, part) => total + part.length, 0);
	assertReadAlone(block, [...recordsByTrace(columns)].slice(0, 200), partBytes / 2);
});

test("a trace of long values is read without those of others, in a fresh block and a merged one", () => {
	const longSpans = (first: number): RecordColumns =>
		skimAll(SPAN_SHAPE, [
			requestOf(
				"cart",
				Array.from({ length: 400 }, (_, i) =>
					plainSpan(
						first + i,
						(writer) => writer.bytesField(3, randomBytes(4_000)),
						(writer) => writer.bytesField(3, Buffer.alloc(9_000, first)),
					),
				),
			),
		]);
	const [one, other] = [longSpans(0), longSpans(400)];
	const blocks = [build(one), build(other)];
	assertReadAlone(blocks[0]!, recordsByTrace(one), 250_000);
	assertReadAlone(merge(blocks), [...recordsByTrace(one), ...recordsByTrace(other)], 250_000);
});

test("a block of the format before, whose parts are sealed whole, is read", () => {
	const spans = Array.from({ length: 3_000 }, (_, i): readonly Write[] => [
		(writer) => writer.bytesField(1, Buffer.alloc(16, 1)),
		(writer) => writer.bytesField(2, spanIdOf(i % 200)),
		(writer) => writer.stringField(3, `state ${i}`),
	]);
	const columns = skimAll(SPAN_SHAPE, [requestOf("cart", spans)]);
	const block = build(columns);
	// One trace is one stretch, whose block differs from an older one by the number alone.
	assert.equal(block.parts.stretches, undefined);
	const head = Uint8Array.from(openPart(block.parts.head!));
	head[0] = OLDEST_BLOCK_FORMAT;
	const older = { ...block, parts: { ...block.parts, head: sealPart(head, 1) } };
	assertHolds(older, rowsOfColumns(columns));
	assert.equal(merge([older, build(manyTraces(0))]).summary.rows, 8_200);
});
