/**
 * A trace as OTLP JSON out of the columns of blocks, and its spans for the hop rules on the way: each dictionary entry is decoded once
 * however many spans have it, where rebuilding and decoding every span took four times as long.
 */
import type { TraceId } from "../../model/ids.ts";
import { decodeResourceGroup, decodeScopeGroup, decodeSpan } from "../../model/otlp/decode.ts";
import { type SpanField, spanFieldOf, SpanText, textBytes, type TimeBase, timeBase } from "../../model/otlp/span-text.ts";
import { TextPieces } from "../../model/otlp/text-pieces.ts";
import type { SummarySpan } from "../../model/otlp/trace-summary.ts";
import type { OtlpResource, OtlpScope, OtlpSpan } from "../../model/otlp/types.ts";
import type { SpanFacts } from "../../model/topology/facts.ts";
import type { AttributeReading, DecodedSpans, HashWords } from "../../model/topology/hops/decoded-spans.ts";
import { SLOT } from "../block/format.ts";
import type { BlockReader } from "../block/reader.ts";
import { ScopeGroups } from "./scope-groups.ts";

const FIRST_PIECE_BYTES = 2_048;
const LARGE_PIECE_BYTES = 65_536;

const NO_WORDS: HashWords = [0, 0];

interface Group {
	readonly resource: OtlpResource;
	readonly scope: OtlpScope;
	readonly schemaUrl: string;
	/** Spans, with commas between. */
	readonly spans: TextPieces;
	isEmpty: boolean;
}

interface KnownEntry {
	/** Undefined where spans that have it are decoded whole. */
	readonly field: SpanField | undefined;
	/** By kind of span. */
	readonly readings: (AttributeReading | undefined)[];
}

/** After some attributes, in order. */
interface FactsNode {
	readonly tokens: readonly number[];
	readonly next: Map<number, FactsNode>;
	facts: SpanFacts | undefined;
}

/** What is known of the block at hand. */
interface KnownBlock {
	readonly block: BlockReader;
	readonly times: TimeBase;
	readonly entries: (KnownEntry | undefined)[];
	/** Of each class, facts by the tokens of attributes. */
	readonly facts: (FactsNode | undefined)[];
}

export class TraceJson {
	private readonly idMember: Uint8Array;
	private readonly hops: DecodedSpans;
	private readonly resources = new Map<Uint8Array, { readonly resource: OtlpResource; readonly schemaUrl: string }>();
	private readonly groups = new ScopeGroups((resource, scope) => this.newGroup(resource, scope));
	private readonly text = new SpanText();
	private known: KnownBlock | undefined;
	/** Of the row at hand. */
	private block!: KnownBlock;
	private row = 0;
	private span!: SummarySpan;
	private isWhole = false;
	private spanId: HashWords = NO_WORDS;
	private parentId: HashWords = NO_WORDS;
	private facts!: FactsNode;
	private requestId: HashWords | undefined;
	private requestBytes = -1;
	private responseBytes = -1;
	private traceState = "";

	/** @param hops is given every span */
	constructor(id: TraceId, hops: DecodedSpans) {
		this.idMember = textBytes(`"traceId":"${id}"`);
		this.hops = hops;
	}

	add(block: BlockReader, row: number, span: SummarySpan): void {
		const group = this.groups.of(block, row);
		if (this.known?.block !== block) this.known = { block, times: timeBase(block.head().baseNs), entries: [], facts: [] };
		this.block = this.known;
		this.row = row;
		this.span = span;
		this.isWhole = !block.head().wideRows.has(row);
		this.traceState = "";
		this.facts = this.block.facts[block.classOfRow(row)] ??= { tokens: [], next: new Map(), facts: undefined };
		this.requestId = undefined;
		this.spanId = this.parentId = NO_WORDS;
		this.requestBytes = this.responseBytes = -1;
		this.text.begin();
		block.forEachField(row, this.addField);
		if (this.isWhole) {
			this.text.finish();
			this.begin(group).write(this.text.bytes, this.text.length);
			this.addToHops(group);
			return;
		}
		const bytes = block.record(row);
		const decoded = decodeSpan(bytes, 0, bytes.length);
		this.begin(group).add(JSON.stringify(decoded));
		this.hops.add(decoded, group.resource, group.scope);
	}

	/** Where the next span of a group is written, once it is read: what a damaged block holds must leave no comma behind. */
	private begin(group: Group): TextPieces {
		if (!group.isEmpty) group.spans.add(",");
		group.isEmpty = false;
		return group.spans;
	}

