/**
 * Facts of profiles, each distinct one once, so that rows name them by a number and hop shapes by identity. What no row names any more
 * is let go when the table has grown.
 */
import { createHash } from "node:crypto";
import { MAX_PROFILES, type Profile } from "./record-rows.ts";

/** Groups that are read again are numbered from here, the stage's own readings from there. */
export const FIRST_REPLAY_PROFILE = 0x4000_0000;
export const FIRST_OWN_PROFILE = 0x8000_0000;

const NONE = -1;

export class FactsTable<Facts> {
	/** By number. */
	facts: Facts[] = [];
	private readonly make: (profile: Profile) => Facts | undefined;
	private byText = new Map<string, number>();
	/** By the two high bits of a profile's number: who reads groups each counts from a number of its own. */
	private readonly byProfile = Array.from({ length: 4 }, () => new LastProfiles());

	constructor(make: (profile: Profile) => Facts | undefined) {
		this.make = make;
	}

	learn(profiles: readonly Profile[]): void {
		for (const profile of profiles) {
			const facts = this.make(profile);
			this.byProfile[profile.id >>> 30]!.set(profile.id, facts === undefined ? NONE : this.intern(facts));
		}
	}

	/** Number of a profile's facts; -1 for a profile that has none, or was never told. */
	numberOf(profile: number): number {
		return this.byProfile[profile >>> 30]!.find(profile);
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
