/**
 * topology.db for writing: one transaction a flush, and the cursor in it, so that what was counted and how far counting came never
 * disagree. A file and a connection of its own: a flush never waits for a commit of groups, nor a commit for a flush.
 */
import { MeshscopeError } from "../../../model/errors.ts";
import {
	type JoinRollups,
	type TopologyFlush,
	type TopologyLoad,
	TopologyLostError,
	type TopologyWriter,
} from "../../topology.ts";
import { type Connection, isDamage, isDiskFull } from "../database.ts";
import type { Failpoint } from "../failpoint.ts";
import { WriteAheadLog } from "../write-ahead-log.ts";
import { openTopologyFile, setTopologyAside, topologyBytes, topologyPath, transact } from "./file.ts";
import { TopologyRows } from "./rows.ts";
import { Upkeep } from "./upkeep.ts";

export interface TopologyWriterOptions {
	readonly directory: string;
	/** Of this file: topologyBudget(bytes of the whole directory). */
	readonly maxBytes: number;
	/** Since when traces are kept: the finest buckets and the exemplars are kept as long. */
	readonly keptSinceMs: (nowMs: number) => number;
	readonly join: JoinRollups;
	readonly now: () => number;
	readonly log: (level: "info" | "warn" | "error", message: string) => void;
	readonly failpoint: Failpoint;
}

/** Size of the log at which it is moved into the file. */
const CHECKPOINT_BYTES = 8 << 20;

export function openTopologyWriter(options: TopologyWriterOptions): TopologyWriter {
	return new SqliteTopologyWriter(options);
}

interface OpenFile {
	readonly database: Connection;
	readonly rows: TopologyRows;
	readonly upkeep: Upkeep;
	readonly wal: WriteAheadLog;
}

class SqliteTopologyWriter implements TopologyWriter {
	private readonly options: TopologyWriterOptions;
	private file: OpenFile;

	constructor(options: TopologyWriterOptions) {
		this.options = options;
		this.file = this.openFile();
	}

	load(): TopologyLoad {
		return this.unlessDamaged(({ rows }) => rows.load());
	}

	flush(flush: TopologyFlush): void {
		const { failpoint } = this.options;
		const nowMs = this.options.now();
		try {
			this.unlessDamaged(({ database, rows, upkeep }) => {
				transact(database, () => {
					rows.write(flush, nowMs);
					failpoint("before-topology-commit");
				});
				failpoint("after-topology-commit");
				upkeep.touched(flush.rollups, nowMs);
			});
		} catch (error) {
			if (!isDiskFull(error)) throw error;
			throw new MeshscopeError("store_full", "the disk is full; edges are counted on once there is room", {
				retryAfterMs: 1_000,
				cause: error,
			});
		}
	}

	maintain(nowMs: number): boolean {
		try {
			return this.unlessDamaged(({ upkeep, wal }) => {
				const more = upkeep.step(nowMs);
				wal.checkpoint(CHECKPOINT_BYTES);
				return more;
			});
		} catch (error) {
			// What was to be joined or removed is so once there is room.
			if (isDiskFull(error)) return false;
			throw error;
		}
	}

	bytesOnDisk(): number {
		return topologyBytes(this.options.directory);
	}

	close(): void {
		const { database } = this.file;
		if (!database.open) return;
		try {
			database.pragma("wal_checkpoint(TRUNCATE)");
		} catch (error) {
			// Nothing is lost: the log is read at the next start.
			this.options.log("warn", `checkpoint of topology.db at close: ${String(error)}`);
		}
		database.close();
	}

	private unlessDamaged<T>(work: (file: OpenFile) => T): T {
		try {
			return work(this.file);
		} catch (error) {
			if (!isDamage(error)) throw error;
			const { directory, log } = this.options;
			this.file.database.close();
			setTopologyAside(directory, log, error);
			this.file = this.openFile();
			throw new TopologyLostError("topology.db was damaged and is begun anew", { cause: error });
		}
	}

	private openFile(): OpenFile {
		const { directory, log, join, maxBytes, keptSinceMs, failpoint } = this.options;
		const database = openTopologyFile(directory, log);
		const wal = new WriteAheadLog(database, topologyPath(directory));
		const upkeep = new Upkeep(database, wal, { log, join, maxBytes, keptSinceMs, failpoint });
		return { database, rows: new TopologyRows(database), upkeep, wal };
	}
}