	/** UTF-8, in pieces that may end within a character. Call once, last. */
	finish(): Uint8Array<ArrayBuffer>[] {
		const body = new TextPieces(LARGE_PIECE_BYTES);
		let resources = 0;
		for (const { resource: bytes, scopes } of this.groups.byResource()) {
			const { resource, schemaUrl } = this.resources.get(bytes)!;
			body.add(`${resources++ === 0 ? '{"resourceSpans":[' : ","}{"resource":${JSON.stringify(resource)}`);
			let count = 0;
			for (const { content } of scopes) {
				body.add(`${count++ === 0 ? ',"scopeSpans":[' : ","}{"scope":${JSON.stringify(content.scope)},"spans":[`);
				for (const piece of content.spans.finish()) body.take(piece);
				body.add(`]${schemaUrlMember(content.schemaUrl)}}`);
			}
			body.add(`]${schemaUrlMember(schemaUrl)}}`);
		}
		body.add(resources > 0 ? "]}" : "{}");
		return body.finish();
	}

	private readonly addField = (slot: number, entry: number): void => {
		if (!this.isWhole) return;
		const { text, row } = this;
		const { block, times } = this.block;
		switch (slot) {
			case SLOT.traceId:
				text.member(this.idMember);
				break;
			case SLOT.spanId:
				this.spanId = block.spanId(row);
				text.id(NAMES.spanId, this.spanId[0], this.spanId[1]);
				break;
			case SLOT.parentId:
				this.parentId = block.parentId(row);
				text.id(NAMES.parentSpanId, this.parentId[0], this.parentId[1]);
				break;
			case SLOT.time0:
				text.time(NAMES.start, times, block.offsetOfRow(row));
				break;
			case SLOT.time1:
				text.time(NAMES.end, times, block.offsetOfRow(row) + block.durationOfRow(row));
				break;
			default:
				this.addEntry(entry);
		}
	};

	private addEntry(entry: number): void {
		const known = (this.block.entries[entry] ??= knownEntry(this.block.block.item(entry)));
		const { field } = known;
		if (field === undefined || !this.text.field(field)) {
			this.isWhole = false;
			return;
		}
		if (field.attribute !== undefined) this.readAttribute(known, this.span.kind);
		else if (field.span.traceState !== undefined) this.traceState = field.span.traceState;
		// The columns hold a byte of it.
		else if (field.span.kind !== undefined && field.span.kind !== this.span.kind) this.isWhole = false;
	}

	private readAttribute({ field, readings }: KnownEntry, kind: number): void {
		const reading = (readings[kind] ??= this.hops.readAttribute(field!.attribute!, kind));
		if (reading.token > 0) this.facts = nodeAfter(this.facts, reading.token);
		// Of several the first is taken, as where spans are decoded whole.
		this.requestId ??= reading.requestId;
		if (this.requestBytes < 0) this.requestBytes = reading.requestBytes;
		if (this.responseBytes < 0) this.responseBytes = reading.responseBytes;
	}

	private addToHops({ resource, scope }: Group): void {
		const { row, span, facts } = this;
		const { block } = this.block;
		const { kind } = span;
		if (facts.facts === undefined) {
			const decode = (): OtlpSpan => {
				const bytes = block.record(row);
				return decodeSpan(bytes, 0, bytes.length);
			};
			facts.facts = this.hops.factsByTokens(span, facts.tokens, resource, scope, decode);
		}
		this.hops.addRead(
			{
				id: span.spanId,
				kind,
				spanId: this.spanId,
				parentId: this.parentId,
				startMs: Number(span.startNs) / 1e6,
				durationNs: block.durationOfRow(row),
				requestId: this.requestId ?? NO_WORDS,
				requestBytes: Math.max(0, this.requestBytes),
				responseBytes: Math.max(0, this.responseBytes),
				traceState: this.traceState,
			},
			facts.facts,
		);
	}

	private newGroup(resourceBytes: Uint8Array, scopeBytes: Uint8Array): Group {
		let known = this.resources.get(resourceBytes);
		if (known === undefined)
			this.resources.set(resourceBytes, (known = decodeResourceGroup(resourceBytes, 0, resourceBytes.length)));
		const { scope, schemaUrl } = decodeScopeGroup(scopeBytes, 0, scopeBytes.length);
		return { resource: known.resource, scope, schemaUrl, spans: new TextPieces(FIRST_PIECE_BYTES), isEmpty: true };
	}
}

const NAMES = {
	spanId: textBytes('"spanId":'),
	parentSpanId: textBytes('"parentSpanId":'),
	start: textBytes('"startTimeUnixNano":'),
	end: textBytes('"endTimeUnixNano":'),
} as const;
function nodeAfter({ tokens, next }: FactsNode, token: number): FactsNode {
	let node = next.get(token);
	if (node === undefined) next.set(token, (node = { tokens: [...tokens, token], next: new Map(), facts: undefined }));
	return node;
}

function knownEntry(bytes: Uint8Array): KnownEntry {
	return { field: spanFieldOf(bytes), readings: [] };
}

function schemaUrlMember(schemaUrl: string): string {
	return schemaUrl === "" ? "" : `,"schemaUrl":${JSON.stringify(schemaUrl)}`;
}
