/**
 * Log search over the blocks of every window, newest first.
 *
 * Blocks are visited from the latest on, and the search ends when no block left can hold a record newer than those found. Inside a
 * block, what rows share is asked once: service and severity a class, attributes and body a dictionary entry.
 */
import { bytesFromHex } from "../../model/ids.ts";
import { decodeAnyValue, plainValue } from "../../model/otlp/any-value.ts";
import { scalarText } from "../../model/otlp/attribute-match.ts";
import { attributesToPlain, decodeLogRecord, decodeResourceGroup, decodeScopeGroup } from "../../model/otlp/decode.ts";
import { MAX_TIME_NS } from "../../model/time.ts";
import type { PlainValue } from "../../model/otlp/types.ts";
import { WIRE_LENGTH, WireError, WireReader } from "../../model/protobuf/reader.ts";
import { DamagedBlockError } from "../block/bytes.ts";
import { traceHash } from "../block/format.ts";
import type { StoredHead } from "../block/head.ts";
import type { BlockReader } from "../block/reader.ts";
import type { LogEntry, LogQuery, LogSearchResult } from "../store.ts";
import { AttributeMatcher, EntryRows } from "./block-match.ts";
import type { StoredBlock, WindowReader } from "./window-reader.ts";
import type { WindowEntry, WindowSet } from "./window-set.ts";

/** LogRecord.body, an AnyValue. */
const BODY_TAG = (5 << 3) | WIRE_LENGTH;
/** Rows between two looks at the clock. */
const ROWS_PER_CHECK = 8192;
/**
 * Of the records of an answer, each with its resource, which is told with every one of them. A record may have 4 MiB, and 1,000 are
 * answered: as objects, as a message between threads and as JSON.
 */
const MAX_ANSWER_BYTES = 32 << 20;

type TraceWords = readonly [number, number, number, number];

/** @param deadlineMs on the clock of `nowMs`; what was found by then is the answer, marked as truncated */
export function searchLogs(
	windows: WindowSet,
	query: LogQuery,
	deadlineMs: number,
	nowMs: () => number = Date.now,
): LogSearchResult {
	const search = new LogSearch(query, () => nowMs() >= deadlineMs);
	const damagedWindows: string[] = [];
	for (const entry of windows.inRange(query.fromNs, query.toNs)) {
		if (search.truncated) break;
		if (search.wants(entry)) damagedWindows.push(...windows.visit([entry], (window) => search.visit(window)));
	}
	const { windows: seen, blocks, blocksSkipped, rowsScanned } = search;
	const truncated = search.truncated || search.wasCut;
	return {
		logs: search.newest(),
		searched: { windows: seen, blocks, blocksSkipped, spansScanned: rowsScanned, truncated, damagedWindows },
	};
}

interface Found {
	readonly timeNs: bigint;
	readonly row: number;
	/** Until the entry is decoded, which happens before the window's snapshot ends. */
	block: BlockReader | undefined;
	entry: LogEntry | undefined;
	bytes: number;
}

/** The latest time that can be inside: times past SQLite's integers are clamped in the zone maps. */
function reach({ maxTimeNs }: { readonly maxTimeNs: bigint }): bigint {
	return maxTimeNs >= MAX_TIME_NS ? 1n << 64n : maxTimeNs;
}

class LogSearch {
	windows = 0;
	blocks = 0;
	blocksSkipped = 0;
	rowsScanned = 0;
	truncated = false;
	/** Older records were left out for their bytes. */
	wasCut = false;
	private readonly query: LogQuery;
	private readonly trace: TraceWords | undefined;
	private readonly needle: string | undefined;
	private readonly isLate: () => boolean;
	/** The newest so far and a few more; ordered and cut in `prune`. */
	private found: Found[] = [];
	/** Once `limit` are found, or the bytes of an answer: only what is newer can still enter it. */
	private floorNs = -1n;

	constructor(query: LogQuery, isLate: () => boolean) {
		this.query = query;
		this.isLate = isLate;
		this.needle = query.text?.toLowerCase();
		this.trace = query.traceId === undefined ? undefined : wordsOf(query.traceId);
	}

	wants(entry: WindowEntry): boolean {
		return entry.state !== "sealed" || reach(entry) > this.floorNs;
	}

	visit(window: WindowReader): void {
		const before = { found: [...this.found], floorNs: this.floorNs, wasCut: this.wasCut };
		this.windows++;
		try {
			this.searchBlocks(window);
			this.prune();
			this.decodeFound();
		} catch (error) {
			// Nothing of a damaged window is answered: its readers end with the visit.
			Object.assign(this, before);
			throw error instanceof WireError ? new DamagedBlockError(`a log record cannot be read: ${error.message}`) : error;
		}
	}

