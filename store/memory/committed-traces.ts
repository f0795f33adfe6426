/** Traces up to a commit: all records of the groups up to it, in the plainest way. */
import type { TraceId } from "../../model/ids.ts";
import { spanIdentity } from "../../model/otlp/trace-summary.ts";
import { traceHash } from "../block/format.ts";
import type { CommitRef, CommittedTraces } from "../topology.ts";
import { otlpData, type StoredSpan } from "./records.ts";
import type { MemoryState } from "./state.ts";

export class MemoryCommittedTraces implements CommittedTraces {
	private readonly state: MemoryState;

	constructor(state: MemoryState) {
		this.state = state;
	}

	traces(ids: readonly TraceId[], upTo: CommitRef | undefined, visit: (message: Uint8Array<ArrayBuffer>) => void): void {
		const wanted = new Set<string>(ids);
		const spans = new Map<string, StoredSpan>();
		for (const span of this.spansUpTo(upTo)) {
			const key = `${span.traceId}/${spanIdentity(span)}`;
			if (wanted.has(span.traceId) && !spans.has(key)) spans.set(key, span);
		}
		if (spans.size > 0) visit(otlpData([...spans.values()]));
	}

	recentTraceHashes(max: number, upTo: CommitRef | undefined): Uint32Array {
		const ids = this.spansUpTo(upTo)
			.toReversed()
			.map(({ traceId }) => traceId);
		const words = (id: string) => [0, 8, 16, 24].map((at) => Number.parseInt(id.slice(at, at + 8), 16));
		return Uint32Array.from(
			[...new Set(ids)].slice(0, max).map((id) => {
				const [w0, w1, w2, w3] = words(id);
				return this.hash(w0!, w1!, w2!, w3!);
			}),
		);
	}

	hash(w0: number, w1: number, w2: number, w3: number): number {
		return Math.floor(traceHash(w0, w1, w2, w3) / 65_536);
	}

	oldestMs(): number | undefined {
		return this.state.groups[0]?.arrivedMs;
	}

	close(): void {}

	private spansUpTo(upTo: CommitRef | undefined): StoredSpan[] {
		const groups = this.state.groups.filter(({ commit }) => upTo !== undefined && commit <= upTo.commit);
		return groups.flatMap(({ spans }) => spans);
	}
}
