/** The log of one file that is open for writing: its size, and moving it into the file between two commits. */
import { statSync } from "node:fs";
import { BUSY_TIMEOUT_MS, type Connection } from "./database.ts";

/** How long a checkpoint waits for readers: commits wait with it. */
const CHECKPOINT_WAIT_MS = 20;

export class WriteAheadLog {
	private readonly database: Connection;
	private readonly path: string;
	/** Where a checkpoint found readers in its way, the size of the log at which to try again. */
	private retryBytes = 0;

	/** @param path of the file that it is the log of */
	constructor(database: Connection, path: string) {
		this.database = database;
		this.path = `${path}-wal`;
	}

	get bytes(): number {
		return statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
	}

	/**
	 * Moves the log into the file once it is worth it, and starts the log anew: passive checkpoints starve under readers and leave it
	 * growing. A reader that will not go away costs a short wait each time the log has grown by as much again.
	 */
	checkpoint(maxLogBytes: number): void {
		const { bytes } = this;
		if (bytes < Math.max(maxLogBytes, this.retryBytes)) return;
		this.database.pragma(`busy_timeout = ${CHECKPOINT_WAIT_MS}`);
		try {
			const [result] = this.database.pragma("wal_checkpoint(TRUNCATE)") as { readonly busy: number }[];
			this.retryBytes = result?.busy === 0 ? 0 : bytes + maxLogBytes;
		} finally {
			this.database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
		}
	}
}
