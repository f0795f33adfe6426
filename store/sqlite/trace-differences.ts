/** What differs between the traces of selected spans and the others: samples both from columns, then reads the sampled traces whole. */
import { TraceFeatures } from "../../model/analysis/trace-features.ts";
import { TraceSample } from "../../model/analysis/trace-sample.ts";
import type { TraceId } from "../../model/ids.ts";
import type { DecodedSpans } from "../../model/topology/hops/decoded-spans.ts";
import type { ToldHops } from "../../model/topology/told-hops.ts";
import { GREATEST_TRACE_HASH, traceHash } from "../block/format.ts";
import { COMPARED_TRACES, type DifferencesQuery, type DifferencesResult, isSelected } from "../store.ts";
import { scanMatchingSpans, type ScanOptions, windowsInRange } from "./span-scan.ts";
import { HopGatherer } from "./trace-hops.ts";
import { traceIdAt, traceWords } from "./trace-rows.ts";

class LateError extends Error {}

export function traceDifferences(
	options: Omit<ScanOptions, "originNs"> & { readonly query: DifferencesQuery },
	hopsOf: (spans: DecodedSpans) => ToldHops,
): DifferencesResult {
	const { query, windows, isLate } = options;
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
	const check = (): void => {
		if (isLate()) throw new LateError();
	};
	let truncated = searched.truncated;
	// In the order in which they lie, so that each block is read once; both sides together, so that a late end costs both.
	const sides = [
		...selected.traces.map((trace) => ({ ...trace, side: "selected" as const })),
		...others.traces.map((trace) => ({ ...trace, side: "others" as const })),
	].sort((a, b) => a.order - b.order);
	try {
		for (const { id, side } of sides) {
			check();
			features.begin(side);
			const gatherer = new HopGatherer(traceWords(id), check, (span, resource) => features.addSpan(span, resource));
			for (const name of windows.visit(all, (window) => gatherer.add(window))) damaged.add(name);
			for (const hop of hopsOf(gatherer.spans).hops) features.addHop(hop);
		}
	} catch (error) {
		if (!(error instanceof LateError)) throw error;
		truncated = true;
	}
	return {
		selected: { spans: sample.spans.selected, traces: selected.of, compared: features.compared.selected },
		others: { spans: sample.spans.others, traces: others.of, compared: features.compared.others },
		differences: features.differences(query.limit),
		searched: { ...searched, truncated, damagedWindows: [...damaged] },
	};
}
