/**
 * The spans of a trace that is read back, in columns as the hop rules take them; and the facts that spans have in common, each worked
 * out once. Whoever asks of thousands of traces keeps both from one to the next.
 */
import type { SpanFacts, SpanInput } from "../facts.ts";
import type { Hop, TraceSpans } from "../hop.ts";
import type { ResourceKey, SpanKey } from "../sources/keys.ts";
import { spanFacts } from "../sources/span-facts.ts";
import { HopShapes } from "./hop-shape.ts";
import { HopFinder } from "./trace-hops.ts";

/** As many as the topology stage takes of one trace: what it never saw is in no edge. */
export const MAX_SPANS_OF_HOPS = 100_000;
const INITIAL_SPANS = 16;
/** Columns of one large trace are not kept for the next. */
const KEEP_SPANS = 4_096;

export interface SpanRef {
	/** 16 lower-case hex digits. */
	readonly spanId: string;
	readonly kind: number;
}

/** Hops of one trace, and the spans that they name by row. */
export interface HopSpans {
	/** Hop by hop, also those whose other half may still come; each is valid during its call only. */
	eachHop(visit: (hop: Hop) => void): void;
	/** Undefined for no row. */
	refOf(row: number): SpanRef | undefined;
}

export class SpanColumns implements TraceSpans {
	count = 0;
	/** Spans beyond {@link MAX_SPANS_OF_HOPS}, which were not taken. */
	left = 0;
	spanId!: Uint32Array<ArrayBuffer>;
	parentId!: Uint32Array<ArrayBuffer>;
	requestId!: Uint32Array<ArrayBuffer>;
	startMs!: Float64Array<ArrayBuffer>;
	durationNs!: Float64Array<ArrayBuffer>;
	requestBytes!: Float64Array<ArrayBuffer>;
	responseBytes!: Float64Array<ArrayBuffer>;
	weight!: Float64Array<ArrayBuffer>;
	factsNumber!: Uint32Array<ArrayBuffer>;
	facts: SpanFacts[] = [];

	constructor() {
		this.allocate(INITIAL_SPANS);
	}

	clear(): void {
		this.count = 0;
		this.left = 0;
		this.facts.length = 0;
		if (this.startMs.length > KEEP_SPANS) this.allocate(INITIAL_SPANS);
	}

	/**
	 * A row whose other columns are the caller's to fill; zeros stand for what a span does not say.
	 * @returns -1 for a span that is not taken
	 */
	add(facts: SpanFacts, factsNumber: number): number {
		if (this.count >= MAX_SPANS_OF_HOPS) {
			this.left++;
			return -1;
		}
		if (facts.ignored !== undefined) return -1;
		const row = this.count++;
		if (row >= this.startMs.length) this.grow();
		this.facts.push(facts);
		this.factsNumber[row] = factsNumber;
		return row;
	}

	refOf(row: number): SpanRef | undefined {
		if (row < 0 || row >= this.count) return undefined;
		return { spanId: hex(this.spanId[row * 2]!) + hex(this.spanId[row * 2 + 1]!), kind: this.kinds[row]! };
	}

	/** OTLP span kind. */
	kinds!: Float64Array<ArrayBuffer>;

	private allocate(spans: number): void {
		this.spanId = new Uint32Array(spans * 2);
		this.parentId = new Uint32Array(spans * 2);
		this.requestId = new Uint32Array(spans * 2);
		this.startMs = new Float64Array(spans);
		this.durationNs = new Float64Array(spans);
		this.requestBytes = new Float64Array(spans);
		this.responseBytes = new Float64Array(spans);
		this.weight = new Float64Array(spans);
		this.kinds = new Float64Array(spans);
		this.factsNumber = new Uint32Array(spans);
	}

