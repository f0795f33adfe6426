/** What the rules are written with: groups out of OTLP JSON, and answers in a form that can be compared. */
import assert from "node:assert/strict";
import { LOG_SHAPE, RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { hexFromBytes, type TraceId } from "../../model/ids.ts";
import { EMPTY_METRIC_BATCH, type MetricBatch } from "../../model/metric.ts";
import { decodeTracesData } from "../../model/otlp/decode.ts";
import type { OtlpKeyValue, OtlpLogRecord, OtlpSpan, OtlpTracesData } from "../../model/otlp/types.ts";
import { WIRE_LENGTH, WireReader } from "../../model/protobuf/reader.ts";
import { timeNs, type TimeNs } from "../../model/time.ts";
import type { LogQuery, StoreReader, StoreWriter, TraceQuery, TraceSummary, WriteGroup } from "../store.ts";
import type { CommitRef } from "../topology.ts";
import type { ConformanceDecoders, StoreUnderTest, TopologyUnderTest } from "./kit.ts";
import { type OtlpLogsData, protobufjsEncode } from "./otlp-arbitraries.ts";

export const NOW_MS = 1_800_000_000_000;
/** The moment at which most spans here begin. */
export const T0 = BigInt(NOW_MS) * 1_000_000n;
export const ALL_TIME = { fromNs: timeNs(0n), toNs: timeNs(1n << 64n) } as const;

export interface GroupParts {
	readonly traces?: readonly OtlpTracesData[];
	/** Requests on the wire, where JSON cannot say what is meant. */
	readonly traceBytes?: readonly Uint8Array[];
	readonly logs?: readonly OtlpLogsData[];
	readonly metrics?: readonly object[];
	readonly fingerprints?: Uint8Array;
	readonly topologyMetrics?: Uint8Array;
	readonly arrivedMs?: number;
}

export class Workbench {
	private store: StoreUnderTest;
	private readonly decoders: ConformanceDecoders;

	constructor(store: StoreUnderTest, decoders: ConformanceDecoders) {
		this.store = store;
		this.decoders = decoders;
	}

	get writer(): StoreWriter {
		return this.store.writer;
	}

	get reader(): StoreReader {
		return this.store.reader;
	}

	get topology(): TopologyUnderTest {
		return this.store.topology;
	}

	get underTest(): StoreUnderTest {
		return this.store;
	}

	group(parts: GroupParts): WriteGroup {
		const spans = new RecordColumns(SPAN_SHAPE);
		const logs = new RecordColumns(LOG_SHAPE);
		for (const bytes of traceRequests(parts)) this.decoders.skimTraces(bytes, spans);
		for (const json of parts.logs ?? []) this.decoders.skimLogs(protobufjsEncode("LogsData", json), logs);
		return {
			spans,
			logs,
			metrics: this.metricBatch(parts.metrics ?? []),
			fingerprints: parts.fingerprints ?? new Uint8Array(0),
			topologyMetrics: parts.topologyMetrics ?? new Uint8Array(0),
			arrivedMs: parts.arrivedMs ?? NOW_MS,
		};
	}

	/** Appends a group that no topology stage waits for. */
	append(parts: GroupParts): void {
		this.store.writer.release(this.hold(parts));
	}

	/** Appends a group that is not released. */
	hold(parts: GroupParts): CommitRef {
		return this.store.writer.append(this.group(parts)).ref;
	}

	/** Background work until there is none left, or many steps. */
	maintain(nowMs = NOW_MS): void {
		for (let step = 0; step < 1_000 && this.store.writer.maintain(nowMs); step++);
	}

	async reopen(): Promise<void> {
		this.store = await this.store.reopen!();
	}

	async dispose(): Promise<void> {
		await this.store.dispose();
	}

	/** The trace's spans as {@link wireSpans} has them; undefined when there is no such trace. */
	async spans(id: string): Promise<string[] | undefined> {
		const body = await this.body(id, "protobuf");
		return body === undefined ? undefined : wireSpans(body);
	}

	/** Put together. */
	async body(id: string, format: "protobuf" | "json"): Promise<Uint8Array | undefined> {
		const { trace, damagedWindows } = await this.reader.trace(id as TraceId, format);
		assert.deepEqual(damagedWindows, []);
		return trace === undefined ? undefined : Buffer.concat(trace.body);
	}

	async summary(id: string): Promise<TraceSummary> {
		const { trace } = await this.reader.trace(id as TraceId, "protobuf");
		assert.ok(trace !== undefined, `no trace ${id}`);
		return trace.summary;
	}

	async search(query: Partial<TraceQuery>): Promise<readonly TraceSummary[]> {
		const { traces, searched } = await this.reader.searchTraces({ attributes: [], limit: 1_000, ...ALL_TIME, ...query });
		assert.equal(searched.truncated, false);
		assert.deepEqual(searched.damagedWindows, []);
		return traces;
	}

	/** Ids of the traces found, newest first, in the short form of {@link traceId}. */
	async found(query: Partial<TraceQuery>): Promise<number[]> {
		return (await this.search(query)).map((trace) => Number.parseInt(trace.traceId.slice(-8), 16));
	}

	async logBodies(query: Partial<LogQuery>): Promise<unknown[]> {
		const { logs } = await this.reader.searchLogs({ attributes: [], limit: 1_000, ...ALL_TIME, ...query });
		return logs.map(({ body }) => body);
	}

	private metricBatch(requests: readonly object[]): MetricBatch {
		if (requests.length === 0) return EMPTY_METRIC_BATCH;
		const batches = requests.map((json) => this.decoders.decodeMetrics(protobufjsEncode("MetricsData", json)));
		const series = batches.flatMap((batch) => batch.series);
		let base = 0;
		const points = batches.flatMap((batch) => {
			const own = batch.points.map((point) => ({ ...point, series: point.series + base }));
			base += batch.series.length;
			return own;
		});
		return { series, points };
	}
}

export function traceRequests(parts: GroupParts): Uint8Array[] {
	return [...(parts.traces ?? []).map((json) => protobufjsEncode("TracesData", json)), ...(parts.traceBytes ?? [])];
}

/** 32 digits whose last eight are the number. */
export function traceId(number: number): TraceId {
	return `7a5c3e1f9b8d6e4c${number.toString(16).padStart(16, "0")}` as TraceId;
}

export function spanId(number: number): string {
	return (0x1000_0000 + number).toString(16).padStart(16, "0");
}

/** A span of trace `trace`; starts at T0 plus `startMs` and lasts 10 ms unless the rest says otherwise. */
export function span(
	trace: number,
	id: number,
	rest: Partial<OtlpSpan> & { readonly startMs?: number; readonly durationMs?: number } = {},
): OtlpSpan {
	const { startMs = 0, durationMs = 10, ...fields } = rest;
	const startNs = T0 + BigInt(startMs) * 1_000_000n;
	return {
		traceId: traceId(trace),
		spanId: spanId(id),
		name: "op",
		kind: 2,
		startTimeUnixNano: String(startNs),
		endTimeUnixNano: String(startNs + BigInt(durationMs) * 1_000_000n),
		...fields,
	};
}

export function string(key: string, value: string): OtlpKeyValue {
	return { key, value: { stringValue: value } };
}

/** A request with the spans under one service; further resource attributes may follow. */
export function from(service: string, spans: readonly OtlpSpan[], resource: readonly OtlpKeyValue[] = []): OtlpTracesData {
	return {
		resourceSpans: [{ resource: { attributes: [string("service.name", service), ...resource] }, scopeSpans: [{ spans }] }],
	};
}

export function logsFrom(
	service: string,
	logRecords: readonly OtlpLogRecord[],
	resource: readonly OtlpKeyValue[] = [],
): OtlpLogsData {
	return {
		resourceLogs: [{ resource: { attributes: [string("service.name", service), ...resource] }, scopeLogs: [{ logRecords }] }],
	};
}

/**
 * Every span of a TracesData with its resource and scope, to the byte: one line a span, sorted, equal lines once. What is compared
 * is what was sent, so nothing here is decoded.
 */
export function wireSpans(...requests: readonly Uint8Array[]): string[] {
	const lines = new Set<string>();
	for (const bytes of requests) {
		for (const [resource, groups] of wireGroups(new WireReader(bytes), 1)) {
			for (const group of groups) {
				const [scope, spans] = wireGroup(group, 2);
				for (const record of spans)
					lines.add(
						`${resource}|${scope}|${hexFromBytes(record.bytes, record.position, record.end - record.position)}`,
					);
			}
		}
	}
	return [...lines].sort();
}

function wireGroups(reader: WireReader, field: number): (readonly [string, readonly WireReader[]])[] {
	const groups: (readonly [string, readonly WireReader[]])[] = [];
	while (reader.next()) {
		assert.equal(reader.field, field, "TracesData holds nothing but ResourceSpans");
		assert.equal(reader.wireType, WIRE_LENGTH);
		groups.push(wireGroup(reader.message(), 2));
	}
	return groups;
}

/** A group's own fields in hex, and its members. */
function wireGroup(reader: WireReader, membersField: number): readonly [string, readonly WireReader[]] {
	let own = "";
	const members: WireReader[] = [];
	while (reader.next()) {
		const { tagStart } = reader;
		if (reader.field === membersField && reader.wireType === WIRE_LENGTH) members.push(reader.message());
		else {
			reader.skip();
			own += hexFromBytes(reader.bytes, tagStart, reader.position - tagStart);
		}
	}
	return [own, members];
}

export function decodedSpans(body: Uint8Array): OtlpSpan[] {
	const groups = decodeTracesData(body).resourceSpans ?? [];
	return groups.flatMap(({ scopeSpans }) => (scopeSpans ?? []).flatMap(({ spans }) => spans ?? []));
}

export function at(ns: bigint): TimeNs {
	return timeNs(ns);
}
