/** The demo's mesh.yaml: the example with the ports of this run, and what `--chaos` makes of it. Comments stay, for who edits it. */
import { isMap, parseAllDocuments } from "yaml";
import type { Document } from "yaml";
import { LEGACY_SERVICE, NAMESPACE } from "./shop-plan.ts";

export interface ChaosStep {
	/** What a person sees in the terminal. */
	readonly what: string;
	/** A workload that has to run before the policy is changed. */
	readonly needs?: string;
	readonly edit: (mesh: MeshText) => void;
}

/** In this order, over and over; each begins from the mesh as it was at first. */
export const CHAOS_STEPS: readonly ChaosStep[] = [
	{
		what: "storefront → reviews goes plaintext: somebody has set tls DISABLE and a PERMISSIVE exception",
		edit(mesh) {
			mesh.set("DestinationRule", "reviews", ["spec", "trafficPolicy", "tls"], { mode: "DISABLE" });
			mesh.add({
				apiVersion: "security.istio.io/v1",
				kind: "PeerAuthentication",
				metadata: { name: "reviews", namespace: NAMESPACE },
				spec: { selector: { matchLabels: { app: "reviews" } }, mtls: { mode: "PERMISSIVE" } },
			});
		},
	},
	{
		what: "everything to the catalogue takes 250 ms longer; reviews is mTLS again",
		edit(mesh) {
			const fault = { delay: { fixedDelay: "0.25s", percentage: { value: 100 } } };
			mesh.set("VirtualService", "catalogue", ["spec", "http", 0, "fault"], fault);
		},
	},
	{
		what: "reviews v3 is deployed and gets a fifth of the requests; the catalogue is quick again",
		needs: "reviews v3",
		edit(mesh) {
			const subset = (version: string): object => ({ name: version, labels: { version } });
			const share = (version: string, weight: number): object => ({
				destination: { host: "reviews", subset: version },
				weight,
			});
			mesh.set("DestinationRule", "reviews", ["spec", "subsets"], ["v1", "v2", "v3"].map(subset));
			mesh.set(
				"VirtualService",
				"reviews",
				["spec", "http", 0, "route"],
				[share("v1", 40), share("v2", 40), share("v3", 20)],
			);
		},
	},
	{ what: "everything is as it was at first", edit: () => undefined },
];

/** As the example is written, so that the copy reads like it. */
const LAYOUT = { flowCollectionPadding: false, lineWidth: 0, indentSeq: false } as const;

export interface MeshText {
	/** @throws Error when the document is not there */
	set(kind: string, name: string, path: readonly (string | number)[], value: unknown): void;
	add(document: object): void;
}

/** @returns the text for this run, changed by the step */
export function meshText(example: string, legacyPort: number, step?: ChaosStep): string {
	const documents: Document[] = [...parseAllDocuments(example)];
	const mesh: MeshText = {
		set(kind, name, path, value) {
			const document = documents.find(
				(one) => isMap(one.contents) && one.get("kind") === kind && one.getIn(["metadata", "name"]) === name,
			);
			if (document === undefined) throw new Error(`the mesh has no ${kind} ${name}`);
			document.setIn(path, document.createNode(value));
		},
		add(document) {
			const [added] = parseAllDocuments(JSON.stringify(document));
			if (added !== undefined) documents.push(added as Document);
		},
	};
	mesh.set("ServiceEntry", LEGACY_SERVICE, ["spec", "endpoints", 0, "ports", "http"], legacyPort);
	step?.edit(mesh);
	return (
		documents
			.map((document) =>
				document
					.toString(LAYOUT)
					.trimEnd()
					.replace(/^---\n/, ""),
			)
			.join("\n---\n") + "\n"
	);
}
