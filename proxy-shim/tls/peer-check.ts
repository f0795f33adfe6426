/**
 * The SPIFFE rules on top of a verified chain (X509-SVID sections 2 and 5): what makes a certificate the identity of a workload.
 * OpenSSL has checked signatures, authorities, extended key usage and validity; this never replaces it.
 */
import { parseSpiffeId } from "../../model/mesh/spiffe-id.ts";
import type { CertificateFacts } from "./certificate.ts";
import { TlsFailure } from "./failure.ts";

export interface PeerRules {
	readonly trustDomain: string;
	/** IDs of which the peer must have one; empty accepts every workload of the trust domain. */
	readonly expected: readonly string[];
	readonly nowMs: number;
}

/** The peer's principal; throws a TlsFailure that names the broken rule. */
export function checkPeer(facts: CertificateFacts, rules: PeerRules): string {
	if (facts.notAfterMs <= rules.nowMs) {
		throw new TlsFailure("peer_certificate_expired", `it was valid until ${new Date(facts.notAfterMs).toISOString()}`);
	}
	if (facts.notBeforeMs > rules.nowMs) {
		throw new TlsFailure("peer_certificate_not_yet_valid", `it is valid from ${new Date(facts.notBeforeMs).toISOString()}`);
	}
	if (facts.isAuthority) throw new TlsFailure("invalid_certificate", "it is an authority's, not a workload's");
	if (facts.keyUsage?.digitalSignature !== true) {
		throw new TlsFailure("invalid_certificate", "its key usage does not have digitalSignature");
	}
	if (facts.keyUsage.keyCertSign || facts.keyUsage.cRLSign) {
		throw new TlsFailure("invalid_certificate", "its key may sign certificates or revocation lists");
	}
	const [principal] = facts.uris;
	if (principal === undefined) throw new TlsFailure("not_spiffe", "it names no URI");
	if (facts.uris.length > 1) throw new TlsFailure("not_spiffe", `it names ${facts.uris.length} URIs, not one`);
	const id = parseSpiffeId(principal);
	if (id === undefined) {
		throw new TlsFailure("not_spiffe", `${shown(principal)} is not spiffe://<trust domain>/ns/<namespace>/sa/<account>`);
	}
	if (id.trustDomain !== rules.trustDomain) {
		throw new TlsFailure("wrong_trust_domain", `${shown(principal)} is not of ${rules.trustDomain}`);
	}
	if (rules.expected.length > 0 && !rules.expected.includes(principal)) {
		throw new TlsFailure("wrong_identity", `${shown(principal)} answered where ${rules.expected.join(" or ")} was expected`);
	}
	return principal;
}

/** A certificate's words end up in logs: short, and without control characters. */
function shown(text: string): string {
	return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
