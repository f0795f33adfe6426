/**
 * The load generator: a process of its own that sends fresh payload and keeps count of what was acknowledged.
 *
 * Closed loop (no --rate): `--inflight` requests at any time, as fast as the server acknowledges. Open loop (--rate): requests at
 * scheduled moments over `--connections` connections, latency counted from the moment a request was due, so that a stalled server
 * cannot hide behind a generator that waits for it. Prints one JSON line at the end.
 */
import { Buffer } from "node:buffer";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { hexFromBytes } from "../model/ids.ts";
import { type FreshIds, type GroupTemplate, type Payload, PayloadFiller, createPayload } from "./payload.ts";
import type { GeneratorResult, KnownTrace } from "./processes.ts";
import { percentile } from "./statistics.ts";
import { type Transport, createTransport } from "./transport.ts";

/** One request on its way, with what is known of the traces it completes. */
interface Request {
	readonly buffer: Buffer<ArrayBuffer>;
	readonly message: Buffer<ArrayBuffer>;
	readonly spans: number;
	readonly group: Group;
}

interface Group {
	unacked: number;
	/** Some of the group's traces, known once all its requests are acknowledged. */
	readonly known: readonly KnownTrace[];
}

interface Settings {
	readonly transport: "http" | "grpc";
	readonly connections: number;
	readonly inflight: number;
	readonly warmupMs: number;
	readonly seconds: number;
	readonly maxSpans: number;
	readonly rate: number;
	readonly reservoir: number;
}

const MAX_ATTEMPTS = 1_000;
/** Traces of a group that may enter the reservoir. */
const KNOWN_PER_GROUP = 8;
/** Kinds of failure to tell apart in the report. */
const MAX_REASONS = 20;

class Load {
	private readonly settings: Settings;
	private readonly transport: Transport;
	private readonly nextRequest: () => Request;
	private readonly recycle: (buffer: Buffer<ArrayBuffer>) => void;
	private readonly startedAt = performance.now();
	private readonly latenciesMs: number[] = [];
	private readonly reasons = new Map<string, number>();
	private readonly reservoir: KnownTrace[] = [];
	private tracesKnown = 0;
	private sentSpans = 0;
	private acked = 0;
	private ackedRequests = 0;
	private measuredSpans = 0;
	private retries = 0;
	private failed = 0;
	private measureFrom: number;
	private measureTo = 0;
	private scheduleLagMs = 0;

	constructor(
		settings: Settings,
		transport: Transport,
		nextRequest: () => Request,
		recycle: (buffer: Buffer<ArrayBuffer>) => void,
	) {
		this.settings = settings;
		this.transport = transport;
		this.nextRequest = nextRequest;
		this.recycle = recycle;
		this.measureFrom = this.startedAt + settings.warmupMs;
	}

	async run(): Promise<void> {
		if (this.settings.rate > 0) await this.openLoop();
		else await Promise.all(Array.from({ length: this.settings.inflight }, (_, slot) => this.closedLoop(slot)));
		this.measureTo = Math.min(performance.now(), this.deadline());
	}

	result(payload: { meanSpanBytes: number; microsecondsPerSpan: number }): GeneratorResult {
		const seconds = (this.measureTo - this.measureFrom) / 1_000;
		const sorted = this.latenciesMs.toSorted((a, b) => a - b);
		const cpu = process.cpuUsage();
		return {
			ackedSpans: this.acked,
			ackedRequests: this.ackedRequests,
			measuredSpans: this.measuredSpans,
			measuredSeconds: seconds,
			spansPerSecond: this.measuredSpans / seconds,
			retries: this.retries,
			failedRequests: this.failed,
			reasons: Object.fromEntries(this.reasons),
			ackMs: {
				p50: percentile(sorted, 0.5),
				p95: percentile(sorted, 0.95),
				p99: percentile(sorted, 0.99),
				max: sorted.at(-1) ?? 0,
			},
			maxScheduleLagMs: this.scheduleLagMs,
			cpuSeconds: (cpu.user + cpu.system) / 1e6,
			bytesPerSpan: payload.meanSpanBytes,
			generateMicrosecondsPerSpan: payload.microsecondsPerSpan,
			knownTraces: this.reservoir,
		};
	}

	private deadline(): number {
		return this.measureFrom + this.settings.seconds * 1_000;
	}

	private wantsMore(): boolean {
		return performance.now() < this.deadline() && this.sentSpans < this.settings.maxSpans;
	}

	private async closedLoop(slot: number): Promise<void> {
		while (this.wantsMore()) {
			const request = this.nextRequest();
			this.sentSpans += request.spans;
			await this.deliver(request, slot % this.settings.connections, performance.now());
		}
	}

	private async openLoop(): Promise<void> {
		const underway = new Set<Promise<void>>();
		let due = performance.now();
		while (this.wantsMore()) {
			const now = performance.now();
			if (due > now) {
				await sleep(Math.max(1, due - now));
				continue;
			}
			this.scheduleLagMs = Math.max(this.scheduleLagMs, now - due);
			const request = this.nextRequest();
			this.sentSpans += request.spans;
			const delivery = this.deliver(request, Math.floor(Math.random() * this.settings.connections), due).finally(() =>
				underway.delete(delivery),
			);
			underway.add(delivery);
			due += (request.spans / this.settings.rate) * 1_000;
		}
		await Promise.all(underway);
	}

