/**
 * A stand-in for the server in the page tests: the built UI under the real policy headers, and answers of `/api/v1` from memory.
 * It lets a test decide what arrives when, and what fails.
 */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { SECURITY_HEADERS } from "../../api/plugins/security.ts";
import type { LogEntry } from "../../api/contract/logs.ts";
import type { GraphAnswer } from "../../api/contract/topology.ts";
import type { WholeTraceSummary } from "../../api/contract/traces.ts";
import type { StatusAnswer } from "../../api/contract/status.ts";
import { TraceFeatures } from "../../model/analysis/trace-features.ts";
import { DurationGrid } from "../../model/analysis/duration-grid.ts";
import { ERRORS } from "../../model/errors.ts";
import type { ErrorCode } from "../../model/errors.ts";
import { parseDuration, parseMoment } from "../../model/time.ts";
import { edgeAnswerOf, historyAnswerOf } from "./fixture-graph.ts";
import { resourceSpansOf, summaryOf } from "./fixture-traces.ts";
import type { FixtureTrace } from "./fixture-traces.ts";

export interface FixtureServer {
	readonly url: string;
	/** Newest last. */
	readonly traces: FixtureTrace[];
	readonly logs: LogEntry[];
	graph: GraphAnswer;
	/** Where it is told apart. */
	graphByNamespace?: GraphAnswer;
	/** Changes to the status answer. */
	status: Partial<StatusAnswer>;
	/** While set, calls of the API must carry it. */
	token: string | undefined;
	/** While set, every call of the API is refused with it. */
	failing: { readonly code: ErrorCode; readonly message: string } | undefined;
	/** Path and query of every call of the API, in order. */
	readonly calls: string[];
	close(): Promise<void>;
}

const TYPES: Readonly<Record<string, string>> = {
	".html": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml",
};

