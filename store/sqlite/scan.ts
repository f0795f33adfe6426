/**
 * Whole-range reads of a data directory for the command line, window by window and block by block, beside a running server or
 * without one. Only what a block's zone map cannot rule out is read, and nothing is kept but the block at hand.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { MeshscopeError } from "../../model/errors.ts";
import { attributesToPlain, decodeResourceGroup, decodeSpan } from "../../model/otlp/decode.ts";
import { spanIdentity } from "../../model/otlp/trace-summary.ts";
import type { OtlpSpan, PlainValue } from "../../model/otlp/types.ts";
import { MAX_TIME_NS } from "../../model/time.ts";
import type { GraphEdge } from "../../model/topology/graph.ts";
import { DamagedRollupError } from "../../model/topology/rollup-layout.ts";
import { WireError } from "../../model/protobuf/reader.ts";
import { DamagedBlockError } from "../block/bytes.ts";
import type { BlockReader } from "../block/reader.ts";
import type {
	EdgeStatement,
	LogEntry,
	MetricPoint,
	MetricSeries,
	ScanQuery,
	SpanRow,
	StoreScanner,
	VerifyReport,
} from "../store.ts";
import { topologyQueries, type TopologyQueries } from "../topology-queries.ts";
import type { TopologyReader } from "../topology.ts";
import { BlockTable } from "./block-table.ts";
import { type Connection, isDamage, isUnreadable, openForReading } from "./database.ts";
import { LogDecoder } from "./logs.ts";
import { eachPoint } from "./metric-points.ts";
import { openTopologyReader } from "./topology/reader.ts";
import { verifyDirectory, windowFiles } from "./verify.ts";
import { windowPath, WindowSet } from "./window-set.ts";

/** Spans remembered in each of two generations, to show one that was sent again only once. About 60 MB at most. */
const REMEMBERED_SPANS = 250_000;

export interface ScannerOptions {
	/** Epoch ms; edges are told until then. */
	readonly now?: () => number;
	/** Told of a window that cannot be read; the scan goes on with the next. */
	readonly onDamaged?: (window: string, problem: string) => void;
	/** Throws where a delta of the topology cannot be decoded; `verify` calls it with each. */
	readonly checkRollup?: (data: Uint8Array) => void;
}

/** @throws MeshscopeError `not_found` when the directory holds no data */
export function openScanner(directory: string, options: ScannerOptions = {}): StoreScanner {
	if (!existsSync(join(directory, "catalog.db")) && !existsSync(join(directory, "windows")))
		throw new MeshscopeError("not_found", `${directory} holds no meshscope data; name its directory with --data`);
	return new SqliteScanner(directory, options);
}

class SqliteScanner implements StoreScanner {
	private readonly directory: string;
	private readonly options: ScannerOptions;
	private readonly windows: WindowSet;
	private readonly topologyReader: TopologyReader;
	private readonly topology: TopologyQueries;

	constructor(directory: string, options: ScannerOptions) {
		this.topologyReader = openTopologyReader(directory);
		this.topology = topologyQueries(this.topologyReader, options.now ?? Date.now);
		this.directory = directory;
		this.options = options;
		this.windows = new WindowSet(directory);
	}

	/** A span sent more than once is one row, unless half a million others lie between its records. */
	*scanSpans(query: ScanQuery): Iterable<SpanRow> {
		const seen = new RecentSpans();
		const names = this.windowsWith(query);
		for (const row of this.eachWindow(names, (database) => spansOf(database, query))) if (seen.isNew(row)) yield row;
	}

	*scanLogs(query: ScanQuery): Iterable<LogEntry> {
		yield* this.eachWindow(this.windowsWith(query), (database) => logsOf(database, query));
	}

	*scanMetricPoints(query: ScanQuery): Iterable<{ readonly series: MetricSeries; readonly point: MetricPoint }> {
		// The catalog's times of a window are those of its spans and logs.
		yield* this.eachWindow(this.windowsWith(undefined), (database) => eachPoint(database, query));
	}

	scanEdges(query: ScanQuery): Iterable<GraphEdge> {
		return this.ofTopology(() => this.topology.edges(query));
	}

	scanEdgeStatements(query: ScanQuery): Iterable<EdgeStatement> {
		return this.ofTopology(() => [...this.topology.edgeStatements(query)]);
	}

	verify(): VerifyReport {
		return verifyDirectory(this.directory, this.options.checkRollup);
	}

	close(): void {
		this.windows.close();
		this.topologyReader.close();
	}

	/** Nothing where it cannot be read. */
	private ofTopology<Row>(read: () => readonly Row[]): readonly Row[] {
		try {
			return read();
		} catch (error) {
			if (!isUnreadable(error) && !(error instanceof DamagedRollupError)) throw error;
			this.options.onDamaged?.("topology.db", error instanceof Error ? error.message : String(error));
			return [];
		}
	}

