/**
 * One parsed JSON value to protobuf, by the tables of otlp-json-schema.ts. A value that does not fit its field is a fault that is
 * returned, not thrown: the caller takes back what was written and goes on with the next record.
 */
import type { DropReason } from "../../model/errors.ts";
import { bytesFromHex } from "../../model/ids.ts";
import { WIRE_FIXED32, WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT } from "../../model/protobuf/reader.ts";
import type { WireWriter } from "../../model/protobuf/writer.ts";
import type { Field, Message, ScalarKind } from "./otlp-json-schema.ts";

export interface Fault {
	readonly reason: DropReason;
	/** What was expected, and what was found instead. */
	readonly problem: string;
	/** Where, innermost first. */
	readonly path: (string | number)[];
}

export class JsonEncoder {
	readonly writer: WireWriter;
	/** Texts that held bytes that are not UTF-8, or lone surrogates. */
	invalidUtf8 = 0;
	/** Set when the JSON at hand had bytes that are not UTF-8. */
	lossy = false;

	constructor(writer: WireWriter) {
		this.writer = writer;
	}

	/** The fields of one message, without the message's own tag and length. */
	message(message: Message, value: unknown): Fault | undefined {
		if (typeof value !== "object" || value === null || Array.isArray(value)) return fault(`expected ${message.name}`, value);
		const object = value as Readonly<Record<string, unknown>>;
		for (const field of message.fields) {
			const entry = object[field.json] ?? (field.snake === field.json ? undefined : object[field.snake]);
			if (entry === undefined || entry === null) continue;
			const problem = this.field(field, entry);
			if (problem !== undefined) return problem;
		}
		return undefined;
	}

	/** One field with a value that is not null. */
	field(field: Field, value: unknown): Fault | undefined {
		let problem: Fault | undefined;
		if (field.repeated === true) problem = this.list(field, value);
		else if (field.kind === "message") problem = this.subMessage(field, value);
		else problem = this.scalarField(field, field.kind, value);
		problem?.path.push(field.json);
		return problem;
	}

	private list(field: Field, value: unknown): Fault | undefined {
		if (!Array.isArray(value)) return fault("expected a list", value);
		if (value.length === 0) return undefined;
		const { kind, number } = field;
		const packed = kind !== "message" && kind !== "string";
		const mark = packed ? this.writer.begin(number) : 0;
		for (let i = 0; i < value.length; i++) {
			const element: unknown = value[i];
			let problem: Fault | undefined;
			if (kind === "message") problem = this.subMessage(field, element);
			else problem = packed ? this.scalar(field, kind, element) : this.text(number, element);
			if (problem !== undefined) {
				problem.path.push(i);
				return problem;
			}
		}
		if (packed) this.writer.end(mark);
		return undefined;
	}

	private subMessage(field: Field, value: unknown): Fault | undefined {
		const message = field.message!;
		const mark = this.writer.begin(field.number);
		const problem = this.message(message, message.nullable && value === null ? {} : value);
		if (problem === undefined) this.writer.end(mark);
		return problem;
	}

	private scalarField(field: Field, kind: ScalarKind, value: unknown): Fault | undefined {
		const { writer } = this;
		const { number, explicit } = field;
		if (kind === "string") {
			return value === "" && explicit !== true ? undefined : this.text(number, value);
		}
		if (kind === "hex" || kind === "bytes") {
			const bytes = kind === "hex" ? hexBytes(value) : base64Bytes(value);
			if (bytes === undefined)
				return fault(kind === "hex" ? "expected hex digits" : "expected base64", value, field.reason);
			if (bytes.length > 0 || explicit === true) writer.bytesField(number, bytes);
			return undefined;
		}
		const start = writer.length;
		writer.tag(number, WIRE_TYPES[kind]);
		const valueStart = writer.length;
		const problem = this.scalar(field, kind, value);
		// Absent and default are the same on the wire for all but explicit fields.
		if (explicit !== true && writer.isZeroFrom(valueStart)) writer.truncate(start);
		return problem;
	}

