/**
 * Records of blocks as OTLP again (`TracesData` or `LogsData`): each as it came, under its resource and scope.
 */
import { ByteWriter } from "../block/bytes.ts";
import type { BlockReader } from "../block/reader.ts";
import { Pieces } from "./pieces.ts";
import { ScopeGroups } from "./scope-groups.ts";

/** Fields 1, 2 and 2 of TracesData, ResourceSpans and ScopeSpans; the same of logs. */
const RESOURCE_TAG = 0x0a;
const SCOPE_TAG = 0x12;
const RECORD_TAG = 0x12;
const SMALL_PIECE_BYTES = 2_048;
const LARGE_PIECE_BYTES = 65_536;

export class RecordGroups {
	/** Records as fields of the scope's message. */
	private readonly groups = new ScopeGroups(() => new Pieces(SMALL_PIECE_BYTES));
	private readonly record = new ByteWriter(4096);

	add(block: BlockReader, row: number): void {
		const records = this.groups.of(block, row);
		this.record.reset();
		block.writeRecord(row, this.record);
		records.add(RECORD_TAG, this.record.view());
	}

	/** The message; call once, what was gathered is let go of while it is written. */
	message(): Pieces {
		const pieces = new Pieces(LARGE_PIECE_BYTES);
		const header = new ByteWriter(1024);
		for (const { resource, scopes } of this.groups.byResource()) {
			const groups = [...scopes];
			let length = resource.length;
			for (const { scope, content } of groups) {
				const inner = scope.length + content.length;
				length += 1 + varintLength(inner) + inner;
			}
			header.reset();
			header.byte(RESOURCE_TAG);
			header.varint(length);
			header.raw(resource);
			for (const { scope, content } of groups) {
				header.byte(SCOPE_TAG);
				header.varint(scope.length + content.length);
				header.raw(scope);
				pieces.raw(header.view());
				header.reset();
				for (const piece of content.take()) pieces.raw(piece);
			}
		}
		return pieces;
	}
}

function varintLength(value: number): number {
	let length = 1;
	for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++;
	return length;
}
