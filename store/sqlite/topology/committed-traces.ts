/**
 * Traces up to a commit, over the windows' own readers. A block knows its newest group, and blocks of groups that are not released are
 * merged with no others: leaving out blocks that are newer than the commit leaves out exactly the groups behind it.
 */
import type { TraceId } from "../../../model/ids.ts";
import { NO_TRACE_HASH, traceHash } from "../../block/format.ts";
import type { CommitRef, CommittedTraces } from "../../topology.ts";
import { TracesAssembler } from "../traces-assembler.ts";
import type { WindowReader } from "../window-reader.ts";
import { type WindowEntry, WindowSet } from "../window-set.ts";

const REMOVAL_CHECK_MS = 500;
const HASH_LOW_BITS = 65_536;

export function openCommittedTraces(directory: string, cacheBytes: number): CommittedTraces {
	return new SqliteCommittedTraces(new WindowSet(directory, cacheBytes));
}

class SqliteCommittedTraces implements CommittedTraces {
	private readonly windows: WindowSet;
	private readonly removals: NodeJS.Timeout;

	constructor(windows: WindowSet) {
		this.windows = windows;
		// A removed file keeps its room on the disk for as long as it is open.
		this.removals = setInterval(() => windows.closeRemoved(), REMOVAL_CHECK_MS).unref();
	}

	traces(ids: readonly TraceId[], upTo: CommitRef | undefined, visit: (message: Uint8Array<ArrayBuffer>) => void): void {
		if (upTo === undefined || ids.length === 0) return;
		const assembler = new TracesAssembler(ids);
		this.windows.visit(this.upTo(upTo), (window) =>
			assembler.add(window, newestCommit(window, upTo), (message) => {
				visit(message);
				this.windows.cache.trim();
			}),
		);
	}

	recentTraceHashes(max: number, upTo: CommitRef | undefined): Uint32Array {
		const hashes = new Uint32Array(max);
		let count = 0;
		this.windows.visit(upTo === undefined ? [] : this.upTo(upTo), (window) => {
			const newest = newestCommit(window, upTo!);
			for (const { id, commit } of window.blocks("traces").toReversed()) {
				if (commit > newest) continue;
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
		clearInterval(this.removals);
		this.windows.close();
	}

	private upTo(upTo: CommitRef): WindowEntry[] {
		return this.windows.list().filter((entry) => entry.name <= upTo.window);
	}
}

function newestCommit(window: WindowReader, upTo: CommitRef): number {
	return window.name === upTo.window ? upTo.commit : Infinity;
}
