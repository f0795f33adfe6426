/** What one service receives and sends: rate, errors and duration over all of its edges, with percentiles of the merged histograms. */
import type { EdgeMtls, GraphEdge, LatencyFigures } from "./edge-sums.ts";
import { EdgeSums, finishEdge } from "./edge-sums.ts";
import { type Endpoint, nodeId, UNKNOWN } from "./endpoint.ts";
import { type GraphInput, resolveSums } from "./graph.ts";

export interface RedFigures {
	readonly requests: number;
	readonly errors: number;
	readonly errorRatio: number;
	readonly requestRate: number;
	readonly connections: number;
	readonly connectionErrors: number;
	readonly bytes: { readonly sent: number; readonly received: number };
	readonly sampled: boolean;
	/** Of requests; connections have none. */
	readonly latencyMs: LatencyFigures | undefined;
	/** Of requests. */
	readonly mtls: Pick<EdgeMtls, "status" | "percent" | "counts">;
	readonly edges: readonly GraphEdge[];
}

export interface ServiceTraffic {
	/** Node ids that go by the name: one, unless several namespaces have it. */
	readonly nodes: readonly string[];
	readonly inbound: RedFigures;
	readonly outbound: RedFigures;
}

/** @param name of the service, or a node's id. Undefined when nothing in the window goes by it. */
export function serviceTraffic(input: GraphInput, name: string): ServiceTraffic | undefined {
	const edges = [...resolveSums(input)];
	const isNamed = (endpoint: Endpoint): boolean => endpoint.service === name || nodeId(endpoint, "service") === name;
	const inbound = edges.filter(({ target }) => isNamed(target));
	const outbound = edges.filter(({ source }) => isNamed(source));
	const nodes = new Set([
		...inbound.map(({ target }) => nodeId(target, "service")),
		...outbound.map(({ source }) => nodeId(source, "service")),
	]);
	if (nodes.size === 0) return undefined;
	return { nodes: [...nodes].sort(), inbound: redOf(inbound, input), outbound: redOf(outbound, input) };
}

function redOf(edges: readonly EdgeSums[], { groupBy, seconds }: GraphInput): RedFigures {
	const requests = new EdgeSums("", UNKNOWN, UNKNOWN, "unknown", "requests");
	const connections = new EdgeSums("", UNKNOWN, UNKNOWN, "tcp", "connections");
	for (const edge of edges) (edge.unit === "requests" ? requests : connections).add(edge);
	const sums = finishEdge(requests, groupBy, seconds);
	const others = finishEdge(connections, groupBy, seconds);
	const { status, percent, counts } = sums.mtls;
	return {
		requests: sums.requests,
		errors: sums.errors,
		errorRatio: sums.errorRatio,
		requestRate: sums.requestRate,
		connections: others.connections,
		connectionErrors: others.errors,
		bytes: { sent: sums.bytes.sent + others.bytes.sent, received: sums.bytes.received + others.bytes.received },
		sampled: sums.sampled || others.sampled,
		latencyMs: sums.latencyMs,
		mtls: { status, percent, counts },
		edges: edges
			.map((edge) => finishEdge(edge, groupBy, seconds))
			.sort((a, b) => b.requests - a.requests || b.connections - a.connections || (a.id < b.id ? -1 : 1)),
	};
}