export async function startFixtureServer(dist: string): Promise<FixtureServer> {
	const state: FixtureServer = {
		url: "",
		traces: [],
		logs: [],
		graph: { window: { from: "", to: "", resolutionMs: 10_000 }, nodes: [], edges: [] },
		status: {},
		failing: undefined,
		token: undefined,
		calls: [],
		close: () =>
			new Promise((resolve) => {
				server.close(() => resolve());
				server.closeAllConnections();
			}),
	};
	const server = createServer((request, response) => {
		void answer(state, dist, request, response);
	});
	await new Promise<void>((resolve) => {
		server.listen(0, "127.0.0.1", resolve);
	});
	return Object.assign(state, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

async function answer(state: FixtureServer, dist: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
	const url = new URL(request.url ?? "/", "http://fixture");
	response.setHeaders(new Map(Object.entries(SECURITY_HEADERS)));
	if (url.pathname.startsWith("/api/")) {
		state.calls.push(url.pathname + url.search);
		if (state.token !== undefined && request.headers.authorization !== `Bearer ${state.token}`) {
			refuse(response, "unauthenticated", "the token is not known here");
		} else answerApi(state, url, response);
		return;
	}
	const file = join(dist, normalize(url.pathname));
	const known = file.startsWith(dist) && extname(file) !== "" && (await stat(file).catch(() => undefined))?.isFile() === true;
	const served = known ? file : join(dist, "index.html");
	response.setHeader("content-type", TYPES[extname(served)] ?? "application/octet-stream");
	createReadStream(served).pipe(response);
}

function sendJson(response: ServerResponse, body: unknown, httpStatus = 200): void {
	response.statusCode = httpStatus;
	response.setHeader("content-type", "application/json; charset=utf-8");
	response.end(JSON.stringify(body));
}

function refuse(response: ServerResponse, code: ErrorCode, message: string): void {
	sendJson(response, { error: { code, message } }, ERRORS[code].http);
}

function answerApi(state: FixtureServer, url: URL, response: ServerResponse): void {
	if (state.failing !== undefined) {
		refuse(response, state.failing.code, state.failing.message);
		return;
	}
	const path = url.pathname.slice("/api/v1".length);
	const operations = /^\/services\/([^/]+)\/operations$/.exec(path);
	const trace = /^\/traces\/([^/]+)$/.exec(path);
	const edge = /^\/edges\/([0-9a-f]{16})$/.exec(path);
	if (path === "/status") sendJson(response, { ...statusOf(state), ...state.status });
	else if (path === "/services") sendJson(response, { services: servicesOf(state) });
	else if (operations !== null) sendJson(response, { operations: operationsOf(state, decodeURIComponent(operations[1]!)) });
	else if (path === "/traces") sendJson(response, search(state, url.searchParams));
	else if (path === "/traces/durations") sendJson(response, durationsOf(state, url.searchParams));
	else if (path === "/traces/differences") sendJson(response, differencesOf(state, url.searchParams));
	else if (path === "/logs") sendJson(response, searchLogs(state, url.searchParams));
	else if (path === "/graph")
		sendJson(
			response,
			url.searchParams.get("groupBy") === "namespace" ? (state.graphByNamespace ?? state.graph) : state.graph,
		);
	else if (path === "/graph/history")
		sendJson(response, historyAnswerOf(state.graph, url.searchParams.get("from") ?? "", Date.now()));
	else if (edge !== null) {
		const found = edgeAnswerOf(state.graph, edge[1]!);
		if (found === undefined) refuse(response, "not_found", `no edge ${edge[1]!}`);
		else sendJson(response, found);
	} else if (trace !== null) {
		const found = state.traces.find((candidate) => candidate.traceId === trace[1]);
		if (found === undefined) refuse(response, "not_found", `no trace ${decodeURIComponent(trace[1]!)}`);
		else sendJson(response, { resourceSpans: resourceSpansOf(found), meshscope: wholeSummaryOf(found) });
	} else refuse(response, "not_found", `no path ${url.pathname}`);
}

function wholeSummaryOf(trace: FixtureTrace): WholeTraceSummary {
	const { hops = [], damagedWindows = [] } = trace;
	return { ...summaryOf(trace), hops, hopCount: hops.length, spansLeft: 0, damagedWindows };
}

function servicesOf(state: FixtureServer): { name: string; firstSeenMs: number; lastSeenMs: number }[] {
	const names = new Set(state.traces.flatMap((trace) => trace.spans.map((span) => span.service)));
	return [...names].sort().map((name) => ({ name, firstSeenMs: 0, lastSeenMs: 0 }));
}

function operationsOf(state: FixtureServer, service: string): { name: string; kind: number; lastSeenMs: number }[] {
	const spans = state.traces.flatMap((trace) => trace.spans.filter((span) => span.service === service));
	const byName = new Map(spans.map((span) => [span.name, span.kind]));
	return [...byName].sort().map(([name, kind]) => ({ name, kind, lastSeenMs: 0 }));
}

function search(state: FixtureServer, params: URLSearchParams): unknown {
	const limit = Number(params.get("limit") ?? "20");
	return {
		traces: matching(state, params)
			.map(({ trace }) => summaryOf(trace))
			.sort((a, b) => (BigInt(b.startTimeUnixNano) > BigInt(a.startTimeUnixNano) ? 1 : -1))
			.slice(0, limit),
		searched: SEARCHED,
	};
}

function durationsOf(state: FixtureServer, params: URLSearchParams): unknown {
	const nowMs = Date.now();
	const fromNs = parseMoment(params.get("from") ?? "now-1h", nowMs) ?? 0n;
	const toNs = parseMoment(params.get("to") ?? "now", nowMs) ?? 0n;
	const grid = new DurationGrid({ fromNs, toNs }, Number(params.get("columns") ?? "120"));
	for (const { trace, spans } of matching(state, params))
		for (const { startNs, durationNs, failed } of spans)
			grid.add(Number(startNs - grid.fromNs), Number(durationNs), failed === true, () => trace.traceId);
	const { fromMs, ...answer } = grid.answer();
	return { ...answer, from: new Date(fromMs).toISOString(), searched: SEARCHED };
}

function differencesOf(state: FixtureServer, params: URLSearchParams): unknown {
	const features = new TraceFeatures();
	const bounds = ["selectMinDuration", "selectMaxDuration"].map((name) => parseDuration(params.get(name) ?? ""));
	const sides = { selected: 0, others: 0 };
	for (const { trace, spans } of matching(state, params)) {
		const isSelected = spans.some(
			({ durationNs, failed }) =>
				(bounds[0] === undefined || durationNs >= bounds[0]) &&
				(bounds[1] === undefined || durationNs <= bounds[1]) &&
				(params.get("selectStatus") !== "error" || failed === true),
		);
		const side = isSelected ? "selected" : "others";
		sides[side]++;
		features.begin(side);
		for (const { name, service, attributes = [] } of trace.spans)
			features.addSpan({ name, attributes }, { attributes: [{ key: "service.name", value: { stringValue: service } }] });
	}
	const sideOf = (count: number): unknown => ({ spans: count, traces: count, compared: count });
	const differences = features.differences(30);
	return { selected: sideOf(sides.selected), others: sideOf(sides.others), differences, searched: SEARCHED };
}

const SEARCHED = { windows: 2, blocks: 40, blocksSkipped: 37, spansScanned: 61_200, truncated: false, damagedWindows: [] };

/** Traces with the spans of theirs that meet every parameter. */
function matching(
	state: FixtureServer,
	params: URLSearchParams,
): readonly { readonly trace: FixtureTrace; readonly spans: FixtureTrace["spans"] }[] {
	const nowMs = Date.now();
	const from = parseMoment(params.get("from") ?? "now-1h", nowMs) ?? 0n;
	const to = parseMoment(params.get("to") ?? "now+1h", nowMs) ?? 0n;
	const min = parseDuration(params.get("minDuration") ?? "0ns") ?? 0n;
	const max = parseDuration(params.get("maxDuration") ?? "1000w") ?? 0n;
	const status = params.get("status");
	const found = state.traces.map((trace) => ({
		trace,
		spans: trace.spans.filter(
			(span) =>
				(params.get("root") !== "true" || span.parentSpanId === undefined) &&
				(params.get("service") ?? span.service) === span.service &&
				(params.get("operation") ?? span.name) === span.name &&
				span.durationNs >= min &&
				span.durationNs <= max &&
				span.startNs >= from &&
				span.startNs < to &&
				(status === null || (status === "error") === (span.failed === true)) &&
				params.getAll("attr").every((filter) => {
					const [key, ...value] = filter.split("=");
					return (span.attributes ?? []).some(
						(item) => item.key === key && Object.values(item.value).includes(value.join("=")),
					);
				}),
		),
	}));
	return found.filter(({ spans }) => spans.length > 0);
}

function searchLogs(state: FixtureServer, params: URLSearchParams): unknown {
	return {
		logs: state.logs.filter((log) => log.traceId === params.get("traceId")).toReversed(),
		searched: { windows: 1, blocks: 2, blocksSkipped: 1, spansScanned: 12, truncated: false, damagedWindows: [] },
	};
}

function statusOf(state: FixtureServer): StatusAnswer {
	const spans = state.traces.reduce((total, trace) => total + trace.spans.length, 0);
	const none = {
		acceptedRecords: 0,
		acceptedBatches: 0,
		acceptedBytes: 0,
		duplicateBatches: 0,
		droppedRecords: {},
		refusedBatches: {},
	};
	const hourMs = Math.floor(Date.now() / 3_600_000) * 3_600_000;
	return {
		version: "0.1.0",
		startedAtMs: Date.now() - 93_000_000,
		uptimeSeconds: 93_000,
		ready: true,
		controlPlane: false,
		addresses: {
			http: "127.0.0.1:4300",
			otlpGrpc: "127.0.0.1:14317",
			otlpHttp: "127.0.0.1:14318",
			zipkin: "127.0.0.1:19411",
		},
		ingest: {
			traces: {
				...none,
				acceptedRecords: spans,
				acceptedBatches: state.traces.length,
				acceptedBytes: spans * 749,
				duplicateBatches: spans > 0 ? 3 : 0,
				droppedRecords: spans > 0 ? { invalid_span_id: 12 } : {},
				refusedBatches: spans > 0 ? { overloaded: 4, malformed_payload: 1 } : {},
			},
			logs: { ...none, acceptedRecords: state.logs.length },
			metrics: none,
			recordsPerSecond: { traces: spans > 0 ? 12_480 : 0, logs: spans > 0 ? 210 : 0, metrics: 0 },
			invalidUtf8Strings: 0,
		},
		pipeline: {
			queuedBytes: 3_400_000,
			maxQueuedBytes: 67_108_864,
			queuedBatches: 7,
			commits: 912,
			ackMs: { p50: 12.4, p99: 48.9, max: 71 },
		},
		store: {
			engine: "sqlite",
			directory: "meshscope-data",
			bytesOnDisk: spans * 58 + 81_920,
			walBytes: 1_200_000,
			freshBlocks: 4,
			spans,
			logs: state.logs.length,
			metricPoints: 0,
			retention: { maxAgeMs: 604_800_000, maxBytes: 10_737_418_240 },
			windows:
				spans === 0
					? []
					: [
							{
								name: "w-1",
								fromMs: hourMs - 7_200_000,
								toMs: hourMs - 3_600_000,
								bytes: 40_960,
								spans: 0,
								logs: 0,
								metricPoints: 0,
								state: "damaged",
								problem: "block 17: checksum differs",
							},
							{
								name: "w-2",
								fromMs: hourMs - 3_600_000,
								toMs: hourMs,
								bytes: 4_194_304,
								spans: 71_200,
								logs: 812,
								metricPoints: 0,
								state: "sealed",
							},
							{
								name: "w-3",
								fromMs: hourMs,
								toMs: hourMs + 3_600_000,
								bytes: spans * 58,
								spans,
								logs: state.logs.length,
								metricPoints: 0,
								state: "open",
							},
						],
		},
		topology: {
			lagMs: 192_000,
			flushedMs: Date.now() - 192_000,
			spansHeld: spans,
			series: spans > 0 ? 42 : 0,
			bytesOnDisk: 1_200_000,
			losses: {
				implausible_time: spans > 0 ? 9 : 0,
				trace_too_large: 0,
				stated_early: 0,
				not_rejoined: 0,
				overflowed_names: 0,
				skipped_groups: 0,
			},
			failedFlushes: 0,
			restarts: 0,
		},
		scrape: [],
		process: { rssBytes: 188_000_000, heapUsedBytes: 61_000_000, cpuSeconds: 1_204, nodeVersion: "24.21.0" },
	};
}
