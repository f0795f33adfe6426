/** `/api/v1/services`: the names that traces, logs and metrics came under. */
import * as z from "zod";
import { CAPS, commonQuery, DEFAULT_LIMITS, epochMs, limitParameter, moment, searchedInfo, text } from "./common.ts";
import { latency } from "./topology.ts";

export const serviceInfo = z
	.object({ name: z.string(), firstSeenMs: epochMs, lastSeenMs: epochMs })
	.meta({ id: "Service", examples: [{ name: "checkout", firstSeenMs: 1767225600000, lastSeenMs: 1767229200000 }] });

export const servicesAnswer = z
	.object({
		services: z.array(serviceInfo).readonly().meta({
			description:
				"By name; beyond 10,000 the rest is gathered under `(overflow)`, as is a name of more than 1,024 characters.",
		}),
	})
	.meta({ id: "ServicesAnswer" });
export type ServicesAnswer = z.infer<typeof servicesAnswer>;

export const servicePath = z.object({
	name: text.meta({ description: "Service name, percent-encoded.", examples: ["checkout"] }),
});

export const operationInfo = z
	.object({
		name: z.string(),
		kind: z.number().min(0).max(5).meta({
			description: "OTLP span kind: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.",
		}),
		lastSeenMs: epochMs,
	})
	.meta({ id: "Operation", examples: [{ name: "GET /checkout", kind: 2, lastSeenMs: 1767229200000 }] });

export const operationsAnswer = z
	.object({
		operations: z.array(operationInfo).readonly().meta({
			description:
				"By name, then kind; beyond 1,000 the rest is gathered under `(overflow)`, as is a name of more than 1,024 characters.",
		}),
	})
	.meta({ id: "OperationsAnswer" });
export type OperationsAnswer = z.infer<typeof operationsAnswer>;

export const operationFiguresQuery = z.object({
	from: commonQuery.from,
	to: commonQuery.to,
	limit: limitParameter("operations", DEFAULT_LIMITS.operations, CAPS.operations),
});

export const operationFiguresAnswer = z
	.object({
		from: moment,
		to: moment,
		operations: z
			.array(
				z.object({
					name: z.string(),
					kind: operationInfo.shape.kind,
					spans: z.number().meta({ description: "Stored ones: fewer than requests where senders sample." }),
					errors: z.number().meta({ description: "Spans with status error." }),
					errorRatio: z.number(),
					rate: z.number().meta({ description: "Spans a second." }),
					latencyMs: latency,
					lastSeen: moment,
				}),
			)
			.readonly()
			.meta({ description: "By name and kind, most spans first." }),
		searched: searchedInfo,
	})
	.meta({ id: "OperationFiguresAnswer" });
export type OperationFiguresAnswer = z.infer<typeof operationFiguresAnswer>;
