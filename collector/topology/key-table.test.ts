import assert from "node:assert/strict";
import { test } from "node:test";
import { RESOURCE_KEYS, SPAN_KEYS } from "../../model/topology/sources/keys.ts";
import { KeyTable, ROLE } from "./key-table.ts";

const encoder = new TextEncoder();

function find(table: KeyTable, key: string): number {
	const padded = encoder.encode(`<${key}>`);
	return table.find(padded, 1, padded.length - 1);
}

test("every key in use is found by its bytes, with its role, and no other", () => {
	for (const keys of [SPAN_KEYS, RESOURCE_KEYS]) {
		const table = new KeyTable(keys.map((key) => ({ key, role: ROLE.address })));
		for (const key of keys) {
			const number = find(table, key);
			assert.equal(table.name(number), key);
			assert.equal(table.role(number), ROLE.address);
			for (const other of [`${key}x`, key.slice(1), key.toUpperCase()])
				if (!(keys as readonly string[]).includes(other)) assert.equal(find(table, other), -1, other);
		}
	}
});

test("keys that share length, ends and middle are told apart", () => {
	const keys = ["a1b0c", "a2b0c", "a1b9c", "a2b9c"];
	const table = new KeyTable(keys.map((key) => ({ key, role: ROLE.text })));
	assert.equal(new Set(keys.map((key) => find(table, key))).size, 4);
	assert.equal(find(table, "a3b0c"), -1);
});

test("a table without keys finds nothing, and a key of no bytes is found nowhere", () => {
	assert.equal(find(new KeyTable([]), "a"), -1);
	assert.equal(find(new KeyTable([{ key: "a", role: ROLE.text }]), ""), -1);
});

test("keys that could never be found are refused", () => {
	for (const key of ["", "k".repeat(128)])
		assert.throws(() => new KeyTable([{ key, role: ROLE.text }]), /no such attribute key/);
});
