/**
 * Rate, errors and duration of a service's operations, counted from its spans: of each block only the classes of its rows and two
 * columns are read, and ids where a span can have been counted before, newest first, until the time budget ends.
 */
import type { BlockReader } from "../block/reader.ts";
import { OperationSums } from "../../model/otlp/operation-sums.ts";
import type { OperationFiguresQuery, OperationFiguresResult } from "../store.ts";
import { scanBlocks } from "./block-scan.ts";
import { SeenSpans } from "./seen-spans.ts";
import type { StoredBlock } from "./window-reader.ts";
import { reaches, type WindowSet } from "./window-set.ts";

export function operationFigures(
	windows: WindowSet,
	query: OperationFiguresQuery,
	deadlineMs: number,
	now: () => number,
): OperationFiguresResult {
	const { service, fromNs, toNs } = query;
	const sums = new OperationSums();
	const seen = new SeenSpans();
	const scan = {
		windows,
		entries: windows.inRange(fromNs, toNs),
		canHold: (stored: StoredBlock) =>
			stored.minTimeNs < toNs && reaches(stored.maxTimeNs, fromNs) && stored.services.includes(service),
		isLate: () => now() > deadlineMs,
	};
	const searched = scanBlocks(scan, (block, _, laterReachNs) => {
		seen.begin(block, laterReachNs);
		addBlock(sums, seen, block, query);
		return "scanned";
	});
	return { operations: sums.figures(query.limit), searched };
}

function addBlock(
	sums: OperationSums,
	seen: SeenSpans,
	block: BlockReader,
	{ service, fromNs, toNs }: OperationFiguresQuery,
): void {
	const { baseNs, classes, rows, scopes, wideRows } = block.head();
	const own = scopes.map((scope) => scope.service === service);
	const sumOfClass = Array.from({ length: classes.length }, (_, i) =>
		own[classes.scope[i]!] === true ? sums.of(classes.names[classes.name[i]!]!, classes.kind[i]!) : undefined,
	);
	if (sumOfClass.every((sum) => sum === undefined)) return;
	const [from, to] = [Number(fromNs - baseNs), Number(toNs - baseNs)];
	const baseMs = Number(baseNs / 1_000_000n);
	const sinceMs = Number(baseNs % 1_000_000n);
	const rowClasses = block.rowClasses();
	const offsets = block.offsets();
	const durations = block.durations();
	for (let row = 0; row < rows; row++) {
		const of = rowClasses[row]!;
		const sum = sumOfClass[of];
		if (sum === undefined) continue;
		const offset = offsets[row]!;
		if (offset < from || offset >= to || wideRows.has(row)) continue;
		const durationNs = durations[row]!;
		if (seen.isFirst(row, offset, durationNs))
			sum.add(classes.status[of]!, durationNs, baseMs + Math.floor((sinceMs + offset) / 1e6));
	}
	for (const [row, { time0, time1 }] of wideRows) {
		const of = rowClasses[row]!;
		const sum = sumOfClass[of];
		if (sum === undefined || time0 < fromNs || time0 >= toNs || !seen.isFirst(row, 0, 0)) continue;
		sum.add(classes.status[of]!, Number(time1 - time0), Number(time0 / 1_000_000n));
	}
}
