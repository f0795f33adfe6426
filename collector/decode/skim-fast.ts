/**
 * The hot loop of the write path: skims records in the form that exporters write, a byte table deciding what each tag means. At the
 * first thing that is not in that form it gives up, and the record is read again by the definition in skim-record.ts.
 */
import { type RecordColumns, type RecordShape, SLOT, SPAN_SHAPE, SPAN_STATUS_FIELD } from "../../model/columns.ts";
import type { DecodeLimits } from "./limits.ts";
import { clearRow, finishRow, isPlainKeyValue } from "./skim-record.ts";
import { WIRE_BYTES, WIRE_FIXED64, WIRE_VARINT } from "./wire-scan.ts";

/** A short length-delimited or varint field that needs no judgement. */
const PLAIN_BYTES = 10;
const STATUS = 11;
const ODD = 12;

/** More fields than any record of the usual form has. */
const MAX_FAST_FIELDS = 512;

/** What each first tag byte means for a shape. */
function actionsOf(shape: RecordShape, plainFields: readonly number[]): Uint8Array {
	const actions = new Uint8Array(256).fill(ODD);
	const set = (field: number, wire: number, action: number): void => {
		if (field > 0) actions[(field << 3) | wire] = action;
	};
	for (const field of plainFields) set(field, WIRE_BYTES, PLAIN_BYTES);
	set(shape.traceIdField, WIRE_BYTES, SLOT.traceId);
	set(shape.spanIdField, WIRE_BYTES, SLOT.spanId);
	set(shape.parentIdField, WIRE_BYTES, SLOT.parentId);
	set(shape.time0Field, WIRE_FIXED64, SLOT.time0);
	set(shape.time1Field, WIRE_FIXED64, SLOT.time1);
	set(shape.nameField, WIRE_BYTES, SLOT.name);
	set(shape.kindField, WIRE_VARINT, SLOT.kind);
	set(shape.attributesField, WIRE_BYTES, SLOT.attribute);
	if (shape === SPAN_SHAPE) set(SPAN_STATUS_FIELD, WIRE_BYTES, STATUS);
	return actions;
}

const TRACE_STATE_FIELD = 3;
const SEVERITY_TEXT_FIELD = 3;
const plainFieldsOf = (shape: RecordShape): readonly number[] =>
	shape === SPAN_SHAPE ? [TRACE_STATE_FIELD] : [SEVERITY_TEXT_FIELD];
const actionsByShape = new Map<RecordShape, Uint8Array>();

export function fastActions(shape: RecordShape): Uint8Array {
	let actions = actionsByShape.get(shape);
	if (actions === undefined) {
		actions = actionsOf(shape, plainFieldsOf(shape));
		actionsByShape.set(shape, actions);
	}
	return actions;
}

/**
 * Skims the record at `[start, end)` into the next row; false, with the row untouched, when it is not in the usual form.
 * Bounds: every read is within `bytes`, since a byte past the array reads as undefined and fails its comparison, and every step is
 * checked against `end` before the next field begins.
 */
