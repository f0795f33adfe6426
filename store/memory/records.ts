/**
 * Records out of columns: the oracle's way, by putting each message together again and decoding it whole.
 */
import type { RecordColumns } from "../../model/columns.ts";
import {
	attributesToPlain,
	decodeLogRecord,
	decodeResourceGroup,
	decodeScopeGroup,
	decodeSpan,
	plainValue,
} from "../../model/otlp/decode.ts";
import { matchesScalar, scalarText } from "../../model/otlp/attribute-match.ts";
import type { SummarySpan } from "../../model/otlp/trace-summary.ts";
import type { OtlpKeyValue, OtlpLogRecord, OtlpResource, OtlpScope, OtlpSpan } from "../../model/otlp/types.ts";
import { utf8Text } from "../../model/protobuf/utf8.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import type { AttributeFilter, LogEntry, SpanRow } from "../store.ts";

/** What records share: the fields of their resource group and scope group as they came, and decoded. */
export interface Origin {
	readonly resourceBytes: Uint8Array;
	readonly scopeBytes: Uint8Array;
	readonly resource: OtlpResource;
	readonly scope: OtlpScope;
	readonly service: string;
}

export interface StoredSpan extends SummarySpan {
	readonly origin: Origin;
	/** The Span message, every field as it was sent. */
	readonly bytes: Uint8Array;
	readonly span: OtlpSpan;
	readonly traceId: string;
}

export interface StoredLog {
	readonly origin: Origin;
	readonly bytes: Uint8Array;
	readonly log: OtlpLogRecord;
	/** The time of the event, or of its observation where that is not known. */
	readonly timeNs: bigint;
}

export function spansOf(columns: RecordColumns): StoredSpan[] {
	const originOf = origins(columns);
	return Array.from({ length: columns.count }, (_, row) => {
		const bytes = recordBytes(columns, row);
		const span = decodeSpan(bytes, 0, bytes.length);
		const origin = originOf(columns.scope[row]!);
		return {
			origin,
			bytes,
			span,
			traceId: span.traceId ?? "",
			spanId: span.spanId ?? "",
			parentSpanId: span.parentSpanId ?? "",
			kind: span.kind ?? 0,
			statusCode: span.status?.code ?? 0,
			startNs: BigInt(span.startTimeUnixNano ?? 0),
			endNs: BigInt(span.endTimeUnixNano ?? 0),
			service: origin.service,
			name: span.name ?? "",
		};
	});
}

export function logsOf(columns: RecordColumns): StoredLog[] {
	const originOf = origins(columns);
	return Array.from({ length: columns.count }, (_, row) => {
		const bytes = recordBytes(columns, row);
		const log = decodeLogRecord(bytes, 0, bytes.length);
		const timeNs = BigInt(log.timeUnixNano ?? log.observedTimeUnixNano ?? 0);
		return { origin: originOf(columns.scope[row]!), bytes, log, timeNs };
	});
}

function origins(columns: RecordColumns): (scope: number) => Origin {
	const known = new Map<number, Origin>();
	return (scope) => {
		let origin = known.get(scope);
		if (origin !== undefined) return origin;
		const resource = columns.scopeResource[scope]!;
		const resourceBytes = ranges(columns, columns.resourceFirstRange[resource]!, columns.resourceRangeCount[resource]!);
		const scopeBytes = ranges(columns, columns.scopeFirstRange[scope]!, columns.scopeRangeCount[scope]!);
		const decoded = decodeResourceGroup(resourceBytes, 0, resourceBytes.length).resource;
		origin = {
			resourceBytes,
			scopeBytes,
			resource: decoded,
			scope: decodeScopeGroup(scopeBytes, 0, scopeBytes.length).scope,
			service: utf8Text(columns.bytes, columns.serviceStart[resource]!, columns.serviceEnd[resource]!),
		};
		known.set(scope, origin);
		return origin;
	};
}

function recordBytes(columns: RecordColumns, row: number): Uint8Array {
	return columns.bytes.slice(columns.recordStart(row), columns.recordEnd(row));
}

function ranges(columns: RecordColumns, first: number, count: number): Uint8Array {
	const writer = new WireWriter(256);
	for (let i = first; i < first + count; i++) writer.raw(columns.bytes, columns.rangeStart[i]!, columns.rangeEnd[i]!);
	return writer.finish();
}

/** True when each filter holds for one of the attributes, the resource's counted in. */
export function matchesAttributes(
	filters: readonly AttributeFilter[],
	own: readonly OtlpKeyValue[] | undefined,
	resource: readonly OtlpKeyValue[] | undefined,
): boolean {
	return filters.every(({ key, type, value: text }) => {
		const matches = (pair: OtlpKeyValue): boolean =>
			(pair.key ?? "") === key && matchesScalar(scalarText(pair.value), type, text);
		return own?.some(matches) === true || resource?.some(matches) === true;
	});
}

/** TracesData or LogsData: the records, each under its resource and scope with every byte of theirs. */
export function otlpData(records: readonly (StoredSpan | StoredLog)[]): Uint8Array<ArrayBuffer> {
	const groups = new Map<string, Map<string, (StoredSpan | StoredLog)[]>>();
	for (const record of records) {
		const resourceKey = Buffer.from(record.origin.resourceBytes).toString("latin1");
		const scopeKey = Buffer.from(record.origin.scopeBytes).toString("latin1");
		const scopes = groups.get(resourceKey) ?? new Map<string, (StoredSpan | StoredLog)[]>();
		groups.set(resourceKey, scopes);
		const members = scopes.get(scopeKey) ?? [];
		scopes.set(scopeKey, members);
		members.push(record);
	}
	const writer = new WireWriter();
	for (const scopes of groups.values()) {
		const resourceSpans = writer.begin(1);
		let first = true;
		for (const members of scopes.values()) {
			const { origin } = members[0]!;
			if (first) writer.raw(origin.resourceBytes);
			first = false;
			const scopeSpans = writer.begin(2);
			writer.raw(origin.scopeBytes);
			for (const { bytes } of members) writer.bytesField(2, bytes);
			writer.end(scopeSpans);
		}
		writer.end(resourceSpans);
	}
	return writer.finish();
}

export function spanRow(stored: StoredSpan): SpanRow {
	return {
		traceId: stored.traceId,
		spanId: stored.spanId,
		parentSpanId: stored.parentSpanId,
		service: stored.service,
		name: stored.name,
		kind: stored.kind,
		statusCode: stored.statusCode,
		startNs: stored.startNs,
		durationNs: stored.endNs - stored.startNs,
		attributes: attributesToPlain(stored.span.attributes, "number"),
		resource: attributesToPlain(stored.origin.resource.attributes, "number"),
	};
}

export function logEntry({ log, origin }: StoredLog): LogEntry {
	return {
		timeUnixNano: log.timeUnixNano ?? "0",
		observedTimeUnixNano: log.observedTimeUnixNano ?? "0",
		service: origin.service,
		severityNumber: log.severityNumber ?? 0,
		severityText: log.severityText ?? "",
		traceId: log.traceId ?? "",
		spanId: log.spanId ?? "",
		body: log.body === undefined ? undefined : plainValue(log.body),
		attributes: attributesToPlain(log.attributes),
		resource: attributesToPlain(origin.resource.attributes),
		scope: origin.scope.name ?? "",
	};
}

/** The text in which a log's body is searched: a scalar's own, anything else as JSON. */
export function bodyText({ log }: StoredLog): string {
	if (log.body === undefined) return "";
	return scalarText(log.body)?.text ?? JSON.stringify(plainValue(log.body)) ?? "";
}
