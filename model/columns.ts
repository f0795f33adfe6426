/**
 * Records (spans or logs) as the skim reader leaves them: columns for what every later stage needs, and for everything else the
 * place of the bytes. One instance is reused for group after group; its arrays only grow.
 *
 * Nothing here is materialised: names, attributes and unknown fields stay where they are in `bytes`.
 */

/** The OTLP message a record is, by the numbers of the fields that have a column of their own. */
export interface RecordShape {
	readonly signal: "traces" | "logs";
	readonly traceIdField: number;
	readonly spanIdField: number;
	/** 0 where the message has none. */
	readonly parentIdField: number;
	/** fixed64: span start / log time. */
	readonly time0Field: number;
	/** fixed64: span end / log observed time. */
	readonly time1Field: number;
	/** String that names the record: span name / event name. */
	readonly nameField: number;
	/** Varint: span kind / severity number. */
	readonly kindField: number;
	readonly attributesField: number;
}

/** opentelemetry/proto/trace/v1/trace.proto, message Span. */
export const SPAN_SHAPE: RecordShape = {
	signal: "traces",
	traceIdField: 1,
	spanIdField: 2,
	parentIdField: 4,
	time0Field: 7,
	time1Field: 8,
	nameField: 5,
	kindField: 6,
	attributesField: 9,
};
/** Span.status is a message; its code is read into `status`. */
export const SPAN_STATUS_FIELD = 15;

/** opentelemetry/proto/logs/v1/logs.proto, message LogRecord. */
export const LOG_SHAPE: RecordShape = {
	signal: "logs",
	traceIdField: 9,
	spanIdField: 10,
	parentIdField: 0,
	time0Field: 1,
	time1Field: 11,
	nameField: 12,
	kindField: 2,
	attributesField: 6,
};

/**
 * What a top-level field of a record is. All but `item`, `attribute` and `end` say that the field stands once, in its one canonical
 * encoding, and can be rebuilt from its column to the byte; an id or time field that does not is an `item`, kept as bytes.
 */
export const SLOT = {
	item: 0,
	traceId: 1,
	spanId: 2,
	parentId: 3,
	time0: 4,
	time1: 5,
	/** Name and kind are in columns too, but rebuilt from the bytes of one row of their kind. */
	name: 6,
	kind: 7,
	/** An attribute: an item, told apart since layouts depend on it. */
	attribute: 8,
	/** Stands behind the last field of a record and only says where it ends. */
	end: 9,
} as const;

export type ColumnsMark = readonly [number, number, number, number, number, number];

/** Above this, the group's memory is given back after use: one giant batch must not weigh for ever. */
const KEEP_BYTES = 16 << 20;
const KEEP_RECORDS = 1 << 16;

export class RecordColumns {
	readonly shape: RecordShape;
	/** Payloads of the group, back to back; every offset below points into it. */
	bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
	/** Over the same memory as `bytes`. */
	view = new DataView(this.bytes.buffer);
	bytesUsed = 0;

	/** Records. */
	count = 0;
	/** Four big-endian words an id. */
	traceId = new Uint32Array(0);
	/** Two big-endian words an id; zero where absent. */
	spanId = new Uint32Array(0);
	parentId = new Uint32Array(0);
	/** Low and high word of each time, as on the wire. */
	time0 = new Uint32Array(0);
	time1 = new Uint32Array(0);
	kind = new Uint8Array(0);
	status = new Uint8Array(0);
	/** Value bytes of the name field; equal ends where absent. */
	nameStart = new Uint32Array(0);
	nameEnd = new Uint32Array(0);
	/** Index into `scopeStart`. */
	scope = new Uint32Array(0);
	/** First entry of the record in `fieldStart`; one longer than `count`. */
	firstField = new Uint32Array(1);

	/**
	 * Every top-level field of every record, tag included, without gaps: `[fieldStart[i], fieldStart[i + 1])`, what it is in
	 * `fieldSlot`. Each record's fields are followed by one `SLOT.end`.
	 */
	fieldCount = 0;
	fieldStart = new Uint32Array(0);
	fieldSlot = new Uint8Array(0);

	/**
	 * Scope groups: one a ScopeSpans / ScopeLogs met. The scope is everything of it but its records, the resource everything of
	 * its ResourceSpans / ResourceLogs but the scope groups, each as field ranges (tag included) in `rangeStart`/`rangeEnd`.
	 */
	scopeCount = 0;
	scopeResource = new Uint32Array(0);
	scopeFirstRange = new Uint32Array(0);
	scopeRangeCount = new Uint32Array(0);
	resourceCount = 0;
	resourceFirstRange = new Uint32Array(0);
	resourceRangeCount = new Uint32Array(0);
	/** Value bytes of the resource's `service.name`; equal ends where absent. */
	serviceStart = new Uint32Array(0);
	serviceEnd = new Uint32Array(0);
	rangeCount = 0;
	rangeStart = new Uint32Array(0);
	rangeEnd = new Uint32Array(0);

