/**
 * Rate, errors and duration of a service's operations, counted from its spans: of each block only the classes of its rows and two
 * columns are read, newest window and block first, until the time budget ends.
 */
import type { BlockReader } from "../block/reader.ts";
import { OperationSums } from "../../model/otlp/operation-sums.ts";
import type { OperationFiguresQuery, OperationFiguresResult } from "../store.ts";
import { reaches, type WindowSet } from "./window-set.ts";

export function operationFigures(
	windows: WindowSet,
	query: OperationFiguresQuery,
	deadlineMs: number,
	now: () => number,
): OperationFiguresResult {
	const { service, fromNs, toNs } = query;
	const sums = new OperationSums();
	const looked = { windows: 0, blocks: 0, blocksSkipped: 0, spansScanned: 0, truncated: false };
	const damagedWindows = windows.visit(windows.inRange(fromNs, toNs), (window) => {
		looked.windows++;
		const blocks = window.blocks("traces").toSorted((a, b) => (a.maxTimeNs < b.maxTimeNs ? 1 : -1));
		for (const stored of blocks) {
			looked.blocks++;
			const canHold = stored.minTimeNs < toNs && reaches(stored.maxTimeNs, fromNs) && stored.services.includes(service);
			if (!canHold) {
				looked.blocksSkipped++;
				continue;
			}
			if (now() > deadlineMs) {
				looked.truncated = true;
				return "stop";
			}
			const block = window.block(stored.id);
			looked.spansScanned += block.head().rows;
			addBlock(sums, block, query);
		}
		return undefined;
	});
	return { operations: sums.figures(query.limit), searched: { ...looked, damagedWindows } };
}

function addBlock(sums: OperationSums, block: BlockReader, { service, fromNs, toNs }: OperationFiguresQuery): void {
	const { baseNs, classes, rows, scopes, wideRows } = block.head();
	const own = scopes.map((scope) => scope.service === service);
	const sumOfClass = Array.from({ length: classes.length }, (_, i) =>
		own[classes.scope[i]!] === true ? sums.of(classes.names[classes.name[i]!]!, classes.kind[i]!) : undefined,
	);
	if (sumOfClass.every((sum) => sum === undefined)) return;
	const [from, to] = [Number(fromNs - baseNs), Number(toNs - baseNs)];
	const baseMs = Number(baseNs) / 1e6;
	const rowClasses = block.rowClasses();
	const offsets = block.offsets();
	const durations = block.durations();
	for (let row = 0; row < rows; row++) {
		const of = rowClasses[row]!;
		const sum = sumOfClass[of];
		if (sum === undefined) continue;
		const offset = offsets[row]!;
		if (offset < from || offset >= to || wideRows.has(row)) continue;
		sum.add(classes.status[of]!, durations[row]!, Math.floor(baseMs + offset / 1e6));
	}
	for (const [row, { time0, time1 }] of wideRows) {
		const of = rowClasses[row]!;
		if (time0 < fromNs || time0 >= toNs) continue;
		sumOfClass[of]?.add(classes.status[of]!, Number(time1 - time0), Number(time0 / 1_000_000n));
	}
}
