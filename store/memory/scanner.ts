/** Whole-range reads over the memory engine. */
import { metricPointOf } from "../../model/otlp/metric-point.ts";
import { spanIdentity } from "../../model/otlp/trace-summary.ts";
import type { LogEntry, MetricPoint, MetricSeries, ScanQuery, SpanRow, StoreScanner, VerifyReport } from "../store.ts";
import { metricSeries } from "./reader.ts";
import { logEntry, spanRow } from "./records.ts";
import { MEMORY_WINDOW, type MemoryState } from "./state.ts";

export class MemoryScanner implements StoreScanner {
	private readonly state: MemoryState;

	constructor(state: MemoryState) {
		this.state = state;
	}

	*scanSpans(query: ScanQuery): Iterable<SpanRow> {
		const seen = new Set<string>();
		for (const { spans } of this.state.groups) {
			for (const span of spans) {
				const identity = `${span.traceId}${spanIdentity(span)}`;
				if (!within(query, span.startNs, span.service) || seen.has(identity)) continue;
				seen.add(identity);
				yield spanRow(span);
			}
		}
	}

	*scanLogs(query: ScanQuery): Iterable<LogEntry> {
		for (const { logs } of this.state.groups) {
			for (const log of logs) if (within(query, log.timeNs, log.origin.service)) yield logEntry(log);
		}
	}

	*scanMetricPoints(query: ScanQuery): Iterable<{ readonly series: MetricSeries; readonly point: MetricPoint }> {
		for (const { points } of this.state.groups) {
			for (const { series, ...record } of points) {
				if (!within(query, record.timeNs, series.key.service)) continue;
				yield { series: metricSeries(series), point: metricPointOf(record, series.key.type) };
			}
		}
	}

	/** The engine keeps no roll-ups. */
	*scanEdges(): Iterable<never> {}

	*scanEdgeStatements(): Iterable<never> {}

	verify(): VerifyReport {
		const { groups } = this.state;
		if (groups.length === 0) return { windows: [], ok: true };
		const spans = groups.reduce((total, group) => total + group.spans.length, 0);
		return { windows: [{ name: MEMORY_WINDOW, ok: true, blocks: groups.length, spans, problems: [] }], ok: true };
	}

	close(): void {}
}

function within(query: ScanQuery, timeNs: bigint, service: string): boolean {
	return timeNs >= query.fromNs && timeNs < query.toNs && (query.service === undefined || service === query.service);
}
