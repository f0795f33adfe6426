/**
 * What a certificate signing request is good for here: a public key, and the proof that the sender holds its private half. Subject,
 * names and extensions in it are not read: the identity comes from the token or from the certificate of the connection.
 */
import { createHash, createPublicKey } from "node:crypto";
import { MeshscopeError } from "../../model/errors.ts";
import { x509 } from "./x509.ts";

/** A request with a P-521 key and a long subject has some 1,200 bytes. */
const MAX_CSR_BYTES = 8 * 1024;
/** By OpenSSL's names. */
const CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"]);
const HASHES: ReadonlySet<string> = new Set(["SHA-256", "SHA-384", "SHA-512"]);

export interface CheckedCsr {
	/** SubjectPublicKeyInfo, DER. */
	readonly spki: Buffer;
	/** SHA-256 of it, hex: what a token is bound to. */
	readonly spkiSha256: string;
}

/** @throws MeshscopeError `csr_refused` */
export async function checkCsr(csrPem: string): Promise<CheckedCsr> {
	const der = derOf(csrPem);
	let spki: Buffer;
	let isSigned: boolean;
	try {
		const request = new x509.Pkcs10CertificateRequest(der);
		spki = Buffer.from(request.publicKey.rawData);
		const hash = request.signatureAlgorithm.hash?.name;
		checkKey(spki);
		if (hash === undefined || !HASHES.has(hash)) throw refused("it is signed with a weak hash; use SHA-256 or longer");
		isSigned = await request.verify();
	} catch (error) {
		if (error instanceof MeshscopeError) throw error;
		throw refused("it is no PKCS#10 request in DER");
	}
	if (!isSigned) throw refused("its signature is not by its own key");
	return { spki, spkiSha256: createHash("sha256").update(spki).digest("hex") };
}

function derOf(pem: string): Buffer {
	if (pem.length > MAX_CSR_BYTES) throw refused(`it is longer than ${MAX_CSR_BYTES} bytes`);
	const match = /^\s*-----BEGIN CERTIFICATE REQUEST-----\s+([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----\s*$/.exec(pem);
	if (match === null) throw refused("it is not one PEM block of the kind CERTIFICATE REQUEST");
	return Buffer.from(match[1]!, "base64");
}

/** Node checks that the point lies on the curve. */
function checkKey(spki: Buffer): void {
	const key = createPublicKey({ key: spki, format: "der", type: "spki" });
	const curve = key.asymmetricKeyDetails?.namedCurve;
	if (key.asymmetricKeyType !== "ec" || curve === undefined || !CURVES.has(curve))
		throw refused(`its key is ${key.asymmetricKeyType} ${curve ?? ""}; use P-256, P-384 or P-521`);
}

function refused(reason: string): MeshscopeError {
	return new MeshscopeError("csr_refused", `the certificate signing request is refused: ${reason}`);
}