	constructor(shape: RecordShape) {
		this.shape = shape;
	}

	/** Forgets every record; keeps the memory up to a bound. */
	reset(): void {
		if (this.bytes.length > KEEP_BYTES) this.setBytes(new Uint8Array(0));
		if (this.kind.length > KEEP_RECORDS * 2) this.shrinkRecords();
		if (this.fieldStart.length > KEEP_RECORDS * 32) {
			this.fieldStart = new Uint32Array(0);
			this.fieldSlot = new Uint8Array(0);
		}
		this.bytesUsed = 0;
		this.count = 0;
		this.fieldCount = 0;
		this.scopeCount = 0;
		this.resourceCount = 0;
		this.rangeCount = 0;
	}

	/** Where the records end now; {@link rewind} takes back all that was added since. */
	mark(): ColumnsMark {
		return [this.bytesUsed, this.count, this.fieldCount, this.scopeCount, this.resourceCount, this.rangeCount];
	}

	rewind(mark: ColumnsMark): void {
		[this.bytesUsed, this.count, this.fieldCount, this.scopeCount, this.resourceCount, this.rangeCount] = mark;
	}

	/** Copies a payload behind the others; returns the offset of its first byte. */
	appendPayload(payload: Uint8Array): number {
		const start = this.bytesUsed;
		const needed = start + payload.length;
		if (needed > this.bytes.length) {
			const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2, 1 << 20));
			larger.set(this.bytes.subarray(0, start));
			this.setBytes(larger);
		}
		this.bytes.set(payload, start);
		this.bytesUsed = needed;
		return start;
	}

	/** Where a record's message begins and ends in `bytes`. */
	recordStart(row: number): number {
		return this.fieldStart[this.firstField[row]!]!;
	}

	recordEnd(row: number): number {
		return this.fieldStart[this.firstField[row + 1]! - 1]!;
	}

	private setBytes(bytes: Uint8Array<ArrayBuffer>): void {
		this.bytes = bytes;
		this.view = new DataView(bytes.buffer);
	}

	private shrinkRecords(): void {
		this.kind = this.status = new Uint8Array(0);
		this.traceId = this.spanId = this.parentId = this.time0 = this.time1 = new Uint32Array(0);
		this.nameStart = this.nameEnd = this.scope = new Uint32Array(0);
		this.firstField = new Uint32Array(1);
	}

	ensureRecords(total: number): void {
		if (total <= this.kind.length) return;
		const size = grown(this.kind.length, total);
		this.traceId = resized(this.traceId, size * 4);
		this.spanId = resized(this.spanId, size * 2);
		this.parentId = resized(this.parentId, size * 2);
		this.time0 = resized(this.time0, size * 2);
		this.time1 = resized(this.time1, size * 2);
		this.kind = resizedBytes(this.kind, size);
		this.status = resizedBytes(this.status, size);
		this.nameStart = resized(this.nameStart, size);
		this.nameEnd = resized(this.nameEnd, size);
		this.scope = resized(this.scope, size);
		this.firstField = resized(this.firstField, size + 1);
	}

	ensureFields(total: number): void {
		if (total <= this.fieldStart.length) return;
		const size = grown(this.fieldStart.length, total);
		this.fieldStart = resized(this.fieldStart, size);
		this.fieldSlot = resizedBytes(this.fieldSlot, size);
	}

	ensureScopes(total: number): void {
		if (total <= this.scopeResource.length) return;
		const size = grown(this.scopeResource.length, total);
		this.scopeResource = resized(this.scopeResource, size);
		this.scopeFirstRange = resized(this.scopeFirstRange, size);
		this.scopeRangeCount = resized(this.scopeRangeCount, size);
	}

	ensureResources(total: number): void {
		if (total <= this.resourceFirstRange.length) return;
		const size = grown(this.resourceFirstRange.length, total);
		this.resourceFirstRange = resized(this.resourceFirstRange, size);
		this.resourceRangeCount = resized(this.resourceRangeCount, size);
		this.serviceStart = resized(this.serviceStart, size);
		this.serviceEnd = resized(this.serviceEnd, size);
	}

	addRange(start: number, end: number): void {
		if (this.rangeCount === this.rangeStart.length) {
			const size = grown(this.rangeCount, this.rangeCount + 1);
			this.rangeStart = resized(this.rangeStart, size);
			this.rangeEnd = resized(this.rangeEnd, size);
		}
		this.rangeStart[this.rangeCount] = start;
		this.rangeEnd[this.rangeCount++] = end;
	}
}

function grown(now: number, needed: number): number {
	return Math.max(needed, now * 2, 256);
}

function resized(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
	const larger = new Uint32Array(length);
	larger.set(array);
	return larger;
}

function resizedBytes(array: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
	const larger = new Uint8Array(length);
	larger.set(array);
	return larger;
}
