/** What a control plane knows of its mesh, as API and page tell it. Plain data, a picture of one moment. */
import type { PolicyFault, PolicySnapshot } from "./control-protocol.ts";

export interface MeshState {
	readonly trustDomain: string;
	/** `host:port` of the control stream. */
	readonly address: string;
	readonly startedAtMs: number;
	readonly services: readonly MeshService[];
	readonly instances: readonly MeshInstance[];
	readonly proxies: readonly MeshProxy[];
	/** Soonest end first. */
	readonly certificates: readonly MeshCertificate[];
	readonly roots: readonly MeshRoot[];
	/** Of the trust bundle. */
	readonly bundleSequence: number;
	readonly policy: MeshPolicy;
}

export interface MeshService {
	readonly namespace: string;
	readonly service: string;
	readonly ports: readonly { readonly servicePort: number; readonly protocol: string }[];
	readonly instances: number;
	readonly healthy: number;
	readonly principals: readonly string[];
}

/** `lost`: its stream ended, and it is given time to come back. */
export type InstancePresence = "connected" | "lost";

export interface MeshInstance {
	readonly instanceId: string;
	readonly namespace: string;
	/** Empty for a pure client. */
	readonly service: string;
	readonly workload: string;
	readonly version: string;
	readonly principal: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly endpoints: readonly {
		readonly servicePort: number;
		readonly address: string;
		readonly port: number;
		readonly protocol: string;
	}[];
	readonly hboneAddress: string | undefined;
	readonly presence: InstancePresence;
	readonly healthy: boolean;
	/** Why it is not healthy; empty where it is. */
	readonly healthReason: string;
	readonly registeredAtMs: number;
}

export interface MeshProxy {
	readonly instanceId: string;
	readonly principal: string;
	readonly remoteAddress: string;
	readonly proxyVersion: string;
	/** Undefined while it is not connected. */
	readonly connectedSinceMs: number | undefined;
	/** Version of the policy that it runs; empty for none. */
	readonly policyVersion: string;
	/** It runs the version in force. */
	readonly inSync: boolean;
	readonly nack: { readonly version: string; readonly atMs: number; readonly faults: readonly PolicyFault[] } | undefined;
	/** Of the bundle that it trusts. */
	readonly bundleSequence: number;
}

export interface MeshCertificate {
	readonly principal: string;
	/** Empty for the control plane's own. */
	readonly instanceId: string;
	/** Hex. */
	readonly serial: string;
	readonly notBeforeMs: number;
	readonly notAfterMs: number;
	readonly rootSha256: string;
}

export interface MeshRoot {
	readonly sha256: string;
	readonly stage: "active" | "incoming" | "retiring";
	readonly notBeforeMs: number;
	readonly notAfterMs: number;
	/** Of a retiring root: when it is dropped. */
	readonly dropAtMs: number | undefined;
}

export interface MeshPolicy {
	/** Undefined until a policy without faults was read. */
	readonly current: PolicySnapshot | undefined;
	readonly acceptedAtMs: number | undefined;
	readonly rejected: readonly RejectedPolicy[];
}

export interface RejectedPolicy {
	readonly atMs: number;
	readonly faults: readonly PolicyFault[];
}

/** Where an API gets it from. */
export interface MeshStateSource {
	state(): MeshState;
	/** The trust bundle as a JWK set (SPIFFE Trust Domain and Bundle, section 4). */
	bundleJwks(): Readonly<Record<string, unknown>>;
}