	/** Oldest first: those that can hold spans or logs of a range, or all. Without a catalog, every file is one that can. */
	private windowsWith(range: ScanQuery | undefined): string[] {
		try {
			const entries = range === undefined ? this.windows.list() : this.windows.inRange(range.fromNs, range.toNs);
			return entries.map(({ name }) => name).reverse();
		} catch (error) {
			if (existsSync(join(this.directory, "catalog.db"))) {
				if (!isDamage(error)) throw error;
				this.options.onDamaged?.("catalog.db", error instanceof Error ? error.message : String(error));
			}
			return windowFiles(this.directory);
		}
	}

	/** Each window in a snapshot of its own, which ends with its last row or with the scan. */
	private *eachWindow<Row>(names: readonly string[], rows: (database: Connection) => Iterable<Row>): Generator<Row> {
		for (const name of names) {
			const path = windowPath(this.directory, name);
			try {
				yield* inSnapshot(path, rows);
			} catch (error) {
				// Retention may have removed it since it was listed.
				if (!existsSync(path)) continue;
				if (!isUnreadable(error)) throw error;
				this.options.onDamaged?.(name, error instanceof Error ? error.message : String(error));
			}
		}
	}
}

function* inSnapshot<Row>(path: string, rows: (database: Connection) => Iterable<Row>): Generator<Row> {
	const database = openForReading(path);
	try {
		database.exec("BEGIN");
		yield* rows(database);
	} finally {
		database.close();
	}
}

/** Places of the rows of one block that are in the range, and were sent by the service. */
function* rowsIn(database: Connection, signal: "traces" | "logs", query: ScanQuery): Generator<readonly [BlockReader, number]> {
	const { fromNs, toNs, service } = query;
	const table = new BlockTable(database);
	for (const stored of table.blocks(signal)) {
		// Times past SQLite's integers are clamped there.
		if (stored.minTimeNs >= toNs || (stored.maxTimeNs < fromNs && stored.maxTimeNs < MAX_TIME_NS)) continue;
		if (service !== undefined && !stored.services.includes(service)) continue;
		const block = table.open(stored.id);
		const { classes, rows } = block.head();
		const wanted = Uint8Array.from(classes.all(), (entry) => (service === undefined || entry.service === service ? 1 : 0));
		const rowClasses = block.rowClasses();
		for (let row = 0; row < rows; row++) {
			if (wanted[rowClasses[row]!] === 0) continue;
			const time = block.time0(row);
			if (time >= fromNs && time < toNs) yield [block, row];
		}
	}
}

function* logsOf(database: Connection, query: ScanQuery): Generator<LogEntry> {
	const decoder = new LogDecoder();
	for (const [block, row] of rowsIn(database, "logs", query)) yield readable(() => decoder.entry(block, row));
}

function* spansOf(database: Connection, query: ScanQuery): Generator<SpanRow> {
	const resources = new Map<number, Readonly<Record<string, PlainValue>>>();
	let current: BlockReader | undefined;
	for (const [block, row] of rowsIn(database, "traces", query)) {
		if (block !== current) resources.clear();
		current = block;
		yield readable(() => spanRow(block, row, resources));
	}
}

/** Records were read whole when they came: one that cannot be read now is damage. */
function readable<T>(read: () => T): T {
	try {
		return read();
	} catch (error) {
		throw error instanceof WireError ? new DamagedBlockError(`a record cannot be read: ${error.message}`) : error;
	}
}

function spanRow(block: BlockReader, row: number, resources: Map<number, Readonly<Record<string, PlainValue>>>): SpanRow {
	const entry = block.head().classes.at(block.classOfRow(row));
	const { resourceItem } = block.head().scopes[entry.scope]!;
	let resource = resources.get(resourceItem);
	if (resource === undefined) {
		const group = block.item(resourceItem);
		resource = attributesToPlain(decodeResourceGroup(group, 0, group.length).resource.attributes, "number");
		resources.set(resourceItem, resource);
	}
	const bytes = block.record(row);
	const span: OtlpSpan = decodeSpan(bytes, 0, bytes.length);
	return {
		traceId: span.traceId ?? "",
		spanId: span.spanId ?? "",
		parentSpanId: span.parentSpanId ?? "",
		service: entry.service,
		name: entry.name,
		kind: entry.kind,
		statusCode: entry.status,
		startNs: block.time0(row),
		durationNs: block.time1(row) - block.time0(row),
		attributes: attributesToPlain(span.attributes, "number"),
		resource,
	};
}

/** Records of one span come close together: a batch that was sent again, at most minutes later. */
class RecentSpans {
	private newer = new Set<string>();
	private older = new Set<string>();

	isNew(row: SpanRow): boolean {
		const identity = row.traceId + spanIdentity({ ...row, endNs: row.startNs + row.durationNs });
		if (this.newer.has(identity) || this.older.has(identity)) return false;
		this.newer.add(identity);
		if (this.newer.size >= REMEMBERED_SPANS) {
			this.older = this.newer;
			this.newer = new Set();
		}
		return true;
	}
}
