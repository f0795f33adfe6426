/**
 * What the hop rules read of a block's rows: facts and figures instead of records. Most entries of a dictionary and most combinations of
 * them stand in many rows: each entry is read once, and facts are worked out once for each combination.
 */
import { WIRE_LENGTH, WireReader } from "../../model/protobuf/reader.ts";
import { decodeResourceGroup, decodeScopeGroup, decodeSpan } from "../../model/otlp/decode.ts";
import { readKeyValue } from "../../model/otlp/any-value.ts";
import { scalarText } from "../../model/otlp/attribute-match.ts";
import { addDecodedSpan, bytesIn, setRequestId } from "../../model/topology/hops/decoded-spans.ts";
import type { FactsBook, KnownResource, SpanColumns } from "../../model/topology/hops/span-columns.ts";
import { isSpanKey, normalised, resourceAttributes, spanText, weightOf } from "../../model/topology/sources/attributes.ts";
import { NUMBER_KEYS, reducedName, REQUEST_ID_KEYS, type SpanKey } from "../../model/topology/sources/keys.ts";
import type { BlockReader } from "../block/reader.ts";

const SERVER = 2;
const CLIENT = 3;
/** Fields of a span (opentelemetry.proto.trace.v1.Span). */
const FIELD = { traceState: 3, attributes: 9 } as const;
/** In columns, unless they stand twice or in another encoding: such records are read whole. */
const COLUMN_FIELDS: ReadonlySet<number> = new Set([1, 2, 4, 5, 6, 7, 8]);

/** What a dictionary entry is to the rules. */
const ROLE = { unread: 0, none: 1, text: 2, requestId: 3, requestBytes: 4, responseBytes: 5, weight: 6, odd: 7 } as const;
type Role = (typeof ROLE)[keyof typeof ROLE];

/** Bytes kept of an entry. */
const ENTRY_BYTES = 17;
/** An entry unpacked with all others takes an eighth of one that is looked for. */
const UNPACK_SHARE = 8;
/** The table is zeroed memory for tens of thousands of entries. */
const ROWS_WORTH_A_TABLE = 64;

interface Origin {
	readonly resource: KnownResource;
	readonly scope: string;
}

/** Facts of rows of one class and the same texts. */
interface Combination {
	readonly ofClass: number;
	readonly texts: readonly number[];
	readonly factsNumber: number;
}

/** Of one block, for one book of facts. */
export class BlockSpans {
	private readonly block: BlockReader;
	private readonly book: FactsBook;
	private readonly readsWhole: boolean;
	/** By entry number. */
	private readonly roles: Uint8Array;
	/** Of each entry: two words of a request id, or the number of its text elsewhere than at a server and there. */
	private readonly words: Uint32Array;
	private readonly figures: Float64Array;
	private readonly origins: (Origin | undefined)[] = [];
	private readonly combinations = new Map<number, Combination[]>();
	/** Of the row in hand. */
	private readonly entries: number[] = [];
	private readonly texts: number[] = [];

	/** @param rows how many will be added, where that is known: a few of them are read whole, which takes no table of entries */
	constructor(block: BlockReader, book: FactsBook, rows = Infinity) {
		this.block = block;
		this.book = book;
		this.readsWhole = rows < ROWS_WORTH_A_TABLE;
		const count = this.readsWhole ? 0 : block.heap().count;
		this.roles = new Uint8Array(count + 1);
		this.words = new Uint32Array((count + 1) * 2);
		this.figures = new Float64Array(count + 1);
		this.roles[0] = ROLE.none;
	}

	/** About. */
	get heldBytes(): number {
		return this.roles.length * ENTRY_BYTES;
	}

	/** Before `rows` of them are added. */
	prepare(rows: number): void {
		const heap = this.block.heap();
		if (rows * UNPACK_SHARE > heap.count) heap.unpack();
	}

	/** Best called in ascending order of rows. */
	add(row: number, columns: SpanColumns): void {
		if (this.readsWhole) {
			this.addWhole(row, columns);
			return;
		}
		const { block, book, roles, words, figures, entries, texts } = this;
		const { classes } = block.head();
		const ofClass = block.classOfRow(row);
		const kind = classes.kind[ofClass]!;
		const side = kind === SERVER ? 1 : 0;
		const count = block.entriesOfRow(row, entries);
		let requestId = 0;
		let requestBytes: number | undefined;
		let responseBytes: number | undefined;
		let weight = 0;
		texts.length = 0;
		for (let i = 0; i < count; i++) {
			const entry = entries[i]!;
			let role = roles[entry]!;
			if (role === ROLE.unread) roles[entry] = role = this.read(entry);
			switch (role) {
				case ROLE.none:
					break;
				case ROLE.text:
					texts.push(words[entry * 2 + side]!);
					break;
				// Of equal ones the first holds, as in DecodedSpans.
				case ROLE.requestId:
					requestId ||= entry;
					break;
				case ROLE.requestBytes:
					requestBytes ??= figures[entry]!;
					break;
				case ROLE.responseBytes:
					responseBytes ??= figures[entry]!;
					break;
				case ROLE.weight:
					weight = figures[entry]!;
					break;
				default:
					this.addWhole(row, columns);
					return;
			}
		}
		const number = this.factsOf(ofClass, texts);
		const at = columns.add(book.facts[number]!, number);
		if (at < 0) return;
		columns.kinds[at] = kind;
		[columns.spanId[at * 2], columns.spanId[at * 2 + 1]] = block.spanId(row);
		[columns.parentId[at * 2], columns.parentId[at * 2 + 1]] = block.parentId(row);
		columns.requestId[at * 2] = words[requestId * 2]!;
		columns.requestId[at * 2 + 1] = words[requestId * 2 + 1]!;
		const startNs = block.time0(row);
		const isWide = block.head().wideRows.has(row);
		columns.startMs[at] = Number(startNs) / 1e6;
		columns.durationNs[at] = Math.max(0, isWide ? Number(block.time1(row) - startNs) : block.durationOfRow(row));
		columns.requestBytes[at] = requestBytes ?? 0;
		columns.responseBytes[at] = responseBytes ?? 0;
		columns.weight[at] = weight;
	}

