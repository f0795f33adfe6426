/** An identity that its owner sets: the control plane's client does, files do, tests do. */
import type { Identity, IdentitySource } from "./identity-source.ts";

export interface MemoryIdentity extends IdentitySource {
	set(identity: Identity): void;
}

export function createMemoryIdentity(first?: Identity): MemoryIdentity {
	const listeners = new Set<(identity: Identity) => void>();
	let current = first;
	return {
		current: () => current,
		onChange(listener) {
			listeners.add(listener);
			return () => void listeners.delete(listener);
		},
		set(identity) {
			current = identity;
			for (const listener of listeners) listener(identity);
		},
	};
}