export function skimFastRecord(
	columns: RecordColumns,
	actions: Uint8Array,
	scope: number,
	start: number,
	end: number,
	limits: DecodeLimits,
): boolean {
	if (end - start > limits.maxRecordBytes) return false;
	const row = columns.count;
	const firstField = columns.fieldCount;
	columns.ensureFields(firstField + MAX_FAST_FIELDS + 2);
	const { bytes, view, fieldStart, fieldSlot, traceId, spanId, parentId, time0, time1 } = columns;
	const maxFields = firstField + Math.min(MAX_FAST_FIELDS, limits.maxAttributes);
	const row4 = row * 4;
	const row2 = row * 2;
	clearRow(columns, row);
	let fields = firstField;
	/** Bit per slot met: a second meeting is not the usual form. */
	let seen = 0;
	let at = start;
	while (at < end) {
		const action = actions[bytes[at]!]!;
		fieldStart[fields] = at;
		fieldSlot[fields] = action;
		if (action === SLOT.attribute) {
			let size = bytes[at + 1]!;
			at += 2;
			if (size >= 0x80) {
				const high = bytes[at]!;
				if (high >= 0x80) return false;
				size = (size & 0x7f) | (high << 7);
				at++;
			}
			const valueStart = at;
			at += size;
			if (at > end || fields === maxFields || !isPlainKeyValue(bytes, valueStart, at)) return false;
			fields++;
			continue;
		}
		if (action < PLAIN_BYTES) {
			if ((seen & (1 << action)) !== 0) return false;
			seen |= 1 << action;
		}
		switch (action) {
			case SLOT.traceId:
				if (bytes[at + 1] !== 16 || at + 18 > end) return false;
				traceId[row4] = view.getUint32(at + 2);
				traceId[row4 + 1] = view.getUint32(at + 6);
				traceId[row4 + 2] = view.getUint32(at + 10);
				traceId[row4 + 3] = view.getUint32(at + 14);
				at += 18;
				break;
			case SLOT.spanId:
				if (bytes[at + 1] !== 8 || at + 10 > end) return false;
				spanId[row2] = view.getUint32(at + 2);
				spanId[row2 + 1] = view.getUint32(at + 6);
				at += 10;
				break;
			case SLOT.parentId:
				if (bytes[at + 1] !== 8 || at + 10 > end) return false;
				parentId[row2] = view.getUint32(at + 2);
				parentId[row2 + 1] = view.getUint32(at + 6);
				if ((parentId[row2]! | parentId[row2 + 1]!) === 0) return false;
				at += 10;
				break;
			case SLOT.time0:
				if (at + 9 > end) return false;
				time0[row2] = view.getUint32(at + 1, true);
				time0[row2 + 1] = view.getUint32(at + 5, true);
				at += 9;
				break;
			case SLOT.time1:
				if (at + 9 > end) return false;
				time1[row2] = view.getUint32(at + 1, true);
				time1[row2 + 1] = view.getUint32(at + 5, true);
				at += 9;
				break;
			case SLOT.name: {
				const size = bytes[at + 1]!;
				if (size === 0 || size >= 0x80 || at + 2 + size > end) return false;
				columns.nameStart[row] = at + 2;
				columns.nameEnd[row] = at += 2 + size;
				break;
			}
			case SLOT.kind: {
				const kind = bytes[at + 1]!;
				if (kind === 0 || kind >= 0x80 || at + 2 > end) return false;
				columns.kind[row] = kind;
				at += 2;
				break;
			}
			case STATUS: {
				// {code} alone, or nothing.
				const size = bytes[at + 1]!;
				if (size === 2 && bytes[at + 2] === 0x18 && bytes[at + 3]! <= 2) columns.status[row] = bytes[at + 3]!;
				else if (size !== 0) return false;
				fieldSlot[fields] = SLOT.item;
				at += 2 + size;
				break;
			}
			case PLAIN_BYTES: {
				const size = bytes[at + 1]!;
				if (size >= 0x80) return false;
				fieldSlot[fields] = SLOT.item;
				at += 2 + size;
				break;
			}
			default: {
				// Span.flags, a fixed32 behind a two-byte tag, which many exporters write.
				if (bytes[at] !== 0x85 || bytes[at + 1] !== 0x01 || columns.shape !== SPAN_SHAPE) return false;
				fieldSlot[fields] = SLOT.item;
				at += 6;
			}
		}
		if (at > end) return false;
		fields++;
	}
	if (columns.shape === SPAN_SHAPE) {
		if ((traceId[row4]! | traceId[row4 + 1]! | traceId[row4 + 2]! | traceId[row4 + 3]!) === 0) return false;
		if ((spanId[row2]! | spanId[row2 + 1]!) === 0) return false;
	}
	finishRow(columns, row, firstField, fields, end, scope);
	return true;
}
