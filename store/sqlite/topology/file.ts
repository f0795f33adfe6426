/** topology.db as a file: where it lies, how large it is, opening it, and setting it aside when it is damaged. */
import { existsSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Endpoint, NodeKind } from "../../../model/topology/endpoint.ts";
import { type Connection, isDamage, openForWriting } from "../database.ts";

export function topologyPath(directory: string): string {
	return join(directory, "topology.db");
}

/** 0 where there is none. */
export function topologyBytes(directory: string): number {
	const path = topologyPath(directory);
	let total = 0;
	for (const suffix of ["", "-wal"]) total += statSync(path + suffix, { throwIfNoEntry: false })?.size ?? 0;
	return total;
}

/** Topology may take this part of the bytes that the data directory may have. */
export function topologyBudget(maxBytes: number): number {
	return Math.floor(maxBytes / 5);
}

type Log = (level: "info" | "warn" | "error", message: string) => void;

export function openTopologyFile(directory: string, log: Log): Connection {
	const path = topologyPath(directory);
	try {
		const database = openForWriting(path, "topology");
		try {
			// Reads a page of each tree, so that the coarsest damage is found now.
			for (const table of [
				"progress",
				"series",
				"rollups",
				"stretches",
				"exemplars",
				"certificates",
				"addresses",
				"counters",
			])
				database.prepare(`SELECT * FROM ${table} LIMIT 1`).get();
		} catch (error) {
			database.close();
			throw error;
		}
		return database;
	} catch (error) {
		if (!isDamage(error)) throw error;
		setTopologyAside(directory, log, error);
		return openForWriting(path, "topology");
	}
}

/** The caller has closed the file. */
export function setTopologyAside(directory: string, log: Log, why: unknown): void {
	const path = topologyPath(directory);
	const aside = `${path}.damaged-${process.pid}`;
	for (const suffix of ["", "-wal", "-shm"]) if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
	const problem = why instanceof Error ? why.message : String(why);
	log(
		"error",
		`topology.db is damaged (${problem}) and was set aside as ${aside}; a new one is begun, and edges are counted anew from the groups that are still held`,
	);
}

/** Level of what is joined again only with late deltas. */
export const WHOLE = 9;

export function endpointText({ kind, cluster, namespace, service, workload }: Endpoint): string {
	return JSON.stringify([kind, cluster, namespace, service, workload]);
}

export function endpointOf(text: string): Endpoint {
	const [kind, cluster, namespace, service, workload] = JSON.parse(text) as [NodeKind, string, string, string, string];
	return { kind, cluster, namespace, service, workload };
}

/** All of the work or none, durable on return. */
export function transact(database: Connection, work: () => void): void {
	database.exec("BEGIN IMMEDIATE");
	try {
		work();
		database.exec("COMMIT");
	} catch (error) {
		if (database.inTransaction) database.exec("ROLLBACK");
		throw error;
	}
}
