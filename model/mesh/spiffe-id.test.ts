import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatSpiffeId, parseSpiffeId } from "./spiffe-id.ts";

test("an ID has a trust domain, a namespace and a service account", () => {
	assert.deepEqual(parseSpiffeId("spiffe://cluster.local/ns/shop/sa/orders"), {
		trustDomain: "cluster.local",
		namespace: "shop",
		serviceAccount: "orders",
	});
});

test("an ID of any other form is none", () => {
	for (const text of [
		"",
		"spiffe://",
		"SPIFFE://cluster.local/ns/a/sa/b",
		"https://cluster.local/ns/a/sa/b",
		"spiffe://Cluster.local/ns/a/sa/b",
		"spiffe://cluster.local:80/ns/a/sa/b",
		"spiffe://user@cluster.local/ns/a/sa/b",
		"spiffe:///ns/a/sa/b",
		"spiffe://cluster.local",
		"spiffe://cluster.local/ns/a/sa/b/",
		"spiffe://cluster.local/ns/a/sa/",
		"spiffe://cluster.local/ns//sa/b",
		"spiffe://cluster.local/ns/../sa/b",
		"spiffe://cluster.local/ns/./sa/b",
		"spiffe://cluster.local/ns/a%2Fb/sa/b",
		"spiffe://cluster.local/ns/a/sa/b?x=1",
		"spiffe://cluster.local/ns/a/sa/b#x",
		"spiffe://cluster.local/sa/a/ns/b",
		"spiffe://cluster.local/workload",
		"spiffe://cluster.local/ns/a/sa/b\n",
		"spiffe://cluster.local/ns/a/sa/b\u0000",
		`spiffe://${"d".repeat(256)}/ns/a/sa/b`,
		`spiffe://cluster.local/ns/a/sa/${"b".repeat(2_048)}`,
	]) {
		assert.equal(parseSpiffeId(text), undefined, JSON.stringify(text));
	}
});

test("what is read is what is written", () => {
	const segment = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,40}$/);
	const id = fc.record(
		{ trustDomain: fc.stringMatching(/^[a-z0-9._-]{1,60}$/), namespace: segment, serviceAccount: segment },
		{ noNullPrototype: true },
	);
	fc.assert(fc.property(id, (value) => assert.deepEqual(parseSpiffeId(formatSpiffeId(value)), value)));
	fc.assert(
		fc.property(fc.string(), (text) => {
			const parsed = parseSpiffeId(`spiffe://${text}`);
			if (parsed !== undefined) assert.equal(formatSpiffeId(parsed), `spiffe://${text}`);
		}),
	);
});
