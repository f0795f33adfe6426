/**
 * Reads everything in a data directory and checks it against its checksums, its indexes and itself. A damaged window is a line in
 * the report, never a throw. Runs beside a server: each window is read in one snapshot.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { attributesFromCanonical } from "../../model/otlp/canonical.ts";
import { decodeLogRecord, decodeResourceGroup, decodeScopeGroup, decodeSpan } from "../../model/otlp/decode.ts";
import { ByteWriter } from "../block/bytes.ts";
import { mayContain } from "../block/filter.ts";
import { PARTS_PER_BLOCK, NO_TRACE_HASH, traceHash } from "../block/format.ts";
import type { BlockReader } from "../block/reader.ts";
import { storedTokens } from "../block/merge.ts";
import { collectTokens } from "../block/tokens.ts";
import type { VerifyReport } from "../store.ts";
import { BlockTable, type StoredBlock } from "./block-table.ts";
import { type Connection, openForReading } from "./database.ts";
import { eachPoint } from "./metric-points.ts";
import { MAX_SLICES } from "./part-table.ts";
import { integrityProblems, Problems, textOf } from "./problems.ts";
import { topologyPath } from "./topology/file.ts";
import { verifyTopology } from "./topology/verify.ts";
import { TraceIndexReader } from "./trace-index.ts";
import { windowPath } from "./window-set.ts";

const MAX_INT64 = (1n << 63n) - 1n;

type WindowReport = VerifyReport["windows"][number];

/** @param checkRollup throws where a delta of the topology cannot be decoded */
export function verifyDirectory(directory: string, checkRollup: (data: Uint8Array) => void = () => {}): VerifyReport {
	const windows: WindowReport[] = [];
	const names = new Set(windowFiles(directory));
	try {
		for (const name of windowsInCatalog(directory)) names.add(name);
	} catch (error) {
		windows.push({ name: "catalog.db", ok: false, blocks: 0, spans: 0, problems: [textOf(error)] });
	}
	for (const name of [...names].sort()) {
		const report = verifyWindow(windowPath(directory, name), name);
		if (report.ok || !isRemoved(directory, name)) windows.push(report);
	}
	if (existsSync(topologyPath(directory))) windows.push(verifyTopology(directory, checkRollup));
	return { windows, ok: windows.every(({ ok }) => ok) };
}

/** True when retention took the window away while it was being read. */
function isRemoved(directory: string, name: string): boolean {
	if (existsSync(windowPath(directory, name))) return false;
	try {
		return !windowsInCatalog(directory).includes(name);
	} catch {
		return false;
	}
}

/** Names of the window files that are there, oldest first, whatever the catalog says. */
export function windowFiles(directory: string): string[] {
	const folder = join(directory, "windows");
	if (!existsSync(folder)) return [];
	return readdirSync(folder)
		.filter((file) => file.endsWith(".db"))
		.map((file) => file.slice(0, -3))
		.sort();
}

function windowsInCatalog(directory: string): string[] {
	const catalog = openForReading(join(directory, "catalog.db"));
	try {
		for (const problem of integrityProblems(catalog)) throw new Error(problem);
		return catalog.prepare<[], string>("SELECT name FROM windows").pluck().all();
	} finally {
		catalog.close();
	}
}

function verifyWindow(path: string, name: string): WindowReport {
	const problems = new Problems();
	let database: Connection | undefined;
	const counts = { blocks: 0, spans: 0 };
	try {
		database = openForReading(path);
		database.exec("BEGIN");
		verifyContent(database, problems, counts);
	} catch (error) {
		problems.add(textOf(error));
	} finally {
		database?.close();
	}
	return { name, ok: problems.total === 0, ...counts, problems: problems.list() };
}

function verifyContent(database: Connection, problems: Problems, counts: { blocks: number; spans: number }): void {
	for (const problem of integrityProblems(database)) problems.add(problem);
	const table = new BlockTable(database);
	const index = new TraceIndexReader(database);
	for (const signal of ["traces", "logs"] as const) {
		for (const stored of table.blocks(signal)) {
			counts.blocks++;
			if (signal === "traces") counts.spans += stored.rows;
			problems.during(`block ${stored.id}`, () => {
				const block = table.open(stored.id);
				if (block.shape.signal !== signal) throw new Error(`holds ${block.shape.signal}, not ${signal}`);
				verifySummary(block, stored);
				verifyRecords(block);
				verifyFilter(block, stored);
				if (stored.final) verifyIndex(block, stored, index);
			});
		}
	}
	verifyTables(database, problems);
	problems.during("metrics", () => verifyMetrics(database));
}

/** The row of the `blocks` table, by which searches pass blocks over, against the block itself. */
function verifySummary(block: BlockReader, stored: StoredBlock): void {
	const head = block.head();
	expect("record_count", stored.rows, head.rows);
	expect("trace_count", stored.traces, block.traces().count);
	const services = [...new Set(head.scopes.map(({ service }) => service))].sort();
	expect("services", JSON.stringify(stored.services), JSON.stringify(services));
	const rowsByClass = new Uint32Array(head.classes.length);
	const classes = head.classes.all();
	const durations = block.durations();
	let min = MAX_INT64;
	let max = 0n;
	for (let row = 0; row < head.rows; row++) {
		const rowClass = block.rowClasses()[row]!;
		rowsByClass[rowClass]! += 1;
		const entry = classes[rowClass]!;
		const duration = durations[row]!;
		if (duration < entry.minDuration || duration > entry.maxDuration)
			throw new Error(`row ${row} lies outside of its class's durations`);
		if (duration < stored.minDurationNs || duration > stored.maxDurationNs)
			throw new Error(`row ${row} lies outside of the block's durations`);
		const time = block.time0(row);
		if (time < min) min = time;
		if (time > max) max = time;
	}
	for (const [i, entry] of classes.entries()) expect(`rows of class ${i}`, entry.rows, rowsByClass[i]!);
	if (stored.minTimeNs > min) throw new Error(`min_time is ${stored.minTimeNs}, the earliest record has ${min}`);
	if (stored.maxTimeNs < (max > MAX_INT64 ? MAX_INT64 : max))
		throw new Error(`max_time is ${stored.maxTimeNs}, the latest record has ${max}`);
}

