/** A trust domain made at run time: authorities, identities of workloads, and certificates that are wrong in one way each. */
import type { Identity } from "../../proxy-shim/tls/identity-source.ts";
import { issueCertificate } from "../interop/certificates.ts";
import type { CertificateRequest, Issued } from "../interop/certificates.ts";

const DAY_MS = 86_400_000;

export function makeAuthority(commonName: string): Issued {
	return issueCertificate({ commonName, notBefore: fromNow(-DAY_MS), notAfter: fromNow(30 * DAY_MS) });
}

export type LeafRequest = Partial<Omit<CertificateRequest, "issuer">>;

/** The identity `spiffe://cluster.local/ns/shop/sa/<name>` unless `leaf` says otherwise. */
export function makeIdentity(
	authority: Issued,
	name: string,
	leaf: LeafRequest = {},
	roots: readonly Issued[] = [authority],
): Identity {
	const notBefore = leaf.notBefore ?? fromNow(-60_000);
	const notAfter = leaf.notAfter ?? fromNow(DAY_MS);
	const principal = `spiffe://cluster.local/ns/shop/sa/${name}`;
	const issued = issueCertificate({ commonName: name, uris: [principal], ...leaf, notBefore, notAfter, issuer: authority });
	return {
		principal: leaf.uris?.[0] ?? principal,
		chainPem: issued.certificatePem,
		keyPem: issued.keyPem,
		rootsPem: roots.map(({ certificatePem }) => certificatePem),
		notBeforeMs: notBefore.getTime(),
		notAfterMs: notAfter.getTime(),
	};
}

/** Certificates count whole seconds. */
export function fromNow(ms: number): Date {
	return new Date(Math.floor((Date.now() + ms) / 1_000) * 1_000);
}
