/**
 * Escapes from the type checker and the linter are counted, and the count may only fall. test/ratchet.json holds it.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scanSource } from "./architecture-scan.ts";

type Escape = "as any" | "@ts-ignore" | "@ts-expect-error" | "@ts-nocheck" | "lint disabled";

const IN_CODE: readonly (readonly [Escape, RegExp])[] = [["as any", /\bas\s+any\b|<any>/g]];
const IN_COMMENTS: readonly (readonly [Escape, RegExp])[] = [
	["@ts-ignore", /@ts-ignore\b/g],
	["@ts-expect-error", /@ts-expect-error\b/g],
	["@ts-nocheck", /@ts-nocheck\b/g],
	["lint disabled", /\b(?:oxlint|eslint)-disable/g],
];

function countEscapes(source: string): Record<Escape, number> {
	const { code, comments } = scanSource(source);
	const counts: Record<Escape, number> = {
		"as any": 0,
		"@ts-ignore": 0,
		"@ts-expect-error": 0,
		"@ts-nocheck": 0,
		"lint disabled": 0,
	};
	for (const [escape, pattern] of IN_CODE) counts[escape] = code.match(pattern)?.length ?? 0;
	for (const [escape, pattern] of IN_COMMENTS) counts[escape] = comments.match(pattern)?.length ?? 0;
	return counts;
}

const root = join(import.meta.dirname, "..");
const SKIPPED_FOLDERS: ReadonlySet<string> = new Set(["node_modules", ".git", ".cache", "dist", "coverage", "fixtures"]);

for (const [escape, allowed] of Object.entries(readAllowed())) {
	test(`the count of "${escape}" does not rise, and its limit follows when it falls`, () => {
		const files = globSync("**/*.{ts,tsx}", { cwd: root, exclude: (name) => SKIPPED_FOLDERS.has(name) });
		assert.ok(files.length > 20, `only ${files.length} files were read`);
		const found = files
			.map((file) => ({ file, count: countEscapes(readFileSync(join(root, file), "utf8"))[escape as Escape] }))
			.filter(({ count }) => count > 0);
		const total = found.reduce((sum, { count }) => sum + count, 0);
		const where = found.map(({ file, count }) => `${file} (${count})`).join(", ");
		assert.ok(total <= allowed, `${total} instead of ${allowed}: ${where}. Find a way without it.`);
		assert.ok(total >= allowed, `only ${total} of ${allowed} are left: lower the number in test/ratchet.json to ${total}.`);
	});
}

function readAllowed(): Record<string, number> {
	return JSON.parse(readFileSync(join(root, "test/ratchet.json"), "utf8")) as Record<string, number>;
}

test("every kind of escape has a limit", () => {
	assert.deepEqual(Object.keys(readAllowed()).toSorted(), Object.keys(countEscapes("")).toSorted());
});

test("escapes are counted in code and comments, not in strings", () => {
	const source = [
		"// @ts-ignore because",
		"const a = b as any;",
		"const c = <any>d; const company = e as anything;",
		"/* eslint-disable no-console */ // oxlint-disable-next-line no-var",
		'const text = "as any @ts-ignore oxlint-disable";',
		"const pattern = /@ts-expect-error/;",
	].join("\n");
	const expected = { "as any": 2, "@ts-ignore": 1, "@ts-expect-error": 0, "@ts-nocheck": 0, "lint disabled": 2 };
	assert.deepEqual(countEscapes(source), expected);
});
