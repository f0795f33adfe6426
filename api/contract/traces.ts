/** `/api/v1/traces`: search, and one trace by its ID. */
import * as z from "zod";
import { FEATURE_KINDS } from "../../model/analysis/trace-features.ts";
import {
	CAPS,
	commonQuery,
	DEFAULT_LIMITS,
	limitParameter,
	moment,
	searchedInfo,
	text,
	timeUnixNano,
	traceIdText,
} from "./common.ts";
import { evidence, mtlsFinding, mtlsStatus, outcome, protocol, reporter } from "./topology.ts";

export const traceSummary = z
	.object({
		traceId: traceIdText,
		rootService: z
			.string()
			.meta({ description: "Service of the root: the span without a parent, else the earliest orphan." }),
		rootName: z.string().meta({ description: "Name of the root span." }),
		startTimeUnixNano: timeUnixNano,
		durationNs: z.number().meta({ description: "From the earliest start to the latest end, nanoseconds." }),
		spanCount: z.number(),
		errorCount: z.number().meta({ description: "Spans with status error." }),
		services: z.array(z.string()).readonly(),
	})
	.meta({
		id: "TraceSummary",
		description: "One trace in a list.",
		examples: [
			{
				traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
				rootService: "gateway",
				rootName: "GET /checkout",
				startTimeUnixNano: "1767225600000000000",
				durationNs: 48200000,
				spanCount: 10,
				errorCount: 0,
				services: ["checkout", "gateway"],
			},
		],
	});
export type TraceSummary = z.infer<typeof traceSummary>;

const spanQuery = {
	service: commonQuery.service,
	operation: text.optional().meta({ description: "Exact span name.", examples: ["GET /checkout"] }),
	minDuration: text.optional().meta({ description: "Shortest span duration, with its unit.", examples: ["250ms"] }),
	maxDuration: text.optional().meta({ description: "Longest span duration, with its unit.", examples: ["1.5s"] }),
	status: z
		.enum(["unset", "ok", "error"])
		.optional()
		.meta({ description: "Span status.", examples: ["error"] }),
	mtls: mtlsStatus.optional().meta({
		description:
			"The span belongs to a hop of this mTLS status: one end's span of a call between workloads, or an app's behind its proxy. " +
			"Spans that start more than a minute from their hop may be missed.",
		examples: ["plaintext"],
	}),
	edge: text.optional().meta({
		description:
			"ID of an edge from a graph of any grouping: the span belongs to a hop of it, and of `mtls` where that is given. `minDuration` " +
			"and `maxDuration` are then of the hop: its latency at `side`, else at the caller where that reported.",
		examples: ["6faeb2e1ed26185d"],
	}),
	side: z
		.enum(["source", "destination"])
		.optional()
		.meta({
			description:
				"With `edge`: hops that this end measured. With an edge's `latencySide`, and the bounds of a bucket of its latencies as " +
				"durations, these are the traces of the bucket.",
			examples: ["source"],
		}),
	attr: commonQuery.attr,
	root: z
		.enum(["true", "false"])
		.optional()
		.meta({
			description: "`true`: the span names no parent, so that its duration is that of the request.",
			examples: ["true"],
		}),
	from: commonQuery.from,
	to: commonQuery.to,
};

export const traceQuery = z.object({ ...spanQuery, limit: limitParameter("traces", DEFAULT_LIMITS.traces, CAPS.traces) });

export const spanDurationsQuery = z.object({
	...spanQuery,
	columns: text.optional().meta({
		description: `Most steps of time: 1 to ${CAPS.columns}. Default ${DEFAULT_LIMITS.columns}.`,
		examples: ["60"],
	}),
});

export const spanDurationsAnswer = z
	.object({
		from: moment.meta({ description: "Start of column 0: at or before that of the range." }),
		columnMs: z.number().meta({ description: "Width of a column, milliseconds." }),
		columns: z.number(),
		rows: z
			.array(z.object({ minNs: z.number(), maxNs: z.number() }))
			.readonly()
			.meta({ description: "Rows of durations, lowest first, four a doubling: shortest and longest, nanoseconds." }),
		cells: z
			.array(z.tuple([z.number(), z.number(), z.number(), z.number()]).readonly())
			.readonly()
			.meta({ description: "Those that count any: column, row, spans, and those of status error among them." }),
		spans: z.number(),
		errors: z.number(),
		points: z
			.array(
				z.object({
					traceId: traceIdText,
					timeUnixNano,
					durationNs: z.number(),
					isError: z.boolean(),
				}),
			)
			.readonly()
			.optional()
			.meta({ description: "Every span by itself, where there are at most 1,000." }),
		searched: searchedInfo,
	})
	.meta({
		id: "SpanDurationsAnswer",
		description:
			"Spans by start and duration. `minDuration` and `maxDuration` of a row, and times of a column, find the spans of a cell.",
	});
export type SpanDurationsAnswer = z.infer<typeof spanDurationsAnswer>;

export const traceSearchAnswer = z
	.object({
		traces: z.array(traceSummary).readonly().meta({ description: "Newest first." }),
		searched: searchedInfo,
	})
	.meta({ id: "TraceSearchAnswer", description: "Traces of which one span meets every filter." });
export type TraceSearchAnswer = z.infer<typeof traceSearchAnswer>;

