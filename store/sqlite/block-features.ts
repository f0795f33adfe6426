/**
 * What the rows of a block say as features of their traces: each dictionary entry and each class is read once, and what it says at a
 * service is found once for all rows that say it there.
 */
import { WIRE_LENGTH, WireReader } from "../../model/protobuf/reader.ts";
import { readKeyValue } from "../../model/otlp/any-value.ts";
import { decodeResourceGroup } from "../../model/otlp/decode.ts";
import type { OtlpKeyValue } from "../../model/otlp/types.ts";
import { type Saying, serviceIn, type TraceFeatures } from "../../model/analysis/trace-features.ts";
import type { BlockReader } from "../block/reader.ts";

/** opentelemetry.proto.trace.v1.Span */
const ATTRIBUTES_FIELD = 9;

interface ClassSayings {
	readonly sayings: readonly Saying[];
	/** What its attributes say: by dictionary entry, null for nothing. One for all classes of a service. */
	readonly byEntry: Map<number, Saying | null>;
	readonly service: string;
}

export class BlockFeatures {
	private readonly block: BlockReader;
	private readonly features: TraceFeatures;
	private readonly classes: (ClassSayings | undefined)[] = [];
	private readonly byService = new Map<string, ClassSayings["byEntry"]>();
	/** Of the row in hand. */
	private readonly entries: number[] = [];

	constructor(block: BlockReader, features: TraceFeatures) {
		this.block = block;
		this.features = features;
	}

	/** Adds what a row says to `into`. */
	read(row: number, into: Saying[]): void {
		const { block, entries } = this;
		const ofClass = block.classOfRow(row);
		const { sayings, byEntry, service } = (this.classes[ofClass] ??= this.readClass(ofClass));
		for (let i = 0; i < sayings.length; i++) into.push(sayings[i]!);
		const count = block.entriesOfRow(row, entries);
		for (let i = 0; i < count; i++) {
			const entry = entries[i]!;
			let saying = byEntry.get(entry);
			if (saying === undefined) byEntry.set(entry, (saying = this.readEntry(entry, service)));
			if (saying !== null) into.push(saying);
		}
	}

	private readClass(ofClass: number): ClassSayings {
		const { block } = this;
		const { scope, name, status } = block.head().classes.at(ofClass);
		const group = block.item(block.head().scopes[scope]!.resourceItem);
		const { resource } = decodeResourceGroup(group, 0, group.length);
		const service = serviceIn(resource);
		let byEntry = this.byService.get(service);
		if (byEntry === undefined) this.byService.set(service, (byEntry = new Map()));
		return { sayings: this.features.ofSpans(resource, name, status), byEntry, service };
	}

	private readEntry(entry: number, service: string): Saying | null {
		const attribute = attributeIn(this.block.item(entry));
		return (attribute && this.features.ofAttribute(attribute, service)) ?? null;
	}
}

function attributeIn(field: Uint8Array): OtlpKeyValue | undefined {
	const reader = new WireReader(field, 0, field.length);
	if (!reader.next() || reader.field !== ATTRIBUTES_FIELD || !reader.is(WIRE_LENGTH)) return undefined;
	return readKeyValue(reader.message(), 0);
}
