/**
 * Two samples of traces out of any number of spans: those with a selected span, and the others. A trace is in the sample when its hash
 * is among the smallest, which is as good as chance, the same every time, and takes each trace once however its spans are spread.
 */

export interface SampledTrace<Id> {
	readonly id: Id;
	/** Of the first span that was seen, for reading them in the order in which they lie. */
	readonly order: number;
}

interface Kept<Id> extends SampledTrace<Id> {
	readonly hash: number;
}

/** Selected traces that are told from others; beyond, some are taken for others. 32 MB at most. */
const MAX_SELECTED = 500_000;

export class TraceSample<Id> {
	private readonly size: number;
	private readonly selected: Smallest<Id>;
	/** Of all traces with a span that is not selected: those with a selected one too are left out at the end. */
	private readonly others: Smallest<Id>;
	private readonly selectedHashes = new Set<number>();
	readonly spans = { selected: 0, others: 0 };

	/** @param size of each sample @param greatest what no hash exceeds */
	constructor(size: number, greatest: number) {
		this.size = size;
		this.selected = new Smallest(size, greatest);
		this.others = new Smallest(size * 4, greatest);
	}

	/** @param hash well mixed; one trace has one hash */
	add(isSelected: boolean, hash: number, order: number, id: () => Id): void {
		this.spans[isSelected ? "selected" : "others"]++;
		if (isSelected && this.selectedHashes.size < MAX_SELECTED) this.selectedHashes.add(hash);
		(isSelected ? this.selected : this.others).add(hash, order, id);
	}

	/** Traces of each side, and about how many there are: exactly where all are in the sample. */
	finish(): Readonly<Record<"selected" | "others", { readonly traces: readonly SampledTrace<Id>[]; readonly of: number }>> {
		const selected = this.selected.take();
		const all = this.others.take();
		const others = all.kept.filter(({ hash }) => !this.selectedHashes.has(hash));
		const of = all.kept.length === 0 ? 0 : Math.round((all.of * others.length) / all.kept.length);
		return {
			selected: { traces: selected.kept, of: selected.of },
			others: { traces: others.slice(0, this.size), of },
		};
	}
}

class Smallest<Id> {
	private readonly size: number;
	private readonly greatest: number;
	private kept = new Map<number, Kept<Id>>();
	/** Hashes from it on are too great. */
	private limit: number;

	constructor(size: number, greatest: number) {
		this.size = size;
		this.greatest = greatest;
		this.limit = greatest + 1;
	}

	add(hash: number, order: number, id: () => Id): void {
		if (hash >= this.limit || this.kept.has(hash)) return;
		this.kept.set(hash, { hash, order, id: id() });
		if (this.kept.size >= this.size * 2) this.cut();
	}

	private cut(): void {
		const sorted = [...this.kept.values()].sort((a, b) => a.hash - b.hash);
		if (sorted.length <= this.size) return;
		this.limit = sorted[this.size]!.hash;
		this.kept = new Map(sorted.slice(0, this.size).map((one) => [one.hash, one]));
	}

	/** How densely the smallest lie says how many there are. */
	take(): { readonly kept: readonly Kept<Id>[]; readonly of: number } {
		this.cut();
		const kept = [...this.kept.values()].sort((a, b) => a.hash - b.hash);
		if (this.limit > this.greatest) return { kept, of: kept.length };
		return { kept, of: Math.max(kept.length, Math.round((kept.length * this.greatest) / this.limit)) };
	}
}
