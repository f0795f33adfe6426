/**
 * OTLP JSON to the same request in protobuf, so that everything behind has one encoding to read.
 *
 * What encloses the records is walked by its bytes, and each record is parsed by itself: a bad record costs itself, a bad resource
 * or scope the records under it, and memory is that of one record whatever the payload.
 * Rules: opentelemetry-proto docs/specification.md "JSON Protobuf Encoding"; protobuf.dev/programming-guides/json.
 */
import { type DropReason, MeshscopeError } from "../../model/errors.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import type { Signal } from "../../store/store.ts";
import type { DecodeLimits } from "./limits.ts";
import { type Fault, fault, JsonEncoder } from "./otlp-json-encode.ts";
import { JsonScanner, type JsonSlice, LETTER_N, OPEN_BRACE, OPEN_BRACKET } from "./otlp-json-scan.ts";
import { type Field, type Message, REQUESTS } from "./otlp-json-schema.ts";

export interface TranscodeResult {
	/** An Export*ServiceRequest with every record that could be read. */
	readonly bytes: Uint8Array<ArrayBuffer>;
	/** Records left out. */
	readonly dropped: Partial<Record<DropReason, number>>;
	/** What was wrong with the first few of them. */
	readonly messages: readonly string[];
	/** Texts in which something was not Unicode and became U+FFFD. */
	readonly invalidUtf8Strings: number;
}

const MAX_MESSAGES = 8;
/** JSON takes more room than protobuf: an escape is six bytes, a number's digits, keys. The skim reader judges the real size. */
const JSON_BYTES_PER_PROTOBUF_BYTE = 4;
/** Values a record: each costs some 50 bytes of heap while the record is read. */
const MAX_VALUES_PER_RECORD = 262_144;

/**
 * @throws MeshscopeError `malformed_payload` when the bytes are no JSON object, `payload_too_large` when it holds more records than
 * the limit
 */
export function otlpJsonToProtobuf(signal: Signal, bytes: Uint8Array<ArrayBuffer>, limits: DecodeLimits): TranscodeResult {
	return new Transcoder(bytes, limits).run(REQUESTS[signal]);
}

class Transcoder {
	private readonly scanner: JsonScanner;
	private readonly writer: WireWriter;
	private readonly encoder: JsonEncoder;
	private readonly limits: DecodeLimits;
	private readonly dropped: Partial<Record<DropReason, number>> = {};
	private readonly messages: string[] = [];
	/** Records and groups met: the groups because an empty one costs the stages behind as much as a record. */
	private records = 0;
	private groups = 0;
	/** Records written and not taken back. */
	private kept = 0;

	constructor(bytes: Uint8Array<ArrayBuffer>, limits: DecodeLimits) {
		this.scanner = new JsonScanner(bytes);
		this.writer = new WireWriter(Math.min(Math.max(bytes.length >> 1, 256), 1 << 20));
		this.encoder = new JsonEncoder(this.writer);
		this.limits = limits;
	}

	run(request: Message): TranscodeResult {
		const problem = this.group(request);
		if (problem !== undefined) {
			throw new MeshscopeError("malformed_payload", `JSON: ${request.name}: ${pathOf(problem)}${problem.problem}`);
		}
		this.scanner.finish();
		return {
			bytes: this.writer.finish(),
			dropped: this.dropped,
			messages: this.messages,
			invalidUtf8Strings: this.encoder.invalidUtf8,
		};
	}

	/** The fields of a message that is walked; a fault is for the caller to answer by taking the whole group back. */
	private group(message: Message): Fault | undefined {
		const { scanner } = this;
		if (scanner.peek() !== OPEN_BRACE) return this.skipWrong(`expected ${message.name}`);
		let problem: Fault | undefined;
		/** Fields that are read as a whole, once the group is known: of equal keys the last wins, as with JSON.parse. */
		const whole = new Map<Field, JsonSlice>();
		scanner.object((key) => {
			const field = message.fields.find(({ json, snake }) => json === key || snake === key);
			if (field === undefined || scanner.peek() === LETTER_N) scanner.skip();
			else if (field.walk === undefined) whole.set(field, scanner.skip());
			else problem = this.walked(field) ?? problem;
		});
		for (const [field, slice] of whole) problem ??= this.wholeField(field, slice);
		return problem;
	}

