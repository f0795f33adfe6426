/** What differs between the traces of selected spans and the others: samples both from columns, then reads the sampled traces whole. */
import { TraceFeatures } from "../../model/analysis/trace-features.ts";
import { type SampledTrace, TraceSample } from "../../model/analysis/trace-sample.ts";
import type { TraceId } from "../../model/ids.ts";
import type { TraceHopSpans } from "../../model/topology/hops/span-columns.ts";
import type { ToldHop } from "../../model/topology/told-hops.ts";
import { GREATEST_TRACE_HASH, traceHash } from "../block/format.ts";
import { COMPARED_TRACES, type DifferencesQuery, type DifferencesResult, isSelected } from "../store.ts";
import { scanMatchingSpans, type ScanOptions, windowsInRange } from "./span-scan.ts";
import { HopGatherer } from "./trace-hops.ts";
import { traceIdAt, traceWords } from "./trace-rows.ts";

class LateError extends Error {}

/** Somebody waits. A trace takes about a millisecond, and a few hundred tell what differs. */
const READ_BUDGET_MS = 4_000;
/** Up to which trace of each side rounds go: what a round cut short has read is as good a sample as a smaller one. */
const ROUNDS = [60, 200, 500, COMPARED_TRACES];

export function traceDifferences(
	options: Omit<ScanOptions, "originNs"> & { readonly query: DifferencesQuery; readonly now: () => number },
	hopsOf: (spans: TraceHopSpans) => readonly ToldHop[],
): DifferencesResult {
	const { query, windows, isLate, now } = options;
	const sample = new TraceSample<TraceId>(COMPARED_TRACES, GREATEST_TRACE_HASH);
	let order = 0;
	const searched = scanMatchingSpans({ ...options, originNs: query.fromNs }, ({ block, row, sinceNs, durationNs, hop }) => {
		const place = block.traceOfRow(row);
		const { ids } = block.traces();
		const hash = traceHash(ids[place * 4]!, ids[place * 4 + 1]!, ids[place * 4 + 2]!, ids[place * 4 + 3]!);
		const status = block.head().classes.status[block.classOfRow(row)]!;
		const lasted = query.edge !== undefined && hop !== undefined ? hop.latencyNs : durationNs;
		sample.add(isSelected(query, sinceNs, lasted, status), hash, order++, () => traceIdAt(block, place));
	});
	const { selected, others } = sample.finish();
	const features = new TraceFeatures();
	const all = windowsInRange(windows.list(), query);
	const damaged = new Set(searched.damagedWindows);
	const untilMs = now() + READ_BUDGET_MS;
	const check = (): void => {
		if (isLate() || now() > untilMs) throw new LateError();
	};
	try {
		for (const { id, side } of inRounds(selected.traces, others.traces)) {
			check();
			features.begin(side);
			const gatherer = new HopGatherer(traceWords(id), check, (span, resource) => features.addSpan(span, resource));
			for (const name of windows.visit(all, (window) => gatherer.add(window))) damaged.add(name);
			for (const hop of hopsOf(gatherer.spans)) features.addHop(hop);
		}
	} catch (error) {
		// How many were compared says it.
		if (!(error instanceof LateError)) throw error;
	}
	return {
		selected: { spans: sample.spans.selected, traces: selected.of, compared: features.compared.selected },
		others: { spans: sample.spans.others, traces: others.of, compared: features.compared.others },
		differences: features.differences(query.limit),
		searched: { ...searched, damagedWindows: [...damaged] },
	};
}

interface SidedTrace {
	readonly id: TraceId;
	readonly side: "selected" | "others";
}

/** Both sides in each round, in the order in which they lie, so that a round reads each block once. */
function* inRounds(selected: readonly SampledTrace<TraceId>[], others: readonly SampledTrace<TraceId>[]): Generator<SidedTrace> {
	let from = 0;
	for (const to of ROUNDS) {
		const round = [
			...selected.slice(from, to).map((trace) => ({ ...trace, side: "selected" as const })),
			...others.slice(from, to).map((trace) => ({ ...trace, side: "others" as const })),
		];
		yield* round.sort((a, b) => a.order - b.order);
		from = to;
	}
}
