/**
 * The written form of a join token: what names it, what proves it, and the root by which a proxy knows the control plane at first
 * contact. One word that survives every shell.
 */

export interface JoinToken {
	/** 16 hex digits; no secret. */
	readonly id: string;
	/** 64 hex digits. */
	readonly secret: string;
	/** SHA-256 of the root certificate's DER, hex. */
	readonly rootSha256: string;
}

const FORM = /^msj1\.([0-9a-f]{16})\.([0-9a-f]{64})\.([0-9a-f]{64})$/;

export function formatJoinToken({ id, secret, rootSha256 }: JoinToken): string {
	return `msj1.${id}.${secret}.${rootSha256}`;
}

/** Undefined for what is none. */
export function parseJoinToken(text: string): JoinToken | undefined {
	const match = FORM.exec(text.trim());
	return match === null ? undefined : { id: match[1]!, secret: match[2]!, rootSha256: match[3]! };
}
