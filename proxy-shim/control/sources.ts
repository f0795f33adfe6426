/**
 * Where a proxy's policy and endpoints come from, as the data path sees it: a control plane and a watched file look the same. Certificates
 * have their own seam in tls/identity-source.ts.
 */
import type { PolicyFault, PolicySnapshot, ServiceEndpoints } from "../../model/mesh/control-protocol.ts";

export interface PolicySource {
	/** The newest that was not refused; from the proxy's disk until a control plane is reached. Undefined: none yet. */
	current(): PolicySnapshot | undefined;
	/** Called with each new one; the returned function ends it. */
	onChange(listener: (snapshot: PolicySnapshot) => void): () => void;
	/** What compiling it came to: without faults it is in force, with faults the one before stays. Once a version. */
	report(version: string, faults: readonly PolicyFault[]): void;
}

export interface EndpointSource {
	/** All services were told once, now or before a restart. Until then a name of the mesh looks like one of the outside. */
	readonly isComplete: boolean;
	/** Every service that is known; empty without a registry. */
	services(): readonly ServiceEndpoints[];
	/** Called with the services that changed, and once they are complete; one without ports has no endpoint any more. */
	onChange(listener: (changed: readonly ServiceEndpoints[]) => void): () => void;
}

export type ControlLog = (level: "debug" | "info" | "warn", message: string, fields: Readonly<Record<string, unknown>>) => void;
