/**
 * X.509 certificates for tests, made at run time so that no private key lies in the repository and none expires.
 *
 * node:crypto makes keys and signatures but no certificates, so the DER around them is built here: version 3, ECDSA P-256 with
 * SHA-256, subject alternative names (RFC 5280).
 */
import { createHash, createPublicKey, createSign, generateKeyPairSync, randomBytes } from "node:crypto";
import type { KeyObject } from "node:crypto";

export interface Issued {
	readonly certificatePem: string;
	readonly keyPem: string;
	readonly notAfter: Date;
	readonly key: KeyObject;
	readonly commonName: string;
}

export interface CertificateRequest {
	readonly commonName: string;
	readonly uris?: readonly string[];
	readonly dnsNames?: readonly string[];
	readonly notBefore: Date;
	readonly notAfter: Date;
	/** Undefined: a self-signed authority. */
	readonly issuer?: Issued;
	/** Bits of keyUsage from the left; what an authority or a workload has unless given. Undefined leaves the extension out. */
	readonly keyUsage?: readonly KeyUsageBit[] | undefined;
	/** Claims to be an authority although it has an issuer. */
	readonly isAuthority?: boolean;
	/** `server`, `client`, or both unless given. */
	readonly purposes?: readonly ("server" | "client")[];
}

/** The numbers of RFC 5280 section 4.2.1.3. */
const KEY_USAGE_BITS = { digitalSignature: 0, keyEncipherment: 2, keyAgreement: 4, keyCertSign: 5, cRLSign: 6 } as const;
type KeyUsageBit = keyof typeof KEY_USAGE_BITS;
const PURPOSES = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" } as const;

export function issueCertificate(request: CertificateRequest): Issued {
	const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
	const toBeSigned = sequence(
		context(0, true, integer(Buffer.from([2]))),
		integer(Buffer.concat([Buffer.from([0x01]), randomBytes(15)])),
		ECDSA_WITH_SHA256,
		name(request.issuer?.commonName ?? request.commonName),
		sequence(time(request.notBefore), time(request.notAfter)),
		name(request.commonName),
		publicKey.export({ type: "spki", format: "der" }),
		context(3, true, sequence(...extensions(request, publicKey))),
	);
	const signature = createSign("SHA256")
		.update(toBeSigned)
		.sign(request.issuer?.key ?? privateKey);
	const certificate = sequence(toBeSigned, ECDSA_WITH_SHA256, bitString(signature, 0));
	return {
		certificatePem: pem("CERTIFICATE", certificate),
		keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
		notAfter: request.notAfter,
		key: privateKey,
		commonName: request.commonName,
	};
}

function extensions(request: CertificateRequest, publicKey: KeyObject): Buffer[] {
	const isAuthority = request.isAuthority ?? request.issuer === undefined;
	const names = [
		...(request.uris ?? []).map((uri) => context(6, false, Buffer.from(uri, "ascii"))),
		...(request.dnsNames ?? []).map((host) => context(2, false, Buffer.from(host, "ascii"))),
	];
	const keyUsage =
		"keyUsage" in request
			? request.keyUsage
			: isAuthority
				? (["keyCertSign", "cRLSign"] as const)
				: (["digitalSignature"] as const);
	const purposes = (request.purposes ?? ["server", "client"]).map((purpose) => oid(PURPOSES[purpose]));
	return [
		extension("2.5.29.19", true, isAuthority ? sequence(BOOLEAN_TRUE) : sequence()),
		...(keyUsage === undefined ? [] : [extension("2.5.29.15", true, keyUsageBits(keyUsage))]),
		...(isAuthority ? [] : [extension("2.5.29.37", false, sequence(...purposes))]),
		...(names.length === 0 ? [] : [extension("2.5.29.17", false, sequence(...names))]),
		// Subject and authority key identifiers, which `openssl verify -x509_strict` asks for.
		extension("2.5.29.14", false, tagged(0x04, keyIdentifier(publicKey))),
		extension("2.5.29.35", false, sequence(context(0, false, keyIdentifier(request.issuer?.key ?? publicKey)))),
	];
}

/** DER leaves trailing zero bits out. */
function keyUsageBits(usage: readonly KeyUsageBit[]): Buffer {
	const bits = usage.reduce((sum, bit) => sum | (0x80 >> KEY_USAGE_BITS[bit]), 0);
	const last = Math.max(...usage.map((bit) => KEY_USAGE_BITS[bit]));
	return bitString(Buffer.from([bits]), 7 - last);
}

/** RFC 7093's method 1: the leftmost 160 bits of SHA-256 over the public key. */
function keyIdentifier(key: KeyObject): Buffer {
	const der = (key.type === "private" ? createPublicKey(key) : key).export({ type: "spki", format: "der" });
	return createHash("sha256").update(der).digest().subarray(0, 20);
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
	return sequence(oid(id), ...(critical ? [BOOLEAN_TRUE] : []), tagged(0x04, value));
}

function name(commonName: string): Buffer {
	return sequence(tagged(0x31, sequence(oid("2.5.4.3"), tagged(0x0c, Buffer.from(commonName, "utf8")))));
}

/** UTCTime: two-digit years, right until 2049. */
function time(date: Date): Buffer {
	const digits = date.toISOString().replace(/[-:T]/g, "").slice(2, 14);
	return tagged(0x17, Buffer.from(`${digits}Z`, "ascii"));
}

function oid(text: string): Buffer {
	const parts = text.split(".").map(Number);
	const bytes = [parts[0]! * 40 + parts[1]!];
	for (const part of parts.slice(2)) {
		const base128 = [part & 0x7f];
		for (let rest = part >>> 7; rest > 0; rest >>>= 7) base128.unshift((rest & 0x7f) | 0x80);
		bytes.push(...base128);
	}
	return tagged(0x06, Buffer.from(bytes));
}

function integer(bytes: Buffer): Buffer {
	return tagged(0x02, bytes);
}

function bitString(bytes: Buffer, unusedBits: number): Buffer {
	return tagged(0x03, Buffer.concat([Buffer.from([unusedBits]), bytes]));
}

function context(number: number, constructed: boolean, value: Buffer): Buffer {
	return tagged(0x80 | (constructed ? 0x20 : 0) | number, value);
}

function sequence(...items: readonly Buffer[]): Buffer {
	return tagged(0x30, Buffer.concat(items));
}

function tagged(tag: number, value: Buffer): Buffer {
	if (value.length < 0x80) return Buffer.concat([Buffer.from([tag, value.length]), value]);
	const length = value.length < 0x100 ? [0x81, value.length] : [0x82, value.length >> 8, value.length & 0xff];
	return Buffer.concat([Buffer.from([tag, ...length]), value]);
}

function pem(label: string, der: Buffer): string {
	const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
	return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

const BOOLEAN_TRUE = tagged(0x01, Buffer.from([0xff]));
const ECDSA_WITH_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));
