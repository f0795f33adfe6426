/**
 * The API over canned answers, for tests: a StoreReader that remembers what it was asked, a status with a number in every field,
 * a clock that stands still, and a raw client, since fetch refuses to send the headers and paths that attacks are made of.
 */
import { connect } from "node:net";
import { DurationGrid } from "../model/analysis/duration-grid.ts";
import type { ToldHop } from "../model/topology/told-hops.ts";
import { type IncomingHttpHeaders, request as httpRequest } from "node:http";
import type { TestContext } from "node:test";
import type { TraceId } from "../model/ids.ts";
import type { ServerStatus, SignalCounters } from "../model/status.ts";
import { cannedMesh } from "./canned-mesh.ts";
import { cannedSeries, graphOf } from "../model/topology/canned-series.ts";
import type { GraphEdge } from "../model/topology/graph.ts";
import { endpointBook } from "../model/topology/endpoint-book.ts";
import { mtlsReport } from "../model/topology/mtls-report.ts";
import { serviceTotals, serviceTraffic } from "../model/topology/service-traffic.ts";
import type {
	EdgePoint,
	EdgeResult,
	LogEntry,
	MeshPoint,
	MetricSeries,
	SearchedInfo,
	StoreReader,
	TraceSummary,
} from "../store/store.ts";
import type { LogFields } from "./plugins/request-log.ts";
import { type ApiOptions, type RunningApi, startApi } from "./server.ts";

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

const hopJson = Buffer.from(JSON.stringify(hop));

const DAMAGED_WINDOW = "2025-12-31T23";

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
const topologyInput = {
	...{ series: topologySeries, groupBy: "service" as const, certificates: [], seconds: 60 },
	book: endpointBook([], new Map()),
};
const topologyWindow = {
	...{ fromMs: CANNED_NOW_MS - 60_000, toMs: CANNED_NOW_MS },
	...{ resolutionMs: 10_000, flushedMs: CANNED_NOW_MS - 1_000 },
};

const [tcpEdge, httpEdge] = (["tcp", "http"] as const).map((name) => graph.edges.find(({ protocol }) => protocol === name)!);
const meshPoint: MeshPoint = {
	timeMs: CANNED_NOW_MS - 60_000,
	requests: httpEdge!.requests,
	errors: httpEdge!.errors,
	connections: tcpEdge!.connections,
	connectionErrors: tcpEdge!.errors,
	requestMtls: httpEdge!.mtls.counts,
	connectionMtls: tcpEdge!.mtls.counts,
};

