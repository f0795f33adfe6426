/**
 * What a mesh of many services costs the topology: spans of two proxies a call, every combination of edge, end and status a profile of
 * its own, all of them about equally frequent. CPU nanoseconds a span, and memory.
 *
 * `node --expose-gc bench/topology-profiles.ts [profiles] [groups of 5,600 spans]`
 */
import { DEFAULT_LIMITS } from "../collector/decode/limits.ts";
import { skimTraces } from "../collector/decode/skim.ts";
import type { RecordRows } from "../collector/topology/record-rows.ts";
import { spanExtractor } from "../collector/topology/span-profile.ts";
import { RecordColumns, SPAN_SHAPE } from "../model/columns.ts";
import { WireWriter } from "../model/protobuf/writer.ts";
import { BlockBuilder } from "../store/block/builder.ts";
import { loneStage } from "./lone-stage.ts";
import { type Random, seededRandom } from "./mesh.ts";

const [PROFILES = 20_000, GROUPS = 300] = process.argv.filter((arg) => /^\d+$/.test(arg)).map(Number);
const STATUSES = ["200", "201", "404", "503"];
const EDGES = Math.ceil(PROFILES / (2 * STATUSES.length));
const SERVICES = Math.max(2, Math.ceil(EDGES / 3));
const CALLS_A_GROUP = 2_800;
const GROUPS_A_FLUSH = 25;
const MS_A_GROUP = 80;

const random = seededRandom(5);
const columns = new RecordColumns(SPAN_SHAPE);
const extractor = spanExtractor([1, 2], 1);
const builder = new BlockBuilder(SPAN_SHAPE);
const stage = loneStage(() => undefined);

const times = { extract: 0, accept: 0, flush: 0 };
let spans = 0;
let profiles = 0;
let nowMs = Date.UTC(2026, 0, 1);

for (let group = 0; group < GROUPS; group++) {
	nowMs += MS_A_GROUP;
	columns.reset();
	skimTraces(groupOf(random, nowMs), columns, DEFAULT_LIMITS);
	builder.reset();
	builder.addColumns(columns);
	// The first half learns the mesh.
	const isMeasured = group >= GROUPS / 2;
	if (isMeasured) spans += columns.count;
	let rows: RecordRows | undefined;
	const spent = (name: keyof typeof times, work: () => void): void => {
		const before = process.cpuUsage();
		work();
		const used = process.cpuUsage(before);
		if (isMeasured) times[name] += (used.user + used.system) / 1_000;
	};
	spent("extract", () => (rows = extractor.extract(columns, builder.fieldEntries())));
	if (isMeasured) profiles += rows?.profiles.length ?? 0;
	const accepted = { ref: { window: "w", commit: group + 1 }, arrivedMs: nowMs, spans: rows, logs: undefined };
	spent("accept", () => stage.accept({ ...accepted, metrics: new Uint8Array() }));
	if ((group + 1) % GROUPS_A_FLUSH === 0) spent("flush", () => void stage.flush(nowMs, false));
}
globalThis.gc?.();
const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
const ns = (ms: number): string => ((ms * 1e6) / spans).toFixed(0);
console.log(
	`${EDGES * 2 * STATUSES.length} profiles, ${SERVICES} services: extract ${ns(times.extract)}, accept ${ns(times.accept)}, flush ${ns(times.flush)} ns/span; ` +
		`${(profiles / spans).toFixed(4)} profiles told a span; heap ${mib(heapUsed)}, buffers ${mib(arrayBuffers)}, RSS ${mib(rss)} MiB; ${stage.series} series`,
);

function groupOf(draw: Random, startMs: number): Uint8Array<ArrayBuffer> {
	const byService = new Map<number, Uint8Array[]>();
	const add = (service: number, span: Uint8Array): void => {
		const own = byService.get(service);
		if (own === undefined) byService.set(service, [span]);
		else own.push(span);
	};
	for (let call = 0; call < CALLS_A_GROUP; call++) {
		const edge = Math.floor(draw() * EDGES);
		const caller = edge % SERVICES;
		const callee = (caller + 1 + Math.floor(edge / SERVICES)) % SERVICES;
		const status = STATUSES[Math.floor(draw() * STATUSES.length)]!;
		const trace = bytesOf(draw, 16);
		const id = bytesOf(draw, 8);
		const startNs = BigInt(startMs) * 1_000_000n + BigInt(call);
		add(caller, span(trace, id, undefined, 3, startNs, status, `outbound|80||svc-${callee}.shop.svc.cluster.local`));
		add(callee, span(trace, bytesOf(draw, 8), id, 2, startNs, status, `inbound|80||`));
	}
	const out = new WireWriter(1 << 20);
	for (const [service, own] of byService) {
		const group = out.begin(1);
		const resource = out.begin(1);
		attribute(out, 1, "service.name", `svc-${service}.shop`);
		out.end(resource);
		const scope = out.begin(2);
		for (const one of own) out.bytesField(2, one);
		out.end(scope);
		out.end(group);
	}
	return out.finish();
}

function span(
	trace: Uint8Array,
	id: Uint8Array,
	parent: Uint8Array | undefined,
	kind: number,
	startNs: bigint,
	status: string,
	cluster: string,
): Uint8Array {
	const out = new WireWriter(512);
	out.bytesField(1, trace);
	out.bytesField(2, id);
	if (parent !== undefined) out.bytesField(4, parent);
	out.stringField(5, cluster);
	out.varintField(6, kind);
	out.fixed64Field(7, startNs);
	out.fixed64Field(8, startNs + 5_000_000n);
	attribute(out, 9, "component", "proxy");
	attribute(out, 9, "upstream_cluster", cluster);
	attribute(out, 9, "http.status_code", status);
	attribute(out, 9, "istio.namespace", "shop");
	attribute(out, 9, "response_flags", "-");
	return out.finish();
}

function attribute(out: WireWriter, field: number, key: string, value: string): void {
	const pair = out.begin(field);
	out.stringField(1, key);
	const any = out.begin(2);
	out.stringField(1, value);
	out.end(any);
	out.end(pair);
}

function bytesOf(draw: Random, count: number): Uint8Array {
	return Uint8Array.from({ length: count }, () => Math.floor(draw() * 256));
}
