/** The layouts of a block that is built, each distinct one once; most rows have that of the row before. */
import { SLOT } from "./format.ts";

/** Where each field of a record comes from, in the order of the wire. */
export interface Layout {
	readonly slots: Uint8Array;
	readonly hash: number;
}

const MAX_KEYED_LAYOUTS = 512;

export class LayoutTable {
	readonly entries: Layout[] = [];
	private readonly byHash = new Map<number, number>();
	private last = 0;

	reset(): void {
		this.entries.length = 0;
		this.byHash.clear();
	}

	/** @param keyedHash also of the keys, so that a column holds values of one */
	intern(slots: Uint8Array, length: number, keyedHash: number): number {
		// Senders that spell every record differently must not get a layout each: past the bound, keys no longer tell them apart.
		const hash = this.entries.length < MAX_KEYED_LAYOUTS ? keyedHash : hashOfSlots(slots, length);
		const last = this.entries[this.last];
		if (last !== undefined && last.hash === hash && sameSlots(last.slots, slots, length)) return this.last;
		for (let key = hash & 0x3fff_ffff; ; key++) {
			const found = this.byHash.get(key);
			if (found === undefined) {
				const added = this.entries.length;
				this.entries.push({ slots: slots.slice(0, length), hash });
				this.byHash.set(key, added);
				this.last = added;
				return added;
			}
			if (sameSlots(this.entries[found]!.slots, slots, length)) {
				this.last = found;
				return found;
			}
		}
	}
}

function hashOfSlots(slots: Uint8Array, length: number): number {
	let hash = length;
	for (let i = 0; i < length; i++) hash = Math.imul(hash ^ slots[i]!, 0x01000193);
	return hash;
}

function sameSlots(known: Uint8Array, slots: Uint8Array, length: number): boolean {
	if (known.length !== length) return false;
	for (let i = 0; i < length; i++) if (known[i] !== slots[i]) return false;
	return true;
}

/** Of each layout, how many entries of the dictionary its rows have. */
export function itemCounts(layouts: readonly Layout[]): number[] {
	return layouts.map(({ slots }) => slots.reduce((total, slot) => total + (slot === SLOT.item ? 1 : 0), 0));
}
