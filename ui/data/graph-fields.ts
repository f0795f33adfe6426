/** What the find and the hide box compare: the fields of nodes and edges, what they are called, and what values they take. Pure. */
import type { GraphAnswer, GraphEdgeAnswer } from "../../api/contract/topology.ts";
import { NODE_KINDS } from "../../model/topology/endpoint.ts";
import { MTLS_STATUSES, PROTOCOLS } from "../../model/topology/series.ts";

type GraphNodeAnswer = GraphAnswer["nodes"][number];

export type GraphItem =
	| { readonly type: "node"; readonly node: GraphNodeAnswer; readonly seconds: number }
	| {
			readonly type: "edge";
			readonly edge: GraphEdgeAnswer;
			readonly source: GraphNodeAnswer | undefined;
			readonly target: GraphNodeAnswer | undefined;
	  };

export const KIND_VALUES: readonly string[] = [...NODE_KINDS, "namespace"];
export const PROTOCOL_VALUES: readonly string[] = PROTOCOLS;
export const MTLS_VALUES: readonly string[] = MTLS_STATUSES;
const DURATIONS: readonly string[] = ["50ms", "100ms", "200ms", "500ms", "1s"];

export type Unit = "percent" | "duration" | "plain";

export interface NumberField {
	readonly unit: Unit;
	readonly example: string;
	/** Values that are often meant. */
	readonly values: readonly string[];
	readonly help: string;
	readonly of: (item: GraphItem) => number | undefined;
}

export interface TextField {
	readonly help: string;
	readonly example: string;
	/** All texts of which one must match. */
	readonly of: (item: GraphItem) => readonly string[];
}

function ofEdge<T>(read: (edge: GraphEdgeAnswer) => T): (item: GraphItem) => T | undefined {
	return (item) => (item.type === "edge" ? read(item.edge) : undefined);
}

export const NUMBER_FIELDS: Readonly<Record<string, NumberField>> = {
	rate: {
		unit: "plain",
		example: "rate > 5",
		values: ["1", "5", "10", "100"],
		help: "requests a second; of a node, those it receives",
		of: (item) => (item.type === "edge" ? item.edge.requestRate : item.node.requests / Math.max(item.seconds, 1e-9)),
	},
	errors: {
		unit: "percent",
		example: "errors > 1%",
		values: ["0", "1%", "5%", "10%"],
		help: "share of failed requests",
		of: (item) => {
			if (item.type === "edge") return item.edge.errorRatio * 100;
			const received = item.node.requests + item.node.connections;
			return received === 0 ? undefined : (100 * item.node.errors) / received;
		},
	},
	p50: {
		unit: "duration",
		example: "p50 > 50ms",
		values: DURATIONS,
		help: "latency",
		of: ofEdge((edge) => edge.latencyMs?.p50),
	},
	p90: {
		unit: "duration",
		example: "p90 > 200ms",
		values: DURATIONS,
		help: "latency",
		of: ofEdge((edge) => edge.latencyMs?.p90),
	},
	p95: {
		unit: "duration",
		example: "p95 > 200ms",
		values: DURATIONS,
		help: "latency",
		of: ofEdge((edge) => edge.latencyMs?.p95),
	},
	p99: { unit: "duration", example: "p99 > 1s", values: DURATIONS, help: "latency", of: ofEdge((edge) => edge.latencyMs?.p99) },
	mtls: {
		unit: "percent",
		example: "mtls < 100",
		values: ["100", "99", "0"],
		help: "share of mutual TLS among what is known, or a status",
		of: ofEdge((edge) => edge.mtls.percent),
	},
	bytes: {
		unit: "plain",
		example: "bytes > 1000000",
		values: ["1000", "1000000"],
		help: "sent and received",
		of: ofEdge((edge) => edge.bytes.sent + edge.bytes.received),
	},
};

export const TEXT_FIELDS: Readonly<Record<string, TextField>> = {
	name: {
		example: "name ~ cart",
		help: "of a node; of an edge, of either end",
		of: (item) => endsOf(item).map((node) => node.id),
	},
	namespace: {
		example: "namespace = shop",
		help: "of a node; of an edge, of either end",
		of: (item) => endsOf(item).map((node) => node.namespace),
	},
	kind: {
		example: "kind = database",
		help: "service, gateway, database, messaging, external, unknown",
		of: (item) => (item.type === "node" ? [item.node.kind] : []),
	},
	source: { example: "source ~ frontend", help: "who calls", of: (item) => (item.type === "edge" ? [item.edge.source] : []) },
	target: {
		example: "target ~ payment",
		help: "who is called",
		of: (item) => (item.type === "edge" ? [item.edge.target] : []),
	},
	cluster: {
		example: "cluster = east",
		help: "of a node; of an edge, of either end",
		of: (item) => endsOf(item).map((node) => node.cluster),
	},
	code: {
		example: "code = 503",
		help: "response codes that were seen, such as 503 or grpc:14",
		of: (item) => (item.type === "edge" ? Object.keys(item.edge.codes) : []),
	},
	flag: {
		example: "flag = UF",
		help: "response flags that were seen, such as UF",
		// Most requests have none: that is an answer too.
		of: (item) => (item.type === "edge" ? ["", ...Object.keys(item.edge.flags)] : []),
	},
	protocol: {
		example: "protocol = grpc",
		help: "http, grpc, tcp, database, messaging, unknown",
		of: (item) => (item.type === "edge" ? [item.edge.protocol] : []),
	},
	status: {
		example: "status = plaintext",
		help: "mutual_tls, tls, plaintext, none, mixed, unknown",
		of: (item) => (item.type === "edge" ? [item.edge.mtls.status] : []),
	},
};

function endsOf(item: GraphItem): readonly GraphNodeAnswer[] {
	if (item.type === "node") return [item.node];
	return [item.source, item.target].filter((node) => node !== undefined);
}

/** What may be compared, for the help card. */
export const EXPRESSION_FIELDS: readonly { readonly name: string; readonly example: string; readonly help: string }[] = [
	...Object.entries(NUMBER_FIELDS),
	...Object.entries(TEXT_FIELDS),
].map(([name, { example, help }]) => ({ name, example, help }));

/** Whole expressions, for the help card: what each finds. */
export const EXPRESSION_EXAMPLES: readonly { readonly text: string; readonly finds: string }[] = [
	{ text: "edge mtls < 100 or status = unknown", finds: "edges that are not wholly encrypted, or nobody knows" },
	{ text: "edge p95 > 200ms and errors > 1%", finds: "edges that are slow and fail" },
	{ text: "node kind = external or kind = database", finds: "what lies outside the mesh" },
	{ text: "(errors > 1% or flag = UF) and not protocol = tcp", finds: "failing edges, plain TCP left out" },
	{ text: "edge rate < 0.1", finds: "edges that are hardly used" },
];
