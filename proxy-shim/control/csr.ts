/**
 * A certificate signing request, PKCS#10 (RFC 2986) in DER, by hand: the proxy needs nothing else of X.509 that Node does not have, and a
 * library for it takes 25 MB of memory. It asks for nothing, since the control plane goes by the identity and not by the request.
 */
import { createSign } from "node:crypto";
import type { KeyObject } from "node:crypto";

const SEQUENCE = 0x30;
const BIT_STRING = 0x03;
/** Version 0. */
const VERSION = Buffer.from([0x02, 0x01, 0x00]);
/** An empty name. */
const SUBJECT = Buffer.from([SEQUENCE, 0x00]);
/** [0], without attributes. */
const ATTRIBUTES = Buffer.from([0xa0, 0x00]);
/** 1.2.840.10045.4.3.2 */
const ECDSA_WITH_SHA256 = Buffer.from([SEQUENCE, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]);

/** @param keys a pair on an elliptic curve; the signature proves that the private half is at hand */
export function createCsrPem({
	publicKey,
	privateKey,
}: {
	readonly publicKey: KeyObject;
	readonly privateKey: KeyObject;
}): string {
	const spki = publicKey.export({ type: "spki", format: "der" });
	const info = der(SEQUENCE, VERSION, SUBJECT, spki, ATTRIBUTES);
	const signature = createSign("SHA256").update(info).sign({ key: privateKey, dsaEncoding: "der" });
	const request = der(SEQUENCE, info, ECDSA_WITH_SHA256, der(BIT_STRING, Buffer.from([0]), signature));
	const lines = request.toString("base64").match(/.{1,64}/g) ?? [];
	return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join("\n")}\n-----END CERTIFICATE REQUEST-----\n`;
}

/** Tag, length, content (X.690 section 8.1); contents here are shorter than 64 KiB. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
	const content = Buffer.concat(parts);
	const { length } = content;
	const head = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
	return Buffer.concat([Buffer.from(head), content]);
}
