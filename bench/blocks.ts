/**
 * The write path without I/O: skim, block building and merging, in nanoseconds a span and bytes a span. Every record of a sample is
 * rebuilt and compared, so a fast wrong answer cannot pass. `--cpu-prof` and bench/profile.ts say where the time goes.
 *
 * `node bench/blocks.ts [merges] [blocks a merge] [requests of 1,400 spans a block] [--scattered]`
 */
import { Buffer } from "node:buffer";
import { DEFAULT_LIMITS } from "../collector/decode/limits.ts";
import { skimTraces } from "../collector/decode/skim.ts";
import { RecordColumns, SPAN_SHAPE } from "../model/columns.ts";
import { BlockBuilder } from "../store/block/builder.ts";
import type { EncodedBlock } from "../store/block/format.ts";
import { finalExtras } from "../store/block/merge.ts";
import { BlockReader } from "../store/block/reader.ts";
import { GRPC_PREFIX_BYTES, PayloadFiller, createPayload } from "./payload.ts";

const layout = process.argv.includes("--scattered") ? "scattered" : "mixed";
/** By default the blocks of a saturated server, and about as many of them as make a final block. */
const [MERGES = 24, GROUPS_PER_MERGE = 3, REQUESTS_PER_GROUP = 4] = process.argv.filter((arg) => /^\d+$/.test(arg)).map(Number);

const payload = createPayload({ layout, spansPerRequest: 1400, templates: 16, seed: 7 });
const filler = new PayloadFiller();
const columns = new RecordColumns(SPAN_SHAPE);
const builder = new BlockBuilder(SPAN_SHAPE);
const merger = new BlockBuilder(SPAN_SHAPE);
const times = { skim: 0, build: 0, "finalise as it is": 0, "merge: take": 0, "merge: finish": 0 };
let spans = 0;
let rawBytes = 0;
let freshBytes = 0;
let filterBytes = 0;
let mergedBytes = 0;
let requests: Buffer<ArrayBuffer>[] = [];
const partBytes: Record<string, number> = {};

for (let merge = 0; merge < MERGES; merge++) {
	const fresh: EncodedBlock[] = [];
	for (let g = 0; g < GROUPS_PER_MERGE; g++) {
		columns.reset();
		for (let r = 0; r < REQUESTS_PER_GROUP; r++) {
			if (requests.length === 0) {
				const group = payload.groups[(merge * 31 + g * 7 + r) % payload.groups.length]!;
				requests = group.requests.map((request) => Buffer.from(new ArrayBuffer(request.bytes.length)));
				filler.fill(group, requests, Date.now());
			}
			const request = requests.pop()!.subarray(GRPC_PREFIX_BYTES);
			const started = now();
			const result = skimTraces(request, columns, DEFAULT_LIMITS);
			times.skim += now() - started;
			if (result.rejected > 0) throw new Error(JSON.stringify(result.dropped));
			rawBytes += request.length;
		}
		spans += columns.count;
		const started = now();
		builder.addColumns(columns);
		const block = builder.finish({ level: 1, withFilter: false });
		times.build += now() - started;
		freshBytes += sizeOf(block);
		fresh.push(block);
		if (merge === 0 && g === 0) checkRoundTrip(block);
	}
	const started = now();
	for (const block of fresh) filterBytes += finalExtras(block.parts).filter.length;
	const finalised = now();
	for (const block of fresh) merger.addBlock(readerOf(block));
	const taken = now();
	const merged = merger.finish({ level: 1, withFilter: true });
	times["finalise as it is"] += finalised - started;
	times["merge: take"] += taken - finalised;
	times["merge: finish"] += now() - taken;
	if (merge === 0) checkSameRecords(fresh, merged);
	mergedBytes += sizeOf(merged);
	for (const [name, part] of Object.entries(merged.parts)) partBytes[name] = (partBytes[name] ?? 0) + part.length;
}

console.log(`${spans} spans, ${(rawBytes / spans).toFixed(0)} B/span on the wire, ${layout}`);
for (const [name, ms] of Object.entries(times)) console.log(`${name.padEnd(18)} ${((ms * 1e6) / spans).toFixed(0)} ns/span`);
console.log(
	`fresh ${(freshBytes / spans).toFixed(1)} B/span, final ${((freshBytes + filterBytes) / spans).toFixed(1)}, merged ${(mergedBytes / spans).toFixed(1)} B/span`,
);
for (const [name, bytes] of Object.entries(partBytes)) console.log(`  ${name.padEnd(10)} ${(bytes / spans).toFixed(2)} B/span`);

function sizeOf(block: EncodedBlock): number {
	return Object.values(block.parts).reduce((total, part) => total + part.length, 0);
}

function readerOf(block: EncodedBlock): BlockReader {
	return new BlockReader((part) => block.parts[part]);
}

function checkRoundTrip(block: EncodedBlock): void {
	const original: string[] = [];
	for (let i = 0; i < columns.count; i++)
		original.push(Buffer.from(columns.bytes.subarray(columns.recordStart(i), columns.recordEnd(i))).toString("hex"));
	expectRecords(recordsOf(block), original);
}

function checkSameRecords(inputs: readonly EncodedBlock[], merged: EncodedBlock): void {
	expectRecords(recordsOf(merged), inputs.flatMap(recordsOf));
}

function recordsOf(block: EncodedBlock): string[] {
	const reader = readerOf(block);
	return Array.from({ length: reader.head().rows }, (_, row) => Buffer.from(reader.record(row)).toString("hex"));
}

function expectRecords(actual: string[], expected: string[]): void {
	expected.sort();
	if (actual.length !== expected.length) throw new Error(`${actual.length} records of ${expected.length}`);
	for (const [i, record] of actual.sort().entries())
		if (record !== expected[i]) throw new Error("a record is not what came in");
}

/** CPU time of this thread's process in ms: neighbours on the machine do not count. */
function now(): number {
	return process.cpuUsage().user / 1000;
}
