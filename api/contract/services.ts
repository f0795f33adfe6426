/** `/api/v1/services`: the names that traces, logs and metrics came under. */
import * as z from "zod";
import { epochMs, text } from "./common.ts";

export const serviceInfo = z
	.object({ name: z.string(), firstSeenMs: epochMs, lastSeenMs: epochMs })
	.meta({ id: "Service", examples: [{ name: "checkout", firstSeenMs: 1767225600000, lastSeenMs: 1767229200000 }] });

export const servicesAnswer = z
	.object({
		services: z
			.array(serviceInfo)
			.readonly()
			.meta({ description: "By name; beyond 10,000 the rest is gathered under `(overflow)`." }),
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
		operations: z
			.array(operationInfo)
			.readonly()
			.meta({ description: "By name, then kind; beyond 1,000 the rest is gathered under `(overflow)`." }),
	})
	.meta({ id: "OperationsAnswer" });
export type OperationsAnswer = z.infer<typeof operationsAnswer>;
