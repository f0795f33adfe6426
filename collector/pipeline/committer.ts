/**
 * The writer thread's loop: gathers batches into groups, commits them, answers; and in between keeps the store in order.
 *
 * A group is committed when it is full, or shortly after its first batch arrived: at once when the thread was idle, spaced out
 * under a stream of small batches, so that a sync serves many of them.
 */
import { MeshscopeError } from "../../model/errors.ts";
import type { AppendReport, StoreWriter, WriteGroup } from "../../store/store.ts";
import type { DecodeLimits } from "../decode/limits.ts";
import { FINGERPRINT_BYTES, FingerprintSet } from "./fingerprints.ts";
import { GROUP_BYTES, Group } from "./group.ts";
import type { BatchMessage, BatchResult } from "./messages.ts";
import { Wake } from "./wake.ts";

/** Commits of groups that are not full are at least this far apart. */
const SPACING_MS = 25;
/** An idle thread waits this long for company before it commits a single batch. */
const LINGER_MS = 2;
/** How long the store may rest before maintenance looks for work again. */
const IDLE_MAINTENANCE_MS = 500;
/** Fingerprints read back at start. */
const REMEMBERED = 1 << 18;

export interface CommitterOptions {
	readonly store: StoreWriter;
	readonly limits: DecodeLimits;
	readonly now: () => number;
	readonly answer: (results: readonly BatchResult[]) => void;
	/** Takes the memory of payloads that are answered. */
	readonly release: (buffers: readonly ArrayBuffer[]) => void;
	readonly log: (level: "info" | "warn" | "error", message: string) => void;
	/** Gets every committed group; says when commits should wait for it. */
	readonly topology: CommittedGroups;
}

/** The topology stage, as far as the writer's loop knows it (collector/topology/feed.ts). */
export interface CommittedGroups {
	readonly isBehind: boolean;
	accept(group: WriteGroup, report: AppendReport): void;
	/** One step of what it has to catch up with. True while there are more. */
	step(): boolean;
}

export class Committer {
	commits = 0;
	private readonly options: CommitterOptions;
	private readonly known = new FingerprintSet();
	private readonly group: Group;
	private readonly queue: BatchMessage[] = [];
	private queuedBytes = 0;
	private lastCommitMs = 0;
	private readonly commitWake = new Wake(() => this.commitStep());
	private readonly maintenanceWake = new Wake(() => this.maintenanceStep());
	private closed = false;

	constructor(options: CommitterOptions) {
		this.options = options;
		this.group = new Group(options.limits, this.known);
		const recent = options.store.recentFingerprints(REMEMBERED);
		for (let at = 0; at < recent.length; at += FINGERPRINT_BYTES) this.known.add(recent.subarray(at, at + FINGERPRINT_BYTES));
		this.maintenanceWake.soon();
	}

	push(batch: BatchMessage): void {
		this.queue.push(batch);
		this.queuedBytes += batch.bytes.length;
		this.scheduleCommit();
	}

	/** Commits everything queued. */
	drain(): void {
		this.commitWake.cancel();
		while (this.queue.length > 0) this.commitGroup();
	}

	/** Something is ready for a step: a merge came back from its thread, the topology stage has room. */
	poke(): void {
		if (this.closed) return;
		this.maintenanceWake.soon();
		if (this.queue.length > 0) this.scheduleCommit();
	}

	close(): void {
		this.drain();
		this.closed = true;
		this.maintenanceWake.cancel();
		this.options.store.close();
	}

	private scheduleCommit(): void {
		if (this.queuedBytes >= GROUP_BYTES) this.commitWake.soon();
		else this.commitWake.after(Math.max(LINGER_MS, this.lastCommitMs + SPACING_MS - performance.now()), true);
	}

	private commitStep(): void {
		// The queue fills up meanwhile, and receivers refuse what it cannot hold. `poke` goes on.
		if (this.options.topology.isBehind) return;
		this.commitGroup();
		if (this.queue.length > 0) this.scheduleCommit();
	}

	private commitGroup(): void {
		const { group, queue } = this;
		this.lastCommitMs = performance.now();
		group.reset();
		const batches: BatchMessage[] = [];
		while (queue.length > 0 && !group.isFull) {
			const batch = queue.shift()!;
			this.queuedBytes -= batch.bytes.length;
			batches.push(batch);
			this.addSafely(batch);
		}
		const failure = this.tryCommit();
		if (failure === undefined) this.options.answer(group.results.slice());
		else if (failure.retryable || batches.length === 1) this.refuse(group.results, failure);
		else this.commitOneByOne(batches);
		this.options.release(batches.map((batch) => batch.bytes.buffer));
		this.maintenanceWake.soon();
	}

	/** A fault that is ours must not cost the neighbours in the group. */
	private commitOneByOne(batches: readonly BatchMessage[]): void {
		for (const batch of batches) {
			this.group.reset();
			this.addSafely(batch);
			const failure = this.tryCommit();
			if (failure === undefined) this.options.answer(this.group.results.slice());
			else this.refuse(this.group.results, failure);
		}
	}

	private addSafely(batch: BatchMessage): void {
		const { spans, logs, results } = this.group;
		const marks = [spans.mark(), logs.mark()] as const;
		try {
			this.group.add(batch);
		} catch (error) {
			spans.rewind(marks[0]);
			logs.rewind(marks[1]);
			this.options.log("error", `decoding a batch failed: ${stackOf(error)}`);
			results.push({
				id: batch.id,
				records: 0,
				rejected: 0,
				dropped: {},
				errorMessage: "",
				duplicate: false,
				invalidUtf8Strings: 0,
				refused: { code: "internal", message: "decoding failed; the log says where" },
			});
		}
	}

	private tryCommit(): MeshscopeError | undefined {
		const { group } = this;
		if (!group.hasRecords) return undefined;
		try {
			const written = group.toWrite(this.options.now());
			const report = this.options.store.append(written);
			group.remember();
			if (report.invalidUtf8Strings > 0) group.noteInvalidUtf8(report.invalidUtf8Strings);
			this.commits++;
			this.observe(written, report);
			return undefined;
		} catch (error) {
			if (error instanceof MeshscopeError) return error;
			this.options.log("error", `a commit failed: ${stackOf(error)}`);
			return new MeshscopeError("internal", "storing failed; the log says why", { cause: error });
		}
	}

	/** What is stored is acknowledged, whatever becomes of its edges. */
	private observe(written: WriteGroup, report: AppendReport): void {
		try {
			this.options.topology.accept(written, report);
		} catch (error) {
			this.options.log("error", `a group is missing in edges: ${stackOf(error)}`);
		}
	}

	private refuse(results: readonly BatchResult[], failure: MeshscopeError): void {
		const { code, message, retryAfterMs } = failure;
		this.options.answer(
			results.map((result) => {
				if (this.group.isSettled(result)) return result;
				return {
					...result,
					records: 0,
					refused: { code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
				};
			}),
		);
	}

	/** One bounded step between commits; waiting batches are at most one step late. */
	private maintenanceStep(): void {
		if (this.closed) return;
		let more = false;
		try {
			more = this.options.topology.step();
			more = this.options.store.maintain(this.options.now()) || more;
		} catch (error) {
			this.options.log("error", `maintenance failed: ${stackOf(error)}`);
		}
		if (more) this.maintenanceWake.soon();
		else this.maintenanceWake.after(IDLE_MAINTENANCE_MS, false);
	}
}

function stackOf(error: unknown): string {
	return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
