/**
 * Texts of records that are not UTF-8: reading replaces their bad bytes by U+FFFD, and a sender's fault that is repaired in silence
 * must at least be counted.
 */
import { LOG_SHAPE, type RecordShape } from "../columns.ts";
import { WIRE_LENGTH, WireError, WireReader } from "../protobuf/reader.ts";
import { isUtf8 } from "../protobuf/utf8.ts";

/** Far more than decoding lets through. */
const MAX_DEPTH = 128;
const LOG_BODY_FIELD = 5;

/** Which fields of a message are text, and which are messages to look into. */
interface TextFields {
	readonly text: number;
	readonly inside: Readonly<Record<number, () => TextFields>>;
}

const ANY_VALUE: TextFields = { text: 1, inside: { 5: () => ARRAY_VALUE, 6: () => KEY_VALUE_LIST } };
const ARRAY_VALUE: TextFields = { text: 0, inside: { 1: () => ANY_VALUE } };
const KEY_VALUE: TextFields = { text: 1, inside: { 2: () => ANY_VALUE } };
const KEY_VALUE_LIST: TextFields = { text: 0, inside: { 1: () => KEY_VALUE } };

/**
 * How many texts of a record's field are not UTF-8: its name, keys and values of its attributes, a log's body. All other fields count
 * as none, and so does what is not well-formed.
 * @param start of the field, at its tag
 */
export function invalidTexts(shape: RecordShape, bytes: Uint8Array, start: number, end: number): number {
	const tag = bytes[start]!;
	if ((tag & 7) !== WIRE_LENGTH) return 0;
	const field = tag >>> 3;
	const isBody = field === LOG_BODY_FIELD && shape === LOG_SHAPE;
	if (field !== shape.attributesField && field !== shape.nameField && !isBody) return 0;
	try {
		const reader = new WireReader(bytes, start, end);
		reader.next();
		if (field !== shape.nameField) return invalidInside(reader.message(), isBody ? ANY_VALUE : KEY_VALUE, 0);
		const nameEnd = reader.lengthEnd();
		return isUtf8(bytes, reader.position, nameEnd) ? 0 : 1;
	} catch (error) {
		if (error instanceof WireError) return 0;
		throw error;
	}
}

function invalidInside(reader: WireReader, { text, inside }: TextFields, depth: number): number {
	let invalid = 0;
	while (reader.next()) {
		if (reader.wireType !== WIRE_LENGTH) {
			reader.skip();
			continue;
		}
		const end = reader.lengthEnd();
		if (reader.field === text) {
			if (!isUtf8(reader.bytes, reader.position, end)) invalid++;
		} else {
			const fields = inside[reader.field];
			if (fields !== undefined && depth < MAX_DEPTH)
				invalid += invalidInside(new WireReader(reader.bytes, reader.position, end), fields(), depth + 1);
		}
		reader.position = end;
	}
	return invalid;
}