function edgeResult(edge: GraphEdge): EdgeResult {
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

export interface CannedReader extends StoreReader {
	/** What was asked, in order: the method's name and its arguments. */
	readonly asked: readonly { readonly method: keyof StoreReader; readonly args: readonly unknown[] }[];
}

export function cannedReader(overrides: Partial<StoreReader> = {}): CannedReader {
	const asked: { method: keyof StoreReader; args: readonly unknown[] }[] = [];
	const answers: StoreReader = {
		trace: async (id, format) =>
			id === TRACE_ID
				? {
						trace: {
							summary,
							hops: { json: [hopJson], hopCount: 1, spansLeft: 0 },
							body: [format === "json" ? traceJson : traceProtobuf],
						},
						damagedWindows: [DAMAGED_WINDOW],
					}
				: { trace: undefined, damagedWindows: [DAMAGED_WINDOW] },
		searchTraces: async () => ({ traces: [summary], searched }),
		spanDurations: async ({ fromNs, toNs, columns }) => {
			const grid = new DurationGrid({ fromNs, toNs }, columns);
			grid.add(0, summary.durationNs, true, () => TRACE_ID);
			return { ...grid.answer(), searched };
		},
		traceDifferences: async () => ({
			selected: { spans: 40, traces: 30, compared: 30 },
			others: { spans: 90_000, traces: 60_000, compared: 1_000 },
			differences: [
				{
					...{ kind: "attribute", key: "service.version", value: "v3", type: "string", service: "checkout" },
					...{ edge: undefined, selected: 29, others: 12, excess: 0.6 },
				},
				{
					...{ kind: "mtls", key: "mtls", value: "plaintext", type: undefined, service: undefined },
					...{
						edge: { id: "6faeb2e1ed26185d", source: "gateway", target: "checkout" },
						selected: 20,
						others: 3,
						excess: 0.4,
					},
				},
			],
			searched,
		}),
		services: async () => [{ name: "gateway", firstSeenMs: CANNED_NOW_MS - 3_600_000, lastSeenMs: CANNED_NOW_MS }],
		operations: async (service) =>
			service === "gateway" ? [{ name: "GET /checkout", kind: 2, lastSeenMs: CANNED_NOW_MS }] : [],
		operationFigures: async ({ service }) => ({
			operations:
				service === "gateway"
					? [
							{
								...{ name: "GET /checkout", kind: 2, spans: 60, errors: 3, lastSeenMs: CANNED_NOW_MS },
								latencyMs: { p50: 10, p90: 20, p95: 30, p99: 40, max: 50, mean: 12, count: 60 },
							},
						]
					: [],
			searched,
		}),
		searchLogs: async () => ({ logs: [logEntry], searched }),
		metricSeries: async () => ({ series: [series], damagedWindows: [DAMAGED_WINDOW] }),
		metricPoints: async () => ({
			series: [
				{
					series,
					points: [0, 30, 60, 90].map((second) => ({
						timeUnixNano: `${BigInt(CANNED_NOW_MS + (second - 120) * 1_000) * 1_000_000n}`,
						startTimeUnixNano: "1767222000000000000",
						value: String(second * 2),
						flags: 0,
					})),
				},
			],
			truncated: false,
			damagedWindows: [],
		}),
		graph: async () => ({ window: topologyWindow, seconds: 60, graph }),
		graphHistory: async () => ({
			window: topologyWindow,
			stepMs: 60_000,
			beginsMs: CANNED_NOW_MS - 86_400_000,
			points: [meshPoint],
		}),
		edge: async ({ id }) => {
			const edge = graph.edges.find((candidate) => candidate.id === id);
			return edge && edgeResult(edge);
		},
		mtls: async () => {
			const report = mtlsReport({ ...topologyInput, graph });
			const sampled = (edges: typeof report.mixed) =>
				edges.map((edge) => ({
					...edge,
					samples: [{ traceId: TRACE_ID, timeMs: CANNED_NOW_MS, durationMs: 2, isError: true }],
				}));
			return {
				window: topologyWindow,
				report: { ...report, plaintext: sampled(report.plaintext), mixed: sampled(report.mixed) },
			};
		},
		serviceTraffic: async ({ service }) => {
			const traffic = serviceTraffic(topologyInput, service);
			return traffic && { window: topologyWindow, traffic };
		},
		serviceHistory: async ({ service }) => {
			const totals = serviceTotals(topologyInput, service);
			if (totals === undefined) return undefined;
			return { window: topologyWindow, stepMs: 60_000, points: [{ timeMs: CANNED_NOW_MS - 60_000, ...totals }] };
		},
		close: async () => undefined,
		...overrides,
	};
	const record =
		<K extends keyof StoreReader>(method: K) =>
		(...args: readonly unknown[]): unknown => {
			asked.push({ method, args: args.filter((each) => !(each instanceof AbortSignal)) });
			return (answers[method] as (...args: readonly unknown[]) => unknown)(...args);
		};
	const methods = Object.keys(answers) as (keyof StoreReader)[];
	const reader = Object.fromEntries(methods.map((method) => [method, record(method)])) as unknown as StoreReader;
	return { ...reader, asked };
}

const counters: SignalCounters = {
	acceptedRecords: 1_000,
	acceptedBatches: 10,
	acceptedBytes: 749_000,
	duplicateBatches: 1,
	droppedRecords: { invalid_trace_id: 3 },
	refusedBatches: { overloaded: 2, internal: 1 },
};

export const cannedStatus: ServerStatus = {
	version: "0.1.0",
	startedAtMs: CANNED_NOW_MS - 60_000,
	uptimeSeconds: 60,
	ready: true,
	addresses: { http: "unknown" },
	ingest: {
		traces: counters,
		logs: counters,
		metrics: counters,
		recordsPerSecond: { traces: 100, logs: 0, metrics: 0.5 },
		invalidUtf8Strings: 4,
	},
	pipeline: {
		queuedBytes: 5,
		maxQueuedBytes: 67_108_864,
		queuedBatches: 6,
		commits: 7,
		ackMs: { p50: 21, p99: 57, max: 80 },
	},
	store: {
		engine: "sqlite",
		directory: "/var/lib/meshscope",
		bytesOnDisk: 8,
		walBytes: 9,
		freshBlocks: 11,
		spans: 12,
		logs: 13,
		metricPoints: 14,
		retention: { maxAgeMs: 604_800_000, maxBytes: 10_000_000_000 },
		windows: [
			{
				name: "2026-01-01T11",
				fromMs: CANNED_NOW_MS - 3_600_000,
				toMs: CANNED_NOW_MS,
				bytes: 8,
				spans: 12,
				logs: 13,
				metricPoints: 14,
				state: "damaged",
				problem: "block 3: checksum differs",
			},
		],
	},
	topology: {
		lagMs: 1_500,
		flushedMs: CANNED_NOW_MS,
		spansHeld: 15,
		series: 16,
		bytesOnDisk: 17,
		losses: {
			implausible_time: 18,
			trace_too_large: 0,
			stated_early: 0,
			not_rejoined: 0,
			overflowed_names: 19,
			skipped_groups: 20,
		},
		failedFlushes: 21,
		restarts: 22,
	},
	scrape: [],
	process: { rssBytes: 100_000_000, heapUsedBytes: 20_000_000, cpuSeconds: 1.5, nodeVersion: "v24.0.0" },
};

export interface LogLine {
	readonly level: "debug" | "info" | "warn" | "error";
	readonly fields: LogFields;
	readonly message: string;
}

export interface CannedApi extends RunningApi {
	readonly reader: CannedReader;
	readonly lines: readonly LogLine[];
	get(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
	send(method: string, path: string, headers?: Readonly<Record<string, string>>, body?: string): Promise<Answer>;
}

/** Started on a free loopback port, and closed after the test. */
export async function startCannedApi(
	t: TestContext,
	overrides: Partial<Omit<ApiOptions, "reader">> & { readonly reader?: Partial<StoreReader> } = {},
): Promise<CannedApi> {
	const { reader: readerOverrides, ...options } = overrides;
	const reader = cannedReader(readerOverrides);
	const lines: LogLine[] = [];
	const line = (level: LogLine["level"]) => (fields: LogFields, message: string) => void lines.push({ level, fields, message });
	const api = await startApi({
		listen: { host: "127.0.0.1", port: 0 },
		reader,
		status: () => cannedStatus,
		readTokens: [],
		allowHosts: [],
		uiDirectory: undefined,
		ingestAddresses: { otlpGrpc: "127.0.0.1:4317", otlpHttp: "127.0.0.1:4318" },
		mesh: cannedMesh(CANNED_NOW_MS),
		now: () => CANNED_NOW_MS,
		log: { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") },
		...options,
	});
	t.after(() => api.close(0));
	return {
		...api,
		reader,
		lines,
		get: (path, headers) => sendRequest(api.address, "GET", path, headers),
		send: (method, path, headers, body) => sendRequest(api.address, method, path, headers, body),
	};
}

export interface Answer {
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
	readonly body: Buffer;
	readonly text: string;
	/** @throws SyntaxError when the body is no JSON */
	json(): unknown;
	/** The error's code and message. */
	error(): MeshscopeErrorAnswer;
}

export interface MeshscopeErrorAnswer {
	readonly code: string;
	readonly message: string;
	readonly details?: Readonly<Record<string, unknown>>;
}

/** Sends the path as it is: no client-side normalisation of `..` or `%2e`. */
export function sendRequest(
	address: string,
	method: string,
	path: string,
	headers: Readonly<Record<string, string>> = {},
	requestBody?: string,
): Promise<Answer> {
	const { promise, resolve, reject } = Promise.withResolvers<Answer>();
	const { hostname, port } = new URL(`http://${address}`);
	const length = requestBody === undefined ? {} : { "content-length": Buffer.byteLength(requestBody) };
	const request = httpRequest(
		{ hostname, port, method, path, headers: { ...headers, ...length }, agent: false },
		(response) => {
			const chunks: Buffer[] = [];
			response.on("data", (chunk: Buffer) => chunks.push(chunk));
			response.on("error", reject);
			response.on("end", () => {
				const body = Buffer.concat(chunks);
				const text = body.toString("utf8");
				resolve({
					status: response.statusCode ?? 0,
					headers: response.headers,
					body,
					text,
					json: () => JSON.parse(text) as unknown,
					error: () => (JSON.parse(text) as { error: MeshscopeErrorAnswer }).error,
				});
			});
		},
	);
	request.on("error", reject);
	request.end(requestBody);
	return promise;
}

/** Sends bytes as they are and answers what came back until the server closed. */
export function sendBytes(address: string, bytes: string, timeoutMs = 5_000): Promise<string> {
	const { promise, resolve } = Promise.withResolvers<string>();
	const { hostname, port } = new URL(`http://${address}`);
	const socket = connect({ host: hostname, port: Number(port) });
	const chunks: Buffer[] = [];
	const timer = setTimeout(() => socket.destroy(), timeoutMs);
	socket.on("data", (chunk) => chunks.push(chunk));
	socket.on("error", () => undefined);
	socket.on("close", () => {
		clearTimeout(timer);
		resolve(Buffer.concat(chunks).toString("latin1"));
	});
	socket.write(bytes, "latin1");
	return promise;
}