	private grow(): void {
		const { spanId, parentId, requestId, startMs, durationNs, requestBytes, responseBytes, weight, kinds, factsNumber } =
			this;
		this.allocate(startMs.length * 2);
		this.spanId.set(spanId);
		this.parentId.set(parentId);
		this.requestId.set(requestId);
		this.startMs.set(startMs);
		this.durationNs.set(durationNs);
		this.requestBytes.set(requestBytes);
		this.responseBytes.set(responseBytes);
		this.weight.set(weight);
		this.kinds.set(kinds);
		this.factsNumber.set(factsNumber);
	}
}

export interface KnownResource {
	readonly number: number;
	readonly attributes: ReadonlyMap<ResourceKey, string>;
}

/** Facts by what they are made of, numbered from 0; and numbers for texts, so that spans are compared by numbers. */
export class FactsBook {
	readonly facts: SpanFacts[] = [];
	/** An attribute's key, and what is left of its value; undefined where that says nothing. */
	readonly texts: { readonly key: SpanKey; readonly value: string | undefined }[] = [];
	private readonly numbers = new Map<string, number>();
	private readonly textNumbers = new Map<string, number>();
	private readonly resources = new Map<string, KnownResource>();

	/** Facts, texts and resources together. */
	get size(): number {
		return this.facts.length + this.texts.length + this.resources.size;
	}

	clear(): void {
		this.facts.length = 0;
		this.texts.length = 0;
		this.numbers.clear();
		this.textNumbers.clear();
		this.resources.clear();
	}

	resource(attributes: ReadonlyMap<ResourceKey, string>): KnownResource {
		const name = joined(attributes);
		let known = this.resources.get(name);
		if (known === undefined) this.resources.set(name, (known = { number: this.resources.size, attributes }));
		return known;
	}

	text(key: SpanKey, value: string | undefined): number {
		const name = value === undefined ? key : `${key}\u0000${value}`;
		let number = this.textNumbers.get(name);
		if (number === undefined) {
			this.textNumbers.set(name, (number = this.texts.length));
			this.texts.push({ key, value });
		}
		return number;
	}

	/** The number of a span's facts. */
	of(
		input: Omit<SpanInput, "resource"> & { readonly attributes: ReadonlyMap<SpanKey, string> },
		resource: KnownResource,
	): number {
		const { kind, status, name, scope, attributes } = input;
		const key = `${resource.number} ${kind} ${status} ${name}\u0000${scope}${joined(attributes)}`;
		let number = this.numbers.get(key);
		if (number === undefined) {
			this.numbers.set(key, (number = this.facts.length));
			this.facts.push(spanFacts({ kind, status, name, scope, attributes, resource: resource.attributes }));
		}
		return number;
	}
}

/** Hops of trace after trace whose facts are of one {@link FactsBook}: calls of one edge have one shape, whatever trace they are in. */
export class HopsOfTraces {
	private readonly shapes = new HopShapes();
	private readonly finder = new HopFinder(this.shapes);

	of(columns: SpanColumns): HopSpans {
		return {
			eachHop: (visit) => this.finder.each(columns, Infinity, visit),
			refOf: (row) => columns.refOf(row),
		};
	}

	/** When the book was cleared. */
	clear(): void {
		this.shapes.clear();
	}
}

/** The spans of one trace that is told whole; how they are read is the heirs' part. */
export abstract class TraceHopSpans implements HopSpans {
	protected readonly book = new FactsBook();
	protected readonly columns = new SpanColumns();

	/** Spans that were not taken, for want of room. */
	get left(): number {
		return this.columns.left;
	}

	/** In no order: every hop that the spans state, also those whose other half may still come. */
	hops(): readonly Hop[] {
		const hops: Hop[] = [];
		this.eachHop((hop) => hops.push({ ...hop }));
		return hops;
	}

	eachHop(visit: (hop: Hop) => void): void {
		new HopsOfTraces().of(this.columns).eachHop(visit);
	}

	refOf(row: number): SpanRef | undefined {
		return this.columns.refOf(row);
	}
}

function joined(attributes: ReadonlyMap<string, string>): string {
	let text = "";
	for (const [key, value] of attributes) text += `\u0000${key}\u0000${value}`;
	return text;
}

function hex(word: number): string {
	return word.toString(16).padStart(8, "0");
}
