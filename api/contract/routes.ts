/**
 * The table of calls: path, parameters, answer. The server registers exactly these, refuses parameters that are not in them, and
 * generates the OpenAPI document from them.
 */
import type * as z from "zod";
import { logQuery, logSearchAnswer } from "./logs.ts";
import {
	meshAnswer,
	meshCertificatesAnswer,
	meshInstancesAnswer,
	meshPolicyAnswer,
	meshProxiesAnswer,
	meshServicesAnswer,
} from "./mesh.ts";
import { metricPointAnswer, metricPointQuery, metricSeriesAnswer, metricSeriesQuery } from "./metrics.ts";
import { operationFiguresAnswer, operationFiguresQuery, operationsAnswer, servicePath, servicesAnswer } from "./services.ts";
import { probeAnswer, statusAnswer } from "./status.ts";
import {
	edgeAnswer,
	edgePath,
	edgeQuery,
	graphAnswer,
	graphDiffAnswer,
	graphDiffQuery,
	graphHistoryAnswer,
	graphHistoryQuery,
	graphQuery,
	mtlsAnswer,
	mtlsQuery,
	serviceHistoryAnswer,
	serviceHistoryQuery,
	serviceTrafficAnswer,
	serviceTrafficQuery,
} from "./topology.ts";
import {
	differencesAnswer,
	differencesQuery,
	spanDurationsAnswer,
	spanDurationsQuery,
	traceAnswer,
	tracePath,
	traceQuery,
	traceSearchAnswer,
} from "./traces.ts";
import type { ErrorCode } from "../../model/errors.ts";

export interface RouteContract {
	/** With `{name}` for path parameters, as OpenAPI writes them. */
	readonly path: string;
	readonly summary: string;
	readonly description?: string;
	readonly pathParameters?: z.ZodObject;
	/** Absent: the call takes no parameters. Arrays are repeatable. */
	readonly query?: z.ZodObject;
	/** The JSON answer, or the media type of another one. */
	readonly answer: z.ZodType | "text/plain" | "application/json";
	/** Answers in a further media type, by `Accept`. */
	readonly alternative?: "application/x-protobuf";
	/** What it may refuse with, beyond what every call may. */
	readonly errors: readonly ErrorCode[];
	/** Answers without a token even when the server has one. */
	readonly open?: true;
}

const SEARCH_ERRORS = ["invalid_argument", "query_too_broad", "query_timeout", "overloaded"] as const;

const MESH_ERRORS = ["no_control_plane"] as const;

