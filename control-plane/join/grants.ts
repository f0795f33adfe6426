/**
 * Which services an identity may answer for: the one named like its service account, and those that were named when a token for it was
 * made. What one token granted stays granted, since certificates are renewed without tokens.
 */
import { parseSpiffeId } from "../../model/mesh/policy/spiffe.ts";
import type { StateFolder } from "../../model/mesh/state-folder.ts";

export interface Grants {
	/** May this identity register instances of the service, in its own namespace? */
	allows(identity: string, service: string): boolean;
	grant(identity: string, services: readonly string[]): void;
}

const STATE_FILE = "grants.json";

export function openGrants(state: StateFolder): Grants {
	const text = state.read(STATE_FILE);
	const granted = new Map<string, ReadonlySet<string>>();
	if (text !== undefined)
		for (const [identity, services] of Object.entries(JSON.parse(text) as Record<string, readonly string[]>))
			granted.set(identity, new Set(services));
	return {
		allows(identity, service) {
			const parsed = parseSpiffeId(identity);
			return (parsed.ok && parsed.serviceAccount === service) || granted.get(identity)?.has(service) === true;
		},
		grant(identity, services) {
			const known = granted.get(identity) ?? new Set<string>();
			if (services.every((service) => known.has(service))) return;
			granted.set(identity, new Set([...known, ...services]));
			state.write(STATE_FILE, JSON.stringify(Object.fromEntries([...granted].map(([id, names]) => [id, [...names]]))));
		},
	};
}
