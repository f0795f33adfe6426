/**
 * From hops to the collector: chunks that fill, chunks that wait, chunks under way. All bounded; what finds no room is dropped and
 * counted, and nobody waits.
 *
 * A chunk is sent when it is full or 200 ms old, so that there is never a burst. One that was refused for a while is sent again as it
 * is: the collector knows it by its bytes and stores it once.
 */
import type { Workload } from "../../model/mesh/proxy-config.ts";
import type { Clock } from "./clock.ts";
import type { HttpHop } from "./hop.ts";
import { type OtlpClient, TRACE_EXPORT } from "./otlp-client.ts";
import { encodeResource, encodeScope, type ResourceOptions, SpanChunk } from "./span-chunk.ts";
import { SpanEncoder } from "./span-encoder.ts";

export interface SpanExporterOptions extends ResourceOptions {
	readonly client: Pick<OtlpClient, "send">;
	readonly clock: Clock;
	/** In [0, 1). */
	readonly random: () => number;
	readonly maxChunkSpans?: number;
	readonly maxChunkBytes?: number;
	readonly maxDelayMs?: number;
	readonly maxQueueSpans?: number;
	readonly maxQueueBytes?: number;
	readonly maxInFlight?: number;
	/** After so long a chunk is given up. */
	readonly maxAgeMs?: number;
}

/** Why spans never reached the collector. */
export type DropReason = "queue_full" | "refused" | "rejected" | "expired" | "shutdown" | "too_many_workloads";

export interface SpanExporterStats {
	readonly queuedSpans: number;
	readonly queuedBytes: number;
	readonly inFlight: number;
	readonly sentSpans: number;
	readonly sentRequests: number;
	readonly retries: number;
	readonly dropped: Readonly<Record<DropReason, number>>;
	/** What the collector or the network said last when it did not take a chunk; empty while all is well. */
	readonly lastFailure: string;
}

interface SealedChunk {
	readonly message: Buffer<ArrayBuffer>;
	readonly spans: number;
	readonly sinceMs: number;
	attempts: number;
}

/** Of a node proxy; each has a chunk of its own. */
const MAX_WORKLOADS = 256;
const MAX_SPARE_BUFFERS = 3;
const MAX_SPARE_BYTES = 1 << 20;
const BACKOFF_BASE_MS = 100;
const BACKOFF_MAX_MS = 5_000;

export class SpanExporter {
	private readonly options: SpanExporterOptions;
	private readonly encoder = new SpanEncoder();
	private readonly scope: Uint8Array;
	private readonly resources = new Map<string, { readonly workload: Workload; readonly bytes: Uint8Array }>();
	private readonly open = new Map<string, SpanChunk>();
	/** The workload of the hop before, which is the same in a sidecar. */
	private lastWorkload: Workload | undefined;
	private lastChunk: SpanChunk | undefined;
	private readonly queue: SealedChunk[] = [];
	private readonly spare: Buffer<ArrayBuffer>[] = [];
	private queuedSpans = 0;
	private queuedBytes = 0;
	private inFlight = 0;
	private cancelSeal: (() => void) | undefined;
	private cancelPause: (() => void) | undefined;
	private failures = 0;
	private isClosed = false;
	private sentSpans = 0;
	private sentRequests = 0;
	private retries = 0;
	private readonly dropped: Record<DropReason, number> = {
		queue_full: 0,
		refused: 0,
		rejected: 0,
		expired: 0,
		shutdown: 0,
		too_many_workloads: 0,
	};
	private lastFailure = "";
	private readonly idle = new Set<() => void>();

	constructor(options: SpanExporterOptions) {
		this.options = options;
		this.scope = encodeScope(options.version);
	}

	add(hop: HttpHop): void {
		if (this.isClosed) return this.drop("shutdown", 1);
		const { maxQueueSpans = 16_384, maxQueueBytes = 12 << 20, maxChunkSpans = 512, maxChunkBytes = 768 << 10 } = this.options;
		if (this.queuedSpans >= maxQueueSpans || this.queuedBytes >= maxQueueBytes) return this.drop("queue_full", 1);
		const chunk = this.chunkOf(hop.local);
		if (chunk === undefined) return this.drop("too_many_workloads", 1);
		this.encoder.append(chunk, hop);
		if (chunk.spans >= maxChunkSpans || chunk.spanBytes >= maxChunkBytes) {
			this.seal(hop.local.instanceId, chunk);
			this.pump();
		} else this.cancelSeal ??= this.options.clock.after(this.options.maxDelayMs ?? 200, this.sealAll);
	}

	stats(): SpanExporterStats {
		const { queuedSpans, queuedBytes, inFlight, sentSpans, sentRequests, retries, lastFailure } = this;
		return {
			queuedSpans,
			queuedBytes,
			inFlight,
			sentSpans,
			sentRequests,
			retries,
			dropped: { ...this.dropped },
			lastFailure,
		};
	}

	/** Resolves when everything was sent, or at the latest after the limit. */
	flush(limitMs: number): Promise<void> {
		this.sealAll();
		if (this.isIdle()) return Promise.resolve();
		const { promise, resolve } = Promise.withResolvers<void>();
		const cancel = this.options.clock.after(limitMs, resolve);
		this.idle.add(resolve);
		return promise.finally(() => {
			cancel();
			this.idle.delete(resolve);
		});
	}

