import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatSpiffeId, parseSpiffeId } from "./spiffe.ts";

const anyText = fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units));
const part = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}$/);

test("an ID that was formatted is read back as it was", () => {
	fc.assert(
		fc.property(part, part, part, (trustDomain, namespace, serviceAccount) => {
			const text = formatSpiffeId({ trustDomain, namespace, serviceAccount });
			assert.deepEqual(parseSpiffeId(text), { ok: true, trustDomain, namespace, serviceAccount });
		}),
	);
});

test("any text is read or refused with a reason", () => {
	fc.assert(
		fc.property(
			fc.oneof(
				anyText,
				fc.string().map((rest) => `spiffe://${rest}`),
			),
			(text) => {
				const parsed = parseSpiffeId(text);
				if (parsed.ok) assert.equal(formatSpiffeId(parsed), text);
				else assert.ok(parsed.reason.length > 0);
			},
		),
	);
});

const GOOD = "spiffe://cluster.local/ns/shop/sa/web";

test("each rule of SPIFFE refuses what breaks it", () => {
	assert.equal(parseSpiffeId(GOOD).ok, true);
	const reasons: readonly (readonly [string, RegExp])[] = [
		["", /begin with spiffe/],
		["SPIFFE://cluster.local/ns/shop/sa/web", /begin with spiffe/],
		["https://cluster.local/ns/shop/sa/web", /begin with spiffe/],
		["spiffe:///ns/shop/sa/web", /name a trust domain/],
		["spiffe://Cluster.local/ns/shop/sa/web", /lower-case/],
		["spiffe://cluster.local:80/ns/shop/sa/web", /lower-case/],
		["spiffe://user@cluster.local/ns/shop/sa/web", /lower-case/],
		[`spiffe://${"a".repeat(256)}/ns/shop/sa/web`, /longer than 255/],
		[`${GOOD}/`, /end with a slash/],
		["spiffe://cluster.local/ns/shop/sa/w%65b", /percent-encoding/],
		["spiffe://cluster.local/ns//sa/web", /may hold only/],
		["spiffe://cluster.local/ns/shop/sa/wéb", /may hold only/],
		["spiffe://cluster.local/ns/shop/sa/web?x", /may hold only/],
		["spiffe://cluster.local/ns/shop/sa/web#x", /may hold only/],
		["spiffe://cluster.local/ns/../sa/web", /path segments/],
		["spiffe://cluster.local/ns/shop/sa/.", /path segments/],
		["spiffe://cluster.local", /must have the path/],
		["spiffe://cluster.local/ns/shop", /must have the path/],
		["spiffe://cluster.local/sa/web/ns/shop", /must have the path/],
		[`${GOOD}/more`, /must have the path/],
	];
	for (const [text, reason] of reasons) {
		const parsed = parseSpiffeId(text);
		assert.match(parsed.ok ? "accepted" : parsed.reason, reason, text);
	}
});

test("an ID has at most 2048 bytes", () => {
	const longest = GOOD + "b".repeat(2048 - GOOD.length);
	assert.equal(parseSpiffeId(longest).ok, true);
	assert.deepEqual(parseSpiffeId(`${longest}b`), { ok: false, reason: "is longer than 2048 bytes" });
});

test("parts that make no ID are not formatted", () => {
	for (const serviceAccount of ["", "a/b", "..", "a%20b", "é"]) {
		assert.throws(() => formatSpiffeId({ trustDomain: "cluster.local", namespace: "shop", serviceAccount }), RangeError);
	}
});
