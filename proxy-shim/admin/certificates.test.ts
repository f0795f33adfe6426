import assert from "node:assert/strict";
import { test } from "node:test";
import { issueCertificate } from "../../test/interop/certificates.ts";
import { shownIdentity } from "./certificates.ts";

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 5, 1);

test("an identity is shown with its chain and roots, by names, times and fingerprints, and without its key", () => {
	const times = { notBefore: new Date(NOW_MS - DAY_MS), notAfter: new Date(NOW_MS + DAY_MS) };
	const oldRoot = issueCertificate({ commonName: "old root", ...times });
	const root = issueCertificate({ commonName: "root", ...times });
	const leaf = issueCertificate({ commonName: "shop", uris: ["spiffe://demo.local/ns/demo/sa/shop"], ...times, issuer: root });
	const identity = {
		principal: "spiffe://demo.local/ns/demo/sa/shop",
		chainPem: leaf.certificatePem + root.certificatePem,
		keyPem: leaf.keyPem,
		rootsPem: [oldRoot.certificatePem, root.certificatePem, "-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----"],
		notBeforeMs: NOW_MS - DAY_MS,
		notAfterMs: NOW_MS + DAY_MS,
	};
	const shown = shownIdentity(identity, NOW_MS);
	assert.deepEqual([shown.principal, shown.expiresInSeconds], [identity.principal, 86_400]);
	assert.deepEqual(
		shown.chain.map(({ subject, issuer }) => [subject, issuer]),
		[
			["CN=shop", "CN=root"],
			["CN=root", "CN=root"],
		],
	);
	assert.deepEqual(
		shown.roots.map(({ subject }) => subject),
		["CN=old root", "CN=root"],
	);
	const [first] = shown.chain;
	assert.equal(first!.subjectAltName, "URI:spiffe://demo.local/ns/demo/sa/shop");
	assert.equal(first!.notAfter, times.notAfter.toISOString());
	assert.match(first!.serialNumber, /^[0-9A-F]+$/);
	assert.match(first!.sha256, /^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/);
	const secret = leaf.keyPem.split("\n")[1]!;
	assert.ok(!JSON.stringify(shown).includes(secret));
});
