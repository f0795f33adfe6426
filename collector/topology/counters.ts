/**
 * From what a metric point says to what happened since the point before it: one series' step from state to state.
 *
 * Nothing is kept here: the state goes in and comes out, and is small enough to be written down with every flush. A counter that started
 * over counts in full; a series whose beginning nobody saw gives its first value as the base line, and counts nothing.
 */
import { WireError, WireReader } from "../../model/protobuf/reader.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";

export interface ExplicitValue {
	readonly kind: "explicit";
	readonly count: number;
	readonly sum: number;
	readonly bounds: readonly number[];
	/** One more than bounds; empty where the sender keeps none. */
	readonly counts: readonly number[];
}

export interface ExponentialValue {
	readonly kind: "exponential";
	readonly count: number;
	readonly sum: number;
	readonly scale: number;
	/** Negative values too: they have no latency. */
	readonly zeroCount: number;
	readonly offset: number;
	readonly counts: readonly number[];
}

export type CounterValue = { readonly kind: "number"; readonly value: number } | ExplicitValue | ExponentialValue;

export interface CounterPoint {
	/** Microseconds since the epoch; 0 where the sender does not say since when it counts. */
	readonly startUs: number;
	readonly timeUs: number;
	readonly temporality: "delta" | "cumulative";
	readonly value: CounterValue;
}

/** Bounds are kept as a hash: they are compared and never needed again. */
type KeptValue =
	| Exclude<CounterValue, ExplicitValue>
	| (Omit<ExplicitValue, "bounds"> & { readonly boundsHash: number })
	/** Deltas need no base line. */
	| { readonly kind: "delta" };

export interface CounterState {
	readonly startUs: number;
	/** Of the last point that counted. */
	readonly timeUs: number;
	readonly value: KeptValue;
}

export interface CounterStep {
	readonly state: CounterState;
	/** Undefined when the point says nothing new. */
	readonly delta: CounterValue | undefined;
	readonly kind: "advanced" | "reset" | "first" | "baseline" | "ignored";
}

export interface SeriesKnowledge {
	/** Series that started after this moment have been seen from their start. */
	readonly horizonUs: number;
	/** The series was not there when its sender was last heard, in full, so that all it counts came after. */
	readonly isNew: boolean;
}

/**
 * Start times that are computed from an uptime waver by about a second between points; a newer start within that is no restart,
 * unless it lies behind the last point.
 */
const START_JITTER_US = 2_000_000;

export function advanceCounter(
	state: CounterState | undefined,
	point: CounterPoint,
	knowledge: SeriesKnowledge,
): CounterStep | undefined {
	if (!isSound(point.value) || point.timeUs <= 0) return undefined;
	const { startUs, timeUs, temporality, value } = point;
	if (state !== undefined && timeUs <= state.timeUs) return { state, delta: undefined, kind: "ignored" };
	if (temporality === "delta") return { state: { startUs, timeUs, value: { kind: "delta" } }, delta: value, kind: "advanced" };
	const next = { startUs, timeUs, value: kept(value) };
	if (state === undefined) {
		const fromStart = knowledge.isNew || (startUs > knowledge.horizonUs && startUs > 0);
		return { state: next, delta: fromStart ? value : undefined, kind: fromStart ? "first" : "baseline" };
	}
	if (startUs > 0 && startUs < state.startUs - START_JITTER_US) return { state, delta: undefined, kind: "ignored" };
	// Where the sender wavers, the latest start is the one to compare with.
	const later = { ...next, startUs: Math.max(startUs, state.startUs) };
	if (knowledge.isNew || hasRestarted(state, startUs)) return { state: next, delta: value, kind: "reset" };
	const difference = subtract(value, state.value);
	return difference === undefined
		? { state: later, delta: value, kind: "reset" }
		: { state: later, delta: difference, kind: "advanced" };
}

function hasRestarted(state: CounterState, startUs: number): boolean {
	if (startUs === 0 || state.startUs === 0) return startUs > state.timeUs;
	return startUs > state.startUs + START_JITTER_US || (startUs > state.startUs && startUs >= state.timeUs);
}

function isSound(value: CounterValue): boolean {
	const isCount = (count: number): boolean => Number.isFinite(count) && count >= 0;
	if (value.kind === "number") return isCount(value.value);
	return isCount(value.count) && Number.isFinite(value.sum) && value.counts.every(isCount);
}

function kept(value: CounterValue): KeptValue {
	if (value.kind !== "explicit") return value;
	const { bounds, ...rest } = value;
	return { ...rest, boundsHash: hashOf(bounds) };
}

