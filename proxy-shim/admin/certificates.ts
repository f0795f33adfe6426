/** What of the proxy's identities may be shown: names, times and fingerprints; never a key. */
import { X509Certificate } from "node:crypto";
import type { Identity } from "../tls/identity-source.ts";

export interface ShownCertificate {
	readonly subject: string;
	readonly issuer: string;
	readonly subjectAltName: string;
	readonly serialNumber: string;
	readonly notBefore: string;
	readonly notAfter: string;
	readonly sha256: string;
}

export interface ShownIdentity {
	readonly principal: string;
	readonly expiresInSeconds: number;
	readonly chain: readonly ShownCertificate[];
	readonly roots: readonly ShownCertificate[];
}

export function shownIdentity(identity: Identity, nowMs: number): ShownIdentity {
	return {
		principal: identity.principal,
		expiresInSeconds: Math.round((identity.notAfterMs - nowMs) / 1000),
		chain: certificatesIn(identity.chainPem),
		roots: identity.rootsPem.flatMap(certificatesIn),
	};
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

function certificatesIn(pem: string): ShownCertificate[] {
	return (pem.match(CERTIFICATE) ?? []).flatMap((text) => {
		try {
			const certificate = new X509Certificate(text);
			return [
				{
					subject: certificate.subject ?? "",
					issuer: certificate.issuer ?? "",
					subjectAltName: certificate.subjectAltName ?? "",
					serialNumber: certificate.serialNumber,
					notBefore: new Date(certificate.validFrom).toISOString(),
					notAfter: new Date(certificate.validTo).toISOString(),
					sha256: certificate.fingerprint256,
				},
			];
		} catch {
			return [];
		}
	});
}
