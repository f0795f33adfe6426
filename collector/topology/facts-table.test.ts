import assert from "node:assert/strict";
import { test } from "node:test";
import { FactsTable, FIRST_OWN_PROFILE, FIRST_REPLAY_PROFILE } from "./facts-table.ts";
import { MAX_PROFILES, NUMBERS_A_ROW, type Profile, type RecordRows, WORD, WORDS_A_ROW } from "./record-rows.ts";

function profileOf(id: number, name: string): Profile {
	return { id, kind: 0, status: 0, name, scope: "", resource: [], attributes: [] };
}

/** Rows of these profiles, and what is told of them. */
function rowsOf(ids: readonly number[], profiles: readonly Profile[] = []): RecordRows {
	const words = new Uint32Array(ids.length * WORDS_A_ROW);
	ids.forEach((id, row) => (words[row * WORDS_A_ROW + WORD.profile] = id));
	return { count: ids.length, words, numbers: new Float64Array(ids.length * NUMBERS_A_ROW), profiles };
}

class NamesTable extends FactsTable<{ readonly name: string }> {
	constructor() {
		super(({ name }) => ({ name: name.toLowerCase() }));
	}

	/** Numbers of the profiles, told in one group. */
	tell(...profiles: readonly Profile[]): number[] {
		return this.ask(
			profiles.map(({ id }) => id),
			profiles,
		);
	}

	ask(ids: readonly number[], profiles: readonly Profile[] = []): number[] {
		return [...this.numbersOf(rowsOf(ids, profiles)).subarray(0, ids.length)];
	}
}

test("profiles that state the same share one object: shapes are known by identity", () => {
	const facts = new NamesTable();
	const [a, again, b] = facts.tell(profileOf(1, "A"), profileOf(2, "a"), profileOf(3, "b"));
	assert.equal(a, again);
	assert.notEqual(a, b);
	assert.equal(facts.facts.length, 2);
	assert.deepEqual(facts.facts[b!], { name: "b" });
	assert.deepEqual(facts.ask([4, 1]), [-1, a]);
});

test("who reads groups again counts from a number of its own", () => {
	const facts = new NamesTable();
	facts.tell(profileOf(1, "live"), profileOf(FIRST_REPLAY_PROFILE, "again"), profileOf(FIRST_OWN_PROFILE, "own"));
	const named = facts.ask([1, FIRST_REPLAY_PROFILE, FIRST_OWN_PROFILE]).map((number) => facts.facts[number]!.name);
	assert.deepEqual(named, ["live", "again", "own"]);
});

test("the oldest profiles are forgotten beyond what the writer remembers; each reader's apart", () => {
	const facts = new NamesTable();
	facts.tell(profileOf(FIRST_REPLAY_PROFILE, "again"));
	const count = MAX_PROFILES + 10;
	facts.tell(...Array.from({ length: count }, (_, i) => profileOf(i + 1, `n${i % 5}`)));
	const [tenth, eleventh, last, replayed] = facts.ask([10, 11, count, FIRST_REPLAY_PROFILE]);
	assert.equal(tenth, -1);
	assert.notEqual(eleventh, -1);
	assert.notEqual(last, -1);
	assert.notEqual(replayed, -1);
	assert.equal(facts.facts.length, 6);
});

test("a group in whose midst all profiles are forgotten and told again keeps every row", () => {
	const facts = new NamesTable();
	const first = Array.from({ length: MAX_PROFILES }, (_, i) => i + 1);
	facts.tell(...first.map((id) => profileOf(id, `n${id}`)));
	// The first half of the group speaks of what was told before, the second of the same things under new numbers, twice over.
	const ids = [...first, ...Array.from({ length: MAX_PROFILES * 2 }, (_, i) => MAX_PROFILES + 1 + i)];
	const nameOf = (id: number): string => `n${((id - 1) % MAX_PROFILES) + 1}`;
	const fresh = ids.slice(MAX_PROFILES).map((id) => profileOf(id, nameOf(id)));
	assert.deepEqual(
		facts.ask(ids, fresh).map((number) => facts.facts[number]?.name),
		ids.map(nameOf),
	);
});

test("a table is due for compaction by what came since the last one, however much is in use", () => {
	const facts = new NamesTable();
	const told = facts.tell(...Array.from({ length: 300 }, (_, i) => profileOf(i + 1, `n${i}`)));
	assert.equal(facts.hasGrownBy(299), true);
	facts.compact((move) => move(told[0]!));
	assert.equal(facts.facts.length, 300, "all are in use");
	assert.equal(facts.hasGrownBy(0), false);
	facts.tell(profileOf(301, "another"));
	assert.deepEqual([facts.hasGrownBy(0), facts.hasGrownBy(1)], [true, false]);
});

test("compaction keeps what rows and profiles name, under new numbers, and lets the rest go", () => {
	const facts = new NamesTable();
	const count = MAX_PROFILES;
	const rows = facts.tell(profileOf(1, "held by a row"), profileOf(2, "held by nobody")).slice(0, 1);
	const held = facts.facts[rows[0]!];
	// Pushes the first two out of the profiles.
	facts.tell(...Array.from({ length: count }, (_, i) => profileOf(i + 3, `n${i % 3}`)));
	facts.compact((move) => {
		for (let i = 0; i < rows.length; i++) rows[i] = move(rows[i]!);
	});
	assert.equal(facts.facts[rows[0]!], held, "the same object");
	assert.deepEqual(facts.facts.map(({ name }) => name).sort(), ["held by a row", "n0", "n1", "n2"]);
	assert.equal(facts.facts[facts.ask([count + 2])[0]!]!.name, `n${(count - 1) % 3}`);
	assert.deepEqual(facts.tell(profileOf(count + 3, "HELD BY A ROW")), rows, "still interned");
});
