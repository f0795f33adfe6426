/** What the spans of each operation come to, gathered one by one: the same for every engine. */
import { type LatencyFigures, latencyFigures } from "../topology/edge-sums.ts";
import { histogramIndex, LatencyHistogram } from "../topology/histogram.ts";

/** What the spans of one name and kind come to. */
export interface OperationFigures {
	readonly name: string;
	/** OTLP span kind, 0 to 5. */
	readonly kind: number;
	readonly spans: number;
	/** With status error. */
	readonly errors: number;
	readonly latencyMs: LatencyFigures;
	/** Start of the newest, epoch ms. */
	readonly lastSeenMs: number;
}

const ERROR = 2;

/** Of one name and kind. */
export class OperationSum {
	spans = 0;
	errors = 0;
	durationNs = 0;
	lastSeenMs = 0;
	readonly latency = new LatencyHistogram();

	/** @param durationNs a clock that was set back counts as no time */
	add(status: number, durationNs: number, startMs: number): void {
		this.spans++;
		if (status === ERROR) this.errors++;
		const tookNs = Math.max(0, durationNs);
		this.durationNs += tookNs;
		this.latency.addOne(histogramIndex(tookNs), 1);
		if (startMs > this.lastSeenMs) this.lastSeenMs = startMs;
	}
}

export class OperationSums {
	private readonly byKind = new Map<number, Map<string, OperationSum>>();

	of(name: string, kind: number): OperationSum {
		let byName = this.byKind.get(kind);
		if (byName === undefined) this.byKind.set(kind, (byName = new Map()));
		let sum = byName.get(name);
		if (sum === undefined) byName.set(name, (sum = new OperationSum()));
		return sum;
	}

	add(name: string, kind: number, status: number, durationNs: number, startMs: number): void {
		this.of(name, kind).add(status, durationNs, startMs);
	}

	/** Most spans first. */
	figures(limit: number): readonly OperationFigures[] {
		const all: OperationFigures[] = [];
		for (const [kind, byName] of this.byKind)
			for (const [name, { spans, errors, latency, durationNs, lastSeenMs }] of byName) {
				const latencyMs = latencyFigures(latency, durationNs);
				if (latencyMs !== undefined) all.push({ name, kind, spans, errors, latencyMs, lastSeenMs });
			}
		return all
			.sort((a, b) => b.spans - a.spans || (a.name < b.name ? -1 : a.name > b.name ? 1 : a.kind - b.kind))
			.slice(0, limit);
	}
}
