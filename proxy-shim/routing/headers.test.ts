import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { HeaderChanges } from "../../model/mesh/proxy-config.ts";
import { applyHeaders } from "./headers.ts";

const REQUEST = ["Host", "shop:8080", "X-Old", "1", "Accept", "*/*", "x-old", "2", "Content-Length", "3"];

function changed(changes: Partial<HeaderChanges>, headers: readonly string[] = REQUEST): readonly string[] {
	return applyHeaders({ set: [], add: [], remove: [], ...changes }, headers);
}

test("without changes it is the same list", () => {
	assert.equal(changed({}), REQUEST);
});

test("a removed header is gone in every case and number", () => {
	assert.deepEqual(changed({ remove: ["x-old"] }), ["Host", "shop:8080", "Accept", "*/*", "Content-Length", "3"]);
});

test("names of every length are found", () => {
	for (let length = 1; length < 80; length++) {
		const name = "x".repeat(length);
		assert.deepEqual(changed({ remove: [name] }, ["a", "1", name.toUpperCase(), "2"]), ["a", "1"]);
	}
});

test("set replaces all of a name, add keeps them, and removal goes first", () => {
	assert.deepEqual(changed({ set: [["x-old", "3"]], add: [["accept", "text/html"]] }), [
		"Host",
		"shop:8080",
		"Accept",
		"*/*",
		"Content-Length",
		"3",
		"x-old",
		"3",
		"accept",
		"text/html",
	]);
	const both = changed({ remove: ["x-a"], set: [["x-a", "set"]], add: [["x-a", "added"]] }, ["x-a", "old"]);
	assert.deepEqual(both, ["x-a", "set", "x-a", "added"]);
});

test("of two sets of one name the last counts", () => {
	const set = [
		["x-a", "1"],
		["x-a", "2"],
	] as const;
	assert.deepEqual(changed({ set }, []), ["x-a", "2"]);
});

test("substitutions stay as they are written", () => {
	assert.deepEqual(changed({ set: [["x-a", "%DOWNSTREAM_REMOTE_ADDRESS%"]] }, []), ["x-a", "%DOWNSTREAM_REMOTE_ADDRESS%"]);
});

test("a host may be set, and is never removed, doubled or emptied", () => {
	assert.deepEqual(changed({ set: [["host", "other"]] }, ["Host", "shop", "a", "b"]), ["a", "b", "host", "other"]);
	for (const changes of [{ remove: ["host"] }, { add: [["host", "other"]] }, { set: [["host", ""]] }] as const) {
		assert.deepEqual(changed(changes, ["Host", "shop"]), ["Host", "shop"]);
	}
});

test("what frames a message, pseudo headers, and what is no header is left out", () => {
	for (const name of [
		"content-length",
		"transfer-encoding",
		"connection",
		"upgrade",
		"te",
		":path",
		":authority",
		"",
		"a b",
		"a:b",
		"a\r\nb",
		"X-Upper",
	]) {
		const before = [...REQUEST];
		assert.deepEqual(changed({ set: [[name, "1"]], add: [[name, "1"]], remove: [name] }), before, name);
	}
	for (const value of ["a\r\nx-injected: 1", "a\nb", "a\rb", "a\0b", "\u0100"]) {
		assert.deepEqual(changed({ set: [["x-a", value]], add: [["x-b", value]] }, ["x-a", "kept"]), ["x-a", "kept"]);
	}
});

test("whatever a policy says, framing stays, there is one host with a value, and no line is broken", () => {
	const names = fc.oneof(
		fc.constantFrom("host", "content-length", "transfer-encoding", "x-a", "accept", ":path"),
		fc.string({ maxLength: 6 }),
	);
	const pairs = fc.array(fc.tuple(names, fc.oneof(fc.string({ maxLength: 8 }), fc.constant("a\r\nb"))), { maxLength: 5 });
	fc.assert(
		fc.property(pairs, pairs, fc.array(names, { maxLength: 5 }), (set, add, remove) => {
			const result = changed({ set, add, remove });
			assert.equal(result.length % 2, 0);
			const all = Array.from(
				{ length: result.length / 2 },
				(_, i) => [result[2 * i]!.toLowerCase(), result[2 * i + 1]!] as const,
			);
			assert.deepEqual(
				all.filter(([name]) => name === "content-length").map(([, value]) => value),
				["3"],
			);
			assert.equal(all.filter(([name]) => name === "transfer-encoding").length, 0);
			const hosts = all.filter(([name]) => name === "host");
			assert.ok(hosts.length === 1 && hosts[0]![1] !== "");
			for (const [name, value] of all) {
				assert.match(name, /^[^\s:]+$/);
				assert.doesNotMatch(value, /[\r\n\0]/);
			}
		}),
	);
});
