/** What differs between the traces of selected spans and the others: samples both from columns, then reads the sampled traces whole. */
import { type Saying, TraceFeatures } from "../../model/analysis/trace-features.ts";
import { type SampledTrace, TraceSample } from "../../model/analysis/trace-sample.ts";
import type { TraceId } from "../../model/ids.ts";
import type { HopShape } from "../../model/topology/hop.ts";
import type { HopSpans } from "../../model/topology/hops/span-columns.ts";
import type { ToldCall } from "../../model/topology/told-hops.ts";
import { GREATEST_TRACE_HASH, traceHash } from "../block/format.ts";
import type { BlockReader } from "../block/reader.ts";
import { COMPARED_TRACES, type DifferencesQuery, type DifferencesResult, isSelected } from "../store.ts";
import { BlockFeatures } from "./block-features.ts";
import { scanMatchingSpans, type ScanOptions, windowsInRange } from "./span-scan.ts";
import { TraceBatches, type VisitAll } from "./trace-batch.ts";
import { traceIdAt } from "./trace-rows.ts";

class LateError extends Error {}

/** Somebody waits, and a few hundred traces tell what differs. */
const READ_BUDGET_MS = 4_000;
/** What a batch that is cut short has read is lost. */
const TOGETHER = 128;
/** Up to which trace of each side rounds go: what a round cut short has read is as good a sample as a smaller one. */
const ROUNDS = [60, 200, 500, COMPARED_TRACES];

export function traceDifferences(
	options: Omit<ScanOptions, "originNs"> & { readonly query: DifferencesQuery; readonly now: () => number },
	callOf: (shape: HopShape) => ToldCall,
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
	const all = windowsInRange(windows.list(), query);
	const damaged = new Set(searched.damagedWindows);
	const untilMs = now() + READ_BUDGET_MS;
	const comparison = new Comparison(callOf, () => {
		if (isLate() || now() > untilMs) throw new LateError();
	});
	try {
		for (const traces of inBatches(selected.traces, others.traces))
			comparison.add(traces, (visit) => {
				for (const name of windows.visit(all, visit)) damaged.add(name);
			});
	} catch (error) {
		// How many were compared says it.
		if (!(error instanceof LateError)) throw error;
	}
	const { features } = comparison;
	return {
		selected: { spans: sample.spans.selected, traces: selected.of, compared: features.compared.selected },
		others: { spans: sample.spans.others, traces: others.of, compared: features.compared.others },
		differences: features.differences(query.limit),
		searched: { ...searched, damagedWindows: [...damaged] },
	};
}

type Side = "selected" | "others";

/** Counts what is said in traces that are read many at a time. */
class Comparison {
	readonly features = new TraceFeatures();
	private readonly callOf: (shape: HopShape) => ToldCall;
	private readonly check: () => void;
	private readonly batches: TraceBatches;
	/** Readers of blocks are the cache's. */
	private blocks = new WeakMap<BlockReader, BlockFeatures>();
	private calls = new Map<ToldCall, readonly Saying[]>();
	private sides: ReadonlyMap<TraceId, Side> = new Map();
	/** What the rows of each trace of the batch say. */
	private readonly said = new Map<TraceId, Saying[]>();

	constructor(callOf: (shape: HopShape) => ToldCall, check: () => void) {
		this.callOf = callOf;
		this.check = check;
		this.batches = new TraceBatches(
			{
				begin: () => this.begin(),
				row: (id, block, row) => this.addRow(id, block, row),
				trace: (id, spans) => this.addTrace(id, spans),
			},
			check,
		);
	}

	add(traces: ReadonlyMap<TraceId, Side>, visitAll: VisitAll): void {
		this.check();
		this.sides = traces;
		this.batches.read([...traces.keys()], visitAll);
	}

	private begin(): void {
		this.said.clear();
		if (!this.features.makeRoom()) return;
		this.blocks = new WeakMap();
		this.calls = new Map();
	}

	private addRow(id: TraceId, block: BlockReader, row: number): void {
		let said = this.said.get(id);
		if (said === undefined) this.said.set(id, (said = []));
		let features = this.blocks.get(block);
		if (features === undefined) this.blocks.set(block, (features = new BlockFeatures(block, this.features)));
		features.read(row, said);
	}

	private addTrace(id: TraceId, spans: HopSpans): void {
		const { features, calls } = this;
		features.begin(this.sides.get(id)!);
		features.addAll(this.said.get(id) ?? []);
		spans.eachHop(({ shape, attempts }) => {
			const call = this.callOf(shape);
			let sayings = calls.get(call);
			if (sayings === undefined) calls.set(call, (sayings = features.ofCall(call)));
			features.addAll(sayings);
			if (attempts > 1) features.add(features.ofRetries(call));
		});
	}
}

/** Both sides in each round, in the order in which they lie, so that a round reads each block once. */
function* inBatches(
	selected: readonly SampledTrace<TraceId>[],
	others: readonly SampledTrace<TraceId>[],
): Generator<ReadonlyMap<TraceId, Side>> {
	let from = 0;
	for (const to of ROUNDS) {
		const round = [
			...selected.slice(from, to).map((trace) => ({ ...trace, side: "selected" as const })),
			...others.slice(from, to).map((trace) => ({ ...trace, side: "others" as const })),
		].sort((a, b) => a.order - b.order);
		for (let first = 0; first < round.length; first += TOGETHER)
			yield new Map(round.slice(first, first + TOGETHER).map(({ id, side }) => [id, side]));
		from = to;
	}
}