	/** What was not sent is dropped. */
	close(): void {
		if (this.isClosed) return;
		this.isClosed = true;
		this.cancelSeal?.();
		this.cancelPause?.();
		for (const chunk of this.open.values()) this.drop("shutdown", chunk.spans);
		this.open.clear();
		this.lastChunk = undefined;
		for (const { spans } of this.queue) this.drop("shutdown", spans);
		this.queue.length = 0;
		this.queuedSpans = 0;
		this.queuedBytes = 0;
		this.tellIdle();
	}

	private drop(reason: DropReason, spans: number): void {
		this.dropped[reason] += spans;
	}

	private chunkOf(workload: Workload): SpanChunk | undefined {
		if (workload === this.lastWorkload && this.lastChunk !== undefined) return this.lastChunk;
		const key = workload.instanceId;
		let chunk = this.open.get(key);
		if (chunk === undefined) {
			const resource = this.resourceOf(key, workload);
			if (resource === undefined) return undefined;
			chunk = new SpanChunk(resource, this.scope, this.spare.pop());
			this.open.set(key, chunk);
		}
		this.lastWorkload = workload;
		this.lastChunk = chunk;
		return chunk;
	}

	private resourceOf(key: string, workload: Workload): Uint8Array | undefined {
		const known = this.resources.get(key);
		if (known !== undefined && known.workload === workload) return known.bytes;
		if (known === undefined && this.resources.size >= MAX_WORKLOADS) {
			// Instances of the past make room; those with an open chunk stay.
			for (const old of this.resources.keys()) if (!this.open.has(old)) this.resources.delete(old);
			if (this.resources.size >= MAX_WORKLOADS) return undefined;
		}
		const bytes = encodeResource(workload, this.options);
		this.resources.set(key, { workload, bytes });
		return bytes;
	}

	private readonly sealAll = (): void => {
		this.cancelSeal?.();
		this.cancelSeal = undefined;
		for (const [key, chunk] of this.open) this.seal(key, chunk);
		this.pump();
	};

	private seal(key: string, chunk: SpanChunk): void {
		this.open.delete(key);
		if (this.lastChunk === chunk) this.lastChunk = undefined;
		const message = chunk.seal();
		this.queue.push({ message, spans: chunk.spans, sinceMs: this.options.clock.monotonicMs(), attempts: 0 });
		this.queuedSpans += chunk.spans;
		this.queuedBytes += message.length;
	}

	private pump(): void {
		const { maxInFlight = 2, client } = this.options;
		while (this.cancelPause === undefined && this.inFlight < maxInFlight) {
			// While the collector is away one request asks whether it is back.
			if (this.failures > 0 && this.inFlight > 0) return;
			const chunk = this.queue.shift();
			if (chunk === undefined) return;
			this.inFlight++;
			chunk.attempts++;
			void client.send(TRACE_EXPORT, chunk.message).then((outcome) => {
				this.inFlight--;
				if (this.isClosed) {
					if (outcome.kind === "accepted") this.sentSpans += chunk.spans;
					else this.drop("shutdown", chunk.spans);
					return this.tellIdle();
				}
				if (outcome.kind === "retry") this.again(chunk, outcome.afterMs, outcome.reason);
				else {
					this.failures = 0;
					this.lastFailure = outcome.kind === "refused" ? outcome.reason : outcome.message;
					this.done(chunk);
					if (outcome.kind === "refused") this.drop("refused", chunk.spans);
					else {
						const rejected = Math.min(outcome.rejected, chunk.spans);
						this.drop("rejected", rejected);
						this.sentSpans += chunk.spans - rejected;
						this.sentRequests++;
					}
				}
				this.pump();
				this.tellIdle();
			});
		}
	}

	private again(chunk: SealedChunk, afterMs: number | undefined, reason: string): void {
		const { clock, random, maxAgeMs = 300_000 } = this.options;
		this.lastFailure = reason;
		this.failures++;
		if (clock.monotonicMs() - chunk.sinceMs >= maxAgeMs) {
			this.done(chunk);
			this.drop("expired", chunk.spans);
		} else {
			this.retries++;
			this.queue.unshift(chunk);
		}
		if (this.cancelPause !== undefined) return;
		const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** Math.min(this.failures, 10));
		// Never at once, and never all proxies of a mesh at the same moment.
		const pauseMs = afterMs === undefined ? ceiling * (0.5 + random() / 2) : Math.max(afterMs, 50) * (1 + random() / 4);
		this.cancelPause = clock.after(pauseMs, () => {
			this.cancelPause = undefined;
			this.pump();
		});
	}

	/** The chunk's buffer is ours again. */
	private done(chunk: SealedChunk): void {
		this.queuedSpans -= chunk.spans;
		this.queuedBytes -= chunk.message.length;
		const { buffer } = chunk.message;
		if (this.spare.length < MAX_SPARE_BUFFERS && buffer.byteLength <= MAX_SPARE_BYTES) this.spare.push(Buffer.from(buffer));
	}

	private isIdle(): boolean {
		return this.inFlight === 0 && this.queue.length === 0;
	}

	private tellIdle(): void {
		if (this.isClosed || this.isIdle()) for (const resolve of this.idle) resolve();
	}
}
