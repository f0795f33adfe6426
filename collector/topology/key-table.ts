/**
 * Which attributes topology reads, and as what; found by the bytes of their key in a few nanoseconds, since every attribute of every
 * record is asked for.
 */

export const ROLE = {
	/** Of an entry that was not looked at yet. */
	unread: 0,
	none: 1,
	/** Part of the record's profile. */
	text: 2,
	/** An address: its port is a new one for every connection, and public ones are as many as the internet has. */
	address: 3,
	/** A URL of which only the authority is part of the profile, and that only at the caller. */
	authority: 4,
	/** Part of the profile only where it shows an export of telemetry. */
	path: 5,
	/** `guid:x-request-id`: kept as a hash. */
	requestId: 6,
	requestBytes: 7,
	responseBytes: 8,
	durationMs: 9,
	/** A span's tracestate, which says how it was sampled; no attribute. */
	traceState: 10,
} as const;
export type Role = (typeof ROLE)[keyof typeof ROLE];

export interface RoledKey {
	readonly key: string;
	readonly role: Role;
}

const MAX_KEY_BYTES = 127;
const encoder = new TextEncoder();

export class KeyTable {
	private readonly mask: number;
	private readonly keys: (Uint8Array | undefined)[];
	private readonly names: string[];
	private readonly roles: Uint8Array;

	constructor(roled: readonly RoledKey[]) {
		let size = 64;
		while (size < roled.length * 8) size *= 2;
		this.mask = size - 1;
		this.keys = new Array<Uint8Array | undefined>(size);
		this.names = new Array<string>(size).fill("");
		this.roles = new Uint8Array(size);
		for (const { key, role } of roled) {
			const bytes = encoder.encode(key);
			if (bytes.length === 0 || bytes.length > MAX_KEY_BYTES) throw new RangeError(`no such attribute key: ${key}`);
			let slot = slotOf(bytes, 0, bytes.length) & this.mask;
			while (this.keys[slot] !== undefined) slot = (slot + 1) & this.mask;
			this.keys[slot] = bytes;
			this.names[slot] = key;
			this.roles[slot] = role;
		}
	}

	/** The key's number in this table; -1 for one that is not in it. */
	find(bytes: Uint8Array, start: number, end: number): number {
		const { keys, mask } = this;
		for (let slot = slotOf(bytes, start, end) & mask; ; slot = (slot + 1) & mask) {
			const key = keys[slot];
			if (key === undefined) return -1;
			if (key.length === end - start && isEqual(key, bytes, start)) return slot;
		}
	}

	findText(name: string): number {
		const bytes = encoder.encode(name);
		return bytes.length === 0 ? -1 : this.find(bytes, 0, bytes.length);
	}

	name(number: number): string {
		return this.names[number]!;
	}

	role(number: number): Role {
		return this.roles[number] as Role;
	}
}

/** Length and three bytes tell the keys in use apart, but for a handful that share a slot. */
function slotOf(bytes: Uint8Array, start: number, end: number): number {
	const length = end - start;
	const first = bytes[start]! | (bytes[end - 1]! << 8) | (bytes[start + (length >> 1)]! << 16);
	const mixed = Math.imul(first ^ (length << 24), 0x9e3779b1);
	return (mixed ^ (mixed >>> 15)) >>> 0;
}

function isEqual(key: Uint8Array, bytes: Uint8Array, start: number): boolean {
	for (let i = 0; i < key.length; i++) if (key[i] !== bytes[start + i]) return false;
	return true;
}
