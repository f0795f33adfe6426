import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshscopeError } from "../errors.ts";
import { parseJoinToken } from "./join-token.ts";
import { isStateName, memoryStateFolder, readStateJson } from "./state-folder.ts";

test("a state name is one plain file name, and never a path", () => {
	for (const name of ["authority.json", "token-00ff.json", "a", "rotate-root.request"])
		assert.equal(isStateName(name), true, name);
	for (const name of [
		"",
		".",
		"..",
		"../x",
		"a/b",
		"a\\b",
		"/etc/passwd",
		"a..b",
		".hidden",
		"a.",
		"A.json",
		"a\0b",
		"a b",
		"x".repeat(121),
	])
		assert.equal(isStateName(name), false, JSON.stringify(name));
});

test("a damaged file is refused and not replaced", () => {
	const folder = memoryStateFolder();
	assert.equal(readStateJson(folder, "a.json"), undefined);
	folder.write("a.json", '{"b":1}');
	assert.deepEqual(readStateJson(folder, "a.json"), { b: 1 });
	folder.write("a.json", '{"b":');
	assert.throws(
		() => readStateJson(folder, "a.json"),
		(error) => error instanceof MeshscopeError && error.code === "state_unsafe" && error.message.startsWith("a.json"),
	);
});

test("a join token is one word of hex digits, whatever space is around it", () => {
	const text = `msj1.${"a".repeat(16)}.${"b".repeat(64)}.${"c".repeat(64)}`;
	assert.deepEqual(parseJoinToken(` ${text}\n`), { id: "a".repeat(16), secret: "b".repeat(64), rootSha256: "c".repeat(64) });
	for (const wrong of [
		"",
		text.toUpperCase(),
		text.slice(0, -1),
		`${text}.x`,
		text.replace("msj1", "msj2"),
		text.replace("a", "/"),
	])
		assert.equal(parseJoinToken(wrong), undefined, wrong);
});
