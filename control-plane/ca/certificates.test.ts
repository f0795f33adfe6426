import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bundleJwks } from "./bundle.ts";
import { createRoot, issueLeaf } from "./certificates.ts";
import { x509 } from "./x509.ts";

const NOW_MS = Date.now();
const TEN_YEARS_MS = 3_652 * 86_400_000;
const PRINCIPAL = "spiffe://cluster.local/ns/shop/sa/cart";

const hasOpenssl = ((): boolean => {
	try {
		return /OpenSSL [3-9]/.test(execFileSync("openssl", ["version"], { encoding: "utf8" }));
	} catch {
		return false;
	}
})();

function newSpki(): Buffer {
	return generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ type: "spki", format: "der" });
}

test("a root is an authority on P-256 for ten years, readable by its own key", async () => {
	const root = await createRoot("cluster.local", TEN_YEARS_MS, NOW_MS);
	const certificate = new X509Certificate(root.certPem);
	assert.equal(certificate.ca, true);
	assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
	assert.ok(certificate.checkPrivateKey(createPrivateKey(root.keyPem)));
	assert.ok(certificate.verify(certificate.publicKey));
	assert.ok(Math.abs(root.notAfterMs - NOW_MS - TEN_YEARS_MS) < 1_000);
	assert.equal(certificate.subjectAltName, "URI:spiffe://cluster.local");
});

test("a leaf is an X509-SVID: one URI, no authority, digitalSignature critical, both usages, both key identifiers", async () => {
	const root = await createRoot("cluster.local", TEN_YEARS_MS, NOW_MS);
	const leaf = await issueLeaf(root, newSpki(), PRINCIPAL, 86_400_000, NOW_MS);
	const certificate = new x509.X509Certificate(leaf.certPem);
	const node = new X509Certificate(leaf.certPem);
	assert.equal(node.subjectAltName, `URI:${PRINCIPAL}`);
	assert.equal(node.ca, false);
	const usages = certificate.getExtension(x509.KeyUsagesExtension);
	assert.equal(usages?.usages, x509.KeyUsageFlags.digitalSignature);
	assert.equal(usages?.critical, true);
	assert.deepEqual(
		[...(certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [])],
		["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"],
	);
	const authorityKey = certificate.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId;
	const rootKey = new x509.X509Certificate(root.certPem).getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
	assert.ok(authorityKey);
	assert.equal(authorityKey, rootKey);
	assert.ok(certificate.getExtension(x509.SubjectKeyIdentifierExtension));
	assert.ok(node.checkIssued(new X509Certificate(root.certPem)));
	assert.equal(leaf.notBeforeMs, Math.floor((NOW_MS - 60_000) / 1_000) * 1_000);
	assert.ok(leaf.notAfterMs - NOW_MS >= 86_400_000 && leaf.notAfterMs - NOW_MS < 86_401_000);
	assert.match(leaf.serial, /^[4-7][0-9a-f]{31}$/);
});

test("a leaf never outlives its root", async () => {
	const root = await createRoot("cluster.local", 5_000, NOW_MS);
	const leaf = await issueLeaf(root, newSpki(), PRINCIPAL, 86_400_000, NOW_MS);
	assert.equal(leaf.notAfterMs, root.notAfterMs);
});

test(
	"openssl verifies a leaf strictly, as server and as client",
	{ skip: hasOpenssl ? false : "openssl 3 is not there" },
	async (t) => {
		const folder = mkdtempSync(join(tmpdir(), "meshscope-ca-"));
		t.after(() => rmSync(folder, { recursive: true, force: true }));
		const root = await createRoot("cluster.local", TEN_YEARS_MS, NOW_MS);
		const leaf = await issueLeaf(root, newSpki(), PRINCIPAL, 60_000, NOW_MS);
		const [rootFile, leafFile] = [join(folder, "root.pem"), join(folder, "leaf.pem")];
		writeFileSync(rootFile, root.certPem);
		writeFileSync(leafFile, leaf.certPem);
		for (const purpose of ["sslserver", "sslclient"]) {
			const told = execFileSync(
				"openssl",
				["verify", "-x509_strict", "-check_ss_sig", "-purpose", purpose, "-CAfile", rootFile, leafFile],
				{ encoding: "utf8" },
			);
			assert.match(told, /: OK\s*$/);
		}
		const other = await createRoot("cluster.local", TEN_YEARS_MS, NOW_MS);
		writeFileSync(rootFile, other.certPem);
		assert.throws(() =>
			execFileSync("openssl", ["verify", "-x509_strict", "-CAfile", rootFile, leafFile], { stdio: "pipe" }),
		);
	},
);

test("the bundle is a JWK set with one x509-svid key a root", async () => {
	const roots = [await createRoot("a.test", 60_000, NOW_MS), await createRoot("a.test", 60_000, NOW_MS)];
	const jwks = bundleJwks({ trustDomain: "a.test", sequence: 7, rootsPem: roots.map(({ certPem }) => certPem) });
	assert.equal(jwks["spiffe_sequence"], 7);
	assert.equal(jwks["spiffe_refresh_hint"], 60);
	const keys = jwks["keys"] as readonly Record<string, unknown>[];
	assert.equal(keys.length, 2);
	for (const [index, key] of keys.entries()) {
		assert.deepEqual([key["kty"], key["crv"], key["use"]], ["EC", "P-256", "x509-svid"]);
		const [der] = key["x5c"] as readonly string[];
		const told = new X509Certificate(Buffer.from(der ?? "", "base64"));
		assert.equal(told.raw.equals(new X509Certificate(roots[index]!.certPem).raw), true);
		assert.equal(told.publicKey.export({ format: "jwk" }).x, key["x"]);
	}
});
