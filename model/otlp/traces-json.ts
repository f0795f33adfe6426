/**
 * A trace as OTLP JSON text, written span by span and kept in pieces: as objects, a hundred thousand spans would take several times
 * the memory of their text, and growing one array would take twice it.
 */
import { WIRE_LENGTH, WireReader } from "../protobuf/reader.ts";
import { decodeResourceGroup, decodeScopeGroup, decodeSpan } from "./decode.ts";
import type { OtlpResource, OtlpScope, OtlpSpan } from "./types.ts";

/** Told of each span as it is written: decoding takes longer than most of what is made of it. */
export type OnSpan = (span: OtlpSpan, resource: OtlpResource, scope: OtlpScope) => void;

/** The text is that of `JSON.stringify(decodeTracesData(…))`. */
export class TracesJsonWriter {
	private readonly onSpan: OnSpan | undefined;
	private readonly pieces = new TextPieces();
	private resources = 0;
	private scopes = 0;
	private resourceSchemaUrl = "";
	private resource: OtlpResource = {};

	constructor(onSpan?: OnSpan) {
		this.onSpan = onSpan;
	}

	/** @param bytes a ResourceSpans, but for its scope groups; each `beginResource` takes an `endResource` */
	beginResource(bytes: Uint8Array): void {
		const { resource, schemaUrl } = decodeResourceGroup(bytes, 0, bytes.length);
		this.pieces.add(`${this.resources++ === 0 ? '{"resourceSpans":[' : ","}{"resource":${JSON.stringify(resource)}`);
		this.resource = resource;
		this.resourceSchemaUrl = schemaUrl;
		this.scopes = 0;
	}

	/**
	 * @param bytes a ScopeSpans, but for its spans
	 * @param spans its spans, as fields of it, in pieces of whole ones
	 */
	addScope(bytes: Uint8Array, spans: Iterable<Uint8Array>): void {
		const { scope, schemaUrl } = decodeScopeGroup(bytes, 0, bytes.length);
		this.pieces.add(`${this.scopes++ === 0 ? ',"scopeSpans":[' : ","}{"scope":${JSON.stringify(scope)}`);
		let count = 0;
		for (const piece of spans) {
			const reader = new WireReader(piece);
			while (reader.next()) {
				if (!reader.is(WIRE_LENGTH)) continue;
				const end = reader.lengthEnd();
				const span = decodeSpan(piece, reader.position, end);
				reader.position = end;
				this.onSpan?.(span, this.resource, scope);
				this.pieces.add((count++ === 0 ? ',"spans":[' : ",") + JSON.stringify(span));
			}
		}
		this.pieces.add(`${count > 0 ? "]" : ""}${schemaUrlMember(schemaUrl)}}`);
	}

	endResource(): void {
		this.pieces.add(`${this.scopes > 0 ? "]" : ""}${schemaUrlMember(this.resourceSchemaUrl)}}`);
	}

	/** UTF-8, in pieces that may end within a character. */
	finish(): Uint8Array<ArrayBuffer>[] {
		this.pieces.add(this.resources > 0 ? "]}" : "{}");
		return this.pieces.finish();
	}
}

function schemaUrlMember(schemaUrl: string): string {
	return schemaUrl === "" ? "" : `,"schemaUrl":${JSON.stringify(schemaUrl)}`;
}

const FIRST_PIECE_BYTES = 64 * 1024;
const PIECE_BYTES = 1024 * 1024;
const encoder = new TextEncoder();

class TextPieces {
	private readonly full: Uint8Array<ArrayBuffer>[] = [];
	private piece = new Uint8Array(FIRST_PIECE_BYTES);
	private used = 0;

	add(text: string): void {
		for (let rest = text; rest !== "";) {
			const { read, written } = encoder.encodeInto(rest, this.piece.subarray(this.used));
			this.used += written;
			if (read === rest.length) return;
			rest = rest.slice(read);
			this.full.push(this.piece.subarray(0, this.used));
			this.piece = new Uint8Array(PIECE_BYTES);
			this.used = 0;
		}
	}

	finish(): Uint8Array<ArrayBuffer>[] {
		return [...this.full, this.piece.slice(0, this.used)];
	}
}
