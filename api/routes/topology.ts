/** The graph, its edges, what differs between two windows, mTLS, and one service's traffic. */
import type { FastifyInstance } from "fastify";
import { MeshscopeError } from "../../model/errors.ts";
import { msFromTimeNs } from "../../model/time.ts";
import { diffGraphs } from "../../model/topology/diff.ts";
import type { GraphEdge } from "../../model/topology/graph.ts";
import { type GroupBy, GROUPINGS } from "../../model/topology/endpoint.ts";
import type { RedFigures } from "../../model/topology/service-traffic.ts";
import type { GraphQuery, MtlsResult, TopologyWindow, TraceSample } from "../../store/store.ts";
import { CAPS } from "../contract/common.ts";
import {
	type EdgeAnswer,
	type GraphAnswer,
	type GraphDiffAnswer,
	type GraphEdgeAnswer,
	type GraphHistoryAnswer,
	type MtlsAnswer,
	type ServiceHistoryAnswer,
	type ServiceTrafficAnswer,
} from "../contract/topology.ts";
import { durationParameter, edgeIdOf, oneOf, type Parameters, timeRange } from "../query.ts";
import { addRoute, ask, momentOf, type RouteContext, sendJson } from "./context.ts";

const MS_NS = 1_000_000n;
const STEP_MS = 10_000;

export function addTopologyRoutes(scope: FastifyInstance, context: RouteContext): void {
	const { reader } = context;

	addRoute(scope, "graph", async ({ parameters, reply }) => {
		const { window, graph } = await ask(context, reply, (signal) =>
			reader.graph(graphQueryOf(parameters, context.now()), signal),
		);
		const answer: GraphAnswer = {
			window: windowAnswer(window),
			nodes: [...graph.nodes],
			edges: graph.edges.map(edgeAnswerOf),
		};
		return sendJson(reply, answer);
	});

	addRoute(scope, "graphDiff", async ({ parameters, reply }) => {
		const query = graphQueryOf(parameters, context.now());
		const current = await ask(context, reply, (signal) => reader.graph(query, signal));
		const baseline = await ask(context, reply, (signal) =>
			reader.graph(baselineOf(parameters, query, context.now()), signal),
		);
		const answer: GraphDiffAnswer = {
			window: windowAnswer(current.window),
			baseline: windowAnswer(baseline.window),
			changes: [...diffGraphs(baseline, current)],
		};
		return sendJson(reply, answer);
	});

	addRoute(scope, "graphHistory", async ({ parameters, reply }) => {
		const { fromMs, toMs } = rangeOf(parameters, context.now());
		const stepMs = stepMsOf(parameters);
		const found = await ask(context, reply, (signal) =>
			reader.graphHistory({ fromMs, toMs, ...(stepMs === undefined ? {} : { stepMs }) }, signal),
		);
		const answer: GraphHistoryAnswer = {
			window: windowAnswer(found.window),
			stepMs: found.stepMs,
			begins: found.beginsMs === undefined ? undefined : momentOf(found.beginsMs),
			points: found.points.map(({ timeMs, ...point }) => ({ time: momentOf(timeMs), ...point })),
		};
		return sendJson(reply, answer);
	});

	addRoute(scope, "edge", async ({ parameters, path, reply }) => {
		const id = edgeIdOf(path["id"] ?? "", "id");
		const { fromMs, toMs } = rangeOf(parameters, context.now());
		const stepMs = stepMsOf(parameters);
		const found = await ask(context, reply, (signal) =>
			reader.edge({ id, fromMs, toMs, ...(stepMs === undefined ? {} : { stepMs }) }, signal),
		);
		if (found === undefined) throw new MeshscopeError("not_found", `no edge ${id}; /api/v1/graph lists them`);
		const { window, groupBy, edge, points, latency, evidence } = found;
		const answer: EdgeAnswer = {
			window: windowAnswer(window),
			groupBy,
			edge: edge && edgeAnswerOf(edge),
			stepMs: found.stepMs,
			series: points.map(({ timeMs, ...point }) => ({ time: momentOf(timeMs), ...point })),
			histogram: latency.map((bucket) => ({ ...bucket, exemplars: bucket.exemplars.map(sampleAnswer) })),
			evidence: evidence.map(({ firstSeenMs, lastSeenMs, ...row }) => ({
				...row,
				firstSeen: firstSeenMs === undefined ? undefined : momentOf(firstSeenMs),
				lastSeen: lastSeenMs === undefined ? undefined : momentOf(lastSeenMs),
			})),
		};
		return sendJson(reply, answer);
	});

	addRoute(scope, "mtls", async ({ parameters, reply }) => {
		const { window, report } = await ask(context, reply, (signal) =>
			reader.mtls(graphQueryOf(parameters, context.now()), signal),
		);
		const answer: MtlsAnswer = {
			window: windowAnswer(window),
			coverage: { requests: report.requests, connections: report.connections, edges: report.edges },
			plaintext: report.plaintext.map(unprotectedAnswer),
			mixed: report.mixed.map(unprotectedAnswer),
			identities: report.identities.map(({ firstSeenMs, lastSeenMs, ...identity }) => ({
				...identity,
				firstSeen: momentOf(firstSeenMs),
				lastSeen: momentOf(lastSeenMs),
			})),
			certificates: report.certificates.map(({ notAfterMs, lastSeenMs, ...certificate }) => ({
				...certificate,
				notAfter: momentOf(notAfterMs),
				lastSeen: momentOf(lastSeenMs),
			})),
		};
		return sendJson(reply, answer);
	});

	addRoute(scope, "serviceTraffic", async ({ parameters, path, reply }) => {
		const service = path["name"] ?? "";
		const found = await ask(context, reply, (signal) =>
			reader.serviceTraffic({ service, ...rangeOf(parameters, context.now()) }, signal),
		);
		if (found === undefined) throw noSuchService(service);
		const { nodes, inbound, outbound } = found.traffic;
		const answer: ServiceTrafficAnswer = {
			window: windowAnswer(found.window),
			nodes: [...nodes],
			inbound: redAnswer(inbound),
			outbound: redAnswer(outbound),
		};
		return sendJson(reply, answer);
	});

	addRoute(scope, "serviceHistory", async ({ parameters, path, reply }) => {
		const service = path["name"] ?? "";
		const { fromMs, toMs } = rangeOf(parameters, context.now());
		const stepMs = stepMsOf(parameters);
		const found = await ask(context, reply, (signal) =>
			reader.serviceHistory({ service, fromMs, toMs, ...(stepMs === undefined ? {} : { stepMs }) }, signal),
		);
		if (found === undefined) throw noSuchService(service);
		const answer: ServiceHistoryAnswer = {
			window: windowAnswer(found.window),
			stepMs: found.stepMs,
			points: found.points.map(({ timeMs, inbound, outbound }) => ({ time: momentOf(timeMs), inbound, outbound })),
		};
		return sendJson(reply, answer);
	});
}

