/**
 * Records of blocks as OTLP again (`TracesData` or `LogsData`): each as it came, under its resource and scope.
 */
import { ByteWriter } from "../block/bytes.ts";
import type { BlockReader } from "../block/reader.ts";
import { Pieces } from "./pieces.ts";

/** Fields 1, 2 and 2 of TracesData, ResourceSpans and ScopeSpans; the same of logs. */
const RESOURCE_TAG = 0x0a;
const SCOPE_TAG = 0x12;
const RECORD_TAG = 0x12;
const SMALL_PIECE_BYTES = 2_048;
const LARGE_PIECE_BYTES = 65_536;

interface ScopeGroup {
	readonly scope: Uint8Array;
	/** As fields of the scope's message. */
	readonly records: Pieces;
}

interface ResourceGroup {
	readonly resource: Uint8Array;
	readonly scopes: Map<string, ScopeGroup>;
}

export class RecordGroups {
	/** By the bytes of resource and scope, as text of one byte a character. */
	private readonly groups = new Map<string, ResourceGroup>();
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
		members.records.add(RECORD_TAG, this.record.view());
	}

	/** To be read once: records are let go of as they are taken. */
	*byResource(): Generator<{ readonly resource: Uint8Array; readonly scopes: Iterable<ScopeGroup> }> {
		for (const { resource, scopes } of this.groups.values()) yield { resource, scopes: scopes.values() };
	}

	/** The message; call once, what was gathered is let go of while it is written. */
	message(): Pieces {
		const pieces = new Pieces(LARGE_PIECE_BYTES);
		const header = new ByteWriter(1024);
		for (const { resource, scopes } of this.groups.values()) {
			let length = resource.length;
			for (const { scope, records } of scopes.values()) {
				const inner = scope.length + records.length;
				length += 1 + varintLength(inner) + inner;
			}
			header.reset();
			header.byte(RESOURCE_TAG);
			header.varint(length);
			header.raw(resource);
			for (const { scope, records } of scopes.values()) {
				header.byte(SCOPE_TAG);
				header.varint(scope.length + records.length);
				header.raw(scope);
				pieces.raw(header.view());
				header.reset();
				for (const piece of records.take()) pieces.raw(piece);
			}
		}
		return pieces;
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
			members = { scope: scope.slice(), records: new Pieces(SMALL_PIECE_BYTES) };
			group.scopes.set(scopeKey, members);
		}
		return members;
	}
}

function varintLength(value: number): number {
	let length = 1;
	for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++;
	return length;
}

function latin1(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
