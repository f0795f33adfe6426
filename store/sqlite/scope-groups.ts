/** Rows of any number of blocks by the resource and scope that they came under, as their bytes tell them apart. */
import type { BlockReader } from "../block/reader.ts";

export interface ScopeGroup<T> {
	/** A ScopeSpans or ScopeLogs, but for its records. */
	readonly scope: Uint8Array;
	readonly content: T;
}

interface ResourceGroup<T> {
	/** A ResourceSpans or ResourceLogs, but for its scopes. */
	readonly resource: Uint8Array;
	readonly scopes: Map<string, ScopeGroup<T>>;
}

export class ScopeGroups<T> {
	private readonly make: (resource: Uint8Array, scope: Uint8Array) => T;
	/** By the bytes of resource and scope, as text of one byte a character. */
	private readonly groups = new Map<string, ResourceGroup<T>>();
	/** By scope number of the block that was read last. */
	private block: BlockReader | undefined;
	private known: (ScopeGroup<T> | undefined)[] = [];

	/** @param make the content of a new group; of one resource, all are given the same array */
	constructor(make: (resource: Uint8Array, scope: Uint8Array) => T) {
		this.make = make;
	}

	/** The content of the group to which a row belongs. */
	of(block: BlockReader, row: number): T {
		if (this.block !== block) {
			this.block = block;
			this.known = [];
		}
		const scope = block.head().classes.scope[block.classOfRow(row)]!;
		return (this.known[scope] ??= this.groupOf(block, scope)).content;
	}

	*byResource(): Generator<{ readonly resource: Uint8Array; readonly scopes: Iterable<ScopeGroup<T>> }> {
		for (const { resource, scopes } of this.groups.values()) yield { resource, scopes: scopes.values() };
	}

	private groupOf(block: BlockReader, number: number): ScopeGroup<T> {
		const { resourceItem, scopeItem } = block.head().scopes[number]!;
		const resource = block.item(resourceItem);
		const resourceKey = latin1(resource);
		let group = this.groups.get(resourceKey);
		if (group === undefined) {
			group = { resource: resource.slice(), scopes: new Map() };
			this.groups.set(resourceKey, group);
		}
		const scope = block.item(scopeItem);
		const scopeKey = latin1(scope);
		let members = group.scopes.get(scopeKey);
		if (members === undefined) {
			members = { scope: scope.slice(), content: this.make(group.resource, scope) };
			group.scopes.set(scopeKey, members);
		}
		return members;
	}
}

function latin1(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
