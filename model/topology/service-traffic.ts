/** What one service receives and sends: rate, errors and duration over all of its edges, with percentiles of the merged histograms. */
import type { EdgeMtls, GraphEdge, LatencyFigures } from "./edge-sums.ts";
import { EdgeSums, finishEdge } from "./edge-sums.ts";
import { type Endpoint, nodeId, UNKNOWN } from "./endpoint.ts";
import { type GraphInput, resolveSums } from "./graph.ts";

/** What all edges of one direction come to. */
export interface RedTotals {
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
}

export interface RedFigures extends RedTotals {
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
	const { inbound, outbound } = edgesOf(input, name);
	const nodes = new Set([
		...inbound.map(({ target }) => nodeId(target, "service")),
		...outbound.map(({ source }) => nodeId(source, "service")),
	]);
	if (nodes.size === 0) return undefined;
	return { nodes: [...nodes].sort(), inbound: redOf(inbound, input), outbound: redOf(outbound, input) };
}

/** Both directions without their edges, which is what a step of the course over time needs. */
export function serviceTotals(
	input: GraphInput,
	name: string,
): { readonly inbound: RedTotals; readonly outbound: RedTotals } | undefined {
	const { inbound, outbound } = edgesOf(input, name);
	if (inbound.length + outbound.length === 0) return undefined;
	return { inbound: totalsOf(inbound, input), outbound: totalsOf(outbound, input) };
}

/** Whether an end, as the book resolves it, is meant by a service's name or by a node's id. */
export function isNamed(endpoint: Endpoint, name: string): boolean {
	return endpoint.service === name || nodeId(endpoint, "service") === name;
}

function edgesOf(
	input: GraphInput,
	name: string,
): { readonly inbound: readonly EdgeSums[]; readonly outbound: readonly EdgeSums[] } {
	const edges = [...resolveSums(input)];
	return {
		inbound: edges.filter(({ target }) => isNamed(target, name)),
		outbound: edges.filter(({ source }) => isNamed(source, name)),
	};
}

function redOf(edges: readonly EdgeSums[], input: GraphInput): RedFigures {
	return {
		...totalsOf(edges, input),
		edges: edges
			.map((edge) => finishEdge(edge, input.groupBy, input.seconds))
			.sort((a, b) => b.requests - a.requests || b.connections - a.connections || (a.id < b.id ? -1 : 1)),
	};
}

function totalsOf(edges: readonly EdgeSums[], { groupBy, seconds }: GraphInput): RedTotals {
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
	};
}
