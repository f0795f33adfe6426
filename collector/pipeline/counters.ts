/**
 * What came in, was stored, left out and refused: the numbers behind /api/v1/status and /metrics.
 */
import type { DropReason, ErrorCode } from "../../model/errors.ts";
import type { ServerStatus, SignalCounters } from "../../model/status.ts";
import type { Signal } from "../../store/store.ts";

const RATE_SECONDS = 10;
const ACK_SAMPLES = 1_000;

interface Tally {
	acceptedRecords: number;
	acceptedBatches: number;
	acceptedBytes: number;
	duplicateBatches: number;
	readonly droppedRecords: Partial<Record<DropReason, number>>;
	readonly refusedBatches: Partial<Record<ErrorCode, number>>;
}

export class IngestCounters {
	invalidUtf8Strings = 0;
	private readonly signals: Readonly<Record<Signal, Tally>> = {
		traces: emptyTally(),
		logs: emptyTally(),
		metrics: emptyTally(),
	};
	/** Records stored in each of the last seconds, by second modulo the window. */
	private readonly perSecond: Readonly<Record<Signal, Float64Array>> = {
		traces: new Float64Array(RATE_SECONDS),
		logs: new Float64Array(RATE_SECONDS),
		metrics: new Float64Array(RATE_SECONDS),
	};
	private second = 0;
	private readonly ackMs = new Float64Array(ACK_SAMPLES);
	private acks = 0;

	accepted(signal: Signal, records: number, bytes: number, nowMs: number): void {
		const tally = this.signals[signal];
		tally.acceptedRecords += records;
		tally.acceptedBatches++;
		tally.acceptedBytes += bytes;
		this.turn(nowMs);
		this.perSecond[signal][this.second % RATE_SECONDS]! += records;
	}

	duplicate(signal: Signal): void {
		this.signals[signal].duplicateBatches++;
	}

	dropped(signal: Signal, dropped: Partial<Record<DropReason, number>>): void {
		const tally = this.signals[signal].droppedRecords;
		for (const [reason, count] of Object.entries(dropped) as [DropReason, number][])
			tally[reason] = (tally[reason] ?? 0) + count;
	}

	refused(signal: Signal, code: ErrorCode): void {
		const tally = this.signals[signal].refusedBatches;
		tally[code] = (tally[code] ?? 0) + 1;
	}

	acknowledged(ms: number): void {
		this.ackMs[this.acks++ % ACK_SAMPLES] = ms;
	}

	ingest(nowMs: number): ServerStatus["ingest"] {
		this.turn(nowMs);
		const { traces, logs, metrics } = this.signals;
		return {
			traces: copyOf(traces),
			logs: copyOf(logs),
			metrics: copyOf(metrics),
			recordsPerSecond: { traces: this.rate("traces"), logs: this.rate("logs"), metrics: this.rate("metrics") },
			invalidUtf8Strings: this.invalidUtf8Strings,
		};
	}

	ack(): { readonly p50: number; readonly p99: number; readonly max: number } {
		const samples = this.ackMs.slice(0, Math.min(this.acks, ACK_SAMPLES)).sort();
		const at = (quantile: number): number =>
			samples[Math.min(samples.length - 1, Math.floor(samples.length * quantile))] ?? 0;
		return { p50: at(0.5), p99: at(0.99), max: at(1) };
	}

	private rate(signal: Signal): number {
		return this.perSecond[signal].reduce((total, count) => total + count, 0) / RATE_SECONDS;
	}

	/** Empties the seconds that have passed since the last call. */
	private turn(nowMs: number): void {
		const second = Math.floor(nowMs / 1_000);
		const passed = Math.min(RATE_SECONDS, second - this.second);
		for (let i = 1; i <= passed; i++)
			for (const counts of Object.values(this.perSecond)) counts[(this.second + i) % RATE_SECONDS] = 0;
		if (passed > 0) this.second = second;
	}
}

function emptyTally(): Tally {
	return {
		acceptedRecords: 0,
		acceptedBatches: 0,
		acceptedBytes: 0,
		duplicateBatches: 0,
		droppedRecords: {},
		refusedBatches: {},
	};
}

function copyOf(tally: Tally): SignalCounters {
	return { ...tally, droppedRecords: { ...tally.droppedRecords }, refusedBatches: { ...tally.refusedBatches } };
}
