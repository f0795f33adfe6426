import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { issueCertificate } from "./certificates.ts";

test("a leaf carries its URI name, its end and its authority's signature", () => {
	const notBefore = new Date("2026-01-01T00:00:00Z");
	const notAfter = new Date("2036-01-01T00:00:00Z");
	const authority = issueCertificate({ commonName: "demo authority", notBefore, notAfter });
	const leaf = issueCertificate({
		commonName: "frontend",
		uris: ["spiffe://demo.local/ns/demo/sa/frontend"],
		dnsNames: ["frontend.demo"],
		notBefore,
		notAfter,
		issuer: authority,
	});
	const parsedAuthority = new X509Certificate(authority.certificatePem);
	const parsed = new X509Certificate(leaf.certificatePem);
	assert.equal(parsed.subjectAltName, "URI:spiffe://demo.local/ns/demo/sa/frontend, DNS:frontend.demo");
	assert.equal(parsed.subject, "CN=frontend");
	assert.equal(parsed.issuer, "CN=demo authority");
	assert.equal(new Date(parsed.validTo).getTime(), notAfter.getTime());
	assert.equal(parsedAuthority.ca, true);
	assert.equal(parsed.ca, false);
	assert.equal(parsed.checkIssued(parsedAuthority), true);
	assert.equal(parsed.verify(parsedAuthority.publicKey), true);
	assert.equal(parsed.checkPrivateKey(leaf.key), true);
});
