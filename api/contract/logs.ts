/** `/api/v1/logs`: log records, access logs of proxies among them. */
import * as z from "zod";
import { attributes, CAPS, commonQuery, DEFAULT_LIMITS, limitParameter, searchedInfo, text, timeUnixNano } from "./common.ts";

/** Lowest OTLP severity number of each name (opentelemetry/proto/logs/v1/logs.proto, SeverityNumber). */
export const SEVERITY_NUMBERS = { trace: 1, debug: 5, info: 9, warn: 13, error: 17, fatal: 21 } as const;

export const logQuery = z.object({
	traceId: text.optional().meta({ description: "Only records of this trace.", examples: ["4bf92f3577b34da6a3ce929d0e0e4736"] }),
	service: commonQuery.service,
	severity: text.optional().meta({
		description: "Lowest severity: trace, debug, info, warn, error, fatal, or an OTLP severity number 1 to 24.",
		examples: ["warn", "17"],
	}),
	text: text
		.optional()
		.meta({ description: "Substring of the body, case-insensitive; no pattern language.", examples: ["timeout"] }),
	attr: commonQuery.attr,
	from: commonQuery.from,
	to: commonQuery.to,
	limit: limitParameter("records", DEFAULT_LIMITS.logs, CAPS.logs),
});

export const logEntry = z
	.object({
		timeUnixNano,
		observedTimeUnixNano: timeUnixNano,
		service: z.string(),
		severityNumber: z.number(),
		severityText: z.string(),
		traceId: z.string().meta({ description: "Empty when the record belongs to no trace." }),
		spanId: z.string(),
		body: z.unknown().meta({ description: "As sent: text, or a nested value." }),
		attributes,
		resource: attributes,
		scope: z.string(),
	})
	.meta({
		id: "LogEntry",
		examples: [
			{
				timeUnixNano: "1767225600000000000",
				observedTimeUnixNano: "1767225600000100000",
				service: "gateway",
				severityNumber: 9,
				severityText: "INFO",
				traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
				spanId: "00f067aa0ba902b7",
				body: "GET /checkout 200",
				attributes: { "http.response.status_code": "200" },
				resource: { "service.name": "gateway" },
				scope: "",
			},
		],
	});
export type LogEntry = z.infer<typeof logEntry>;

export const logSearchAnswer = z
	.object({ logs: z.array(logEntry).readonly().meta({ description: "Newest first." }), searched: searchedInfo })
	.meta({ id: "LogSearchAnswer" });
export type LogSearchAnswer = z.infer<typeof logSearchAnswer>;
