/**
 * SPIFFE IDs of workloads, `spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>`, by the rules of the SPIFFE standard (SPIFFE-ID,
 * sections 2.1 to 2.4) and the form that Istio gives the path.
 */

export interface SpiffeId {
	readonly trustDomain: string;
	readonly namespace: string;
	readonly serviceAccount: string;
}

export type ParsedSpiffeId = ({ readonly ok: true } & SpiffeId) | { readonly ok: false; readonly reason: string };

const SCHEME = "spiffe://";
const MAX_ID_BYTES = 2048;
const MAX_TRUST_DOMAIN_BYTES = 255;

/** Never throws. `reason` completes "the ID ". */
export function parseSpiffeId(text: string): ParsedSpiffeId {
	if (text.length > MAX_ID_BYTES) return refused(`is longer than ${MAX_ID_BYTES} bytes`);
	if (!text.startsWith(SCHEME)) return refused(`must begin with ${SCHEME}`);
	if (text.includes("%")) return refused("must not hold percent-encoding");
	if (text.endsWith("/")) return refused("must not end with a slash");
	const [trustDomain = "", ...segments] = text.slice(SCHEME.length).split("/");
	const problem = trustDomainProblem(trustDomain);
	if (problem !== undefined) return refused(problem);
	for (const segment of segments) {
		// Everything else is not ASCII or has a meaning in URIs; so the limit in characters above is one in bytes.
		if (!/^[A-Za-z0-9._-]+$/.test(segment))
			return refused("may hold only letters, digits, dots, dashes and underscores between slashes");
		if (segment === "." || segment === "..") return refused("must not hold the path segments . and ..");
	}
	const [ns, namespace, sa, serviceAccount] = segments;
	if (segments.length !== 4 || ns !== "ns" || sa !== "sa" || namespace === undefined || serviceAccount === undefined) {
		return refused("must have the path /ns/<namespace>/sa/<service-account>");
	}
	return { ok: true, trustDomain, namespace, serviceAccount };
}

/**
 * Throws a RangeError for parts that make no valid ID: they come from a configuration that was checked, and a certificate for a wrong
 * name must never be asked for.
 */
export function formatSpiffeId(workload: SpiffeId): string {
	const text = `${SCHEME}${workload.trustDomain}/ns/${workload.namespace}/sa/${workload.serviceAccount}`;
	const parsed = parseSpiffeId(text);
	if (!parsed.ok) throw new RangeError(`${text.slice(0, 200)} is no SPIFFE ID: it ${parsed.reason}`);
	return text;
}

/** Completes "the ID "; undefined where nothing is wrong. */
export function trustDomainProblem(trustDomain: string): string | undefined {
	if (trustDomain === "") return "must name a trust domain";
	if (trustDomain.length > MAX_TRUST_DOMAIN_BYTES) return `has a trust domain longer than ${MAX_TRUST_DOMAIN_BYTES} bytes`;
	if (!/^[a-z0-9._-]+$/.test(trustDomain))
		return "has a trust domain with other than lower-case letters, digits, dots, dashes and underscores";
	return undefined;
}

function refused(reason: string): ParsedSpiffeId {
	return { ok: false, reason };
}
