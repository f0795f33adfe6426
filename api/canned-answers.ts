/** What a store might answer, for tests of whoever asks: one of each kind, about a mesh of three services. */
import type { TraceId } from "../model/ids.ts";
import { cannedSeries, graphOf } from "../model/topology/canned-series.ts";
import { endpointBook } from "../model/topology/endpoint-book.ts";
import type { GraphEdge } from "../model/topology/graph.ts";
import type { ToldHop } from "../model/topology/told-hops.ts";
import type { EdgePoint, EdgeResult, LogEntry, MeshPoint, MetricSeries, SearchedInfo, TraceSummary } from "../store/store.ts";

export const CANNED_NOW_MS = Date.UTC(2026, 0, 1, 12);
export const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736" as TraceId;

export const summary: TraceSummary = {
	traceId: TRACE_ID,
	rootService: "gateway",
	rootName: "GET /checkout",
	startTimeUnixNano: "1767268800000000000",
	durationNs: 48_200_000,
	spanCount: 2,
	errorCount: 1,
	services: ["checkout", "gateway"],
};

export const hop: ToldHop = {
	edgeId: "6faeb2e1ed26185d",
	source: "gateway",
	target: "checkout",
	protocol: "http",
	evidence: "pair",
	reporter: "both",
	mtls: {
		status: "mutual_tls",
		source: "mutual_tls",
		destination: "mutual_tls",
		sourcePrincipal: "spiffe://td/ns/shop/sa/gateway",
		destinationPrincipal: "spiffe://td/ns/shop/sa/checkout",
		tlsVersion: "1.3",
		cipher: "",
		verifiedBy: "server",
	},
	outcome: "ok",
	destinationOutcome: undefined,
	code: "200",
	flags: "",
	attempts: 1,
	startMs: 1_767_268_800_000,
	sourceLatencyNs: 48_200_000,
	destinationLatencyNs: 40_000_000,
	appNs: undefined,
	proxyNs: undefined,
	spans: {
		source: "00f067aa0ba902b7",
		destination: "00f067aa0ba902b8",
		sourceApp: undefined,
		destinationApp: undefined,
		waypoint: undefined,
	},
};

export const hopJson = Buffer.from(JSON.stringify(hop));

export const DAMAGED_WINDOW = "2025-12-31T23";

export const searched: SearchedInfo = {
	windows: 2,
	blocks: 40,
	blocksSkipped: 37,
	spansScanned: 61_200,
	truncated: false,
	damagedWindows: [DAMAGED_WINDOW],
};

export const logEntry: LogEntry = {
	timeUnixNano: "1767268800000000000",
	observedTimeUnixNano: "1767268800000100000",
	service: "gateway",
	severityNumber: 9,
	severityText: "INFO",
	traceId: TRACE_ID,
	spanId: "00f067aa0ba902b7",
	body: { text: "GET /checkout 200", parts: ["a", 1, true] },
	attributes: { "http.response.status_code": "200" },
	resource: { "service.name": "gateway" },
	scope: "envoy",
};

export const series: MetricSeries = {
	id: "17",
	name: "istio_requests_total",
	description: "requests",
	unit: "1",
	type: "sum",
	temporality: "cumulative",
	monotonic: true,
	service: "gateway",
	attributes: { response_code: "200" },
	resource: { "service.name": "gateway" },
	lastTimeUnixNano: "1767268800000000000",
};

const topologySeries = cannedSeries(
	{
		...{ from: "shop/gateway", to: "shop/checkout", mtls: "mutual_tls", verifiedBy: "server" },
		principals: ["spiffe://demo/ns/shop/sa/gateway", "spiffe://demo/ns/shop/sa/checkout"],
		sourceNs: [1e6, 2e6, 3e6],
		destinationNs: [9e5, 1.9e6, 2.9e6],
		codes: { "200": 3 },
		bytes: [300, 3_000],
		app: [5e6, 1e6, 3],
		tls: { tlsVersion: "1.3" },
	},
	{
		...{ from: "shop/gateway", to: "shop/checkout", mtls: "plaintext", verifiedBy: "server" },
		...{ count: 1, outcome: "server_error", destinationOutcome: "ok", codes: { "504": 1 }, flags: { UT: 1 } },
	},
	{
		from: "shop/checkout",
		to: "shop/orders",
		protocol: "tcp",
		evidence: "metric",
		reporter: "source",
		count: 2,
		mtls: "plaintext",
	},
);
export const graph = graphOf(topologySeries);
export const topologyInput = {
	...{ series: topologySeries, groupBy: "service" as const, certificates: [], seconds: 60 },
	book: endpointBook([], new Map()),
};
export const topologyWindow = {
	...{ fromMs: CANNED_NOW_MS - 60_000, toMs: CANNED_NOW_MS },
	...{ resolutionMs: 10_000, flushedMs: CANNED_NOW_MS - 1_000 },
};

const [tcpEdge, httpEdge] = (["tcp", "http"] as const).map((name) => graph.edges.find(({ protocol }) => protocol === name)!);
export const meshPoint: MeshPoint = {
	timeMs: CANNED_NOW_MS - 60_000,
	requests: httpEdge!.requests,
	errors: httpEdge!.errors,
	connections: tcpEdge!.connections,
	connectionErrors: tcpEdge!.errors,
	requestMtls: httpEdge!.mtls.counts,
	connectionMtls: tcpEdge!.mtls.counts,
};

export function edgeResult(edge: GraphEdge): EdgeResult {
	const { requests, connections, errors, requestRate, errorRatio, bytes, latencyMs, mtls } = edge;
	const point: EdgePoint = {
		...{ timeMs: CANNED_NOW_MS - 60_000, requests, connections, errors, requestRate, errorRatio, bytes, latencyMs },
		mtlsCounts: mtls.counts,
	};
	const sample = { traceId: TRACE_ID, timeMs: CANNED_NOW_MS - 30_000, durationMs: 2, isError: false };
	const [first] = topologySeries;
	return {
		...{ window: topologyWindow, groupBy: "service", edge, stepMs: 10_000, points: [point] },
		latency: [{ fromMs: 1.9, toMs: 2.1, count: 1, exemplars: [sample] }],
		evidence: [
			{
				...{
					series: 1,
					evidence: "pair",
					reporter: "both",
					sampled: false,
					outcome: "ok",
					destinationOutcome: undefined,
				},
				source: { told: "gateway", taken: "shop/gateway" },
				target: { told: "shop/checkout", taken: "shop/checkout" },
				mtls: first!.dims.mtls,
				...{ observed: 3, count: 3, attempts: 3, failedHandshakes: 0, bytes, codes: { "200": 3 }, flags: {} },
				...{ sourceP95Ms: 3, destinationP95Ms: 2.9, firstSeenMs: CANNED_NOW_MS, lastSeenMs: CANNED_NOW_MS },
			},
		],
	};
}

const encoder = new TextEncoder();
export const traceJson = encoder.encode(
	'{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"gateway"}}]},"scopeSpans":[]}]}',
);
export const traceProtobuf = Uint8Array.of(0x0a, 0x02, 0x0a, 0x00);