/** Every record rebuilt and read again. */
function verifyRecords(block: BlockReader): void {
	const head = block.head();
	const { ids, firstRow, count } = block.traces();
	const { spans } = block.ids();
	for (const { resourceItem, scopeItem } of head.scopes) {
		const resource = block.item(resourceItem);
		decodeResourceGroup(resource, 0, resource.length);
		const scope = block.item(scopeItem);
		decodeScopeGroup(scope, 0, scope.length);
	}
	const record = new ByteWriter(4096);
	const decode = head.shape.signal === "traces" ? decodeSpan : decodeLogRecord;
	for (let trace = 0; trace < count; trace++) {
		const traceId = wordsHex(ids, trace * 4, 4);
		for (let row = firstRow[trace]!; row < firstRow[trace + 1]!; row++) {
			record.reset();
			block.writeRecord(row, record);
			const { traceId: ownTrace, spanId: ownSpan } = decode(record.bytes, 0, record.length);
			if (unlessZero(ownTrace) !== unlessZero(traceId))
				throw new Error(`row ${row} is of trace ${ownTrace}, not ${traceId}`);
			const spanId = wordsHex(spans, row * 2, 2);
			if (unlessZero(ownSpan) !== unlessZero(spanId)) throw new Error(`row ${row} is span ${ownSpan}, not ${spanId}`);
		}
	}
}

/** What the token filter leaves out, no search finds. */
function verifyFilter(block: BlockReader, stored: StoredBlock): void {
	const filter = block.filter();
	if (filter === undefined) {
		if (stored.final) throw new Error("a final block has no filter");
		return;
	}
	const tokens = collectTokens(storedTokens(block));
	for (let i = 0; i < tokens.count; i++)
		if (!mayContain(filter, [tokens.words[i * 2]!, tokens.words[i * 2 + 1]!]))
			throw new Error("the filter denies an attribute that is there");
}

function verifyIndex(block: BlockReader, stored: StoredBlock, index: TraceIndexReader): void {
	const { ids, count } = block.traces();
	// Traces lie in the order of their hashes; records without a trace are not in the index.
	const hashes: number[] = [];
	const places: number[] = [];
	for (let trace = 0; trace < count; trace++) {
		const at = trace * 4;
		const hash = traceHash(ids[at]!, ids[at + 1]!, ids[at + 2]!, ids[at + 3]!);
		if (trace > 0 && hash < (hashes.at(-1) ?? 0)) throw new Error("traces are not in order");
		if (hash === NO_TRACE_HASH) continue;
		hashes.push(hash);
		places.push(at);
	}
	const missing = index.firstMissing(block.shape.signal, stored.id, Float64Array.from(hashes));
	if (missing >= 0) throw new Error(`trace ${wordsHex(ids, places[missing]!, 4)} is not in the trace index`);
}

function verifyTables(database: Connection, problems: Problems): void {
	const orphans = database
		.prepare<[], number>(
			`SELECT id / ${PARTS_PER_BLOCK} AS block FROM parts WHERE block NOT IN (SELECT id FROM blocks)
			UNION SELECT id / ${PARTS_PER_BLOCK * MAX_SLICES} AS block FROM slices WHERE block NOT IN (SELECT id FROM blocks)`,
		)
		.pluck()
		.all();
	for (const block of orphans) problems.add(`parts of block ${block}, which is not there`);
	const odd = database.prepare<[], number>("SELECT count(*) FROM commits WHERE length(fingerprints) % 16 <> 0").pluck().get();
	if (odd !== 0) problems.add(`${odd} commits with fingerprints that are cut short`);
}

function verifyMetrics(database: Connection): void {
	const lost = database
		.prepare<[], number>("SELECT count(*) FROM metric_points WHERE series NOT IN (SELECT id FROM metric_series)")
		.pluck()
		.get();
	expect("points without a series", 0, lost);
	for (const scope of database.prepare<[], string>("SELECT scope FROM metric_series").pluck().iterate()) JSON.parse(scope);
	for (const text of database.prepare<[], string>("SELECT attributes FROM metric_series").pluck().iterate())
		attributesFromCanonical(text);
	let points = 0;
	for (const { point } of eachPoint(database, { fromNs: 0n, toNs: 1n << 64n })) if (point.timeUnixNano !== "") points++;
	expect("metric points", database.prepare<[], number>("SELECT count(*) FROM metric_points").pluck().get(), points);
}

function expect(what: string, stored: unknown, found: unknown): void {
	if (stored !== found) throw new Error(`${what} is ${String(stored)}, found ${String(found)}`);
}

/** Absent, empty and all-zero ids are one: none. */
function unlessZero(id: string | undefined): string {
	return id === undefined || (id.startsWith("0") && /^0*$/.test(id)) ? "" : id;
}

function wordsHex(words: Uint32Array, at: number, count: number): string {
	let hex = "";
	for (let i = at; i < at + count; i++) hex += words[i]!.toString(16).padStart(8, "0");
	return hex;
}