	private addWhole(row: number, columns: SpanColumns): void {
		const { block, book } = this;
		const { resource, scope } = this.originOf(block.head().classes.scope[block.classOfRow(row)]!);
		const bytes = block.record(row);
		addDecodedSpan(columns, book, decodeSpan(bytes, 0, bytes.length), resource, { name: scope });
	}

	private read(entry: number): Role {
		const bytes = this.block.item(entry);
		const reader = new WireReader(bytes, 0, bytes.length);
		if (!reader.next()) return ROLE.none;
		const { field } = reader;
		if (COLUMN_FIELDS.has(field)) return ROLE.odd;
		if (!reader.is(WIRE_LENGTH)) return ROLE.none;
		if (field === FIELD.traceState) {
			this.figures[entry] = weightOf(reader.string());
			return ROLE.weight;
		}
		if (field !== FIELD.attributes) return ROLE.none;
		const { key = "", value } = readKeyValue(reader.message(), 0);
		if (isSpanKey(key)) {
			this.words[entry * 2] = this.book.text(key, spanText(key, CLIENT, value));
			this.words[entry * 2 + 1] = this.book.text(key, spanText(key, SERVER, value));
			return ROLE.text;
		}
		if (REQUEST_IDS.has(key)) {
			setRequestId(this.words, entry, normalised(scalarText(value)?.text));
			return ROLE.requestId;
		}
		const role = REQUEST_BYTES.has(key) ? ROLE.requestBytes : RESPONSE_BYTES.has(key) ? ROLE.responseBytes : ROLE.none;
		const figure = role === ROLE.none ? undefined : bytesIn(scalarText(value)?.text);
		if (figure === undefined) return ROLE.none;
		this.figures[entry] = figure;
		return role;
	}

	private factsOf(ofClass: number, texts: readonly number[]): number {
		let hash = ofClass;
		for (let i = 0; i < texts.length; i++) hash = Math.imul(hash ^ texts[i]!, 0x85ebca6b) ^ (hash >>> 15);
		let alike = this.combinations.get(hash);
		if (alike === undefined) this.combinations.set(hash, (alike = []));
		for (const known of alike) if (known.ofClass === ofClass && isEqual(known.texts, texts)) return known.factsNumber;
		const factsNumber = this.newFacts(ofClass, texts);
		alike.push({ ofClass, texts: [...texts], factsNumber });
		return factsNumber;
	}

	private newFacts(ofClass: number, texts: readonly number[]): number {
		const { book } = this;
		const { kind, status, name, scope } = this.block.head().classes.at(ofClass);
		const attributes = new Map<SpanKey, string>();
		for (const number of texts) {
			const { key, value } = book.texts[number]!;
			if (value === undefined) attributes.delete(key);
			else attributes.set(key, value);
		}
		const origin = this.originOf(scope);
		return book.of({ kind, status, name: reducedName(name), scope: origin.scope, attributes }, origin.resource);
	}

	private originOf(scope: number): Origin {
		let origin = this.origins[scope];
		if (origin === undefined) {
			const { block, book } = this;
			const { resourceItem, scopeItem } = block.head().scopes[scope]!;
			const resource = block.item(resourceItem);
			const group = block.item(scopeItem);
			origin = {
				resource: book.resource(
					resourceAttributes(decodeResourceGroup(resource, 0, resource.length).resource.attributes),
				),
				scope: decodeScopeGroup(group, 0, group.length).scope.name ?? "",
			};
			this.origins[scope] = origin;
		}
		return origin;
	}
}

const REQUEST_IDS: ReadonlySet<string> = new Set(REQUEST_ID_KEYS);
const REQUEST_BYTES: ReadonlySet<string> = new Set(NUMBER_KEYS.requestBytes);
const RESPONSE_BYTES: ReadonlySet<string> = new Set(NUMBER_KEYS.responseBytes);

function isEqual(a: readonly number[], b: readonly number[]): boolean {
	if (a.length !== b.length) return false;
	for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
	return true;
}
