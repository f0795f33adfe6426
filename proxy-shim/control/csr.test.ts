import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { x509 } from "../../control-plane/ca/x509.ts";
import { createCsrPem } from "./csr.ts";

test("a request carries its key and nothing else, and its own key has signed it", async () => {
	for (const namedCurve of ["P-256", "P-384", "P-521"]) {
		const keys = generateKeyPairSync("ec", { namedCurve });
		const request = new x509.Pkcs10CertificateRequest(createCsrPem(keys));
		assert.equal(await request.verify(), true, namedCurve);
		assert.equal(request.subject, "");
		assert.equal(request.attributes.length, 0);
		const spki = keys.publicKey.export({ type: "spki", format: "der" });
		assert.ok(Buffer.from(request.publicKey.rawData).equals(spki));
	}
});

test("openssl reads a request and verifies its signature", (t) => {
	for (const namedCurve of ["P-256", "P-384", "P-521"]) {
		const pem = createCsrPem(generateKeyPairSync("ec", { namedCurve }));
		try {
			const text = execFileSync("openssl", ["req", "-verify", "-noout", "-text"], {
				input: pem,
				encoding: "utf8",
				stdio: "pipe",
			});
			assert.match(text, /Version: 1 \(0x0\)/);
			assert.match(text, /Signature Algorithm: ecdsa-with-SHA256/);
		} catch (error) {
			if (error instanceof Error && "code" in error && error.code === "ENOENT") return t.skip("openssl is not there");
			throw error;
		}
	}
});
