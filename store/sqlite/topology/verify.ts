/** Reads all of topology.db and checks that it can be read: a line in the report, never a throw. */
import type { VerifyReport } from "../../store.ts";
import { type Connection, openForReading } from "../database.ts";
import { integrityProblems, Problems, textOf } from "../problems.ts";
import { topologyPath } from "./file.ts";

/** @param checkRollup throws where a delta cannot be decoded */
export function verifyTopology(directory: string, checkRollup: (data: Uint8Array) => void): VerifyReport["windows"][number] {
	const problems = new Problems();
	let database: Connection | undefined;
	let rollups = 0;
	try {
		database = openForReading(topologyPath(directory));
		database.exec("BEGIN");
		for (const problem of integrityProblems(database)) problems.add(problem);
		for (const { resolution, bucket_ms, seq, data } of eachRollup(database)) {
			rollups++;
			problems.during(`delta ${seq} of bucket ${bucket_ms} of ${resolution} ms`, () => checkRollup(data));
		}
		for (const { start_ms, data } of eachStretch(database)) {
			rollups++;
			problems.during(`the ten minutes of ${start_ms}`, () => checkRollup(data));
		}
		const texts =
			"SELECT dims FROM series UNION ALL SELECT endpoint FROM addresses UNION ALL SELECT source FROM certificates";
		for (const text of database.prepare<[], string>(`${texts} UNION ALL SELECT target FROM certificates`).pluck().iterate())
			problems.during("a series or endpoint", () => void JSON.parse(text));
	} catch (error) {
		problems.add(textOf(error));
	} finally {
		database?.close();
	}
	return { name: "topology.db", ok: problems.total === 0, blocks: rollups, spans: 0, problems: problems.list() };
}

interface RollupRow {
	readonly resolution: number;
	readonly bucket_ms: number;
	readonly seq: number;
	readonly data: Uint8Array;
}

function eachStretch(database: Connection): Iterable<{ readonly start_ms: number; readonly data: Uint8Array }> {
	return database.prepare<[], { start_ms: number; data: Uint8Array }>("SELECT start_ms, data FROM stretches").iterate();
}

function eachRollup(database: Connection): Iterable<RollupRow> {
	return database.prepare<[], RollupRow>("SELECT resolution, bucket_ms, seq, data FROM rollups").iterate();
}
