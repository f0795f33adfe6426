/**
 * Which traces were seen before and are no longer at hand. A member is always found; one other trace in some thousand is taken for
 * one, which costs a look into the store and nothing else. When it is full, the older half is forgotten.
 */
const SLOTS_A_GENERATION = 1 << 21;
const MAX_LOAD = SLOTS_A_GENERATION / 2;

export class TraceFilter {
	private current = new Uint32Array(0);
	private previous = new Uint32Array(0);
	private size = 0;

	add(hash: number): void {
		if (this.current.length === 0) this.current = new Uint32Array(SLOTS_A_GENERATION);
		if (this.size >= MAX_LOAD) {
			this.previous = this.current;
			this.current = new Uint32Array(SLOTS_A_GENERATION);
			this.size = 0;
		}
		const value = markOf(hash);
		let slot = slotOf(hash);
		while (this.current[slot] !== 0) {
			if (this.current[slot] === value) return;
			slot = (slot + 1) & (SLOTS_A_GENERATION - 1);
		}
		this.current[slot] = value;
		this.size++;
	}

	has(hash: number): boolean {
		return isIn(this.current, hash) || isIn(this.previous, hash);
	}
}

function isIn(table: Uint32Array, hash: number): boolean {
	if (table.length === 0) return false;
	const value = markOf(hash);
	for (let slot = slotOf(hash); table[slot] !== 0; slot = (slot + 1) & (SLOTS_A_GENERATION - 1))
		if (table[slot] === value) return true;
	return false;
}

/** The hash is 32 mixed bits: multiplied, its upper ones choose the slot, and all of it is kept. */
function slotOf(hash: number): number {
	return Math.imul(hash, 0x9e3779b1) >>> 11;
}

function markOf(hash: number): number {
	return hash >>> 0 || 1;
}
