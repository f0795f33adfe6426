/**
 * What the mesh asks of a certificate, read from its DER (RFC 5280): node:crypto tells neither the bits of keyUsage nor how many URIs a
 * certificate names. It is read after OpenSSL has verified the chain, once a connection.
 */

export interface CertificateFacts {
	readonly uris: readonly string[];
	readonly dnsNames: readonly string[];
	/** RFC 4514: the most specific part first, `CN=orders,O=shop`. */
	readonly subject: string;
	readonly isAuthority: boolean;
	/** Undefined where the extension is absent. */
	readonly keyUsage: KeyUsage | undefined;
	readonly notBeforeMs: number;
	readonly notAfterMs: number;
}

interface KeyUsage {
	readonly digitalSignature: boolean;
	readonly keyCertSign: boolean;
	readonly cRLSign: boolean;
}

/** Where a value lies: bytes from `start` up to `end`. */
interface Value {
	readonly tag: number;
	readonly start: number;
	readonly end: number;
}

const TAG = { boolean: 1, bitString: 3, oid: 6, utf8: 12, printable: 19, ia5: 22, utcTime: 23, generalizedTime: 24 } as const;
const SEQUENCE = 0x30;
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
const DNS_NAME = 0x82;
const URI = 0x86;

/** Throws an Error for bytes that are no certificate. */
export function readCertificate(der: Uint8Array): CertificateFacts {
	const [toBeSigned] = children(der, expectTag(readValue(der, 0, der.length), SEQUENCE));
	const fields = children(der, expectTag(toBeSigned, SEQUENCE));
	// Version 1 has no version field, and no extensions either.
	const first = fields[0]?.tag === VERSION ? 1 : 0;
	const validity = children(der, expectTag(fields[first + 3], SEQUENCE));
	const facts = {
		uris: [] as string[],
		dnsNames: [] as string[],
		subject: readName(der, expectTag(fields[first + 4], SEQUENCE)),
		isAuthority: false,
		keyUsage: undefined as KeyUsage | undefined,
		notBeforeMs: readTime(der, validity[0]),
		notAfterMs: readTime(der, validity[1]),
	};
	const extensions = fields.find(({ tag }) => tag === EXTENSIONS);
	if (extensions === undefined) return facts;
	for (const extension of children(der, expectTag(children(der, extensions)[0], SEQUENCE))) {
		const parts = children(der, extension);
		const octets = parts.at(-1);
		if (octets === undefined) throw malformed();
		const value = readValue(der, octets.start, octets.end);
		switch (readOid(der, parts[0])) {
			case "2.5.29.19": {
				const [isAuthority] = children(der, value);
				facts.isAuthority = isAuthority?.tag === TAG.boolean && der[isAuthority.start] !== 0;
				break;
			}
			case "2.5.29.15": {
				expectTag(value, TAG.bitString);
				// The first byte counts unused bits, and bit 0 is the highest one of the next.
				const bits = value.end - value.start > 1 ? der[value.start + 1]! : 0;
				facts.keyUsage = {
					digitalSignature: (bits & 0x80) !== 0,
					keyCertSign: (bits & 0x04) !== 0,
					cRLSign: (bits & 0x02) !== 0,
				};
				break;
			}
			case "2.5.29.17":
				for (const name of children(der, expectTag(value, SEQUENCE))) {
					if (name.tag === URI) facts.uris.push(latin1(der, name));
					if (name.tag === DNS_NAME) facts.dnsNames.push(latin1(der, name));
				}
		}
	}
	return facts;
}

function readValue(bytes: Uint8Array, at: number, limit: number): Value {
	const tag = bytes[at];
	const lengthByte = bytes[at + 1];
	if (tag === undefined || lengthByte === undefined || at + 2 > limit) throw malformed();
	let start = at + 2;
	let length = lengthByte;
	if (lengthByte >= 0x80) {
		const digits = lengthByte & 0x7f;
		if (digits === 0 || digits > 3 || start + digits > limit) throw malformed();
		length = 0;
		for (const end = start + digits; start < end; start++) length = length * 256 + bytes[start]!;
	}
	if (start + length > limit) throw malformed();
	return { tag, start, end: start + length };
}

