/**
 * Traces up to a commit, over the windows' own readers. A block knows its newest group, and blocks of groups that are not released are
 * merged with no others: leaving out blocks that are newer than the commit leaves out exactly the groups behind it.
 */
import type { TraceId } from "../../../model/ids.ts";
import type { TimeNs } from "../../../model/time.ts";
import { NO_TRACE_HASH, traceHash } from "../../block/format.ts";
import type { BlockReader } from "../../block/reader.ts";
import type { CommitRef, CommittedTraces } from "../../topology.ts";
import { TraceAssembler, traceIdAt, traceWords } from "../trace-rows.ts";
import type { WindowReader } from "../window-reader.ts";
import { type WindowEntry, WindowSet } from "../window-set.ts";

const NS_PER_MS = 1_000_000n;
/** A span comes after it has ended; clocks that go wrong by more than this are not reckoned with. */
const MAX_CLOCK_SKEW_MS = 3_600_000;
const HASH_LOW_BITS = 65_536;

export function openCommittedTraces(directory: string, cacheBytes: number): CommittedTraces {
	return new SqliteCommittedTraces(new WindowSet(directory, cacheBytes));
}

class SqliteCommittedTraces implements CommittedTraces {
	private readonly windows: WindowSet;

	constructor(windows: WindowSet) {
		this.windows = windows;
	}

	trace(id: TraceId, upTo: CommitRef | undefined): Uint8Array<ArrayBuffer> | undefined {
		if (upTo === undefined) return undefined;
		const assembler = new TraceAssembler(traceWords(id), () => {});
		this.windows.visit(this.upTo(upTo), (window) => assembler.add(window, newestCommit(window, upTo)));
		const found = assembler.finish("protobuf");
		return found === undefined ? undefined : new Uint8Array(Buffer.concat(found.body));
	}

	*endingAfter(timeNs: TimeNs, upTo: CommitRef | undefined): Iterable<Uint8Array<ArrayBuffer>> {
		if (upTo === undefined) return;
		const sinceMs = Number(timeNs / NS_PER_MS) - MAX_CLOCK_SKEW_MS;
		const found = new Set<TraceId>();
		this.windows.visit(
			this.upTo(upTo).filter((entry) => entry.state === "open" || entry.toMs > sinceMs),
			(window) => {
				const newest = newestCommit(window, upTo);
				for (const stored of window.blocks("traces")) {
					if (stored.commit > newest || stored.maxTimeNs + BigInt(Math.ceil(stored.maxDurationNs)) <= timeNs) continue;
					addEndingAfter(window.block(stored.id), timeNs, found);
				}
			},
		);
		for (const id of found) {
			const trace = this.trace(id, upTo);
			if (trace !== undefined) yield trace;
		}
	}

	recentTraceHashes(max: number): Uint32Array {
		const hashes = new Uint32Array(max);
		let count = 0;
		this.windows.visit(this.windows.list(), (window) => {
			for (const { id } of window.blocks("traces").toReversed()) {
				const { ids, count: traces } = window.block(id).traces();
				for (let trace = 0; trace < traces; trace++) {
					if (count === max) return "stop";
					const at = trace * 4;
					const hash = traceHash(ids[at]!, ids[at + 1]!, ids[at + 2]!, ids[at + 3]!);
					if (hash !== NO_TRACE_HASH) hashes[count++] = Math.floor(hash / HASH_LOW_BITS);
				}
			}
			this.windows.cache.trim();
			return undefined;
		});
		return hashes.slice(0, count);
	}

	hash(w0: number, w1: number, w2: number, w3: number): number {
		return Math.floor(traceHash(w0, w1, w2, w3) / HASH_LOW_BITS);
	}

	oldestMs(): number | undefined {
		return this.windows.list().at(-1)?.fromMs;
	}

	close(): void {
		this.windows.close();
	}

	private upTo(upTo: CommitRef): WindowEntry[] {
		return this.windows.list().filter((entry) => entry.name <= upTo.window);
	}
}

function newestCommit(window: WindowReader, upTo: CommitRef): number {
	return window.name === upTo.window ? upTo.commit : Infinity;
}

function addEndingAfter(block: BlockReader, timeNs: bigint, found: Set<TraceId>): void {
	const { count, firstRow } = block.traces();
	const { baseNs, wideRows } = block.head();
	const offsets = block.offsets();
	const durations = block.durations();
	const sinceOffset = Number(timeNs - baseNs);
	const isAfter = (row: number): boolean =>
		wideRows.size > 0 && wideRows.has(row) ? block.time1(row) > timeNs : offsets[row]! + durations[row]! > sinceOffset;
	for (let trace = 0; trace < count; trace++) {
		for (let row = firstRow[trace]!; row < firstRow[trace + 1]!; row++) {
			if (!isAfter(row)) continue;
			found.add(traceIdAt(block, trace));
			break;
		}
	}
}
