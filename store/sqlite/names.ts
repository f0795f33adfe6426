/**
 * The catalogue of service and operation names, kept small whatever senders do: beyond the caps, of number and of length, a name is
 * gathered under one overflow entry. No budget of bytes and no retention reaches it. Searches are not affected, they compare the names in the blocks.
 */
import type { BlockOperation } from "../block/format.ts";
import type { Connection } from "./database.ts";

export const OVERFLOW_NAME = "(overflow)";
export const MAX_SERVICES = 10_000;
export const MAX_OPERATIONS_PER_SERVICE = 1_000;
/** Beyond what any list can show; a sender may name a service by megabytes. */
const MAX_NAME_CHARS = 1_024;
/** How often `last_seen` of known names is written. */
const REFRESH_MS = 60_000;

interface ServiceNames {
	lastWrittenMs: number;
	/** `kind` and name to when it was last written. */
	readonly operations: Map<string, number>;
}

export class NameCatalogue {
	private readonly known = new Map<string, ServiceNames>();
	private readonly upsertService;
	private readonly upsertOperation;
	private readonly transaction: (work: () => void) => void;

	constructor(catalog: Connection) {
		this.upsertService = catalog.prepare(
			`INSERT INTO services VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET last_seen_ms = max(last_seen_ms, excluded.last_seen_ms)`,
		);
		this.upsertOperation = catalog.prepare(
			`INSERT INTO operations VALUES (?, ?, ?, ?)
			ON CONFLICT (service, name, kind) DO UPDATE SET last_seen_ms = max(last_seen_ms, excluded.last_seen_ms)`,
		);
		this.transaction = catalog.transaction((work: () => void) => work());
		for (const row of catalog
			.prepare<[], { name: string; last_seen_ms: number }>("SELECT name, last_seen_ms FROM services")
			.all())
			this.known.set(row.name, { lastWrittenMs: row.last_seen_ms, operations: new Map() });
		for (const row of catalog
			.prepare<[], { service: string; name: string; kind: number; last_seen_ms: number }>(
				"SELECT service, name, kind, last_seen_ms FROM operations",
			)
			.all())
			this.known.get(row.service)?.operations.set(operationKey(row.kind, row.name), row.last_seen_ms);
	}

	/** Names of a committed block. New ones are written at once, so that whoever can read the block can read its names. */
	note(operations: readonly BlockOperation[], nowMs: number): void {
		const writes: (() => void)[] = [];
		for (const operation of operations) this.noteOne(operation, nowMs, writes);
		if (writes.length > 0) this.transaction(() => writes.forEach((write) => write()));
	}

	/** Names of services that only send logs or metrics. */
	noteServices(services: Iterable<string>, nowMs: number): void {
		const writes: (() => void)[] = [];
		for (const service of services) this.noteService(service, nowMs, writes);
		if (writes.length > 0) this.transaction(() => writes.forEach((write) => write()));
	}

	private noteOne(operation: BlockOperation, nowMs: number, writes: (() => void)[]): void {
		const { name: service, names } = this.noteService(operation.service, nowMs, writes);
		let { name, kind } = operation;
		let key = operationKey(kind, name);
		let written = names.operations.get(key);
		if (written === undefined && (names.operations.size >= MAX_OPERATIONS_PER_SERVICE || name.length > MAX_NAME_CHARS)) {
			name = OVERFLOW_NAME;
			kind = 0;
			key = operationKey(kind, name);
			written = names.operations.get(key);
		}
		if (written !== undefined && nowMs - written < REFRESH_MS) return;
		names.operations.set(key, nowMs);
		writes.push(() => this.upsertOperation.run(service, name, kind, nowMs));
	}

	private noteService(
		wanted: string,
		nowMs: number,
		writes: (() => void)[],
	): { readonly name: string; readonly names: ServiceNames } {
		let name = wanted;
		let names = this.known.get(name);
		if (names === undefined && (this.known.size >= MAX_SERVICES || name.length > MAX_NAME_CHARS)) {
			name = OVERFLOW_NAME;
			names = this.known.get(name);
		}
		const isNew = names === undefined;
		names ??= { lastWrittenMs: nowMs, operations: new Map() };
		if (isNew || nowMs - names.lastWrittenMs >= REFRESH_MS) {
			names.lastWrittenMs = nowMs;
			this.known.set(name, names);
			writes.push(() => this.upsertService.run(name, nowMs, nowMs));
		}
		return { name, names };
	}
}

function operationKey(kind: number, name: string): string {
	return `${kind}/${name}`;
}
