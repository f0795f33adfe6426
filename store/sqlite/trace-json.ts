/**
 * A trace as OTLP JSON out of the columns of blocks: each dictionary entry is decoded once however many spans have it, where rebuilding
 * and decoding every span took four times as long.
 */
import type { TraceId } from "../../model/ids.ts";
import { decodeResourceGroup, decodeScopeGroup, decodeSpan } from "../../model/otlp/decode.ts";
import { type SpanField, spanFieldOf, SpanText, textBytes, type TimeBase, timeBase } from "../../model/otlp/span-text.ts";
import { TextPieces } from "../../model/otlp/text-pieces.ts";
import type { SummarySpan } from "../../model/otlp/trace-summary.ts";
import type { OtlpResource, OtlpScope } from "../../model/otlp/types.ts";
import { SLOT } from "../block/format.ts";
import type { BlockReader } from "../block/reader.ts";
import { ScopeGroups } from "./scope-groups.ts";

const FIRST_PIECE_BYTES = 2_048;
const BODY_PIECE_BYTES = 8_192;

interface Group {
	readonly resource: OtlpResource;
	readonly scope: OtlpScope;
	readonly schemaUrl: string;
	/** Spans, with commas between. */
	readonly spans: TextPieces;
	isEmpty: boolean;
}

/** What is known of the block at hand. */
interface KnownBlock {
	readonly block: BlockReader;
	readonly times: TimeBase;
	/** By entry number; without a field where spans that have it are decoded whole. */
	readonly entries: ({ readonly field: SpanField | undefined } | undefined)[];
}

export class TraceJson {
	private readonly idMember: Uint8Array;
	private readonly resources = new Map<Uint8Array, { readonly resource: OtlpResource; readonly schemaUrl: string }>();
	private readonly groups = new ScopeGroups((resource, scope) => this.newGroup(resource, scope));
	private readonly text = new SpanText();
	private known: KnownBlock | undefined;
	/** Of the row at hand. */
	private block!: KnownBlock;
	private row = 0;
	private span!: SummarySpan;
	private isWhole = false;

	constructor(id: TraceId) {
		this.idMember = textBytes(`"traceId":"${id}"`);
	}

	add(block: BlockReader, row: number, span: SummarySpan): void {
		const group = this.groups.of(block, row);
		if (this.known?.block !== block) this.known = { block, times: timeBase(block.head().baseNs), entries: [] };
		this.block = this.known;
		this.row = row;
		this.span = span;
		this.isWhole = !block.head().wideRows.has(row);
		this.text.begin();
		block.forEachField(row, this.addField);
		if (this.isWhole) {
			this.text.finish();
			this.begin(group).write(this.text.bytes, this.text.length);
			return;
		}
		const bytes = block.record(row);
		const decoded = decodeSpan(bytes, 0, bytes.length);
		this.begin(group).add(JSON.stringify(decoded));
	}

	/** Where the next span of a group is written, once it is read: what a damaged block holds must leave no comma behind. */
	private begin(group: Group): TextPieces {
		if (!group.isEmpty) group.spans.add(",");
		group.isEmpty = false;
		return group.spans;
	}

	/** UTF-8, in pieces that may end within a character. Call once, last. */
	finish(): Uint8Array<ArrayBuffer>[] {
		const body = new TextPieces(BODY_PIECE_BYTES);
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
				text.id(NAMES.spanId, ...block.spanId(row));
				break;
			case SLOT.parentId:
				text.id(NAMES.parentSpanId, ...block.parentId(row));
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
		const { field } = (this.block.entries[entry] ??= { field: spanFieldOf(this.block.block.item(entry)) });
		// Of the kind the columns hold a byte.
		const isOtherKind = field?.span.kind !== undefined && field.span.kind !== this.span.kind;
		if (field === undefined || isOtherKind || !this.text.field(field)) this.isWhole = false;
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

function schemaUrlMember(schemaUrl: string): string {
	return schemaUrl === "" ? "" : `,"schemaUrl":${JSON.stringify(schemaUrl)}`;
}