	newest(): LogEntry[] {
		return this.found.map(({ entry }) => entry!);
	}

	private searchBlocks(window: WindowReader): void {
		const all = window.blocks("logs");
		const blocks = this.candidates(window, all);
		this.blocksSkipped += all.length - blocks.length;
		for (const [i, block] of blocks.entries()) {
			if (reach(block) <= this.floorNs) {
				this.blocksSkipped += blocks.length - i;
				return;
			}
			if (this.isLate()) {
				this.truncated = true;
				return;
			}
			if (this.searchBlock(window.block(block.id))) this.blocks++;
			else this.blocksSkipped++;
			if (this.truncated) return;
			if (this.found.length >= this.query.limit) this.prune();
		}
	}

	/** Blocks that the zone maps and the trace index do not rule out, latest first. */
	private candidates(window: WindowReader, all: readonly StoredBlock[]): StoredBlock[] {
		const { fromNs, toNs, service } = this.query;
		const ofTrace = this.trace === undefined ? undefined : new Set(window.blocksOfTrace("logs", traceHash(...this.trace)));
		return all
			.filter(
				(block) =>
					block.minTimeNs < toNs &&
					reach(block) >= fromNs &&
					(service === undefined || block.services.includes(service)) &&
					(ofTrace === undefined || !block.final || ofTrace.has(block.id)),
			)
			.sort((a, b) => (a.maxTimeNs < b.maxTimeNs ? 1 : a.maxTimeNs > b.maxTimeNs ? -1 : b.id - a.id));
	}

	/** False when the block needed no look at its rows. */
	private searchBlock(block: BlockReader): boolean {
		const { query } = this;
		const head = block.head();
		const classes = this.matchingClasses(head);
		if (!classes.includes(1)) return false;
		let first = 0;
		let end = head.rows;
		if (this.trace !== undefined) {
			const rows = block.findTrace(...this.trace);
			if (rows === undefined) return false;
			[first, end] = rows;
		}
		const attributes = new AttributeMatcher(block, query.attributes);
		if (!attributes.possible()) return false;
		const bodies = this.needle === undefined || this.needle === "" ? undefined : new BodyMatcher(block, this.needle);
		if (bodies?.possible === false) return false;
		this.searchRows(block, first, end, classes, (row) => attributes.matches(row) && bodies?.matches(row) !== false);
		return true;
	}

	private searchRows(
		block: BlockReader,
		first: number,
		end: number,
		classes: Uint8Array,
		matches: (row: number) => boolean,
	): void {
		const { baseNs, wideRows } = block.head();
		const { fromNs, toNs, limit } = this.query;
		const offsets = block.offsets();
		const rowClasses = block.rowClasses();
		// Rounding an offset that exceeds 2^53 cannot carry it across one of a row, which are exact and below 2^52.
		const from = Number(fromNs - baseNs);
		const to = Number(toNs - baseNs);
		let floor = Number(this.floorNs - baseNs);
		for (let row = first; row < end; row++) {
			if ((row - first) % ROWS_PER_CHECK === ROWS_PER_CHECK - 1 && this.isLate()) {
				this.truncated = true;
				break;
			}
			this.rowsScanned++;
			if (classes[rowClasses[row]!] === 0) continue;
			const offset = offsets[row]!;
			const wide = wideRows.size > 0 ? wideRows.get(row) : undefined;
			if (
				wide === undefined
					? offset < from || offset >= to || offset <= floor
					: wide.time0 < fromNs || wide.time0 >= toNs || wide.time0 <= this.floorNs
			)
				continue;
			if (!matches(row)) continue;
			this.found.push({ timeNs: block.time0(row), block, row, entry: undefined, bytes: 0 });
			if (this.found.length >= 2 * limit) {
				this.prune();
				floor = Number(this.floorNs - baseNs);
			}
		}
	}

	private matchingClasses(head: StoredHead): Uint8Array {
		const { service, minSeverity = 0 } = this.query;
		return Uint8Array.from(head.classes.all(), (entry) =>
			entry.kind >= minSeverity && (service === undefined || entry.service === service) ? 1 : 0,
		);
	}

	private prune(): void {
		const { limit } = this.query;
		this.found.sort((a, b) => (a.timeNs < b.timeNs ? 1 : a.timeNs > b.timeNs ? -1 : 0));
		if (this.found.length < limit) return;
		this.found.length = limit;
		this.floorNs = this.found[limit - 1]!.timeNs;
	}

