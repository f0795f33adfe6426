/**
 * The skim reader: walks an OTLP trace or log request on the wire and leaves columns, never an object a record.
 *
 * It is the only place that judges a record. A record it rejects is counted by reason and leaves no trace in the columns; the
 * rest of the batch goes on. Only bytes that are no ExportRequest at all cost the whole batch.
 * Wire format: protobuf encoding; messages: opentelemetry/proto/{collector,trace,logs}/v1.
 */
import { LOG_SHAPE, type RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { type DropReason, MeshscopeError } from "../../model/errors.ts";
import type { DecodeLimits } from "./limits.ts";
import { fastActions, skimFastRecord } from "./skim-fast.ts";
import { skimAnyRecord } from "./skim-record.ts";
import { checkKeyValue, met, skipField, WIRE_BYTES } from "./wire-scan.ts";

export interface SkimResult {
	/** Records now in the columns. */
	readonly accepted: number;
	/** Records left out. */
	readonly rejected: number;
	readonly dropped: Partial<Record<DropReason, number>>;
	/**
	 * Two words over the ids of the accepted records, in order: together with the payload's length and checksum they tell a batch
	 * that is sent again from any other.
	 */
	readonly idsHash: readonly [number, number];
}

/** A field costs five bytes of columns: 8 M of them are 40 MB. */
const MAX_FIELDS_PER_BATCH = 8_388_608;

/** `service.name`, as it stands on the wire. */
const SERVICE_NAME_KEY = Uint8Array.from("service.name", (char) => char.charCodeAt(0));

export function skimTraces(payload: Uint8Array, columns: RecordColumns, limits: DecodeLimits): SkimResult {
	if (columns.shape !== SPAN_SHAPE) throw new TypeError("columns of another shape");
	return skim(payload, columns, limits);
}

export function skimLogs(payload: Uint8Array, columns: RecordColumns, limits: DecodeLimits): SkimResult {
	if (columns.shape !== LOG_SHAPE) throw new TypeError("columns of another shape");
	return skim(payload, columns, limits);
}

/**
 * Appends one ExportTraceServiceRequest or ExportLogsServiceRequest to `columns`.
 * @throws MeshscopeError `malformed_payload` when the bytes are no such message, `payload_too_large` when it holds more records than
 * the limit; the columns are then as they were before.
 */
function skim(payload: Uint8Array, columns: RecordColumns, limits: DecodeLimits): SkimResult {
	const before = columns.mark();
	const start = columns.appendPayload(payload);
	const end = start + payload.length;
	const tally: Tally = { accepted: 0, rejected: 0, dropped: {}, hash0: 0x9e3779b9, hash1: 0x85ebca6b };
	try {
		const bytes = columns.bytes;
		for (let at = start; at < end;) {
			at = skipField(bytes, at, end);
			if (at < 0) throw malformed("request", start);
			if (met.fieldNo === 1 && met.wireType === WIRE_BYTES)
				skimResource(columns, met.payloadStart, at, limits, tally, start);
		}
	} catch (error) {
		columns.rewind(before);
		throw error;
	}
	return {
		accepted: tally.accepted,
		rejected: tally.rejected,
		dropped: tally.dropped,
		idsHash: [tally.hash0 >>> 0, tally.hash1 >>> 0],
	};
}

interface Tally {
	accepted: number;
	rejected: number;
	readonly dropped: Partial<Record<DropReason, number>>;
	hash0: number;
	hash1: number;
}

/** ResourceSpans / ResourceLogs: 1 resource, 2 scope groups, 3 schema URL. The resource may stand behind its groups. */
function skimResource(
	columns: RecordColumns,
	start: number,
	end: number,
	limits: DecodeLimits,
	tally: Tally,
	base: number,
): void {
	const bytes = columns.bytes;
	const resource = columns.resourceCount;
	columns.ensureResources(resource + 1);
	const firstRange = columns.rangeCount;
	columns.resourceFirstRange[resource] = firstRange;
	columns.serviceStart[resource] = 0;
	columns.serviceEnd[resource] = 0;
	let groups = 0;
	for (let at = start; at < end;) {
		const fieldStart = at;
		at = skipField(bytes, at, end);
		if (at < 0) throw malformed("resource group", fieldStart - base);
		if (met.fieldNo === 2 && met.wireType === WIRE_BYTES) {
			groups++;
			continue;
		}
		columns.addRange(fieldStart, at);
		if (met.fieldNo === 1 && met.wireType === WIRE_BYTES) readResource(columns, resource, met.payloadStart, at, limits, base);
	}
	columns.resourceRangeCount[resource] = columns.rangeCount - firstRange;
	columns.resourceCount = resource + 1;
	const scopesBefore = columns.scopeCount;
	for (let at = start; groups > 0 && at < end;) {
		at = skipField(bytes, at, end);
		if (met.fieldNo === 2 && met.wireType === WIRE_BYTES)
			skimScope(columns, resource, met.payloadStart, at, limits, tally, base);
	}
	// What holds no record leaves nothing: millions of empty groups fit in a payload.
	if (columns.scopeCount === scopesBefore) {
		columns.resourceCount = resource;
		columns.rangeCount = firstRange;
	}
}

/** Resource: 1 attributes. Finds service.name and holds the attributes to the depth limit. */
function readResource(
	columns: RecordColumns,
	resource: number,
	start: number,
	end: number,
	limits: DecodeLimits,
	base: number,
): void {
	const bytes = columns.bytes;
	let attributes = 0;
	for (let at = start; at < end;) {
		const fieldStart = at;
		at = skipField(bytes, at, end);
		if (at < 0) throw malformed("resource", fieldStart - base);
		if (met.fieldNo !== 1 || met.wireType !== WIRE_BYTES) continue;
		if (++attributes > limits.maxAttributes)
			throw new MeshscopeError(
				"malformed_payload",
				`a resource has more than ${limits.maxAttributes} attributes; remove some or raise --max-attributes`,
			);
		const attributeStart = met.payloadStart;
		const reason = checkKeyValue(bytes, attributeStart, at, limits.maxDepth - 1);
		if (reason !== undefined)
			throw new MeshscopeError(
				"malformed_payload",
				`a resource attribute at byte ${attributeStart - base} ${reason === "too_deep" ? `nests deeper than ${limits.maxDepth} levels` : "is not a well-formed KeyValue"}`,
			);
		readServiceName(columns, resource, attributeStart, at);
	}
}

function readServiceName(columns: RecordColumns, resource: number, start: number, end: number): void {
	const bytes = columns.bytes;
	let isServiceName = false;
	let valueStart = 0;
	let valueEnd = 0;
	for (let at = start; at < end;) {
		at = skipField(bytes, at, end);
		if (met.wireType !== WIRE_BYTES) continue;
		if (met.fieldNo === 1) isServiceName = equalsAt(bytes, met.payloadStart, at, SERVICE_NAME_KEY);
		else if (met.fieldNo === 2) {
			const valueLimit = at;
			for (let inner = met.payloadStart; inner < valueLimit;) {
				inner = skipField(bytes, inner, valueLimit);
				if ((met.fieldNo as number) === 1 && met.wireType === WIRE_BYTES) {
					valueStart = met.payloadStart;
					valueEnd = inner;
				}
			}
		}
	}
	if (isServiceName) {
		columns.serviceStart[resource] = valueStart;
		columns.serviceEnd[resource] = valueEnd;
	}
}

/** ScopeSpans / ScopeLogs: 1 scope, 2 records, 3 schema URL. */
function skimScope(
	columns: RecordColumns,
	resource: number,
	start: number,
	end: number,
	limits: DecodeLimits,
	tally: Tally,
	base: number,
): void {
	const bytes = columns.bytes;
	const scope = columns.scopeCount;
	columns.ensureScopes(scope + 1);
	columns.scopeResource[scope] = resource;
	const firstRange = columns.rangeCount;
	columns.scopeFirstRange[scope] = firstRange;
	let records = 0;
	for (let at = start; at < end;) {
		const fieldStart = at;
		at = skipField(bytes, at, end);
		if (at < 0) throw malformed("scope group", fieldStart - base);
		if (met.fieldNo === 2 && met.wireType === WIRE_BYTES) {
			records++;
			continue;
		}
		columns.addRange(fieldStart, at);
		if (met.fieldNo === 1 && met.wireType === WIRE_BYTES) checkScope(bytes, met.payloadStart, at, limits, base);
	}
	columns.scopeRangeCount[scope] = columns.rangeCount - firstRange;
	columns.scopeCount = scope + 1;
	const rowsBefore = columns.count;
	// Counted before anything is built: a few kilobytes of gzip can hold millions of two-byte records.
	const room = limits.maxRecords - tally.accepted;
	columns.ensureRecords(columns.count + Math.min(records, room));
	const actions = fastActions(columns.shape);
	for (let at = start; at < end;) {
		at = skipField(bytes, at, end);
		if (met.fieldNo !== 2 || met.wireType !== WIRE_BYTES) continue;
		if (tally.accepted >= limits.maxRecords) throw tooManyRecords(limits);
		const from = met.payloadStart;
		const reason = skimFastRecord(columns, actions, scope, from, at, limits)
			? undefined
			: skimAnyRecord(columns, scope, from, at, limits);
		if (reason === undefined) noteAccepted(columns, tally);
		else {
			tally.rejected++;
			tally.dropped[reason] = (tally.dropped[reason] ?? 0) + 1;
		}
	}
	if (columns.count === rowsBefore) {
		columns.scopeCount = scope;
		columns.rangeCount = firstRange;
	}
}

/** InstrumentationScope: 3 attributes. */
function checkScope(bytes: Uint8Array, start: number, end: number, limits: DecodeLimits, base: number): void {
	for (let at = start; at < end;) {
		const fieldStart = at;
		at = skipField(bytes, at, end);
		if (
			at < 0 ||
			(met.fieldNo === 3 &&
				met.wireType === WIRE_BYTES &&
				checkKeyValue(bytes, met.payloadStart, at, limits.maxDepth - 1) !== undefined)
		)
			throw malformed("scope", fieldStart - base);
	}
}

function equalsAt(bytes: Uint8Array, start: number, end: number, expected: Uint8Array): boolean {
	if (end - start !== expected.length) return false;
	for (let i = 0; i < expected.length; i++) if (bytes[start + i] !== expected[i]) return false;
	return true;
}

function noteAccepted(columns: RecordColumns, tally: Tally): void {
	tally.accepted++;
	if (columns.fieldCount > MAX_FIELDS_PER_BATCH)
		throw new MeshscopeError("payload_too_large", "the batch has more than 8,388,608 fields; send smaller batches");
	const row = columns.count - 1;
	const { traceId, spanId, time0 } = columns;
	tally.hash0 = Math.imul(tally.hash0 ^ traceId[row * 4 + 3]! ^ spanId[row * 2]!, 0x01000193) ^ (tally.hash0 >>> 15);
	tally.hash1 = Math.imul(tally.hash1 ^ spanId[row * 2 + 1]! ^ time0[row * 2]!, 0x85ebca6b) ^ (tally.hash1 >>> 13);
}

function malformed(what: string, offset: number): MeshscopeError {
	return new MeshscopeError(
		"malformed_payload",
		`the ${what} at byte ${offset} is not well-formed protobuf; check the exporter's encoding`,
	);
}

function tooManyRecords(limits: DecodeLimits): MeshscopeError {
	return new MeshscopeError(
		"payload_too_large",
		`the batch holds more than ${limits.maxRecords} records; lower the exporter's batch size`,
	);
}
