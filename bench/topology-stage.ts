/**
 * What topology adds to a span's way: extraction in the writer thread, the stage in its own. CPU nanoseconds a span beside those of the
 * skim, without I/O: flushes go nowhere.
 */
import { Buffer } from "node:buffer";
import { DEFAULT_LIMITS } from "../collector/decode/limits.ts";
import { skimTraces } from "../collector/decode/skim.ts";
import type { RecordRows } from "../collector/topology/record-rows.ts";
import { spanExtractor } from "../collector/topology/span-profile.ts";
import { RecordColumns, SPAN_SHAPE } from "../model/columns.ts";
import type { SeriesTotals } from "../model/topology/rollup.ts";
import { addRollups } from "../model/topology/rollup-reader.ts";
import { BlockBuilder } from "../store/block/builder.ts";
import { loneStage } from "./lone-stage.ts";
import { GRPC_PREFIX_BYTES, PayloadFiller, createPayload } from "./payload.ts";

const layout = process.argv.includes("--scattered") ? "scattered" : "mixed";
const GROUPS = Number(process.argv.find((arg) => /^\d+$/.test(arg)) ?? 150);
const REQUESTS_PER_GROUP = 4;
const GROUPS_PER_FLUSH = 25;

const payload = createPayload({ layout, spansPerRequest: 1400, templates: 16, seed: 7 });
const filler = new PayloadFiller();
const columns = new RecordColumns(SPAN_SHAPE);
const extractor = spanExtractor([1, 2], 1);
const builder = new BlockBuilder(SPAN_SHAPE);
const totals = new Map<number, SeriesTotals>();
let flushedBytes = 0;
const stage = loneStage(({ rollups }) => {
	for (const delta of rollups) {
		flushedBytes += delta.data.length;
		if (delta.resolutionMs === 10_000) addRollups(totals, [delta.data]);
	}
});

const times = { skim: 0, extract: 0, accept: 0, flush: 0 };
let spans = 0;
let profiles = 0;
let requests: Buffer<ArrayBuffer>[] = [];
let nowMs = Date.now();

for (let group = 0; group < GROUPS; group++) {
	columns.reset();
	for (let r = 0; r < REQUESTS_PER_GROUP; r++) {
		if (requests.length === 0) {
			const template = payload.groups[(group * 7 + r) % payload.groups.length]!;
			requests = template.requests.map((request) => Buffer.from(new ArrayBuffer(request.bytes.length)));
			filler.fill(template, requests, nowMs);
		}
		const request = requests.pop()!.subarray(GRPC_PREFIX_BYTES);
		times.skim += timed(() => skimTraces(request, columns, DEFAULT_LIMITS));
	}
	spans += columns.count;
	nowMs += 30;
	let rows: RecordRows | undefined;
	// As the store leaves them when it has written the group.
	builder.reset();
	builder.addColumns(columns);
	times.extract += timed(() => (rows = extractor.extract(columns, builder.fieldEntries())));
	profiles += rows?.profiles.length ?? 0;
	const accepted = { ref: { window: "w", commit: group + 1 }, arrivedMs: nowMs, spans: rows, logs: undefined };
	times.accept += timed(() => stage.accept({ ...accepted, metrics: new Uint8Array() }));
	if ((group + 1) % GROUPS_PER_FLUSH === 0) times.flush += timed(() => stage.flush(nowMs, false));
}
times.flush += timed(() => stage.flush(nowMs + 60_000, true));

console.log(`${spans} spans, ${layout}: ${profiles} profiles, ${stage.series} series, ${stage.rows} rows kept`);
for (const [name, ms] of Object.entries(times)) console.log(`${name.padEnd(8)} ${((ms * 1e6) / spans).toFixed(0)} ns/span`);
console.log(`roll-ups ${(flushedBytes / spans).toFixed(2)} B/span, all resolutions, before they are joined`);
const requestsSeen = [...totals.values()].reduce((sum, { observed }) => sum + observed, 0);
console.log(`${requestsSeen} requests on edges, ${(requestsSeen / spans).toFixed(3)} a span`);

/** CPU time of the process in ms: neighbours on the machine do not count. */
function timed(work: () => void): number {
	const before = process.cpuUsage();
	work();
	const used = process.cpuUsage(before);
	return (used.user + used.system) / 1_000;
}
