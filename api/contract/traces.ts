/** `/api/v1/traces`: search, and one trace by its ID. */
import * as z from "zod";
import { CAPS, commonQuery, DEFAULT_LIMITS, limitParameter, searchedInfo, text, timeUnixNano, traceIdText } from "./common.ts";

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

export const traceQuery = z.object({
	service: commonQuery.service,
	operation: text.optional().meta({ description: "Exact span name.", examples: ["GET /checkout"] }),
	minDuration: text.optional().meta({ description: "Shortest span duration, with its unit.", examples: ["250ms"] }),
	maxDuration: text.optional().meta({ description: "Longest span duration, with its unit.", examples: ["1.5s"] }),
	status: z
		.enum(["unset", "ok", "error"])
		.optional()
		.meta({ description: "Span status.", examples: ["error"] }),
	attr: commonQuery.attr,
	from: commonQuery.from,
	to: commonQuery.to,
	limit: limitParameter("traces", DEFAULT_LIMITS.traces, CAPS.traces),
});

export const traceSearchAnswer = z
	.object({
		traces: z.array(traceSummary).readonly().meta({ description: "Newest first." }),
		searched: searchedInfo,
	})
	.meta({ id: "TraceSearchAnswer", description: "Traces of which one span meets every filter." });
export type TraceSearchAnswer = z.infer<typeof traceSearchAnswer>;

export const tracePath = z.object({
	traceId: text.meta({
		description: "Trace ID in hex of either case; leading zeros may be left out.",
		examples: ["4bf92f3577b34da6a3ce929d0e0e4736"],
	}),
});

export const wholeTraceSummary = traceSummary
	.extend({
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
