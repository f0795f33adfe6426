/**
 * The documents of a mesh as policies: the envelope that every kind shares (apiVersion, kind, metadata), which kinds there are, and what
 * holds between documents. Both a control plane that takes a file in and a proxy that takes a snapshot read through here.
 */
import type { PolicyFault } from "../control-protocol.ts";
import { type AuthorizationPolicy, readAuthorizationPolicy } from "./authorization-policy.ts";
import { type DestinationRule, readDestinationRule } from "./destination-rule.ts";
import { described, isObject, mapOf, object, type Read, required, text } from "./fields.ts";
import { type PeerAuthentication, readPeerAuthentication } from "./peer-authentication.ts";
import { fault, formatPath, nearestName, type Place, within } from "./place.ts";
import type { Findings, MeshDocument, Policies, Policy } from "./policy-set.ts";
import { checkReferences } from "./references.ts";
import { readServiceEntry, type ServiceEntry } from "./service-entry.ts";
import { dnsLabel, resourceName } from "./values.ts";
import { readVirtualService, type VirtualService } from "./virtual-service.ts";

const NETWORKING = ["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];
const SECURITY = ["security.istio.io/v1", "security.istio.io/v1beta1"];

const KINDS = {
	VirtualService: { apiVersions: NETWORKING, read: readVirtualService },
	DestinationRule: { apiVersions: NETWORKING, read: readDestinationRule },
	ServiceEntry: { apiVersions: NETWORKING, read: readServiceEntry },
	PeerAuthentication: { apiVersions: SECURITY, read: readPeerAuthentication },
	AuthorizationPolicy: { apiVersions: SECURITY, read: readAuthorizationPolicy },
} as const;

type Kind = keyof typeof KINDS;

const ISTIOS_OTHER_KINDS = [
	"Gateway",
	"Sidecar",
	"EnvoyFilter",
	"WorkloadEntry",
	"WorkloadGroup",
	"ProxyConfig",
	"RequestAuthentication",
	"Telemetry",
	"WasmPlugin",
];

/** What a person reads of one file; more would only fill memory. */
export const MAX_FINDINGS = 1000;

const anything: Read<unknown> = (value) => value;

/** What a cluster adds to metadata says nothing about policy. */
const readMetadata = object({
	name: required(resourceName),
	namespace: dnsLabel,
	labels: mapOf(text(), text({ empty: "allowed" })),
	annotations: mapOf(text(), text({ empty: "allowed" })),
	uid: anything,
	resourceVersion: anything,
	generation: anything,
	creationTimestamp: anything,
	managedFields: anything,
	ownerReferences: anything,
	finalizers: anything,
	selfLink: anything,
});

const readEnvelope = object({
	apiVersion: text(),
	kind: text(),
	metadata: required(readMetadata),
	spec: anything,
	status: anything,
});

/** Never throws, whatever the documents are. A faulty document is left out. */
export function readPolicies(documents: readonly MeshDocument[]): Policies & Findings {
	const faults: PolicyFault[] = [];
	const warnings: PolicyFault[] = [];
	const read = {
		VirtualService: [],
		DestinationRule: [],
		ServiceEntry: [],
		PeerAuthentication: [],
		AuthorizationPolicy: [],
	} as {
		VirtualService: Policy<VirtualService>[];
		DestinationRule: Policy<DestinationRule>[];
		ServiceEntry: Policy<ServiceEntry>[];
		PeerAuthentication: Policy<PeerAuthentication>[];
		AuthorizationPolicy: Policy<AuthorizationPolicy>[];
	};
	const seen = new Map<string, MeshDocument>();
	let areRulesComplete = true;
	for (const document of documents) {
		if (faults.length > MAX_FINDINGS) break;
		const at = placeOf(document, faults, warnings);
		const before = faults.length;
		const kind = kindOf(document.value, at);
		if (kind === undefined) continue;
		const envelope = readEnvelope(document.value, at);
		const spec = KINDS[kind].read(envelope?.spec ?? specOf(document.value), within(at, "spec"));
		if (envelope === undefined) {
			if (kind === "DestinationRule") areRulesComplete = false;
			continue;
		}
		const { name, namespace = "default" } = envelope.metadata;
		const id = `${kind} ${namespace}/${name}`;
		const first = seen.get(id);
		if (first !== undefined)
			fault(within(within(at, "metadata"), "name"), `${id} is there already, in line ${first.line} of ${first.file}`);
		else seen.set(id, document);
		if (spec !== undefined && faults.length === before)
			(read[kind] as Policy<unknown>[]).push({ name, namespace, spec, document, at });
		else if (kind === "DestinationRule") areRulesComplete = false;
	}
	const policies: Policies = {
		virtualServices: read.VirtualService,
		destinationRules: read.DestinationRule,
		serviceEntries: read.ServiceEntry,
		peerAuthentications: read.PeerAuthentication,
		authorizationPolicies: read.AuthorizationPolicy,
	};
	checkReferences(policies, areRulesComplete);
	return { ...policies, faults, warnings };
}

function specOf(value: unknown): unknown {
	return (isObject(value) ? value["spec"] : undefined) ?? {};
}

function kindOf(value: unknown, at: Place): Kind | undefined {
	if (!isObject(value)) return fault(at, `must be an object with apiVersion, kind, metadata and spec, not ${described(value)}`);
	const { kind, apiVersion } = value;
	const names = Object.keys(KINDS);
	if (typeof kind !== "string" || !Object.hasOwn(KINDS, kind)) {
		const place = kind === undefined || kind === null ? at : within(at, "kind");
		if (typeof kind === "string" && ISTIOS_OTHER_KINDS.includes(kind))
			return fault(place, `${kind} is Istio's, but is not supported here; supported are ${names.join(", ")}`);
		const nearest = typeof kind === "string" ? nearestName(kind, names) : undefined;
		return fault(
			place,
			`kind must be one of ${names.join(", ")}, not ${described(kind)}${nearest === undefined ? "" : `; did you mean ${nearest}?`}`,
		);
	}
	const versions = KINDS[kind as Kind].apiVersions;
	if (typeof apiVersion !== "string" || !versions.includes(apiVersion)) {
		fault(
			apiVersion === undefined ? at : within(at, "apiVersion"),
			`apiVersion of ${kind} must be one of ${versions.join(", ")}, not ${described(apiVersion)}`,
		);
	}
	return kind as Kind;
}

function placeOf(document: MeshDocument, faults: PolicyFault[], warnings: PolicyFault[]): Place {
	const name = documentName(document.value);
	return {
		path: [],
		report: (severity, path, message) => {
			const list = severity === "fault" ? faults : warnings;
			if (list.length > MAX_FINDINGS) return;
			const { line, column } = document.locate?.(path) ?? { line: document.line, column: 1 };
			const field = formatPath(path);
			const isLast = list.length === MAX_FINDINGS;
			list.push({
				file: document.file,
				line,
				column,
				path: name === "" || field === "" ? name + field : `${name}: ${field}`,
				message: isLast ? `${message}; and there are more: these are the first ${MAX_FINDINGS}` : message,
			});
		},
	};
}

/** `DestinationRule shop/reviews`, as far as it says who it is. */
function documentName(value: unknown): string {
	if (!isObject(value) || typeof value["kind"] !== "string") return "";
	const metadata = isObject(value["metadata"]) ? value["metadata"] : {};
	const { name, namespace } = metadata;
	if (typeof name !== "string") return value["kind"].slice(0, 64);
	return `${value["kind"].slice(0, 64)} ${typeof namespace === "string" ? namespace.slice(0, 64) : "default"}/${name.slice(0, 256)}`;
}
