/**
 * Groups that are held for the topology stage, read again as they were committed: their blocks are merged with no others yet.
 */
import { existsSync } from "node:fs";
import { isAfter, type CommitRef, type ReplayGroup } from "../topology.ts";
import type { BlockReader } from "../block/reader.ts";
import { BlockTable, SIGNAL_NUMBER } from "./block-table.ts";
import type { CatalogWindow } from "./catalog.ts";
import { type Connection, isUnreadable, openForReading } from "./database.ts";
import { RecordGroups } from "./record-groups.ts";
import { windowPath } from "./window-set.ts";

interface CommitRow {
	readonly arrived_ms: number;
	readonly topology_metrics: Uint8Array | null;
}

/**
 * In the order of commits; groups that come after the call are not among them. Each window is read over a connection of its own, so the
 * writer goes on between two groups. @param warn told of a window that cannot be read, and is passed over
 */
export function* replayGroups(
	directory: string,
	windows: readonly CatalogWindow[],
	after: CommitRef | undefined,
	warn: (message: string) => void,
): Iterable<ReplayGroup> {
	for (const { name, state } of windows) {
		if (after !== undefined && name < after.window) continue;
		const path = windowPath(directory, name);
		if (state === "damaged" || !existsSync(path)) continue;
		let database: Connection | undefined;
		try {
			database = openForReading(path);
			yield* ofWindow(name, database, after);
		} catch (error) {
			if (!isUnreadable(error)) throw error;
			warn(`window ${name} cannot be read, and its last groups are missing in edges: ${String(error)}`);
		} finally {
			database?.close();
		}
	}
}

function* ofWindow(window: string, database: Connection, after: CommitRef | undefined): Iterable<ReplayGroup> {
	const table = new BlockTable(database);
	const held = database
		.prepare<[], number>("SELECT id FROM commits WHERE topology_metrics IS NOT NULL ORDER BY id")
		.pluck()
		.all();
	const row = database.prepare<[number], CommitRow>("SELECT arrived_ms, topology_metrics FROM commits WHERE id = ?");
	const blocks = blocksByCommit(database);
	for (const commit of held) {
		const ref = { window, commit };
		if (!isAfter(ref, after)) continue;
		const group = database.transaction((): ReplayGroup | undefined => {
			const found = row.get(commit);
			// Given up meanwhile: its blocks may be merged.
			if (found === undefined || found.topology_metrics === null) return undefined;
			const { traces, logs } = blocks.get(commit) ?? {};
			return {
				ref,
				arrivedMs: found.arrived_ms,
				traces: messageOf(traces === undefined ? undefined : table.open(traces)),
				logs: messageOf(logs === undefined ? undefined : table.open(logs)),
				metrics: found.topology_metrics,
			};
		})();
		if (group !== undefined) yield group;
	}
}

interface BlocksOfCommit {
	traces?: number;
	logs?: number;
}

function blocksByCommit(database: Connection): Map<number, BlocksOfCommit> {
	const rows = database
		.prepare<[], { readonly id: number; readonly signal: number; readonly commit_id: number }>(
			"SELECT id, signal, commit_id FROM blocks WHERE final = 0",
		)
		.all();
	const blocks = new Map<number, BlocksOfCommit>();
	for (const { id, signal, commit_id } of rows) {
		const ofCommit = blocks.get(commit_id) ?? {};
		ofCommit[signal === SIGNAL_NUMBER.traces ? "traces" : "logs"] = id;
		blocks.set(commit_id, ofCommit);
	}
	return blocks;
}

const NOTHING = new Uint8Array(0);

function messageOf(block: BlockReader | undefined): Uint8Array<ArrayBuffer> {
	if (block === undefined) return NOTHING;
	const groups = new RecordGroups();
	const { rows } = block.head();
	for (let row = 0; row < rows; row++) groups.add(block, row);
	return groups.message().joined();
}
