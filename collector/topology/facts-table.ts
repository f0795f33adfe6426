/**
 * Facts of profiles, each distinct one once, so that rows name them by a number and hop shapes by identity. What no row names any more
 * is let go when the table has grown.
 */
import { createHash } from "node:crypto";
import { MAX_PROFILES, type Profile, type RecordRows, WORD, WORDS_A_ROW } from "./record-rows.ts";

/** Groups that are read again are numbered from here, the stage's own readings from there. */
export const FIRST_REPLAY_PROFILE = 0x4000_0000;
export const FIRST_OWN_PROFILE = 0x8000_0000;

const NONE = -1;

export class FactsTable<Facts> {
	/** By number. */
	facts: Facts[] = [];
	/** Those in use when the table was compacted last. */
	private kept = 0;
	private readonly make: (profile: Profile) => Facts | undefined;
	private numbers = new Int32Array(0);
	private byText = new Map<string, number>();
	/** By the two high bits of a profile's number: who reads groups each counts from a number of its own. */
	private readonly byProfile = Array.from({ length: 4 }, () => new LastProfiles());

	constructor(make: (profile: Profile) => Facts | undefined) {
		this.make = make;
	}

	/**
	 * Numbers of the rows' facts, by row; -1 for a profile that has none, or was never told. Valid until the next call.
	 *
	 * Profiles are learnt as the rows come to them: whoever reads groups may forget all of them in the midst of one and tell them again,
	 * and then the rows before still speak of profiles that the later ones of the same group push out.
	 */
	numbersOf({ count, words, profiles }: RecordRows): Int32Array {
		if (this.numbers.length < count) this.numbers = new Int32Array(count);
		const { numbers, byProfile } = this;
		let told = 0;
		for (let row = 0; row < count; row++) {
			const id = words[row * WORDS_A_ROW + WORD.profile]!;
			while (told < profiles.length && profiles[told]!.id <= id) this.learn(profiles[told++]!);
			numbers[row] = byProfile[id >>> 30]!.find(id);
		}
		return numbers;
	}

	private learn(profile: Profile): void {
		const facts = this.make(profile);
		this.byProfile[profile.id >>> 30]!.set(profile.id, facts === undefined ? NONE : this.intern(facts));
	}

	/** Whether so many came since the last compaction. */
	hasGrownBy(count: number): boolean {
		return this.facts.length > this.kept + count;
	}

	/** Keeps those in use and those of profiles. `eachUse` gives the numbers that are named elsewhere, and gets their new ones. */
	compact(eachUse: (move: (number: number) => number) => void): void {
		const { facts, byText } = this;
		const textOf = new Map<number, string>([...byText].map(([text, number]) => [number, text]));
		const moved = new Map<number, number>();
		this.facts = [];
		this.byText = new Map();
		const move = (number: number): number => {
			let to = moved.get(number);
			if (to === undefined) {
				to = this.facts.length;
				this.facts.push(facts[number]!);
				this.byText.set(textOf.get(number)!, to);
				moved.set(number, to);
			}
			return to;
		};
		eachUse(move);
		for (const known of this.byProfile) known.change(move);
		this.kept = this.facts.length;
	}

	private intern(facts: Facts): number {
		// Facts take a kilobyte as text, and a flood of names makes tens of thousands of them.
		const text = createHash("sha1").update(JSON.stringify(facts)).digest("base64");
		let number = this.byText.get(text);
		if (number === undefined) {
			number = this.facts.length;
			this.facts.push(facts);
			this.byText.set(text, number);
		}
		return number;
	}
}

/** Numbers by profile, of the newest profiles. */
class LastProfiles {
	private profiles = new Uint32Array(0);
	private numbers = new Int32Array(0);

	set(profile: number, number: number): void {
		if (this.profiles.length === 0) {
			this.profiles = new Uint32Array(MAX_PROFILES);
			this.numbers = new Int32Array(MAX_PROFILES);
		}
		const at = profile & (MAX_PROFILES - 1);
		this.profiles[at] = profile;
		this.numbers[at] = number;
	}

	find(profile: number): number {
		const at = profile & (MAX_PROFILES - 1);
		return this.profiles[at] === profile ? this.numbers[at]! : NONE;
	}

	change(move: (number: number) => number): void {
		for (let at = 0; at < this.numbers.length; at++)
			if (this.profiles[at] !== 0 && this.numbers[at] !== NONE) this.numbers[at] = move(this.numbers[at]!);
	}
}