export const ROUTES = {
	trace: {
		path: "/api/v1/traces/{traceId}",
		summary: "One trace by its ID",
		description:
			"OTLP JSON with a summary beside it; with `Accept: application/x-protobuf` the bare TracesData message. Spans that arrived in " +
			"different batches come back as one trace, each span once.",
		pathParameters: tracePath,
		answer: traceAnswer,
		alternative: "application/x-protobuf",
		errors: ["invalid_argument", "not_found", "query_timeout", "overloaded"],
	},
	traces: {
		path: "/api/v1/traces",
		summary: "Search traces",
		description: "Newest first. A trace matches when one of its spans meets every filter; the summary is of the whole trace.",
		query: traceQuery,
		answer: traceSearchAnswer,
		errors: SEARCH_ERRORS,
	},
	spanDurations: {
		path: "/api/v1/traces/durations",
		summary: "Durations of the spans of a search",
		description:
			"A latency heatmap: every span that meets the filters, counted by start and duration. With `edge` they are the calls of the edge.",
		query: spanDurationsQuery,
		answer: spanDurationsAnswer,
		errors: SEARCH_ERRORS,
	},
	traceDifferences: {
		path: "/api/v1/traces/differences",
		summary: "What differs between selected spans and the others",
		description:
			"Compares the traces of spans that meet the filters and are selected with those of the spans that are not: attributes, services, " +
			"operations, calls and their mTLS status, response flags and codes, wherever in the trace they stand.",
		query: differencesQuery,
		answer: differencesAnswer,
		errors: SEARCH_ERRORS,
	},
	services: {
		path: "/api/v1/services",
		summary: "Services",
		answer: servicesAnswer,
		errors: ["query_timeout", "overloaded"],
	},
	operations: {
		path: "/api/v1/services/{name}/operations",
		summary: "Operations of a service",
		pathParameters: servicePath,
		answer: operationsAnswer,
		errors: ["not_found", "query_timeout", "overloaded"],
	},
	serviceTraffic: {
		path: "/api/v1/services/{name}",
		summary: "Rate, errors and duration of a service, in and out",
		description: "The name is that of a service or the ID of a node; a name that several namespaces have is all of them.",
		pathParameters: servicePath,
		query: serviceTrafficQuery,
		answer: serviceTrafficAnswer,
		errors: [...SEARCH_ERRORS, "not_found"],
	},
	serviceHistory: {
		path: "/api/v1/services/{name}/history",
		summary: "Rate, errors and duration of a service over time, in and out",
		description:
			"Step by step what `/api/v1/services/{name}` tells of the whole range; percentiles are of the merged histograms.",
		pathParameters: servicePath,
		query: serviceHistoryQuery,
		answer: serviceHistoryAnswer,
		errors: [...SEARCH_ERRORS, "not_found"],
	},
	operationFigures: {
		path: "/api/v1/services/{name}/operations/figures",
		summary: "Rate, errors and duration of a service's operations",
		description:
			"Counted from the spans of the range that are stored, newest first; `searched` says whether all were seen. " +
			"A service without any span in it has none.",
		pathParameters: servicePath,
		query: operationFiguresQuery,
		answer: operationFiguresAnswer,
		errors: SEARCH_ERRORS,
	},
	graph: {
		path: "/api/v1/graph",
		summary: "The service graph of a window",
		description:
			"Who calls whom, how much, how fast, how often it fails and under which mTLS status, by service, namespace or workload. " +
			"The resolution is picked by the length of the window.",
		query: graphQuery,
		answer: graphAnswer,
		errors: SEARCH_ERRORS,
	},
	graphDiff: {
		path: "/api/v1/graph/diff",
		summary: "What changed between two windows",
		description: "Edges that came, went, or changed in rate, errors, p95 or mTLS beyond what chance explains.",
		query: graphDiffQuery,
		answer: graphDiffAnswer,
		errors: SEARCH_ERRORS,
	},
	graphHistory: {
		path: "/api/v1/graph/history",
		summary: "The whole mesh over time",
		description:
			"Requests, errors and mTLS of all edges added up, step by step: what a longer range looked like, and where in it to look closer. " +
			"Of several witnesses of one edge each step believes one by itself.",
		query: graphHistoryQuery,
		answer: graphHistoryAnswer,
		errors: SEARCH_ERRORS,
	},
	edge: {
		path: "/api/v1/edges/{id}",
		summary: "One edge in depth",
		description: "Its course over time, its latencies with traces that show them, and every evidence behind its figures.",
		pathParameters: edgePath,
		query: edgeQuery,
		answer: edgeAnswer,
		errors: [...SEARCH_ERRORS, "not_found"],
	},
	mtls: {
		path: "/api/v1/mtls",
		summary: "Mutual TLS: coverage, what has none, identities, certificates",
		query: mtlsQuery,
		answer: mtlsAnswer,
		errors: SEARCH_ERRORS,
	},
	logs: {
		path: "/api/v1/logs",
		summary: "Search logs",
		description: "Newest first.",
		query: logQuery,
		answer: logSearchAnswer,
		errors: SEARCH_ERRORS,
	},
	metricSeries: {
		path: "/api/v1/metrics/series",
		summary: "Metric series",
		query: metricSeriesQuery,
		answer: metricSeriesAnswer,
		errors: SEARCH_ERRORS,
	},
	metricPoints: {
		path: "/api/v1/metrics/query",
		summary: "Metric points",
		description: "The points of every matching series, as they were sent or gathered into buckets of `step`.",
		query: metricPointQuery,
		answer: metricPointAnswer,
		errors: SEARCH_ERRORS,
	},
	mesh: {
		path: "/api/v1/mesh",
		summary: "The own mesh in figures",
		description: "Of the control plane that runs in this server; without one, each of these calls is `no_control_plane`.",
		answer: meshAnswer,
		errors: MESH_ERRORS,
	},
	meshServices: {
		path: "/api/v1/mesh/services",
		summary: "Services of the own mesh",
		answer: meshServicesAnswer,
		errors: MESH_ERRORS,
	},
	meshInstances: {
		path: "/api/v1/mesh/instances",
		summary: "Instances of the own mesh, with their health",
		answer: meshInstancesAnswer,
		errors: MESH_ERRORS,
	},
	meshProxies: {
		path: "/api/v1/mesh/proxies",
		summary: "Proxies, and which policy each runs",
		answer: meshProxiesAnswer,
		errors: MESH_ERRORS,
	},
	meshCertificates: {
		path: "/api/v1/mesh/certificates",
		summary: "Certificates of the own mesh, by their end",
		answer: meshCertificatesAnswer,
		errors: MESH_ERRORS,
	},
	meshPolicy: {
		path: "/api/v1/mesh/policy",
		summary: "The policy in force, and what was refused since",
		answer: meshPolicyAnswer,
		errors: MESH_ERRORS,
	},
	meshBundle: {
		path: "/api/v1/mesh/bundle",
		summary: "The roots to trust, as a SPIFFE bundle (JWK set)",
		answer: "application/json",
		errors: MESH_ERRORS,
	},
	status: {
		path: "/api/v1/status",
		summary: "What the server says about itself",
		answer: statusAnswer,
		errors: [],
	},
	openapi: {
		path: "/api/openapi.json",
		summary: "This document",
		answer: "application/json",
		errors: [],
	},
	selfMetrics: {
		path: "/metrics",
		summary: "The server's own metrics, in Prometheus' text form",
		answer: "text/plain",
		errors: [],
	},
	healthz: {
		path: "/healthz",
		summary: "Whether the process answers",
		answer: probeAnswer,
		errors: [],
		open: true,
	},
	readyz: {
		path: "/readyz",
		summary: "Whether it takes data and queries",
		description: "503 while it starts or drains.",
		answer: probeAnswer,
		errors: ["shutting_down"],
		open: true,
	},
} as const satisfies Readonly<Record<string, RouteContract>>;

export type RouteName = keyof typeof ROUTES;
