/** What each proxy said about itself and what it was given: its stream, its policy, its bundle, its certificate. */
import type { PolicyFault } from "../../model/mesh/control-protocol.ts";

export interface ProxyRecord {
	readonly instanceId: string;
	readonly principal: string;
	readonly remoteAddress: string;
	readonly proxyVersion: string;
	readonly connectedSinceMs: number | undefined;
	/** Empty for none. */
	readonly policyVersion: string;
	readonly nack: { readonly version: string; readonly atMs: number; readonly faults: readonly PolicyFault[] } | undefined;
	readonly bundleSequence: number;
	readonly certificate: IssuedCertificate | undefined;
}

export interface IssuedCertificate {
	readonly serial: string;
	readonly notBeforeMs: number;
	readonly notAfterMs: number;
	readonly rootSha256: string;
}

export interface ProxyBook {
	get(instanceId: string): ProxyRecord | undefined;
	all(): readonly ProxyRecord[];
	put(record: ProxyRecord): void;
	/** Nothing where the proxy is not known. */
	change(instanceId: string, change: Partial<Omit<ProxyRecord, "instanceId">>): void;
	remove(instanceId: string): void;
}

export function createProxyBook(known: readonly ProxyRecord[], onChange: () => void): ProxyBook {
	const records = new Map(
		known.map((record) => [record.instanceId, { ...record, connectedSinceMs: undefined } as ProxyRecord]),
	);
	return {
		get: (instanceId) => records.get(instanceId),
		all: () => [...records.values()],
		put(record) {
			records.set(record.instanceId, record);
			onChange();
		},
		change(instanceId, change) {
			const record = records.get(instanceId);
			if (record === undefined) return;
			records.set(instanceId, { ...record, ...change });
			onChange();
		},
		remove(instanceId) {
			if (records.delete(instanceId)) onChange();
		},
	};
}
