/** The classes of a block that is built, each distinct one once. One look-up a row, so the table is one of numbers. */

/** Rows that share scope, name, kind and status: the unit in which searches think. */
export interface RowClass {
	readonly scope: number;
	readonly nameItem: number;
	readonly kindItem: number;
	readonly name: string;
	readonly kind: number;
	readonly status: number;
}

export class ClassTable {
	readonly entries: RowClass[] = [];
	/** Open addressing: the class's number and 1, 0 where free. */
	private slots = new Int32Array(1 << 10);

	reset(): void {
		this.entries.length = 0;
		this.slots.fill(0);
	}

	/** The class of a row, by its numbers; -1 when it is new. */
	find(scope: number, nameItem: number, kindItem: number, kind: number, status: number): number {
		const { slots, entries } = this;
		const mask = slots.length - 1;
		let slot = classSlot(scope, nameItem, kindItem, status) & mask;
		for (let found = slots[slot]!; found !== 0; found = slots[slot]!) {
			const entry = entries[found - 1]!;
			if (
				entry.nameItem === nameItem &&
				entry.scope === scope &&
				entry.status === status &&
				entry.kindItem === kindItem &&
				entry.kind === kind
			)
				return found - 1;
			slot = (slot + 1) & mask;
		}
		return -1;
	}

	add(entry: RowClass): number {
		const added = this.entries.length;
		this.entries.push(entry);
		if (this.entries.length * 2 > this.slots.length) {
			this.slots = new Int32Array(this.slots.length * 2);
			for (let i = 0; i < added; i++) this.place(i);
		}
		this.place(added);
		return added;
	}

	private place(index: number): void {
		const { scope, nameItem, kindItem, status, name } = this.entries[index]!;
		if (nameItem === 0 && name !== "") return;
		const mask = this.slots.length - 1;
		let slot = classSlot(scope, nameItem, kindItem, status) & mask;
		while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
		this.slots[slot] = index + 1;
	}
}

function classSlot(scope: number, nameItem: number, kindItem: number, status: number): number {
	const hash = Math.imul(scope ^ 0x3c6ef372, 0x9e3779b1) ^ Math.imul(nameItem, 0x85ebca77) ^ (kindItem << 8) ^ status;
	return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 8;
}
