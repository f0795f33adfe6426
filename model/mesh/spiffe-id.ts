/**
 * SPIFFE IDs as this mesh uses them: `spiffe://<trust-domain>/ns/<namespace>/sa/<service account>` (SPIFFE-ID section 2, Istio's path).
 * Pure, so that the authority that issues them and the proxy that checks them read one rule.
 */

export interface SpiffeId {
	readonly trustDomain: string;
	readonly namespace: string;
	readonly serviceAccount: string;
}

/** SPIFFE-ID section 2.3: longer ones need not be supported, so none is accepted. */
const MAX_ID_BYTES = 2_048;
const MAX_TRUST_DOMAIN_BYTES = 255;
const SCHEME = "spiffe://";
const TRUST_DOMAIN = /^[a-z0-9._-]+$/;
/** No `%`, no `?`, no `#`: an ID has one spelling only. */
const SEGMENT = /^[A-Za-z0-9._-]+$/;

export function isTrustDomain(text: string): boolean {
	return text.length <= MAX_TRUST_DOMAIN_BYTES && TRUST_DOMAIN.test(text);
}

/** Undefined for what is no SPIFFE ID, and for one whose path has another form. Never throws. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
	if (text.length > MAX_ID_BYTES || !text.startsWith(SCHEME)) return undefined;
	const parts = text.slice(SCHEME.length).split("/");
	if (parts.length !== 5) return undefined;
	const [trustDomain, ns, namespace, sa, serviceAccount] = parts;
	if (ns !== "ns" || sa !== "sa" || !isTrustDomain(trustDomain!)) return undefined;
	if (!isSegment(namespace!) || !isSegment(serviceAccount!)) return undefined;
	return { trustDomain: trustDomain!, namespace: namespace!, serviceAccount: serviceAccount! };
}

export function formatSpiffeId(id: SpiffeId): string {
	return `${SCHEME}${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`;
}

function isSegment(text: string): boolean {
	return SEGMENT.test(text) && text !== "." && text !== "..";
}
