/**
 * A window's `commits` table, for writing: a row a group, in order, and which groups the topology stage still needs.
 *
 * A group is held while its `topology_metrics` is not NULL: its blocks are not merged, so that it can be read again as it was
 * committed. Releasing is a number in memory; the rows follow in the next transaction that is made anyway, and in the same one as the
 * first merge of their blocks, so that a row that is held always has its blocks.
 */
import type { WriteGroup } from "../store.ts";
import type { Connection } from "./database.ts";

export class CommitLog {
	private readonly insertRow;
	private readonly clearRows;
	/** Groups up to this one are released. */
	private releasedCommit: number;
	/** Rows up to this one are NULL in the file. */
	private clearedCommit: number;
	private nextCommit: number;

	constructor(database: Connection) {
		this.insertRow = database.prepare(
			"INSERT INTO commits (id, arrived_ms, fingerprints, topology_metrics) VALUES (?, ?, ?, ?)",
		);
		this.clearRows = database.prepare(
			"UPDATE commits SET topology_metrics = NULL WHERE id > ? AND id <= ? AND topology_metrics IS NOT NULL",
		);
		const newest = (where: string): number =>
			database.prepare<[], number>(`SELECT id FROM commits ${where} ORDER BY id DESC LIMIT 1`).pluck().get() ?? 0;
		this.nextCommit = newest("") + 1;
		// Held rows are the newest ones: this stops at the first one before them.
		this.clearedCommit = newest("WHERE topology_metrics IS NULL");
		this.releasedCommit = this.clearedCommit;
	}

	/** What the next group will be. */
	get next(): number {
		return this.nextCommit;
	}

	get released(): number {
		return this.releasedCommit;
	}

	/** Whether there are groups that are not released. */
	get holds(): boolean {
		return this.releasedCommit < this.nextCommit - 1;
	}

	/** Inserts the row of {@link next}, in the caller's transaction. */
	insert(group: WriteGroup): void {
		this.insertRow.run(this.nextCommit, group.arrivedMs, group.fingerprints, group.topologyMetrics);
	}

	inserted(): void {
		this.nextCommit++;
	}

	/** @param commit a later one than there is, after commits were lost with the power, is never given to another group */
	release(commit: number): void {
		this.releasedCommit = Math.max(this.releasedCommit, commit);
		this.nextCommit = Math.max(this.nextCommit, commit + 1);
	}

	releaseAll(): void {
		this.releasedCommit = this.nextCommit - 1;
	}

	/** Brings the rows up to what is released, in the caller's transaction. Once it is committed, what is returned must be called. */
	clearReleased(): () => void {
		const released = Math.min(this.releasedCommit, this.nextCommit - 1);
		if (released <= this.clearedCommit) return () => {};
		this.clearRows.run(this.clearedCommit, released);
		return () => {
			this.clearedCommit = released;
		};
	}
}
