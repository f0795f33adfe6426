/**
 * The two ends of an edge, and how they are named.
 *
 * An endpoint is kept as finely as its source names it, down to the workload; graphs by service or namespace leave parts out.
 */

/**
 * `external`: outside of what reports to us. `unknown`: an address or name that nothing explains. `overflow`: names beyond the cap.
 */
export const NODE_KINDS = ["service", "gateway", "database", "messaging", "external", "unknown", "overflow"] as const;
export type NodeKind = (typeof NODE_KINDS)[number];

/** Empty strings where a part is not known. */
export interface Endpoint {
	readonly kind: NodeKind;
	/** Kubernetes cluster, where the source names one. */
	readonly cluster: string;
	readonly namespace: string;
	/** The service; for databases the system and database (`postgresql/orders`), for messaging the system and destination. */
	readonly service: string;
	/** Deployment or version below the service (`reviews-v1`). */
	readonly workload: string;
}

export const GROUPINGS = ["service", "namespace", "workload"] as const;
export type GroupBy = (typeof GROUPINGS)[number];

export const EXTERNAL: Endpoint = { kind: "external", cluster: "", namespace: "", service: "external", workload: "" };
export const UNKNOWN: Endpoint = { kind: "unknown", cluster: "", namespace: "", service: "unknown", workload: "" };
export const OVERFLOW: Endpoint = { kind: "overflow", cluster: "", namespace: "", service: "(overflow)", workload: "" };

export function serviceEndpoint(service: string, namespace = "", workload = "", cluster = ""): Endpoint {
	return { kind: "service", cluster, namespace, service, workload };
}

/** What a node of a graph is called: `[kind:][cluster/][namespace/]service[@workload]`; services and gateways bear no kind. */
export function nodeId(endpoint: Endpoint, groupBy: GroupBy): string {
	const { kind, cluster, namespace, service, workload } = endpoint;
	const plain = kind === "service" || kind === "gateway";
	const prefix = `${plain ? "" : `${kind}:`}${cluster === "" ? "" : `${cluster}/`}`;
	if (groupBy === "namespace" && plain) return `${prefix}${namespace === "" ? "(no namespace)" : namespace}`;
	const name = `${prefix}${namespace === "" ? "" : `${namespace}/`}${service}`;
	return groupBy === "workload" && workload !== "" && workload !== service ? `${name}@${workload}` : name;
}
