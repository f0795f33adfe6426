/** The policies of a mesh in the form that compiling needs, and the documents that they come from. */
import type { PolicyFault, PolicySnapshot } from "../control-protocol.ts";
import type { AuthorizationPolicy } from "./authorization-policy.ts";
import type { DestinationRule } from "./destination-rule.ts";
import type { PeerAuthentication } from "./peer-authentication.ts";
import type { Path, Place } from "./place.ts";
import type { ServiceEntry } from "./service-entry.ts";
import type { VirtualService } from "./virtual-service.ts";

/** As a snapshot carries it; a document that was just read also knows where its fields stand. */
export type MeshDocument = PolicySnapshot["documents"][number] & { readonly locate?: Locate };

/** From 1: the key or item at the path, or the nearest one above it that is there. */
export type Locate = (path: Path) => { readonly line: number; readonly column: number };

export interface Policy<S> {
	readonly name: string;
	readonly namespace: string;
	readonly spec: S;
	readonly document: MeshDocument;
	/** To report what is found wrong later. */
	readonly at: Place;
}

export interface Policies {
	readonly virtualServices: readonly Policy<VirtualService>[];
	readonly destinationRules: readonly Policy<DestinationRule>[];
	readonly peerAuthentications: readonly Policy<PeerAuthentication>[];
	readonly authorizationPolicies: readonly Policy<AuthorizationPolicy>[];
	readonly serviceEntries: readonly Policy<ServiceEntry>[];
}

export interface Findings {
	/** Each one refuses the file. */
	readonly faults: readonly PolicyFault[];
	readonly warnings: readonly PolicyFault[];
}

/** Where policies stand that are for the whole mesh. */
export const ROOT_NAMESPACE = "istio-system";
