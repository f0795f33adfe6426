/**
 * The write path without I/O: skim, block building and merging, in nanoseconds a span and bytes a span. Every record of a sample is
 * rebuilt and compared, so a fast wrong answer cannot pass.
 */
import { Buffer } from "node:buffer";
import { DEFAULT_LIMITS } from "../collector/decode/limits.ts";
import { skimTraces } from "../collector/decode/skim.ts";
import { RecordColumns, SPAN_SHAPE } from "../model/columns.ts";
import { BlockBuilder } from "../store/block/builder.ts";
import type { EncodedBlock } from "../store/block/format.ts";
import { BlockReader } from "../store/block/reader.ts";
import { GRPC_PREFIX_BYTES, PayloadFiller, createPayload } from "./payload.ts";

const layout = process.argv.includes("--scattered") ? "scattered" : "mixed";
const REQUESTS_PER_GROUP = 4;
const GROUPS_PER_MERGE = 12;
const MERGES = Number(process.argv.find((arg) => /^\d+$/.test(arg)) ?? 8);

const payload = createPayload({ layout, spansPerRequest: 1400, templates: 16, seed: 7 });
const filler = new PayloadFiller();
const columns = new RecordColumns(SPAN_SHAPE);
const builder = new BlockBuilder(SPAN_SHAPE);
const merger = new BlockBuilder(SPAN_SHAPE);
const times = { skim: 0, build: 0, merge: 0 };
let spans = 0;
let rawBytes = 0;
let freshBytes = 0;
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
	for (const block of fresh) merger.addBlock(readerOf(block));
	const merged = merger.finish({ level: 3, withFilter: true });
	times.merge += now() - started;
	mergedBytes += sizeOf(merged);
	for (const [name, part] of Object.entries(merged.parts)) partBytes[name] = (partBytes[name] ?? 0) + part.length;
}

console.log(`${spans} spans, ${(rawBytes / spans).toFixed(0)} B/span on the wire, ${layout}`);
for (const [name, ms] of Object.entries(times)) console.log(`${name.padEnd(8)} ${((ms * 1e6) / spans).toFixed(0)} ns/span`);
console.log(`fresh ${(freshBytes / spans).toFixed(1)} B/span, merged ${(mergedBytes / spans).toFixed(1)} B/span`);
for (const [name, bytes] of Object.entries(partBytes)) console.log(`  ${name.padEnd(10)} ${(bytes / spans).toFixed(2)} B/span`);

function sizeOf(block: EncodedBlock): number {
	return Object.values(block.parts).reduce((total, part) => total + part.length, 0);
}

function readerOf(block: EncodedBlock): BlockReader {
	return new BlockReader((part) => block.parts[part]);
}

function checkRoundTrip(block: EncodedBlock): void {
	const reader = readerOf(block);
	const original = new Set<string>();
	for (let i = 0; i < columns.count; i++) {
		original.add(Buffer.from(columns.bytes.subarray(columns.recordStart(i), columns.recordEnd(i))).toString("hex"));
	}
	for (let row = 0; row < reader.head().rows; row++) {
		const bytes = reader.record(row);
		if (!original.delete(Buffer.from(bytes).toString("hex"))) throw new Error(`row ${row} is not what came in`);
	}
	if (original.size > 0) throw new Error(`${original.size} records are missing`);
}

/** CPU time of this thread's process in ms: neighbours on the machine do not count. */
function now(): number {
	return process.cpuUsage().user / 1000;
}