	/** Sends until acknowledged: what a retrying exporter does. */
	private async deliver(request: Request, connection: number, since: number): Promise<void> {
		for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
			const outcome = await this.transport.send(request.message, connection);
			if (outcome.kind === "acked") {
				this.countAck(request, since);
				this.recycle(request.buffer);
				return;
			}
			if (this.reasons.size < MAX_REASONS || this.reasons.has(outcome.reason)) {
				this.reasons.set(outcome.reason, (this.reasons.get(outcome.reason) ?? 0) + 1);
			}
			if (outcome.kind === "failed") break;
			this.retries++;
			await sleep(outcome.afterMs);
		}
		this.failed++;
		// The buffer is not used again: a broken connection may still hold it.
	}

	private countAck(request: Request, since: number): void {
		const now = performance.now();
		this.acked += request.spans;
		this.ackedRequests++;
		if (now >= this.measureFrom && now <= this.deadline()) {
			this.measuredSpans += request.spans;
			if (since >= this.measureFrom) this.latenciesMs.push(now - since);
		}
		if (--request.group.unacked === 0) this.keep(request.group.known);
	}

	/** Reservoir sampling: early traces are as likely to be kept as late ones. */
	private keep(known: readonly KnownTrace[]): void {
		for (const trace of known) {
			this.tracesKnown++;
			if (this.reservoir.length < this.settings.reservoir) {
				this.reservoir.push(trace);
				continue;
			}
			const at = Math.floor(Math.random() * this.tracesKnown);
			if (at < this.settings.reservoir) this.reservoir[at] = trace;
		}
	}
}

/** Facts of some traces of a group that was just filled. */
function knownTraces(payload: Payload, group: GroupTemplate, ids: FreshIds): KnownTrace[] {
	return Array.from({ length: KNOWN_PER_GROUP }, () => {
		const trace = Math.floor(Math.random() * group.traces.length);
		const { hops } = group.traces[trace]!;
		const last = hops.at(-1)!;
		const callee = payload.mesh.services[last.callee]!;
		return {
			traceId: hexFromBytes(new Uint8Array(ids.traceIds.buffer, ids.traceIds.byteOffset), trace * 16, 16),
			requestId: Buffer.from(ids.requestIds.subarray(trace * 36, trace * 36 + 36)).toString("latin1"),
			spanCount: hops.length * 2,
			service: callee.serviceName,
			operation: callee.operations[last.operation]!.spanName,
			nodeId: callee.pods[last.calleePod]!.nodeId,
		};
	});
}

async function main(): Promise<void> {
	const { values } = parseArgs({
		options: {
			transport: { type: "string", default: "http" },
			url: { type: "string" },
			connections: { type: "string", default: "8" },
			inflight: { type: "string", default: "8" },
			seconds: { type: "string", default: "10" },
			warmup: { type: "string", default: "0" },
			spans: { type: "string", default: "Infinity" },
			rate: { type: "string", default: "0" },
			layout: { type: "string", default: "mixed" },
			"spans-per-request": { type: "string", default: "1500" },
			reservoir: { type: "string", default: "0" },
		},
	});
	if (values.url === undefined) throw new Error("--url is required");
	const settings: Settings = {
		transport: values.transport === "grpc" ? "grpc" : "http",
		connections: Number(values.connections),
		inflight: Number(values.inflight),
		warmupMs: Number(values.warmup) * 1_000,
		seconds: Number(values.seconds),
		maxSpans: Number(values.spans),
		rate: Number(values.rate),
		reservoir: Number(values.reservoir),
	};
	const payload = createPayload({
		layout: values.layout === "scattered" ? "scattered" : "mixed",
		spansPerRequest: Number(values["spans-per-request"]),
		templates: 48,
		seed: 1,
	});
	const filler = new PayloadFiller();
	const longest = Math.max(...payload.groups.flatMap((group) => group.requests.map((request) => request.bytes.length)));
	const free: Buffer<ArrayBuffer>[] = [];
	const prepared: Request[] = [];
	const generated = { spans: 0, ms: 0 };

	const prepareGroup = (group: GroupTemplate): void => {
		const buffers = group.requests.map(() => free.pop() ?? Buffer.alloc(longest));
		const start = performance.now();
		filler.fill(group, buffers, Date.now());
		generated.ms += performance.now() - start;
		generated.spans += group.spanCount;
		const known = settings.reservoir > 0 ? knownTraces(payload, group, filler) : [];
		const state: Group = { unacked: group.requests.length, known };
		for (let i = 0; i < group.requests.length; i++) {
			const { bytes, spanCount } = group.requests[i]!;
			prepared.push({
				buffer: buffers[i]!,
				message: buffers[i]!.subarray(0, bytes.length),
				spans: spanCount,
				group: state,
			});
		}
	};
	const nextRequest = (): Request => {
		if (prepared.length === 0) prepareGroup(payload.groups[Math.floor(Math.random() * payload.groups.length)]!);
		return prepared.pop()!;
	};

	const transport = createTransport(settings.transport, values.url, settings.connections);
	const load = new Load(settings, transport, nextRequest, (buffer) => free.push(buffer));
	await load.run();
	transport.close();
	const microsecondsPerSpan = (generated.ms * 1_000) / generated.spans;
	console.log(JSON.stringify(load.result({ meanSpanBytes: payload.meanSpanBytes, microsecondsPerSpan })));
}

await main();
