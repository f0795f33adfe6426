/**
 * Namespaces folded into one node each, out of the graph by service. Counts are added up, mTLS with them; percentiles cannot be: where
 * both ends of an edge are what the graph by namespace has too, that graph's edge stands for it with its own, elsewhere there are none.
 * Pure.
 */
import type { GraphAnswer, GraphEdgeAnswer } from "../../api/contract/topology.ts";
import { mtlsPercent, noMtlsCounts, overallStatus, statusesOf, verificationRank } from "../../model/topology/mtls-status.ts";
import type { MtlsStatus } from "../../model/topology/series.ts";
import type { GraphNodeAnswer } from "./graph-words.ts";

export interface CollapsedGraph {
	readonly graph: GraphAnswer;
	/** Of each edge that several were added up to, these. */
	readonly parts: ReadonlyMap<string, readonly GraphEdgeAnswer[]>;
	/** Namespaces that are folded, by the node that stands for them, with the ids of their nodes. */
	readonly folded: ReadonlyMap<string, { readonly name: string; readonly members: readonly string[] }>;
}

/** The hull a node stands in; a namespace is no hull where it is the node itself. */
export function hullName(node: GraphNodeAnswer): string {
	const parts = node.cluster === "" ? node.namespace : `${node.cluster}/${node.namespace}`;
	return node.kind === "namespace" || node.namespace === "" ? "" : parts;
}

/** Of what is folded: no service of another namespace has such an id, and its own are folded with it. */
export function foldedId(name: string): string {
	return `${name}/*`;
}

/** Whether an edge was added up of several here: the API knows nothing of it. */
export function isMergedId(id: string): boolean {
	return id.startsWith("merged ");
}

/** Why such an edge has no latency. */
export const NO_PERCENTILES = "Percentiles of several edges cannot be added up.";

/** `shop,east/pay` in the address; a comma or percent sign of a name is escaped. */
export function readCollapsed(text: string): ReadonlySet<string> {
	return new Set(
		text
			.split(",")
			.filter((part) => part !== "")
			.map((part) => part.replaceAll(/%2C|%25/g, (code) => (code === "%25" ? "%" : ","))),
	);
}

/** The other way; undefined for none. */
export function collapsedText(names: Iterable<string>): string | undefined {
	const parts = [...names].sort().map((name) => name.replaceAll(/[%,]/g, (char) => (char === "%" ? "%25" : "%2C")));
	return parts.length === 0 ? undefined : parts.join(",");
}

/** What the graph by namespace keeps as it is: databases, queues, and what lies outside. */
function isPlain({ kind }: GraphNodeAnswer): boolean {
	return kind === "service" || kind === "gateway";
}

/** @param byNamespace the graph of the same window by namespace, once it is there */
export function collapse(graph: GraphAnswer, names: ReadonlySet<string>, byNamespace: GraphAnswer | undefined): CollapsedGraph {
	const foldedInto = new Map<string, string>();
	const folded = new Map<string, { name: string; members: string[] }>();
	const nodes: GraphNodeAnswer[] = [];
	const sums = new Map<string, GraphNodeAnswer>();
	const comparable = new Set<string>();
	for (const node of graph.nodes) {
		const name = hullName(node);
		if (!isPlain(node) || !names.has(name)) {
			nodes.push(node);
			if (!isPlain(node)) comparable.add(node.id);
			continue;
		}
		const id = foldedId(name);
		foldedInto.set(node.id, id);
		comparable.add(id);
		const group = folded.get(id) ?? { name, members: [] };
		group.members.push(node.id);
		folded.set(id, group);
		sums.set(id, addNode(sums.get(id), node, id));
	}
	if (folded.size === 0) return { graph, parts: new Map(), folded };

	const groups = new Map<string, { source: string; target: string; edges: GraphEdgeAnswer[] }>();
	const edges: GraphEdgeAnswer[] = [];
	for (const edge of graph.edges) {
		const source = foldedInto.get(edge.source) ?? edge.source;
		const target = foldedInto.get(edge.target) ?? edge.target;
		if (source === edge.source && target === edge.target) {
			edges.push(edge);
			continue;
		}
		const key = JSON.stringify([source, target, edge.protocol, edge.unit]);
		const group = groups.get(key);
		if (group === undefined) groups.set(key, { source, target, edges: [edge] });
		else group.edges.push(edge);
	}
	const ready = new Map(
		byNamespace?.edges.map((edge) => [JSON.stringify([edge.source, edge.target, edge.protocol, edge.unit]), edge]),
	);
	const parts = new Map<string, readonly GraphEdgeAnswer[]>();
	for (const [key, { source, target, edges: own }] of groups) {
		const plainId = (id: string): string => folded.get(id)?.name ?? id;
		const [first] = own as [GraphEdgeAnswer, ...GraphEdgeAnswer[]];
		const whole =
			comparable.has(source) && comparable.has(target)
				? ready.get(JSON.stringify([plainId(source), plainId(target), first.protocol, first.unit]))
				: undefined;
		const merged =
			whole !== undefined
				? { ...whole, source, target }
				: own.length === 1
					? { ...first, source, target }
					: mergedEdge(own, { id: `merged ${key}`, source, target });
		edges.push(merged);
		if (own.length > 1) parts.set(merged.id, own);
	}
	return { graph: { ...graph, nodes: [...nodes, ...sums.values()], edges }, parts, folded };
}

