/** The two certificates of the mesh: roots that sign, and leaves with exactly one SPIFFE ID (X509-SVID, section 3 to 5). */
import { createHash, randomBytes, X509Certificate } from "node:crypto";
import type { webcrypto } from "node:crypto";
import { BACKDATE_MS } from "../../model/mesh/control-protocol.ts";
import { x509 } from "./x509.ts";

const KEY_ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;
const PEM_LINE = /.{1,64}/g;

export interface KeyedCertificate {
	readonly certPem: string;
	/** PKCS#8. */
	readonly keyPem: string;
}

export interface Root extends KeyedCertificate {
	/** SHA-256 of the DER, hex. */
	readonly sha256: string;
	readonly notBeforeMs: number;
	readonly notAfterMs: number;
}

export interface Leaf {
	readonly certPem: string;
	/** Hex. */
	readonly serial: string;
	readonly notBeforeMs: number;
	readonly notAfterMs: number;
}

/** A self-signed authority, told apart from earlier ones by its name too, so that chains are never built to the wrong one. */
export async function createRoot(trustDomain: string, ttlMs: number, nowMs: number): Promise<Root> {
	const keys = await crypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
	const subjectKey = await x509.SubjectKeyIdentifierExtension.create(keys.publicKey);
	const certificate = await x509.X509CertificateGenerator.createSelfSigned({
		name: [{ O: ["meshscope"] }, { CN: [`mesh root ${subjectKey.keyId.slice(0, 16)}`] }],
		serialNumber: serialNumber(),
		notBefore: wholeSecond(nowMs - BACKDATE_MS),
		notAfter: wholeSecond(nowMs + ttlMs),
		keys,
		signingAlgorithm: SIGNATURE,
		extensions: [
			new x509.BasicConstraintsExtension(true, 0, true),
			new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
			new x509.SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://${trustDomain}` }]),
			subjectKey,
		],
	});
	return rootOf({ certPem: pemOf("CERTIFICATE", certificate.rawData), keyPem: await privateKeyPem(keys.privateKey) });
}

/** @throws Error when the PEM is no certificate */
export function rootOf(stored: KeyedCertificate): Root {
	const certificate = new X509Certificate(stored.certPem);
	return {
		...stored,
		sha256: createHash("sha256").update(certificate.raw).digest("hex"),
		notBeforeMs: certificate.validFromDate.getTime(),
		notAfterMs: certificate.validToDate.getTime(),
	};
}

/**
 * @param spki the holder's public key, DER
 * @param ttlMs how long it is valid from now; never longer than the root
 */
export async function issueLeaf(root: Root, spki: Buffer, principal: string, ttlMs: number, nowMs: number): Promise<Leaf> {
	const publicKey = new x509.PublicKey(spki);
	const issuer = new x509.X509Certificate(root.certPem);
	const notBefore = wholeSecond(nowMs - BACKDATE_MS);
	// Rounded up, so that a certificate of two seconds is one of two seconds.
	const notAfter = wholeSecond(Math.min(nowMs + ttlMs + 999, root.notAfterMs));
	const serial = serialNumber();
	const certificate = await x509.X509CertificateGenerator.create({
		subject: [{ O: ["meshscope"] }],
		issuer: issuer.subjectName,
		serialNumber: serial,
		notBefore,
		notAfter,
		publicKey,
		signingKey: await signingKey(root.keyPem),
		signingAlgorithm: SIGNATURE,
		extensions: [
			new x509.BasicConstraintsExtension(false, undefined, true),
			new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
			new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
			new x509.SubjectAlternativeNameExtension([{ type: "url", value: principal }]),
			await x509.SubjectKeyIdentifierExtension.create(publicKey),
			await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
		],
	});
	return {
		certPem: pemOf("CERTIFICATE", certificate.rawData),
		serial,
		notBeforeMs: notBefore.getTime(),
		notAfterMs: notAfter.getTime(),
	};
}

/** A key pair and its leaf, for the control plane's own port. */
export async function issueOwn(root: Root, principal: string, ttlMs: number, nowMs: number): Promise<Leaf & KeyedCertificate> {
	const keys = await crypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
	const spki = Buffer.from(await crypto.subtle.exportKey("spki", keys.publicKey));
	return { ...(await issueLeaf(root, spki, principal, ttlMs, nowMs)), keyPem: await privateKeyPem(keys.privateKey) };
}

function signingKey(keyPem: string): Promise<webcrypto.CryptoKey> {
	const der = Buffer.from(keyPem.replace(/-----[A-Z ]+-----|\s/g, ""), "base64");
	return crypto.subtle.importKey("pkcs8", der, KEY_ALGORITHM, false, ["sign"]);
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
	return pemOf("PRIVATE KEY", await crypto.subtle.exportKey("pkcs8", key));
}

function pemOf(label: string, der: ArrayBuffer): string {
	const lines = Buffer.from(der).toString("base64").match(PEM_LINE) ?? [];
	return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** 126 bits of chance, positive and without a leading zero byte (RFC 5280 section 4.1.2.2). */
function serialNumber(): string {
	const bytes = randomBytes(16);
	bytes[0] = (bytes[0]! & 0x3f) | 0x40;
	return bytes.toString("hex");
}

function wholeSecond(ms: number): Date {
	return new Date(Math.floor(ms / 1_000) * 1_000);
}
