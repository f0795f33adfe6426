/** What the memory engine's writer and readers share: groups in order of arrival, and names by first appearance. */
import type { MetricPointRecord, MetricSeriesKey } from "../../model/metric.ts";
import type { SpanRow } from "../store.ts";
import type { StoredLog, StoredSpan } from "./records.ts";

export const MAX_SERVICES = 10_000;
export const MAX_OPERATIONS = 1_000;
const MAX_NAME_CHARS = 1_024;
/** Where names beyond the cap are gathered. */
export const OVERFLOW = "(overflow)";

export interface StoredPoint extends Omit<MetricPointRecord, "series"> {
	readonly series: StoredSeries;
}

export interface StoredSeries {
	readonly id: number;
	readonly key: MetricSeriesKey;
	lastTimeNs: bigint;
}

export interface StoredGroup {
	readonly spans: readonly StoredSpan[];
	readonly logs: readonly StoredLog[];
	readonly points: readonly StoredPoint[];
	readonly fingerprints: Uint8Array;
	readonly commit: number;
	readonly topologyMetrics: Uint8Array;
	readonly arrivedMs: number;
	readonly bytes: number;
}

export interface OperationNames {
	readonly firstSeenMs: number;
	lastSeenMs: number;
	/** By `kind|name`. */
	readonly operations: Map<string, { readonly name: string; readonly kind: SpanRow["kind"]; lastSeenMs: number }>;
}

/** The one window there is. */
export const MEMORY_WINDOW = "memory";

export class MemoryState {
	groups: StoredGroup[] = [];
	commits = 0;
	/** Groups up to this one need not be replayed. */
	released = 0;
	bytes = 0;
	readonly services = new Map<string, OperationNames>();
	/** By identity: everything of the key but its description. */
	readonly series = new Map<string, StoredSeries>();

	seeService(service: string, atMs: number): OperationNames {
		const isListed = this.services.has(service) || (this.services.size < MAX_SERVICES && service.length <= MAX_NAME_CHARS);
		const name = isListed ? service : OVERFLOW;
		let entry = this.services.get(name);
		if (entry === undefined)
			this.services.set(name, (entry = { firstSeenMs: atMs, lastSeenMs: atMs, operations: new Map() }));
		entry.lastSeenMs = Math.max(entry.lastSeenMs, atMs);
		return entry;
	}

	seeOperation(service: OperationNames, name: string, kind: number, atMs: number): void {
		let key = `${kind}|${name}`;
		let operation = service.operations.get(key);
		if (operation === undefined && (service.operations.size >= MAX_OPERATIONS || name.length > MAX_NAME_CHARS)) {
			key = OVERFLOW;
			operation = service.operations.get(key);
			if (operation === undefined) service.operations.set(key, (operation = { name: OVERFLOW, kind: 0, lastSeenMs: atMs }));
		}
		if (operation === undefined) service.operations.set(key, (operation = { name, kind, lastSeenMs: atMs }));
		operation.lastSeenMs = Math.max(operation.lastSeenMs, atMs);
	}
}
