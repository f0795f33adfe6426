/**
 * One group commit in the making: batches are decoded into shared columns, each judged by itself, until the group is large enough.
 */
import { encodeEdgeMetrics } from "../topology/edge-metrics.ts";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { LOG_SHAPE, RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { type DropReason, MeshscopeError } from "../../model/errors.ts";
import type { MetricBatch, MetricPointRecord, MetricSeriesKey } from "../../model/metric.ts";
import type { Signal, WriteGroup } from "../../store/store.ts";
import type { DecodeLimits } from "../decode/limits.ts";
import { decodeMetrics } from "../decode/metrics.ts";
import { otlpJsonToProtobuf } from "../decode/otlp-json.ts";
import { skimLogs, skimTraces } from "../decode/skim.ts";
import { envoyAlsToProtobuf } from "../decode/envoy-als.ts";
import { zipkinJsonToProtobuf, zipkinProtobufToProtobuf } from "../decode/zipkin.ts";
import type { PayloadEncoding } from "../ingest.ts";
import { FINGERPRINT_BYTES, FingerprintSet } from "./fingerprints.ts";
import type { BatchMessage, BatchResult } from "./messages.ts";

/** Payload bytes after which a group is committed. */
export const GROUP_BYTES = 4 << 20;
const GROUP_RECORDS = 65_536;

type Dropped = Partial<Record<DropReason, number>>;

interface Plain {
	readonly bytes: Uint8Array;
	readonly dropped: Dropped;
	readonly messages: readonly string[];
	readonly invalidUtf8Strings: number;
}

const NOTHING = new Uint8Array(0);

export class Group {
	readonly spans = new RecordColumns(SPAN_SHAPE);
	readonly logs = new RecordColumns(LOG_SHAPE);
	readonly results: BatchResult[] = [];
	private readonly limits: DecodeLimits;
	private readonly known: FingerprintSet;
	private series: MetricSeriesKey[] = [];
	private points: MetricPointRecord[] = [];
	private fingerprints: Uint8Array[] = [];
	private pending = new FingerprintSet();
	/** Batches that came before in this very group: they are stored only if it is. */
	private readonly repeats = new Set<number>();
	private bytes = 0;

	constructor(limits: DecodeLimits, known: FingerprintSet) {
		this.limits = limits;
		this.known = known;
	}

	get isFull(): boolean {
		return this.bytes >= GROUP_BYTES || this.spans.count >= GROUP_RECORDS || this.logs.count >= GROUP_RECORDS;
	}

	/** True when there is something to commit; batches that were refused or known already need none. */
	get hasRecords(): boolean {
		return this.spans.count > 0 || this.logs.count > 0 || this.points.length > 0;
	}

	reset(): void {
		this.spans.reset();
		this.logs.reset();
		this.results.length = 0;
		this.series = [];
		this.points = [];
		if (this.fingerprints.length > 0) this.pending = new FingerprintSet();
		this.fingerprints = [];
		this.repeats.clear();
		this.bytes = 0;
	}

	/** True when the answer is certain although the group was not committed: refused on its own, or stored by an earlier one. */
	isSettled(result: BatchResult): boolean {
		return result.refused !== undefined || (result.duplicate && !this.repeats.has(result.id));
	}

	/** Decodes a batch into the group. Whatever is wrong with it ends in its result, never in a throw. */
	add(batch: BatchMessage): void {
		try {
			this.results.push(this.decode(batch));
		} catch (error) {
			if (!(error instanceof MeshscopeError)) throw error;
			const { code, message } = error;
			this.results.push({ ...EMPTY_RESULT, id: batch.id, refused: { code, message } });
		}
		this.bytes += batch.bytes.length;
	}

	toWrite(arrivedMs: number): WriteGroup {
		const fingerprints = new Uint8Array(this.fingerprints.length * FINGERPRINT_BYTES);
		this.fingerprints.forEach((fingerprint, i) => fingerprints.set(fingerprint, i * FINGERPRINT_BYTES));
		const metrics: MetricBatch = { series: this.series, points: this.points };
		const topologyMetrics = this.points.length === 0 ? NOTHING : encodeEdgeMetrics(metrics);
		return { spans: this.spans, logs: this.logs, metrics, fingerprints, topologyMetrics, arrivedMs };
	}

	/** The group is durable: its batches are known from now on. */
	remember(): void {
		for (const fingerprint of this.fingerprints) this.known.add(fingerprint);
	}

	/** What the store found in the group as a whole, in the first result that counts: whose it was nobody asks. */
	noteInvalidUtf8(strings: number): void {
		const index = this.results.findIndex(({ refused, duplicate }) => refused === undefined && !duplicate);
		const result = this.results[index];
		if (result !== undefined) this.results[index] = { ...result, invalidUtf8Strings: result.invalidUtf8Strings + strings };
	}

	private decode(batch: BatchMessage): BatchResult {
		const plain = plainProtobuf(batch.signal, batch.encoding, batch.bytes, this.limits);
		if (batch.signal === "metrics") return this.decodeMetrics(batch, plain);
		const columns = batch.signal === "traces" ? this.spans : this.logs;
		const mark = columns.mark();
		const skim = (batch.signal === "traces" ? skimTraces : skimLogs)(plain.bytes, columns, this.limits);
		const dropped = added(plain.dropped, skim.dropped);
		const messages = [...plain.messages, ...Object.keys(skim.dropped)];
		const result = resultOf(batch.id, skim.accepted, dropped, messages, plain.invalidUtf8Strings);
		if (skim.accepted === 0) return result;
		// Span ids are random, so ids, length and checksum tell batches apart; log records may have none.
		const fingerprint =
			batch.signal === "traces" ? spanFingerprint(plain.bytes, skim.idsHash) : hashFingerprint(batch.signal, plain.bytes);
		if (this.isKnown(batch.id, fingerprint)) {
			columns.rewind(mark);
			return { ...result, duplicate: true };
		}
		return result;
	}

	private decodeMetrics(batch: BatchMessage, plain: Plain): BatchResult {
		const decoded = decodeMetrics(plain.bytes, this.limits);
		const dropped = added(plain.dropped, decoded.dropped);
		// What was replaced in JSON was counted there, and is U+FFFD by now.
		const fromJson = batch.encoding === "otlp-json";
		const { invalidUtf8Strings } = fromJson ? plain : decoded;
		const messages = [...plain.messages, ...decoded.messages];
		const result = resultOf(batch.id, decoded.batch.points.length, dropped, messages, invalidUtf8Strings);
		if (decoded.batch.points.length === 0) return result;
		const fingerprint = hashFingerprint(batch.signal, plain.bytes);
		if (this.isKnown(batch.id, fingerprint)) return { ...result, duplicate: true };
		const shift = this.series.length;
		this.series = this.series.concat(decoded.batch.series);
		for (const point of decoded.batch.points)
			this.points.push(shift === 0 ? point : { ...point, series: point.series + shift });
		return result;
	}

	/** Whether the batch was stored before or stands in the group already; if neither, it does from now on. */
	private isKnown(id: number, fingerprint: Uint8Array): boolean {
		if (this.known.has(fingerprint)) return true;
		if (this.pending.has(fingerprint)) {
			this.repeats.add(id);
			return true;
		}
		this.pending.add(fingerprint);
		this.fingerprints.push(fingerprint);
		return false;
	}
}

const EMPTY_RESULT = { records: 0, rejected: 0, dropped: {}, errorMessage: "", duplicate: false, invalidUtf8Strings: 0 } as const;

function resultOf(
	id: number,
	records: number,
	dropped: Dropped,
	messages: readonly string[],
	invalidUtf8Strings: number,
): BatchResult {
	let rejected = 0;
	for (const count of Object.values(dropped)) rejected += count;
	const counts = Object.entries(dropped).map(([reason, count]) => `${count} ${reason}`);
	const details = messages.filter((message) => !(message in dropped));
	const errorMessage =
		rejected === 0 ? "" : `left out ${rejected} of ${rejected + records} records: ${[...counts, ...details].join("; ")}`;
	return { id, records, rejected, dropped, errorMessage, duplicate: false, invalidUtf8Strings };
}

function plainProtobuf(signal: Signal, encoding: PayloadEncoding, bytes: Uint8Array<ArrayBuffer>, limits: DecodeLimits): Plain {
	switch (encoding) {
		case "otlp-protobuf":
			return { bytes, dropped: {}, messages: [], invalidUtf8Strings: 0 };
		case "otlp-json":
			return otlpJsonToProtobuf(signal, bytes, limits);
		case "zipkin-json":
			return zipkinJsonToProtobuf(bytes, limits);
		case "zipkin-protobuf":
			return zipkinProtobufToProtobuf(bytes, limits);
		case "envoy-als":
			return envoyAlsToProtobuf(bytes, limits);
	}
}

function added(a: Dropped, b: Dropped): Dropped {
	const sum: Dropped = { ...a };
	for (const [reason, count] of Object.entries(b) as [DropReason, number][]) sum[reason] = (sum[reason] ?? 0) + count;
	return sum;
}

/** Checksum, length and a hash over all ids: 128 bits, at a tenth of the cost of a digest over the payload. */
function spanFingerprint(bytes: Uint8Array, idsHash: readonly [number, number]): Uint8Array {
	const fingerprint = new Uint8Array(FINGERPRINT_BYTES);
	const view = new DataView(fingerprint.buffer);
	view.setUint32(0, crc32(bytes));
	view.setUint32(4, bytes.length);
	view.setUint32(8, idsHash[0]);
	view.setUint32(12, idsHash[1]);
	return fingerprint;
}

function hashFingerprint(signal: Signal, bytes: Uint8Array): Uint8Array {
	return createHash("sha1").update(signal).update(bytes).digest().subarray(0, FINGERPRINT_BYTES);
}
