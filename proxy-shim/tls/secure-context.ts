/**
 * What TLS is spoken with in the mesh: versions, suites, and no session resumption.
 *
 * Resumed sessions would skip the peer's certificate (Node calls checkServerIdentity for full handshakes only, and a ticket carries an
 * old verdict on the client), and connections are pooled, so there is little to win. Without tickets every connection is a full handshake
 * against the roots of the day.
 */
import { constants } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { SecureContext, SecureContextOptions } from "node:tls";
import type { Identity } from "./identity-source.ts";

export type MinTlsVersion = "TLSv1.2" | "TLSv1.3";

/** AES-128 first: every CPU that runs this has it in hardware. For 1.2 only AEAD with ephemeral keys. */
const CIPHERS = [
	"TLS_AES_128_GCM_SHA256",
	"TLS_AES_256_GCM_SHA384",
	"TLS_CHACHA20_POLY1305_SHA256",
	"ECDHE-ECDSA-AES128-GCM-SHA256",
	"ECDHE-RSA-AES128-GCM-SHA256",
	"ECDHE-ECDSA-AES256-GCM-SHA384",
	"ECDHE-RSA-AES256-GCM-SHA384",
	"ECDHE-ECDSA-CHACHA20-POLY1305",
	"ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** Of both ends. Renegotiation is a thing of 1.2 that lets a client burn a server's CPU. */
export const PROTOCOL_OPTIONS = {
	ciphers: CIPHERS,
	honorCipherOrder: true,
	secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
} as const satisfies SecureContextOptions;

/** Certificate, key and roots. Every certificate of the bundle is an anchor, be it self-signed or not (SPIFFE's bundles). */
export function identityOptions(identity: Identity, minVersion: MinTlsVersion): SecureContextOptions {
	return {
		...PROTOCOL_OPTIONS,
		minVersion,
		cert: identity.chainPem,
		key: identity.keyPem,
		ca: [...identity.rootsPem],
		allowPartialTrustChain: true,
	};
}

const contexts = new WeakMap<Identity, SecureContext>();

/** Made once an identity, for TLS 1.2 and later. Throws where key and certificate do not match or cannot be read. */
export function secureContext(identity: Identity): SecureContext {
	let context = contexts.get(identity);
	if (context === undefined) {
		context = createSecureContext(identityOptions(identity, "TLSv1.2"));
		contexts.set(identity, context);
	}
	return context;
}