function noSuchService(service: string): MeshscopeError {
	return new MeshscopeError(
		"not_found",
		`nothing in the range calls or is called ${JSON.stringify(service.slice(0, 100))}; /api/v1/graph lists who is`,
	);
}

function rangeOf(parameters: Parameters, nowMs: number): { readonly fromMs: number; readonly toMs: number } {
	const { fromNs, toNs } = timeRange(parameters, nowMs, CAPS.graphRangeDays);
	// Buckets are whole seconds; the end is rounded up so that a range within one millisecond is none of no length.
	return { fromMs: msFromTimeNs(fromNs), toMs: Number((toNs + MS_NS - 1n) / MS_NS) };
}

function graphQueryOf(parameters: Parameters, nowMs: number): GraphQuery {
	const groupBy: GroupBy = oneOf(parameters, "groupBy", GROUPINGS) ?? "service";
	return { ...rangeOf(parameters, nowMs), groupBy };
}

/** As long as the window itself and right before it, unless it is given. */
function baselineOf(parameters: Parameters, { fromMs, toMs, groupBy }: GraphQuery, nowMs: number): GraphQuery {
	const own = new Map(parameters);
	for (const [name, given, fallback] of [
		["from", "baselineFrom", String(Math.max(0, 2 * fromMs - toMs))],
		["to", "baselineTo", String(fromMs)],
	] as const)
		own.set(name, parameters.get(given) ?? [fallback]);
	try {
		return { ...rangeOf(own, nowMs), groupBy };
	} catch (error) {
		if (!(error instanceof MeshscopeError)) throw error;
		const renamed = error.message.replaceAll("`from`", "`baselineFrom`").replaceAll("`to`", "`baselineTo`");
		throw new MeshscopeError(error.code, renamed, { ...(error.details === undefined ? {} : { details: error.details }) });
	}
}

function stepMsOf(parameters: Parameters): number | undefined {
	const stepNs = durationParameter(parameters, "step");
	if (stepNs === undefined) return undefined;
	const stepMs = Number(stepNs / MS_NS);
	if (stepMs > 0 && stepNs % MS_NS === 0n && stepMs % STEP_MS === 0) return stepMs;
	throw new MeshscopeError("invalid_argument", "`step` takes whole tens of seconds, such as 10s, 1m or 1h", {
		details: { parameter: "step" },
	});
}

function windowAnswer({ fromMs, toMs, resolutionMs, flushedMs }: TopologyWindow): GraphAnswer["window"] {
	const flushed = flushedMs === undefined ? {} : { flushed: momentOf(flushedMs) };
	return { from: momentOf(fromMs), to: momentOf(toMs), resolutionMs, ...flushed };
}

function edgeAnswerOf(edge: GraphEdge): GraphEdgeAnswer {
	const { series: _internal, firstSeenMs, lastSeenMs, mtls, ...rest } = edge;
	const { certificateNotAfterMs, ...ownMtls } = mtls;
	return {
		...rest,
		mtls: {
			...ownMtls,
			certificateNotAfter: certificateNotAfterMs === undefined ? undefined : momentOf(certificateNotAfterMs),
		},
		firstSeen: firstSeenMs === undefined ? undefined : momentOf(firstSeenMs),
		lastSeen: lastSeenMs === undefined ? undefined : momentOf(lastSeenMs),
	};
}

function sampleAnswer({ timeMs, ...sample }: TraceSample): MtlsAnswer["plaintext"][number]["samples"][number] {
	return { ...sample, time: momentOf(timeMs) };
}

function unprotectedAnswer(edge: MtlsResult["report"]["plaintext"][number]): MtlsAnswer["plaintext"][number] {
	const { series: _internal, firstSeenMs, lastSeenMs, samples, ...rest } = edge;
	return {
		...rest,
		firstSeen: firstSeenMs === undefined ? undefined : momentOf(firstSeenMs),
		lastSeen: lastSeenMs === undefined ? undefined : momentOf(lastSeenMs),
		samples: samples.map(sampleAnswer),
	};
}

function redAnswer(figures: RedFigures): ServiceTrafficAnswer["inbound"] {
	return { ...figures, edges: figures.edges.map(edgeAnswerOf) };
}
