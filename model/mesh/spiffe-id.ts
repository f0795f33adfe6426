/** SPIFFE IDs for those who need to know only whether one is good: certificates of peers, flags. The rules are policy/spiffe.ts's. */
import { formatSpiffeId, parseSpiffeId as parse, trustDomainProblem } from "./policy/spiffe.ts";
import type { SpiffeId } from "./policy/spiffe.ts";

export { formatSpiffeId };
export type { SpiffeId };

export function isTrustDomain(text: string): boolean {
	return trustDomainProblem(text) === undefined;
}

/** Undefined for what is no SPIFFE ID, and for one whose path has another form. Never throws. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
	const parsed = parse(text);
	if (!parsed.ok) return undefined;
	const { trustDomain, namespace, serviceAccount } = parsed;
	return { trustDomain, namespace, serviceAccount };
}
