import assert from "node:assert/strict";
import { test } from "node:test";
import { FactsTable, FIRST_OWN_PROFILE, FIRST_REPLAY_PROFILE } from "./facts-table.ts";
import { MAX_PROFILES, type Profile } from "./record-rows.ts";

function profileOf(id: number, name: string): Profile {
	return { id, kind: 0, status: 0, name, scope: "", resource: [], attributes: [] };
}

function table(): FactsTable<{ readonly name: string }> {
	return new FactsTable(({ name }) => ({ name: name.toLowerCase() }));
}

test("profiles that state the same share one object: shapes are known by identity", () => {
	const facts = table();
	facts.learn([profileOf(1, "A"), profileOf(2, "a"), profileOf(3, "b")]);
	assert.equal(facts.numberOf(1), facts.numberOf(2));
	assert.notEqual(facts.numberOf(1), facts.numberOf(3));
	assert.equal(facts.facts.length, 2);
	assert.deepEqual(facts.facts[facts.numberOf(3)], { name: "b" });
	assert.equal(facts.numberOf(4), -1);
});

test("who reads groups again counts from a number of its own", () => {
	const facts = table();
	facts.learn([profileOf(1, "live"), profileOf(FIRST_REPLAY_PROFILE, "again"), profileOf(FIRST_OWN_PROFILE, "own")]);
	const named = [1, FIRST_REPLAY_PROFILE, FIRST_OWN_PROFILE].map((id) => facts.facts[facts.numberOf(id)]!.name);
	assert.deepEqual(named, ["live", "again", "own"]);
});

test("the oldest profiles are forgotten beyond what the writer remembers; each reader's apart", () => {
	const facts = table();
	facts.learn([profileOf(FIRST_REPLAY_PROFILE, "again")]);
	const count = MAX_PROFILES + 10;
	facts.learn(Array.from({ length: count }, (_, i) => profileOf(i + 1, `n${i % 5}`)));
	assert.equal(facts.numberOf(10), -1);
	assert.notEqual(facts.numberOf(11), -1);
	assert.notEqual(facts.numberOf(count), -1);
	assert.notEqual(facts.numberOf(FIRST_REPLAY_PROFILE), -1);
	assert.equal(facts.facts.length, 6);
});

test("compaction keeps what rows and profiles name, under new numbers, and lets the rest go", () => {
	const facts = table();
	const count = MAX_PROFILES;
	facts.learn([profileOf(1, "held by a row"), profileOf(2, "held by nobody")]);
	const rows = [facts.numberOf(1)];
	const held = facts.facts[rows[0]!];
	// Pushes the first two out of the profiles.
	facts.learn(Array.from({ length: count }, (_, i) => profileOf(i + 3, `n${i % 3}`)));
	facts.compact((move) => {
		for (let i = 0; i < rows.length; i++) rows[i] = move(rows[i]!);
	});
	assert.equal(facts.facts[rows[0]!], held, "the same object");
	assert.deepEqual(facts.facts.map(({ name }) => name).sort(), ["held by a row", "n0", "n1", "n2"]);
	assert.equal(facts.facts[facts.numberOf(count + 2)]!.name, `n${(count - 1) % 3}`);
	facts.learn([profileOf(count + 3, "HELD BY A ROW")]);
	assert.equal(facts.numberOf(count + 3), rows[0], "still interned");
});