export const differencesQuery = z.object({
	...spanQuery,
	selectFrom: text
		.optional()
		.meta({ description: "Selected spans start at or after it; written as `from`.", examples: ["now-5m"] }),
	selectTo: text.optional().meta({ description: "Selected spans start before it.", examples: ["now"] }),
	selectMinDuration: text.optional().meta({ description: "Selected spans last at least so long.", examples: ["250ms"] }),
	selectMaxDuration: text.optional().meta({ description: "Selected spans last at most so long.", examples: ["2s"] }),
	selectStatus: z
		.enum(["unset", "ok", "error"])
		.optional()
		.meta({ description: "Selected spans have this status.", examples: ["error"] }),
	limit: limitParameter("differences", DEFAULT_LIMITS.differences, CAPS.differences),
});

const comparedSide = z.object({
	spans: z.number().meta({ description: "Spans that meet the filters." }),
	traces: z.number().meta({ description: "Traces of theirs; about, where not all were compared." }),
	compared: z.number().meta({ description: "Traces that were read and compared: at most 1,000." }),
});

export const traceDifference = z
	.object({
		kind: z.enum(FEATURE_KINDS).meta({
			description:
				"`attribute`: of a span or its resource. `call`, `mtls`, `flag`, `code` and `retried` are of calls as the graph counts them.",
		}),
		key: z.string().meta({ description: "Of an attribute its key." }),
		value: z.string(),
		type: z.enum(["string", "int", "double", "bool"]).optional().meta({ description: "Of an attribute's value." }),
		service: z.string().optional().meta({ description: "Where it stands; absent for anywhere in the trace." }),
		edge: z
			.object({ id: z.string(), source: z.string(), target: z.string() })
			.optional()
			.meta({ description: "The call it is of; absent for any." }),
		selected: z.number().meta({ description: "Selected traces with it, of those compared." }),
		others: z.number().meta({ description: "Other traces with it, of those compared." }),
		excess: z.number().meta({
			description:
				"By how much the share among selected traces at least exceeds that among the others, 0 to 1: the lower bound of Newcombe's " +
				"interval at four standard deviations, so that few traces prove little.",
		}),
	})
	.meta({ id: "TraceDifference", description: "Something that is more frequent in selected traces than in the others." });
export type TraceDifference = z.infer<typeof traceDifference>;

export const differencesAnswer = z
	.object({
		selected: comparedSide,
		others: comparedSide,
		differences: z.array(traceDifference).readonly().meta({ description: "Greatest excess first." }),
		searched: searchedInfo,
	})
	.meta({ id: "TraceDifferencesAnswer", description: "What tells the traces of selected spans from the others of a search." });
export type DifferencesAnswer = z.infer<typeof differencesAnswer>;

export const tracePath = z.object({
	traceId: text.meta({
		description: "Trace ID in hex of either case; leading zeros may be left out.",
		examples: ["4bf92f3577b34da6a3ce929d0e0e4736"],
	}),
});

const spanIdText = z.string().optional();
const ns = z.number().optional();

export const traceHop = z
	.object({
		edgeId: z.string().meta({ description: "Of the graph by service: `/api/v1/edges/{id}` tells more." }),
		source: z.string().meta({ description: "Node ID." }),
		target: z.string().meta({ description: "Node ID." }),
		protocol,
		evidence,
		reporter,
		mtls: mtlsFinding,
		outcome: outcome.meta({ description: "As the caller felt it." }),
		destinationOutcome: outcome.optional().meta({ description: "What the destination said where it differs." }),
		code: z.string().meta({ description: "`200`, `grpc:14`; empty where there was none." }),
		flags: z.string().meta({ description: "Envoy's response flags, comma-separated." }),
		attempts: z.number(),
		startMs: z.number().meta({ description: "Epoch milliseconds, at the caller where it reported." }),
		sourceLatencyNs: ns.meta({ description: "Absent where that end did not report." }),
		destinationLatencyNs: ns,
		appNs: ns.meta({ description: "The callee's app's own span." }),
		proxyNs: ns.meta({ description: "What the callee's proxy took longer." }),
		spans: z
			.object({
				source: spanIdText,
				destination: spanIdText,
				sourceApp: spanIdText,
				destinationApp: spanIdText,
				waypoint: spanIdText,
			})
			.meta({ description: "IDs of the spans nearest to the network, of the apps' own, and of one that names both ends." }),
	})
	.meta({ id: "TraceHop", description: "A call from one workload to another, as it is counted in the graph." });
export type TraceHop = z.infer<typeof traceHop>;

export const wholeTraceSummary = traceSummary
	.extend({
		hops: z.array(traceHop).readonly().meta({ description: "By start." }),
		hopCount: z.number().meta({ description: "How many there are." }),
		spansLeft: z.number().meta({ description: "Spans beyond the first 100,000, of which hops were not made." }),
		damagedWindows: z
			.array(z.string())
			.readonly()
			.meta({ description: "Windows that could not be read, in which more spans of the trace may lie." }),
	})
	.meta({ id: "WholeTraceSummary", description: "One trace, and what its spans may lack." });
export type WholeTraceSummary = z.infer<typeof wholeTraceSummary>;

export const traceAnswer = z
	.object({
		resourceSpans: z
			.array(z.record(z.string(), z.unknown()))
			.readonly()
			.meta({
				description: "OTLP JSON: opentelemetry.proto.trace.v1.ResourceSpans, every field as it was sent.",
				examples: [
					[{ resource: { attributes: [{ key: "service.name", value: { stringValue: "gateway" } }] }, scopeSpans: [] }],
				],
			}),
		meshscope: wholeTraceSummary,
	})
	.meta({ id: "TraceAnswer", description: "The whole trace, each span once, and its summary." });