	/** The bare value, as in a packed list. */
	private scalar(field: Field, kind: ScalarKind, value: unknown): Fault | undefined {
		const { writer } = this;
		switch (kind) {
			case "double": {
				const number = doubleOf(value);
				if (number === undefined) return fault("expected a number", value);
				writer.double(number);
				return undefined;
			}
			case "bool":
				if (typeof value !== "boolean") return fault("expected true or false", value);
				writer.varint(value ? 1 : 0);
				return undefined;
			case "enum": {
				const known = typeof value === "string" && Object.hasOwn(field.names!, value) ? field.names![value]! : value;
				const number = integerOf(known, -0x8000_0000n, 0x7fff_ffffn);
				if (number === undefined) return fault("expected an enum number", value);
				writer.varint64(number);
				return undefined;
			}
			default: {
				const [min, max] = RANGES[kind as keyof typeof RANGES];
				const number = integerOf(value, min, max);
				if (number === undefined) return fault(`expected ${kind}`, value);
				if (kind === "fixed64" || kind === "sfixed64") writer.fixed64(number);
				else if (kind === "fixed32") writer.fixed32(Number(number));
				else if (kind === "sint32") writer.varint64(number < 0n ? -2n * number - 1n : 2n * number);
				else writer.varint64(number);
				return undefined;
			}
		}
	}

	private text(number: number, value: unknown): Fault | undefined {
		if (typeof value !== "string") return fault("expected a text", value);
		if (!value.isWellFormed() || (this.lossy && value.includes("\ufffd"))) this.invalidUtf8++;
		this.writer.stringField(number, value);
		return undefined;
	}
}

const RANGES = {
	int32: [-0x8000_0000n, 0x7fff_ffffn],
	sint32: [-0x8000_0000n, 0x7fff_ffffn],
	uint32: [0n, 0xffff_ffffn],
	fixed32: [0n, 0xffff_ffffn],
	int64: [-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn],
	sfixed64: [-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn],
	uint64: [0n, 0xffff_ffff_ffff_ffffn],
	fixed64: [0n, 0xffff_ffff_ffff_ffffn],
} as const;

const WIRE_TYPES: Readonly<Record<ScalarKind, number>> = {
	string: WIRE_LENGTH,
	bytes: WIRE_LENGTH,
	hex: WIRE_LENGTH,
	bool: WIRE_VARINT,
	double: WIRE_FIXED64,
	int32: WIRE_VARINT,
	sint32: WIRE_VARINT,
	uint32: WIRE_VARINT,
	fixed32: WIRE_FIXED32,
	int64: WIRE_VARINT,
	uint64: WIRE_VARINT,
	fixed64: WIRE_FIXED64,
	sfixed64: WIRE_FIXED64,
	enum: WIRE_VARINT,
};

export function fault(expected: string, found: unknown, reason: DropReason = "malformed_record"): Fault {
	return { reason, problem: `${expected}, not ${shown(found)}`, path: [] };
}

/** A value as a message may quote it: short, and without anything that could break a log line. */
function shown(value: unknown): string {
	if (typeof value === "string") {
		const start = value.slice(0, 40).toWellFormed();
		return JSON.stringify(start.length < value.length ? `${start}…` : start);
	}
	if (Array.isArray(value)) return "a list";
	if (typeof value === "object" && value !== null) return "an object";
	return String(value);
}

/** Number or text, decimal or with an exponent, as long as it is a whole number in range. */
function integerOf(value: unknown, min: bigint, max: bigint): bigint | undefined {
	let integer: bigint;
	if (typeof value === "bigint") integer = value;
	else if (typeof value === "number") {
		if (!Number.isInteger(value)) return undefined;
		integer = BigInt(value);
	} else if (typeof value === "string") {
		// 20 digits hold 2^64, the sign one more; a longer text would only cost time.
		if (/^-?\d{1,20}$/.test(value)) integer = BigInt(value);
		else if (value.length <= 32 && /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(value) && Number.isInteger(Number(value))) {
			integer = BigInt(Number(value));
		} else return undefined;
	} else return undefined;
	return integer >= min && integer <= max ? integer : undefined;
}

function doubleOf(value: unknown): number | undefined {
	if (typeof value === "number") return value;
	if (typeof value === "bigint") return Number(value);
	if (typeof value !== "string") return undefined;
	if (value === "NaN") return Number.NaN;
	if (value === "Infinity" || value === "-Infinity") return Number(value);
	return /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(value) ? Number(value) : undefined;
}

function hexBytes(value: unknown): Uint8Array | undefined {
	if (typeof value !== "string" || value.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(value)) return undefined;
	return bytesFromHex(value);
}

/** Standard or URL-safe alphabet, with or without padding. */
function base64Bytes(value: unknown): Uint8Array | undefined {
	if (typeof value !== "string" || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) return undefined;
	return Buffer.from(value, "base64");
}
