/**
 * Which services an identity may answer for: the one named like its service account, and those that were named when a token for it was
 * made. What one token granted stays granted, since certificates are renewed without tokens.
 */
import { parseSpiffeId } from "../../model/mesh/policy/spiffe.ts";
import { readStateJson } from "../../model/mesh/state-folder.ts";
import type { StateFolder } from "../../model/mesh/state-folder.ts";

export interface Grants {
	/** May this identity register instances of the service, in its own namespace? */
	allows(identity: string, service: string): boolean;
	grant(identity: string, services: readonly string[]): void;
}

const STATE_FILE = "grants.json";

export function openGrants(state: StateFolder): Grants {
	const stored = (readStateJson(state, STATE_FILE) ?? {}) as Readonly<Record<string, readonly string[]>>;
	const granted = new Map(Object.entries(stored).map(([identity, services]) => [identity, new Set(services)]));
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
