/**
 * A stage between a store of arrays and groups made by hand: what the tests of this folder share.
 */
import type { SpanFacts } from "../../model/topology/facts.ts";
import { MeshscopeError } from "../../model/errors.ts";
import type { SeriesTotals } from "../../model/topology/rollup.ts";
import { addRollups } from "../../model/topology/rollup-reader.ts";
import type { CommitRef, CommittedTraces, SeriesRow, TopologyFlush, TopologyWriter } from "../../store/topology.ts";
import { isAfter } from "../../store/topology.ts";
import { NUMBER, NUMBERS_A_ROW, type Profile, type RecordRows, WORD, WORDS_A_ROW } from "./record-rows.ts";
import { DEFAULT_STAGE_LIMITS, type StageGroup, type StageLimits } from "./stage-options.ts";
import { TopologyStage } from "./stage.ts";

export interface TestSpan {
	readonly trace: number;
	readonly id: number;
	/** 0 for none. */
	readonly parent: number;
	readonly facts: SpanFacts;
	readonly startMs: number;
	readonly durationMs: number;
	readonly requestId?: number;
	readonly weight?: number;
}

/** Profiles whose facts are written into them as JSON. */
export function rowsOf(spans: readonly TestSpan[], firstProfile = 1): RecordRows {
	const words = new Uint32Array(spans.length * WORDS_A_ROW);
	const numbers = new Float64Array(spans.length * NUMBERS_A_ROW);
	const profiles = new Map<string, Profile>();
	spans.forEach((span, row) => {
		const at = row * WORDS_A_ROW;
		words[at + WORD.traceId + 3] = span.trace;
		words[at + WORD.spanId + 1] = span.id;
		words[at + WORD.parentId + 1] = span.parent;
		words[at + WORD.requestId + 1] = span.requestId ?? 0;
		const text = JSON.stringify(span.facts);
		let profile = profiles.get(text);
		if (profile === undefined) {
			const id = firstProfile + nextProfile++;
			profile = { id, kind: 0, status: 0, name: text, scope: "", resource: [], attributes: [] };
			profiles.set(text, profile);
		}
		words[at + WORD.profile] = profile.id;
		numbers[row * NUMBERS_A_ROW + NUMBER.startMs] = span.startMs;
		numbers[row * NUMBERS_A_ROW + NUMBER.durationNs] = span.durationMs * 1e6;
		numbers[row * NUMBERS_A_ROW + NUMBER.weight] = span.weight ?? 0;
	});
	return { count: spans.length, words, numbers, profiles: [...profiles.values()] };
}

let nextProfile = 0;

/** What a store keeps of groups and flushes; outlives the stages that are begun on it. */
export class StageBench {
	readonly groups: { readonly ref: CommitRef; readonly arrivedMs: number; readonly spans: readonly TestSpan[] }[] = [];
	readonly flushes: TopologyFlush[] = [];
	readonly limits: StageLimits;
	/** Lets the next flushes fail as on a full disk. */
	failures = 0;

	constructor(limits: Partial<StageLimits> = {}) {
		this.limits = { ...DEFAULT_STAGE_LIMITS, ...limits };
	}

	start(): TopologyStage {
		return new TopologyStage({
			store: this.writer(),
			committed: this.committed(),
			rowsOf: (bytes) => rowsOf(JSON.parse(new TextDecoder().decode(bytes)) as TestSpan[], 0x8000_0000),
			spanFacts: (profile) => JSON.parse(profile.name) as SpanFacts,
			logFacts: () => undefined,
			metrics: () => ({ observe() {}, takeChanged: () => [] }),
			limits: this.limits,
			monotonicMs: () => 0,
			log: () => {},
		});
	}

	commit(spans: readonly TestSpan[], arrivedMs: number): StageGroup {
		const ref = { window: "w", commit: this.groups.length + 1 };
		this.groups.push({ ref, arrivedMs, spans });
		return this.read(this.groups.length - 1);
	}

	/** Groups behind the last flush, as after a crash. */
	replay(): StageGroup[] {
		const cursor = this.flushes.at(-1)?.cursor;
		return this.groups.flatMap(({ ref }, i) => (isAfter(ref, cursor) ? [this.read(i)] : []));
	}

	/** Sums of every series over all time, by dims; series that came to nothing are left out. */
	totals(resolutionMs = 10_000): Map<string, SeriesTotals> {
		const byId = new Map<number, SeriesTotals>();
		const dims = new Map<number, string>();
		for (const flush of this.flushes) {
			for (const row of flush.series) dims.set(row.id, row.dims);
			addRollups(
				byId,
				flush.rollups.filter((delta) => delta.resolutionMs === resolutionMs).map(({ data }) => data),
			);
		}
		return new Map([...byId].filter(([, sums]) => sums.observed !== 0).map(([id, sums]) => [dims.get(id)!, sums]));
	}

	private read(index: number): StageGroup {
		const { ref, arrivedMs, spans } = this.groups[index]!;
		return { ref, arrivedMs, spans: rowsOf(spans), logs: undefined, metrics: new Uint8Array() };
	}

	private writer(): TopologyWriter {
		return {
			load: () => ({
				cursor: this.flushes.at(-1)?.cursor,
				state: this.flushes.at(-1)?.state ?? new Uint8Array(),
				series: this.flushes.flatMap((flush): readonly SeriesRow[] => flush.series),
				counters: [],
			}),
			flush: (flush) => {
				if (this.failures-- > 0) throw new MeshscopeError("store_full", "no room");
				this.failures = 0;
				this.flushes.push(flush);
			},
			maintain: () => false,
			bytesOnDisk: () => 0,
			close() {},
		};
	}

	private committed(): CommittedTraces {
		const upTo = (cursor: CommitRef | undefined): readonly TestSpan[] =>
			this.groups.flatMap(({ ref, spans }) => (isAfter(ref, cursor) ? [] : spans));
		const bytesOf = (spans: readonly TestSpan[]): Uint8Array<ArrayBuffer> => new TextEncoder().encode(JSON.stringify(spans));
		return {
			traces: (ids, cursor, visit) => {
				const wanted = new Set(ids.map((id) => Number.parseInt(id, 16)));
				const spans = upTo(cursor).filter((span) => wanted.has(span.trace));
				// In several messages, as blocks give them.
				for (let from = 0; from < spans.length; from += 3) visit(bytesOf(spans.slice(from, from + 3)));
			},
			recentTraceHashes: (_max, cursor) => Uint32Array.from(upTo(cursor).map((span) => span.trace)),
			hash: (_w0, _w1, _w2, w3) => w3,
			oldestMs: () => undefined,
			close() {},
		};
	}
}
