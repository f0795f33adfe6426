/** The scopes of a block that is built: each distinct pair of a resource and a scope group once, by their entries in the dictionary. */
import type { RecordColumns } from "../../model/columns.ts";
import { ByteWriter } from "./bytes.ts";
import type { ItemDictionary } from "./dictionary.ts";

export interface Scope {
	/** Dictionary numbers of the resource's and the scope group's own bytes; 0 for none. */
	readonly resourceItem: number;
	readonly scopeItem: number;
	readonly service: string;
}

const decoder = new TextDecoder();

export class ScopeTable {
	readonly entries: Scope[] = [];
	private readonly dictionary: ItemDictionary;
	private readonly byItems = new Map<number, number>();
	private readonly serviceOfItem = new Map<number, string>();
	private readonly scratch = new ByteWriter();

	constructor(dictionary: ItemDictionary) {
		this.dictionary = dictionary;
	}

	reset(): void {
		this.entries.length = 0;
		this.byItems.clear();
		this.serviceOfItem.clear();
	}

	/** Numbers of all scopes of a group, by its own numbers. */
	internAll(columns: RecordColumns): Uint32Array {
		const scopeOf = new Uint32Array(columns.scopeCount);
		const resourceItems = new Uint32Array(columns.resourceCount);
		const services: string[] = [];
		for (let r = 0; r < columns.resourceCount; r++) {
			resourceItems[r] = this.internRanges(columns, columns.resourceFirstRange[r]!, columns.resourceRangeCount[r]!);
			services.push(this.serviceName(resourceItems[r]!, columns, r));
		}
		for (let s = 0; s < columns.scopeCount; s++) {
			const resource = columns.scopeResource[s]!;
			const scopeItem = this.internRanges(columns, columns.scopeFirstRange[s]!, columns.scopeRangeCount[s]!);
			scopeOf[s] = this.intern(resourceItems[resource]!, scopeItem, services[resource]!);
		}
		return scopeOf;
	}

	/** Of resources that are one entry of the dictionary the name is one too. */
	private serviceName(resourceItem: number, columns: RecordColumns, resource: number): string {
		let name = this.serviceOfItem.get(resourceItem);
		if (name === undefined) {
			name = decoder.decode(columns.bytes.subarray(columns.serviceStart[resource]!, columns.serviceEnd[resource]!));
			this.serviceOfItem.set(resourceItem, name);
		}
		return name;
	}

	private internRanges(columns: RecordColumns, first: number, count: number): number {
		if (count === 0) return 0;
		const { bytes, view, rangeStart, rangeEnd } = columns;
		if (count === 1) return this.dictionary.intern(bytes, view, rangeStart[first]!, rangeEnd[first]! - rangeStart[first]!);
		this.scratch.reset();
		for (let i = first; i < first + count; i++) this.scratch.raw(bytes, rangeStart[i]!, rangeEnd[i]!);
		const run = this.scratch.bytes;
		return this.dictionary.intern(run, new DataView(run.buffer), 0, this.scratch.length);
	}

	intern(resourceItem: number, scopeItem: number, service: string): number {
		const key = resourceItem * 2 ** 26 + scopeItem;
		let scope = this.byItems.get(key);
		if (scope === undefined) {
			scope = this.entries.length;
			this.entries.push({ resourceItem, scopeItem, service });
			this.byItems.set(key, scope);
		}
		return scope;
	}
}
