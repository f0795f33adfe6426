/**
 * The policy that came last and the one that is good: a new one is tried by whoever compiles it, and only one that compiled is kept on
 * disk and acknowledged.
 */
import type { PolicyFault, PolicySnapshot } from "../../model/mesh/control-protocol.ts";
import type { Send } from "./certificate-keeper.ts";
import { listeners } from "./listeners.ts";
import type { SavedState } from "./saved-state.ts";
import type { ControlLog, PolicySource } from "./sources.ts";

export interface PolicyKeeper extends PolicySource {
	receive(snapshot: PolicySnapshot): void;
	connected(send: Send): void;
	disconnected(): void;
	/** That is in force; empty for none. */
	goodVersion(): string;
}

export function createPolicyKeeper(instanceId: string, saved: SavedState, log: ControlLog): PolicyKeeper {
	const listening = listeners<PolicySnapshot>(log);
	const onDisk: unknown = saved.read("policy");
	let good = isSnapshot(onDisk) ? onDisk : undefined;
	let current = good;
	let refused: { readonly snapshot: PolicySnapshot; readonly faults: readonly PolicyFault[] } | undefined;
	let send: Send | undefined;

	return {
		current: () => current,
		onChange: listening.add,
		report(version, faults) {
			const snapshot = [current, good].find((one) => one?.version === version);
			if (snapshot === undefined) return;
			if (faults.length === 0) {
				if (snapshot !== good) saved.write("policy", snapshot);
				good = snapshot;
				send?.({ kind: "ack", instanceId, version });
			} else {
				if (snapshot !== good) refused = { snapshot, faults };
				current = good;
				send?.({ kind: "nack", instanceId, version, faults });
			}
		},
		receive(snapshot) {
			const { version } = snapshot;
			if (isSame(snapshot, good)) {
				current = good;
				send?.({ kind: "ack", instanceId, version });
			} else if (refused !== undefined && isSame(snapshot, refused.snapshot)) {
				send?.({ kind: "nack", instanceId, version, faults: refused.faults });
			} else if (!isSame(snapshot, current)) {
				current = snapshot;
				listening.tell(snapshot);
			}
		},
		connected: (newSend) => void (send = newSend),
		disconnected: () => void (send = undefined),
		goodVersion: () => good?.version ?? "",
	};
}

/** A control plane that lost its state counts anew, so the version alone does not tell. */
function isSame(a: PolicySnapshot, b: PolicySnapshot | undefined): boolean {
	return a.version === b?.version && a.hash === b.hash;
}

export function isSnapshot(value: unknown): value is PolicySnapshot {
	if (typeof value !== "object" || value === null) return false;
	const { version, hash, documents } = value as Readonly<Record<string, unknown>>;
	return typeof version === "string" && typeof hash === "string" && Array.isArray(documents);
}