function children(bytes: Uint8Array, parent: Value): Value[] {
	const values: Value[] = [];
	for (let at = parent.start; at < parent.end;) {
		const value = readValue(bytes, at, parent.end);
		values.push(value);
		at = value.end;
	}
	return values;
}

function expectTag(value: Value | undefined, tag: number): Value {
	if (value?.tag !== tag) throw malformed();
	return value;
}

function readOid(bytes: Uint8Array, value: Value | undefined): string {
	const { start, end } = expectTag(value, TAG.oid);
	const parts: number[] = [];
	let part = 0;
	for (let i = start; i < end; i++) {
		part = part * 128 + (bytes[i]! & 0x7f);
		if (bytes[i]! >= 0x80) continue;
		if (parts.length === 0) {
			const head = Math.min(2, Math.floor(part / 40));
			parts.push(head, part - head * 40);
		} else {
			parts.push(part);
		}
		part = 0;
	}
	return parts.join(".");
}

/** UTCTime (two-digit years, 1950 to 2049) or GeneralizedTime, both in UTC to the second (RFC 5280 section 4.1.2.5). */
function readTime(bytes: Uint8Array, value: Value | undefined): number {
	if (value?.tag !== TAG.utcTime && value?.tag !== TAG.generalizedTime) throw malformed();
	const text = latin1(bytes, value);
	const match = /^(\d\d)?(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
	if (match === null || (match[1] === undefined) !== (value.tag === TAG.utcTime)) throw malformed();
	const century = match[1] ?? (Number(match[2]) >= 50 ? "19" : "20");
	const [month, day, hours, minutes, seconds] = match.slice(3).map(Number);
	return Date.UTC(Number(century + match[2]), month! - 1, day, hours, minutes, seconds);
}

const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
	["2.5.4.3", "CN"],
	["2.5.4.5", "serialNumber"],
	["2.5.4.6", "C"],
	["2.5.4.7", "L"],
	["2.5.4.8", "ST"],
	["2.5.4.9", "STREET"],
	["2.5.4.10", "O"],
	["2.5.4.11", "OU"],
	["2.5.4.45", "x500UniqueIdentifier"],
	["0.9.2342.19200300.100.1.1", "UID"],
	["0.9.2342.19200300.100.1.25", "DC"],
]);

function readName(bytes: Uint8Array, name: Value): string {
	const parts = children(bytes, name).map((set) =>
		children(bytes, set)
			.map((attribute) => {
				const [type, value] = children(bytes, attribute);
				if (value === undefined) throw malformed();
				const oid = readOid(bytes, type);
				return `${SHORT_NAMES.get(oid) ?? oid}=${nameValue(bytes, value)}`;
			})
			.join("+"),
	);
	return parts.toReversed().join(",");
}

function nameValue(bytes: Uint8Array, value: Value): string {
	const content = Buffer.from(bytes.subarray(value.start, value.end));
	if (value.tag === TAG.utf8) return escapeName(content.toString("utf8"));
	if (value.tag === TAG.printable || value.tag === TAG.ia5) return escapeName(content.toString("latin1"));
	return `#${content.toString("hex")}`;
}

/** RFC 4514 section 2.4; control characters too, for a subject ends up in logs. */
function escapeName(text: string): string {
	return text
		.replace(/[\\",+;<>]|^[ #]| $/g, (character) => `\\${character}`)
		.replace(
			/\p{Cc}/gu,
			(character) =>
				`\\${Buffer.from(character)
					.toString("hex")
					.replace(/(?<=^..)(?=.)/, "\\")}`,
		);
}

function latin1(bytes: Uint8Array, { start, end }: Value): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}

function malformed(): Error {
	return new Error("the certificate cannot be read: its DER is malformed");
}