function addNode(sum: GraphNodeAnswer | undefined, node: GraphNodeAnswer, id: string): GraphNodeAnswer {
	const { cluster, namespace } = node;
	return {
		...{ id, cluster, namespace, service: "", kind: "namespace" },
		requests: (sum?.requests ?? 0) + node.requests,
		connections: (sum?.connections ?? 0) + node.connections,
		errors: (sum?.errors ?? 0) + node.errors,
		sentRequests: (sum?.sentRequests ?? 0) + node.sentRequests,
		sentConnections: (sum?.sentConnections ?? 0) + node.sentConnections,
		sentErrors: (sum?.sentErrors ?? 0) + node.sentErrors,
	};
}

type Ends = Pick<GraphEdgeAnswer, "id" | "source" | "target">;

function mergedEdge(edges: readonly GraphEdgeAnswer[], ends: Ends): GraphEdgeAnswer {
	const [{ protocol, unit }] = edges as [GraphEdgeAnswer, ...GraphEdgeAnswer[]];
	const sum = (read: (edge: GraphEdgeAnswer) => number): number => edges.reduce((total, edge) => total + read(edge), 0);
	const counts = (read: (edge: GraphEdgeAnswer) => Readonly<Record<string, number>>): Record<string, number> =>
		addedUp(edges.map(read));
	const total = sum(({ requests, connections }) => requests + connections);
	const errors = sum((edge) => edge.errors);
	const busiest = edges.reduce((most, edge) => (edge.observed > most.observed ? edge : most));
	const attempts = edges.flatMap((edge) => edge.attempts ?? []);
	const disagreements = edges.flatMap(({ disagreement }) => disagreement ?? []);
	const times = (read: (edge: GraphEdgeAnswer) => string | undefined): readonly string[] =>
		edges.flatMap((edge) => read(edge) ?? []).sort();
	const firstSeen = times((edge) => edge.firstSeen)[0];
	const lastSeen = times((edge) => edge.lastSeen).at(-1);
	return {
		...ends,
		...{ protocol, unit, errors },
		requests: sum(({ requests }) => requests),
		connections: sum(({ connections }) => connections),
		observed: sum(({ observed }) => observed),
		clientErrors: sum(({ clientErrors }) => clientErrors),
		errorRatio: total > 0 ? errors / total : 0,
		requestRate: sum(({ requestRate }) => requestRate),
		bytes: { sent: sum(({ bytes }) => bytes.sent), received: sum(({ bytes }) => bytes.received) },
		reporter: busiest.reporter,
		evidence: counts((edge) => edge.evidence),
		basis: busiest.basis,
		sampled: edges.some(({ sampled }) => sampled),
		outcomes: counts((edge) => edge.outcomes),
		codes: counts((edge) => edge.codes),
		flags: counts((edge) => edge.flags),
		...(attempts.length === 0
			? {}
			: {
					attempts: {
						requests: attempts.reduce((all, each) => all + each.requests, 0),
						tries: attempts.reduce((all, each) => all + each.tries, 0),
						retries: attempts.reduce((all, each) => all + each.retries, 0),
					},
				}),
		mtls: mergedMtls(edges),
		...(disagreements.length === 0
			? {}
			: {
					disagreement: {
						count: disagreements.reduce((all, each) => all + each.count, 0),
						source: addedUp(disagreements.map(({ source }) => source)),
						destination: addedUp(disagreements.map(({ destination }) => destination)),
					},
				}),
		...(firstSeen === undefined ? {} : { firstSeen }),
		...(lastSeen === undefined ? {} : { lastSeen }),
	};
}

function mergedMtls(edges: readonly GraphEdgeAnswer[]): GraphEdgeAnswer["mtls"] {
	const all = edges.map(({ mtls }) => mtls);
	const counts = noMtlsCounts();
	for (const mtls of all) for (const status of Object.keys(counts) as MtlsStatus[]) counts[status] += mtls.counts[status];
	const counted = statusesOf(counts);
	// What evidence as good as the counted one says of a part, it says of the whole.
	const status = overallStatus(
		new Set([...counted, ...all.filter(({ contradicted }) => contradicted).map((mtls) => mtls.status)]),
	);
	const distinct = (read: (mtls: GraphEdgeAnswer["mtls"]) => readonly string[]): readonly string[] =>
		[...new Set(all.flatMap(read))].sort();
	const percent = mtlsPercent(counts);
	const relied = all.filter((mtls) => mtls.counts.mutual_tls > 0);
	const verifiedBy = relied.reduce<GraphEdgeAnswer["mtls"]["verifiedBy"] | undefined>(
		(weakest, mtls) =>
			weakest === undefined || verificationRank(mtls.verifiedBy) > verificationRank(weakest) ? mtls.verifiedBy : weakest,
		undefined,
	);
	const [certificateNotAfter] = all.flatMap((mtls) => mtls.certificateNotAfter ?? []).sort();
	return {
		...{ status, counts },
		...(percent === undefined ? {} : { percent }),
		sourcePrincipals: distinct((mtls) => mtls.sourcePrincipals),
		destinationPrincipals: distinct((mtls) => mtls.destinationPrincipals),
		tlsVersions: distinct((mtls) => mtls.tlsVersions),
		ciphers: distinct((mtls) => mtls.ciphers),
		...(certificateNotAfter === undefined ? {} : { certificateNotAfter }),
		verified: relied.length > 0 && relied.every((mtls) => mtls.verified),
		verifiedBy: verifiedBy ?? "",
		failedHandshakes: all.reduce((total, mtls) => total + mtls.failedHandshakes, 0),
		contradicted: all.some((mtls) => mtls.contradicted),
	};
}

function addedUp(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
	const sums = new Map<string, number>();
	for (const counts of all) for (const [key, count] of Object.entries(counts)) sums.set(key, (sums.get(key) ?? 0) + count);
	return Object.fromEntries(sums);
}
