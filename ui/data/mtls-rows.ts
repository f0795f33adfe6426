/** Rows of the mTLS page's tables: what the audit says of an edge, with what the graph knows of who said it. */
import type { GraphAnswer, GraphEdgeAnswer, MtlsAnswer } from "../../api/contract/topology.ts";
import type { MtlsAudit } from "./audit-queries.ts";
import type { MtlsStatus } from "./mtls-words.ts";

export type MtlsCounts = Readonly<Record<MtlsStatus, number>>;

export interface UnprotectedRow {
	readonly edge: MtlsAnswer["plaintext"][number];
	/** Absent when the edge is in no graph of the range: the two answers are read one after the other. */
	readonly told: Pick<GraphEdgeAnswer, "reporter" | "sampled"> | undefined;
	readonly verifiedBy: GraphEdgeAnswer["mtls"]["verifiedBy"];
	readonly contradicted: boolean;
}

export interface AuditRows {
	readonly plaintext: readonly UnprotectedRow[];
	readonly mixed: readonly UnprotectedRow[];
	/** Edges all of whose known traffic is mutual TLS. */
	readonly encrypted: readonly GraphEdgeAnswer[];
	readonly unknown: readonly GraphEdgeAnswer[];
	readonly handshakes: readonly GraphEdgeAnswer[];
}

export function auditRows({ mtls, graph }: MtlsAudit): AuditRows {
	const edges = new Map(graph.edges.map((edge) => [edge.id, edge]));
	const joined = (edge: MtlsAnswer["plaintext"][number]): UnprotectedRow => {
		const known = edges.get(edge.id);
		return {
			edge,
			told: known && { reporter: known.reporter, sampled: known.sampled },
			verifiedBy: known?.mtls.verifiedBy ?? "",
			contradicted: known?.mtls.contradicted ?? false,
		};
	};
	return {
		plaintext: mtls.plaintext.map(joined),
		mixed: mtls.mixed.map(joined),
		encrypted: withStatus(graph, "mutual_tls"),
		unknown: withStatus(graph, "unknown"),
		handshakes: graph.edges
			.filter(({ mtls: found }) => found.failedHandshakes > 0)
			.toSorted((a, b) => b.mtls.failedHandshakes - a.mtls.failedHandshakes),
	};
}

function withStatus(graph: GraphAnswer, status: MtlsStatus): readonly GraphEdgeAnswer[] {
	return graph.edges.filter(({ mtls }) => mtls.status === status).toSorted((a, b) => trafficOf(b) - trafficOf(a));
}

/** Requests or connections: an edge has one of them. */
export function trafficOf(edge: Pick<GraphEdgeAnswer, "requests" | "connections">): number {
	return edge.requests + edge.connections;
}

/** What is known not to be mutual TLS. */
export function unprotectedCount(counts: MtlsCounts): number {
	return counts.tls + counts.plaintext + counts.none + counts.mixed;
}

/** What is known at all. */
export function knownCount(counts: MtlsCounts): number {
	return counts.mutual_tls + unprotectedCount(counts);
}
