/**
 * Records of blocks as an OTLP message again (`TracesData` or `LogsData`): each as it came, under its resource and scope.
 */
import { WireWriter } from "../../model/protobuf/writer.ts";
import { ByteWriter } from "../block/bytes.ts";
import type { BlockReader } from "../block/reader.ts";

interface ScopeGroup {
	readonly scope: Uint8Array;
	readonly records: Uint8Array[];
}

export class RecordGroups {
	/** Resource and scope bytes (as text of one byte a character) to the records below them. */
	private readonly groups = new Map<string, { readonly resource: Uint8Array; readonly scopes: Map<string, ScopeGroup> }>();
	private readonly record = new ByteWriter(4096);
	/** By scope number of the block that was read last. */
	private block: BlockReader | undefined;
	private known: (ScopeGroup | undefined)[] = [];

	add(block: BlockReader, row: number): void {
		if (this.block !== block) {
			this.block = block;
			this.known = [];
		}
		const scope = block.head().classes.scope[block.classOfRow(row)]!;
		const members = (this.known[scope] ??= this.groupOf(block, scope));
		this.record.reset();
		block.writeRecord(row, this.record);
		members.records.push(this.record.view().slice());
	}

	finish(): Uint8Array<ArrayBuffer> {
		const writer = new WireWriter();
		for (const { resource, scopes } of this.groups.values()) {
			const resourceGroup = writer.begin(1);
			writer.raw(resource);
			for (const { scope, records } of scopes.values()) {
				const scopeGroup = writer.begin(2);
				writer.raw(scope);
				for (const bytes of records) writer.bytesField(2, bytes);
				writer.end(scopeGroup);
			}
			writer.end(resourceGroup);
		}
		return writer.finish();
	}

	private groupOf(block: BlockReader, number: number): ScopeGroup {
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
			members = { scope: scope.slice(), records: [] };
			group.scopes.set(scopeKey, members);
		}
		return members;
	}
}

function latin1(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
