import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { MeshscopeError } from "../../model/errors.ts";
import { parseJoinToken } from "../../model/mesh/join-token.ts";
import { memoryStateFolder } from "../../model/mesh/state-folder.ts";
import { openGrants } from "./grants.ts";
import { clearExpiredTokens, createToken, redeemToken } from "./tokens.ts";
import type { TokenRequest } from "./tokens.ts";

const NOW_MS = 1_800_000_000_000;
const request: TokenRequest = {
	identity: "spiffe://cluster.local/ns/shop/sa/cart",
	services: ["basket"],
	ttlMs: 60_000,
	trustDomain: "cluster.local",
	rootSha256: "ab".repeat(32),
	nowMs: NOW_MS,
	randomBytes,
};
const KEY = "11".repeat(32);
const OTHER_KEY = "22".repeat(32);
const isRefused = (error: unknown) => error instanceof MeshscopeError && error.code === "join_refused";

test("a token names the root and gives its identity and services to the first key that comes, and to no other", () => {
	const state = memoryStateFolder();
	const text = createToken(state, request);
	assert.equal(parseJoinToken(text)?.rootSha256, request.rootSha256);
	const expected = { identity: request.identity, services: ["basket"] };
	assert.deepEqual(redeemToken(state, text, KEY, NOW_MS), expected);
	assert.throws(() => redeemToken(state, text, OTHER_KEY, NOW_MS), isRefused);
	assert.deepEqual(redeemToken(state, text, KEY, NOW_MS + 59_999), expected);
	assert.throws(() => redeemToken(state, text, KEY, NOW_MS + 60_000), isRefused);
});

test("two tokens for one identity are two keys' tokens", () => {
	const state = memoryStateFolder();
	const [first, second] = [createToken(state, request), createToken(state, request)];
	assert.notEqual(first, second);
	redeemToken(state, first, KEY, NOW_MS);
	assert.equal(redeemToken(state, second, OTHER_KEY, NOW_MS).identity, request.identity);
});

test("a token that expired unused, one whose file is damaged and one that was cleared away are refused", () => {
	const state = memoryStateFolder();
	const text = createToken(state, request);
	assert.throws(() => redeemToken(state, text, KEY, NOW_MS + 60_000), isRefused);
	const name = state.list()[0]!;
	clearExpiredTokens(state, NOW_MS + 59_999);
	assert.deepEqual(state.list(), [name]);
	const kept = state.read(name)!;
	state.write(name, kept.slice(0, 20));
	assert.throws(() => redeemToken(state, text, KEY, NOW_MS), isRefused);
	state.write(name, kept);
	state.write("authority.json", "{}");
	clearExpiredTokens(state, NOW_MS + 60_000);
	assert.deepEqual(state.list(), ["authority.json"]);
	assert.throws(() => redeemToken(state, text, KEY, NOW_MS), isRefused);
});

test("without a grant an identity answers for the service named like its account; a grant stays", () => {
	const state = memoryStateFolder();
	const grants = openGrants(state);
	assert.equal(grants.allows(request.identity, "cart"), true);
	assert.equal(grants.allows(request.identity, "basket"), false);
	grants.grant(request.identity, ["basket"]);
	grants.grant(request.identity, ["wishes"]);
	const again = openGrants(state);
	assert.deepEqual(
		["cart", "basket", "wishes", "payments"].map((service) => again.allows(request.identity, service)),
		[true, true, true, false],
	);
	assert.equal(again.allows("spiffe://cluster.local/ns/bank/sa/cart", "basket"), false);
	assert.equal(again.allows("nobody", "basket"), false);
});
