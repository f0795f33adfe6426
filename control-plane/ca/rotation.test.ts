import assert from "node:assert/strict";
import { test } from "node:test";
import type { Root } from "./certificates.ts";
import { activeRoot, advance, introduce } from "./rotation.ts";
import type { StagedRoot } from "./rotation.ts";

const root = (sha256: string): Root => ({ sha256, certPem: "", keyPem: "", notBeforeMs: 0, notAfterMs: 1e12 });
const start: readonly StagedRoot[] = [{ ...root("a"), stage: "active" }];
const stages = (roots: readonly StagedRoot[]): string => roots.map(({ sha256, stage }) => `${sha256}:${stage}`).join(" ");
const DAY = 86_400_000;

test("a new root is trusted first and signs once all trust it; the old one goes when its last leaf has ended", () => {
	let roots = introduce(start, root("b"), 300_000);
	assert.equal(stages(roots), "a:active b:incoming");
	assert.equal(activeRoot(roots).sha256, "a");
	assert.equal(advance(roots, { nowMs: 1_000, allTrust: false, leafTtlMs: DAY }), roots);
	roots = advance(roots, { nowMs: 2_000, allTrust: true, leafTtlMs: DAY });
	assert.equal(stages(roots), "a:retiring b:active");
	assert.equal(advance(roots, { nowMs: 2_000 + DAY - 1, allTrust: true, leafTtlMs: DAY }), roots);
	roots = advance(roots, { nowMs: 2_000 + DAY, allTrust: true, leafTtlMs: DAY });
	assert.equal(stages(roots), "b:active");
});

test("when the grace is over the new root signs, whoever does not trust it", () => {
	const roots = introduce(start, root("b"), 300_000);
	assert.equal(stages(advance(roots, { nowMs: 299_999, allTrust: false, leafTtlMs: DAY })), "a:active b:incoming");
	assert.equal(stages(advance(roots, { nowMs: 300_000, allTrust: false, leafTtlMs: DAY })), "a:retiring b:active");
});

test("a second new root waits for the first, but not for the old one's end", () => {
	const first = introduce(start, root("b"), 300_000);
	assert.equal(introduce(first, root("c"), 300_000), first);
	const signing = advance(first, { nowMs: 1_000, allTrust: true, leafTtlMs: DAY });
	const second = advance(introduce(signing, root("c"), 600_000), { nowMs: 2_000, allTrust: true, leafTtlMs: DAY });
	assert.equal(stages(second), "a:retiring b:retiring c:active");
	assert.equal(stages(advance(second, { nowMs: 1_000 + DAY, allTrust: true, leafTtlMs: DAY })), "b:retiring c:active");
});