	private walked(field: Field): Fault | undefined {
		if (field.repeated !== true) {
			const problem = this.groupField(field);
			problem?.path.push(field.json);
			return problem;
		}
		if (this.scanner.peek() !== OPEN_BRACKET) return this.skipWrong(`expected a list of ${field.json}`);
		let index = 0;
		this.scanner.array(() => {
			if (field.walk === "records") this.record(field);
			else {
				const keptBefore = this.kept;
				const start = this.writer.length;
				const problem = this.groupField(field);
				if (problem !== undefined) {
					this.writer.truncate(start);
					problem.path.push(index, field.json);
					this.drop(problem, Math.max(1, this.kept - keptBefore));
					this.kept = keptBefore;
				}
			}
			index++;
		});
		return undefined;
	}

	private groupField(field: Field): Fault | undefined {
		if (++this.groups > this.limits.maxRecords) throw this.tooMany();
		const mark = this.writer.begin(field.number);
		const problem = this.group(field.message!);
		if (problem === undefined) this.writer.end(mark);
		return problem;
	}

	private wholeField(field: Field, slice: JsonSlice): Fault | undefined {
		const parsed = this.parse(slice);
		if ("reason" in parsed) return parsed;
		return parsed.value === null ? undefined : this.encoder.field(field, parsed.value);
	}

	private record(field: Field): void {
		if (++this.records > this.limits.maxRecords) throw this.tooMany();
		const start = this.writer.length;
		const parsed = this.parse(this.scanner.skip());
		const mark = this.writer.begin(field.number);
		const problem = "reason" in parsed ? parsed : this.encoder.message(field.message!, parsed.value);
		if (problem === undefined) {
			this.writer.end(mark);
			this.kept++;
			return;
		}
		this.writer.truncate(start);
		problem.path.push(this.records - 1, field.json);
		this.drop(problem, 1);
	}

	private parse(slice: JsonSlice): Fault | { readonly value: unknown } {
		if (
			slice.end - slice.start > this.limits.maxRecordBytes * JSON_BYTES_PER_PROTOBUF_BYTE ||
			slice.values > MAX_VALUES_PER_RECORD
		) {
			return {
				reason: "record_too_large",
				problem: `${slice.end - slice.start} bytes of JSON, ${slice.values} values`,
				path: [],
			};
		}
		try {
			const { value, lossy } = this.scanner.parse(slice);
			this.encoder.lossy = lossy;
			return { value };
		} catch (error) {
			if (!(error instanceof SyntaxError)) throw error;
			return { reason: "malformed_record", problem: `no JSON between bytes ${slice.start} and ${slice.end}`, path: [] };
		}
	}

	/** Passes over a value of the wrong kind. */
	private skipWrong(expected: string): Fault {
		const { start, end } = this.scanner.skip();
		return fault(
			expected,
			this.scanner.bytes[start] === OPEN_BRACKET
				? []
				: this.scanner.bytes[start] === OPEN_BRACE
					? {}
					: `${end - start} bytes`,
		);
	}

	private drop(problem: Fault, records: number): void {
		this.dropped[problem.reason] = (this.dropped[problem.reason] ?? 0) + records;
		if (this.messages.length < MAX_MESSAGES) this.messages.push(`${pathOf(problem)}${problem.problem}`);
	}

	private tooMany(): MeshscopeError {
		return new MeshscopeError(
			"payload_too_large",
			`the batch holds more than ${this.limits.maxRecords} records or groups; lower the exporter's batch size`,
		);
	}
}

function pathOf({ path }: Fault): string {
	if (path.length === 0) return "";
	let text = "";
	for (const part of path.toReversed()) text += typeof part === "number" ? `[${part}]` : `${text === "" ? "" : "."}${part}`;
	return `${text}: `;
}
