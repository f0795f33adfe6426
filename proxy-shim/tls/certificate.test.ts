import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { makeAuthority, makeIdentity } from "../../test/proxy/identities.ts";
import type { LeafRequest } from "../../test/proxy/identities.ts";
import { readCertificate } from "./certificate.ts";

const authority = makeAuthority("authority");

function der(leaf: LeafRequest): Buffer {
	return new X509Certificate(makeIdentity(authority, "orders", leaf).chainPem).raw;
}

test("a certificate says what was asked for, and what node:crypto reads in it", () => {
	const leaves: readonly LeafRequest[] = [
		{},
		{ uris: [] },
		{ uris: ["spiffe://a/ns/b/sa/c", "https://x.example/?a=1"], dnsNames: ["a.example", "*.b.example"] },
		{ keyUsage: undefined },
		{ keyUsage: ["digitalSignature", "keyEncipherment", "keyCertSign"] },
		{ keyUsage: ["cRLSign"] },
		{ isAuthority: true },
		{ notBefore: new Date("1999-12-31T23:59:59Z"), notAfter: new Date("2049-12-31T23:59:59Z") },
	];
	for (const leaf of leaves) {
		const bytes = der(leaf);
		const facts = readCertificate(bytes);
		const node = new X509Certificate(bytes);
		assert.deepEqual(facts.uris, leaf.uris ?? ["spiffe://cluster.local/ns/shop/sa/orders"]);
		assert.deepEqual(facts.dnsNames, leaf.dnsNames ?? []);
		assert.equal(facts.isAuthority, node.ca);
		const usage = "keyUsage" in leaf ? leaf.keyUsage : node.ca ? ["keyCertSign"] : ["digitalSignature"];
		assert.deepEqual(
			Object.entries(facts.keyUsage ?? {})
				.filter(([bit, set]) => set && bit !== "cRLSign")
				.map(([bit]) => bit),
			(usage ?? []).filter((bit) => bit === "digitalSignature" || bit === "keyCertSign"),
		);
		assert.equal(facts.keyUsage === undefined, usage === undefined);
		assert.equal(facts.notBeforeMs, node.validFromDate.getTime());
		assert.equal(facts.notAfterMs, node.validToDate.getTime());
		assert.equal(facts.subject, node.subject);
	}
	const root = readCertificate(new X509Certificate(authority.certificatePem).raw);
	assert.deepEqual([root.isAuthority, root.keyUsage?.cRLSign, root.uris], [true, true, []]);
});

test("a subject is one line, with what separates its parts escaped", () => {
	assert.equal(readCertificate(der({ commonName: "orders" })).subject, "CN=orders");
	assert.equal(readCertificate(der({ commonName: " a,b+c\n" })).subject, "CN=\\ a\\,b\\+c\\0a");
});

test("bytes that are no certificate give an error and nothing else", () => {
	const good = der({ uris: ["spiffe://a/ns/b/sa/c"] });
	const read = (bytes: Uint8Array): void => {
		try {
			readCertificate(bytes);
		} catch (error) {
			assert.match(String(error), /DER is malformed/);
		}
	};
	for (let length = 0; length < good.length; length++) {
		assert.throws(() => readCertificate(good.subarray(0, length)), /DER is malformed/);
	}
	fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), read));
	fc.assert(
		fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
			const mutated = Buffer.from(good);
			mutated[at] = byte;
			read(mutated);
		}),
		{ numRuns: 2_000 },
	);
});