/** Undefined where the counter fell, or its buckets are others than before. */
function subtract(value: CounterValue, last: KeptValue): CounterValue | undefined {
	if (value.kind === "number") {
		if (last.kind !== "number" || value.value < last.value) return undefined;
		return { kind: "number", value: value.value - last.value };
	}
	if (value.kind === "explicit") {
		if (last.kind !== "explicit" || last.counts.length !== value.counts.length || last.boundsHash !== hashOf(value.bounds))
			return undefined;
		const counts = value.counts.map((count, i) => count - last.counts[i]!);
		const count = value.count - last.count;
		return count < 0 || counts.some((one) => one < 0)
			? undefined
			: { ...value, count, sum: difference(value.sum, last.sum), counts };
	}
	return last.kind === "exponential" ? subtractExponential(value, last) : undefined;
}

/** A sender lowers its scale when its range outgrows its buckets; the older one then merges down exactly. It never raises it. */
function subtractExponential(value: ExponentialValue, last: ExponentialValue): ExponentialValue | undefined {
	if (value.scale > last.scale || value.count < last.count || value.zeroCount < last.zeroCount) return undefined;
	const counts = [...value.counts];
	const factor = 2 ** (last.scale - value.scale);
	for (const [i, count] of last.counts.entries()) {
		if (count === 0) continue;
		const place = Math.floor((last.offset + i) / factor) - value.offset;
		const rest = (counts[place] ?? 0) - count;
		if (rest < 0) return undefined;
		counts[place] = rest;
	}
	return {
		...value,
		count: value.count - last.count,
		sum: difference(value.sum, last.sum),
		zeroCount: value.zeroCount - last.zeroCount,
		counts,
	};
}

/** Sums of rounded numbers may fall by their last digit. */
function difference(sum: number, last: number): number {
	return Math.max(sum - last, 0);
}

/** FNV-1a over the bounds' bytes. */
function hashOf(bounds: readonly number[]): number {
	let hash = 0x811c9dc5;
	for (const byte of new Uint8Array(Float64Array.from(bounds).buffer)) hash = Math.imul(hash ^ byte, 0x01000193);
	return hash >>> 0;
}

const KINDS = ["delta", "number", "explicit", "exponential"] as const;

/** One byte for the kind, then varints: some 20 bytes for a number. */
export function encodeCounter(state: CounterState): Uint8Array {
	const writer = new WireWriter(64);
	const { value } = state;
	writer.varint(KINDS.indexOf(value.kind));
	writer.varint(state.startUs);
	writer.varint(state.timeUs);
	if (value.kind === "number") writeNumber(writer, value.value);
	if (value.kind === "explicit" || value.kind === "exponential") {
		writer.varint(value.count);
		writer.double(value.sum);
		if (value.kind === "explicit") writer.varint(value.boundsHash);
		else {
			writer.varint(value.scale + SIGN_OFFSET);
			writer.varint(value.offset + SIGN_OFFSET);
			writer.varint(value.zeroCount);
		}
		writer.varint(value.counts.length);
		for (const count of value.counts) writer.varint(count);
	}
	return writer.finish();
}

/** Makes scales and offsets positive. */
const SIGN_OFFSET = 2 ** 31;

/** Whole numbers as varints, one above; 0 says that a double follows. */
function writeNumber(writer: WireWriter, value: number): void {
	if (Number.isSafeInteger(value + 1)) writer.varint(value + 1);
	else {
		writer.varint(0);
		writer.double(value);
	}
}

/** Undefined for bytes that are no state, or one of another version. */
export function decodeCounter(bytes: Uint8Array): CounterState | undefined {
	const reader = new WireReader(bytes);
	const varint = (): number => Number(reader.uint64());
	try {
		const kind = KINDS[varint()];
		const startUs = varint();
		const timeUs = varint();
		let value: KeptValue;
		if (kind === "delta") value = { kind };
		else if (kind === "number") {
			const next = varint();
			value = { kind, value: next === 0 ? reader.double() : next - 1 };
		} else if (kind === "explicit") {
			value = { kind, count: varint(), sum: reader.double(), boundsHash: varint(), counts: readCounts(reader) };
		} else if (kind === "exponential") {
			const [count, sum, scale, offset] = [varint(), reader.double(), varint() - SIGN_OFFSET, varint() - SIGN_OFFSET];
			value = { kind, count, sum, scale, offset, zeroCount: varint(), counts: readCounts(reader) };
		} else return undefined;
		return reader.position === reader.end ? { startUs, timeUs, value } : undefined;
	} catch (error) {
		if (error instanceof WireError) return undefined;
		throw error;
	}
}

function readCounts(reader: WireReader): number[] {
	const length = Number(reader.uint64());
	if (length > reader.end - reader.position) throw new WireError("more counts than bytes", reader.position);
	return Array.from({ length }, () => Number(reader.uint64()));
}
