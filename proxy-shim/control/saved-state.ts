/**
 * What a proxy runs on while no control plane answers: its certificate and key, the roots, the last good policy, the last endpoints. A
 * file that cannot be read is as good as none: the control plane tells everything again.
 */
import type { PolicySnapshot, ServiceEndpoints } from "../../model/mesh/control-protocol.ts";
import type { StateFolder } from "../../model/mesh/state-folder.ts";
import type { ControlLog } from "./sources.ts";

export interface SavedCertificate {
	readonly principal: string;
	readonly chainPem: string;
	readonly keyPem: string;
	readonly receivedMs: number;
}

export interface SavedBundle {
	readonly trustDomain: string;
	readonly sequence: number;
	/** Oldest first. */
	readonly rootsPem: readonly string[];
}

interface Saved {
	readonly certificate: SavedCertificate;
	/** A key that was made to join with: only with it can the token be used again. */
	readonly "join-key": { readonly tokenId: string; readonly keyPem: string };
	/** The token that gave it its certificate. */
	readonly joined: { readonly tokenId: string };
	readonly bundle: SavedBundle;
	readonly policy: PolicySnapshot;
	readonly endpoints: readonly ServiceEndpoints[];
}

export interface SavedState {
	read<K extends keyof Saved>(name: K): Saved[K] | undefined;
	write<K extends keyof Saved>(name: K, value: Saved[K]): void;
	remove(name: keyof Saved): void;
}

export function savedState(folder: StateFolder, log: ControlLog): SavedState {
	return {
		read<K extends keyof Saved>(name: K) {
			try {
				const text = folder.read(fileOf(name));
				return text === undefined ? undefined : (JSON.parse(text) as Saved[K]);
			} catch (error) {
				log("warn", "a file of the proxy's state cannot be used", { name, reason: String(error) });
				return undefined;
			}
		},
		write(name, value) {
			try {
				folder.write(fileOf(name), JSON.stringify(value));
			} catch (error) {
				// It goes on with what it has in memory.
				log("warn", "the proxy's state cannot be written", { name, reason: String(error) });
			}
		},
		remove: (name) => folder.remove(fileOf(name)),
	};
}

function fileOf(name: keyof Saved): string {
	return `${name}.json`;
}