	private decodeFound(): void {
		const decoder = new LogDecoder();
		let bytes = 0;
		for (const [i, found] of this.found.entries()) {
			const { block, row } = found;
			if (block !== undefined) {
				const record = block.record(row);
				found.bytes = record.length + decoder.originBytes(block, row);
				if (i === 0 || bytes + found.bytes <= MAX_ANSWER_BYTES) found.entry = decoder.entry(block, row, record);
				found.block = undefined;
			}
			bytes += found.bytes;
			if (i === 0 || bytes <= MAX_ANSWER_BYTES) continue;
			this.found.length = i;
			this.floorNs = this.found[i - 1]!.timeNs;
			this.wasCut = true;
			return;
		}
	}
}

/** The text in a log's body, lower case, asked of each distinct body once. */
class BodyMatcher {
	private readonly matching: Uint8Array;
	private readonly bodies: EntryRows;
	readonly possible: boolean;

	constructor(block: BlockReader, needle: string) {
		const { count } = block.heap();
		const { bytes, starts } = block.heap().unpack();
		const isBody = new Uint8Array(count + 1);
		this.matching = new Uint8Array(count + 1);
		for (let id = 1; id <= count; id++) {
			if (bytes[starts[id]!] !== BODY_TAG) continue;
			isBody[id] = 1;
			if (
				bodyText(bytes, starts[id]!, starts[id + 1]!)
					.toLowerCase()
					.includes(needle)
			)
				this.matching[id] = 1;
		}
		this.possible = this.matching.includes(1);
		this.bodies = new EntryRows(block, isBody);
	}

	/** Of a body given twice the last counts, as when it is decoded. */
	matches(row: number): boolean {
		return this.matching[this.bodies.last(row)] === 1;
	}
}

/** The text of a body field: a scalar's own, anything else as JSON. */
function bodyText(bytes: Uint8Array, start: number, end: number): string {
	const field = new WireReader(bytes, start, end);
	if (!field.next()) return "";
	const valueEnd = field.lengthEnd();
	const body = decodeAnyValue(bytes, field.position, valueEnd);
	return scalarText(body)?.text ?? JSON.stringify(plainValue(body)) ?? "";
}

interface Origin {
	/** Of resource and scope as they are stored. */
	readonly bytes: number;
	readonly resource: Readonly<Record<string, PlainValue>>;
	readonly scope: string;
}

/** Log records as answers have them; what records share is decoded once. */
export class LogDecoder {
	private block: BlockReader | undefined;
	private readonly origins = new Map<number, Origin>();

	/** Of the resource and scope that are told with a record. */
	originBytes(block: BlockReader, row: number): number {
		return this.origin(block, block.head().classes.at(block.classOfRow(row)).scope).bytes;
	}

	/** @param bytes the record's, where they are at hand @throws WireError when the stored record is no log record */
	entry(block: BlockReader, row: number, bytes = block.record(row)): LogEntry {
		const stored = block.head().classes.at(block.classOfRow(row));
		const log = decodeLogRecord(bytes, 0, bytes.length);
		const { resource, scope } = this.origin(block, stored.scope);
		return {
			timeUnixNano: log.timeUnixNano ?? "0",
			observedTimeUnixNano: log.observedTimeUnixNano ?? "0",
			service: stored.service,
			severityNumber: log.severityNumber ?? 0,
			severityText: log.severityText ?? "",
			traceId: log.traceId ?? "",
			spanId: log.spanId ?? "",
			body: log.body === undefined ? undefined : plainValue(log.body),
			attributes: attributesToPlain(log.attributes),
			resource,
			scope,
		};
	}

	private origin(block: BlockReader, scopeIndex: number): Origin {
		if (block !== this.block) {
			this.block = block;
			this.origins.clear();
		}
		let origin = this.origins.get(scopeIndex);
		if (origin === undefined) {
			const { resourceItem, scopeItem } = block.head().scopes[scopeIndex]!;
			const group = block.item(resourceItem);
			const scope = block.item(scopeItem);
			origin = {
				bytes: group.length + scope.length,
				resource: attributesToPlain(decodeResourceGroup(group, 0, group.length).resource.attributes),
				scope: decodeScopeGroup(scope, 0, scope.length).scope.name ?? "",
			};
			this.origins.set(scopeIndex, origin);
		}
		return origin;
	}
}

function wordsOf(traceId: string): TraceWords {
	const bytes = bytesFromHex(traceId);
	const view = new DataView(bytes.buffer);
	return [view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)];
}
