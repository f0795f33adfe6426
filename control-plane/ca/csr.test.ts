import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { MeshscopeError } from "../../model/errors.ts";
import { createCsrPem } from "../../proxy-shim/control/csr.ts";
import { checkCsr } from "./csr.ts";
import { x509 } from "./x509.ts";

const refusedFor = (reason: RegExp) => (error: unknown) =>
	error instanceof MeshscopeError && error.code === "csr_refused" && reason.test(error.message);

test("requests on P-256, P-384 and P-521 are taken, and their key is told by its hash", async () => {
	for (const namedCurve of ["P-256", "P-384", "P-521"]) {
		const keys = generateKeyPairSync("ec", { namedCurve });
		const spki = keys.publicKey.export({ type: "spki", format: "der" });
		const checked = await checkCsr(createCsrPem(keys));
		assert.deepEqual(checked.spki, spki);
		assert.equal(checked.spkiSha256, createHash("sha256").update(spki).digest("hex"));
	}
});

test("keys that are weaker than P-256 or of another kind are refused by name", async () => {
	for (const namedCurve of ["secp224r1", "secp192k1", "secp256k1"]) {
		const keys = generateKeyPairSync("ec", { namedCurve });
		await assert.rejects(checkCsr(createCsrPem(keys)), refusedFor(/P-256, P-384 or P-521|no PKCS#10/), namedCurve);
	}
	const rsa = await crypto.subtle.generateKey(
		{ name: "RSASSA-PKCS1-v1_5", modulusLength: 2_048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" },
		true,
		["sign", "verify"],
	);
	const request = await x509.Pkcs10CertificateRequestGenerator.create({
		name: "CN=x",
		keys: rsa,
		signingAlgorithm: { name: "RSASSA-PKCS1-v1_5" },
	});
	await assert.rejects(checkCsr(request.toString("pem")), refusedFor(/its key is rsa/));
});

test("a request that is signed with SHA-1, by another key, or changed after it was signed is refused", async () => {
	const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
	const weak = await x509.Pkcs10CertificateRequestGenerator.create({
		...{ name: "CN=x", keys },
		signingAlgorithm: { name: "ECDSA", hash: "SHA-1" },
	});
	await assert.rejects(checkCsr(weak.toString("pem")), refusedFor(/weak hash|no PKCS#10/));
	const mine = generateKeyPairSync("ec", { namedCurve: "P-256" });
	const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
	await assert.rejects(
		checkCsr(createCsrPem({ publicKey: other.publicKey, privateKey: mine.privateKey })),
		refusedFor(/not by its own key/),
	);
});

test("every single bit of a request counts", async () => {
	const pem = createCsrPem(generateKeyPairSync("ec", { namedCurve: "P-256" }));
	const der = Buffer.from(pem.replace(/-----[A-Z ]+-----|\s/g, ""), "base64");
	const label = "CERTIFICATE REQUEST";
	// The first bytes of the outermost length are none of the signed part's.
	for (let at = 3; at < der.length; at += 3) {
		const bent = Buffer.from(der);
		bent[at]! ^= 0x10;
		await assert.rejects(
			checkCsr(`-----BEGIN ${label}-----\n${bent.toString("base64")}\n-----END ${label}-----\n`),
			MeshscopeError,
			`byte ${at}`,
		);
	}
});

test("what is no request is refused without a word about the inside", async () => {
	const two = createCsrPem(generateKeyPairSync("ec", { namedCurve: "P-256" })).repeat(2);
	for (const text of ["", "x", two, "-----BEGIN CERTIFICATE REQUEST-----\n????\n-----END CERTIFICATE REQUEST-----\n"])
		await assert.rejects(checkCsr(text), refusedFor(/PEM|PKCS/));
	await assert.rejects(checkCsr("x".repeat(9_000)), refusedFor(/longer than 8192 bytes/));
});

test("a request of openssl is taken", async (t) => {
	const folder = mkdtempSync(join(tmpdir(), "meshscope-csr-"));
	t.after(() => rmSync(folder, { recursive: true, force: true }));
	const out = join(folder, "csr.pem");
	try {
		execFileSync(
			"openssl",
			["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"].concat(
				...["-keyout", join(folder, "key.pem"), "-out", out, "-subj", "/CN=whoever"],
			),
			{ stdio: "pipe" },
		);
	} catch (error) {
		if (error instanceof Error && "code" in error && error.code === "ENOENT") return t.skip("openssl is not there");
		throw error;
	}
	assert.match((await checkCsr(readFileSync(out, "utf8"))).spkiSha256, /^[0-9a-f]{64}$/);
});
