/** `/api/v1/graph`, `/edges`, `/mtls` and a service's traffic: who calls whom, and what is known of it. */
import * as z from "zod";
import { GROUPINGS, NODE_KINDS } from "../../model/topology/endpoint.ts";
import { EVIDENCES, MTLS_STATUSES, OUTCOMES, PROTOCOLS, REPORTERS, UNITS, VERIFICATIONS } from "../../model/topology/series.ts";
import { CAPS, commonQuery, moment, text, traceIdText } from "./common.ts";

const range = {
	from: commonQuery.from.meta({
		description: `As elsewhere; at most ${CAPS.graphRangeDays} days before \`to\`. Default \`now-1h\`.`,
	}),
	to: commonQuery.to,
};

const groupBy = z
	.enum(GROUPINGS)
	.optional()
	.meta({ description: "What a node is. Default `service`.", examples: ["namespace"] });

export const graphQuery = z.object({ ...range, groupBy });
export const mtlsQuery = z.object({ ...range, groupBy });
export const serviceTrafficQuery = z.object(range);

export const graphDiffQuery = z.object({
	...range,
	baselineFrom: text.optional().meta({
		description:
			"Start of the window that is compared with; written as `from`. Default: as long before `from` as `to` is after it.",
		examples: ["now-2h"],
	}),
	baselineTo: text.optional().meta({ description: "Its end. Default: `from`.", examples: ["now-1h"] }),
	groupBy,
});

export const graphHistoryQuery = z.object({
	...range,
	step: text.optional().meta({
		description:
			"Length of a step: whole tens of seconds. Default: minutes for an hour, ten minutes for a day, hours for a week, at most " +
			"180 steps up to half a year.",
		examples: ["10m"],
	}),
});

export const edgePath = z.object({
	id: text.meta({ description: "Edge ID from a graph of any grouping: 16 hex digits.", examples: ["6faeb2e1ed26185d"] }),
});

const step = text.optional().meta({
	description: "Length of a step of the course over time: whole tens of seconds. Default: what gives about a hundred steps.",
	examples: ["1m"],
});

export const edgeQuery = z.object({ ...range, step });
export const serviceHistoryQuery = z.object({ ...range, step });

const window = z
	.object({
		from: moment,
		to: moment,
		resolutionMs: z.number().meta({ description: "Width of the finest buckets that were added up." }),
		flushed: moment.optional().meta({ description: "How far the topology had come; absent when it has not begun." }),
	})
	.meta({ id: "TopologyWindow", description: "What the answer is about: the asked range, widened to whole buckets." });

const counts = z.record(z.string(), z.number());
export const outcome = z.enum(OUTCOMES);
export const mtlsStatus = z.enum(MTLS_STATUSES);
const verification = z.enum(VERIFICATIONS);
export const protocol = z.enum(PROTOCOLS);
const unit = z.enum(UNITS);
export const reporter = z.enum(REPORTERS);
export const evidence = z.enum(EVIDENCES);
export const mtlsFinding = z.object({
	status: mtlsStatus,
	source: mtlsStatus,
	destination: mtlsStatus,
	sourcePrincipal: z.string(),
	destinationPrincipal: z.string(),
	tlsVersion: z.string(),
	cipher: z.string(),
	verifiedBy: verification,
});
const witness = z.enum(["metrics", "logs", "spans"]);

const mtlsCounts = z
	.object({
		mutual_tls: z.number(),
		tls: z.number().meta({ description: "TLS without a client's certificate." }),
		plaintext: z.number(),
		none: z.number().meta({ description: "Istio's word for not mutual TLS: plaintext or one-way TLS." }),
		mixed: z.number().meta({ description: "The two ends of one request disagree." }),
		unknown: z.number(),
	})
	.meta({ id: "MtlsCounts", description: "Requests or connections by mTLS status, never both." });

const percent = z.number().optional().meta({
	description:
		"Share of mutual TLS among what is known, 0 to 100. 0 and 100 are exact, never rounded; absent when nothing is known.",
});

export const latency = z
	.object({
		p50: z.number(),
		p90: z.number(),
		p95: z.number(),
		p99: z.number(),
		max: z.number(),
		mean: z.number(),
		count: z.number().meta({ description: "Requests measured." }),
	})
	.meta({ id: "Latency", description: "Milliseconds, within 1.1 % of the exact values at every level of grouping." });

const bytes = z.object({ sent: z.number(), received: z.number() }).meta({ description: "From source to target, and back." });

export const graphEdge = z
	.object({
		id: z.string(),
		source: z.string().meta({ description: "Node ID." }),
		target: z.string().meta({ description: "Node ID." }),
		protocol,
		unit: unit.meta({ description: "What is counted: TCP in connections, everything else in requests." }),
		requests: z.number().meta({ description: "0 on edges of connections." }),
		connections: z.number().meta({ description: "0 on edges of requests." }),
		observed: z.number().meta({ description: "Observations behind the counts: fewer where a sample was scaled up." }),
		errors: z.number().meta({ description: "Server errors and requests without a response, as the caller felt them." }),
		clientErrors: z.number(),
		errorRatio: z.number(),
		requestRate: z.number().meta({ description: "Requests a second; 0 on edges of connections." }),
		bytes,
		latencyMs: latency.optional(),
		latencySide: z.enum(["source", "destination"]).optional().meta({ description: "Who measured `latencyMs`." }),
		sourceLatencyMs: latency.optional(),
		destinationLatencyMs: latency.optional(),
		gapMs: z.number().optional().meta({ description: "Between the means of both sides: the network, and proxies." }),
		hopTimeMs: z
			.object({ app: z.number(), proxy: z.number(), count: z.number() })
			.optional()
			.meta({ description: "Mean time in the app and in the proxies, where both kinds of spans were seen." }),
		reporter: reporter.meta({ description: "Whose counts they are; of two that saw the same requests one is believed." }),
		evidence: counts.meta({
			description: "Observations by the rule that made them this edge.",
			examples: [{ pair: 120, metric: 1000 }],
		}),
		basis: z
			.object({ counts: witness.optional(), latency: witness.optional(), mtls: witness.optional() })
			.meta({ description: "Which kind of evidence gives which figures." }),
		sampled: z.boolean().meta({ description: "The counts may be a sample whose share is not known." }),
		outcomes: counts,
		codes: counts.meta({ description: "By response code: `200`, `grpc:14`." }),
		flags: counts.meta({ description: "By Envoy's response flags." }),
		attempts: z
			.object({ requests: z.number(), tries: z.number(), retries: z.number() })
			.optional()
			.meta({ description: "Retries of one request, counted by its source." }),
		mtls: z.object({
			status: mtlsStatus,
			percent,
			counts: mtlsCounts,
			sourcePrincipals: z.array(z.string()).readonly(),
			destinationPrincipals: z.array(z.string()).readonly(),
			tlsVersions: z.array(z.string()).readonly(),
			ciphers: z.array(z.string()).readonly(),
			certificateNotAfter: moment.optional().meta({ description: "First expiry among the certificates in use." }),
			verified: z
				.boolean()
				.meta({ description: "An end of the connection checked every certificate that is counted as mutual TLS." }),
			verifiedBy: verification.meta({ description: "The weakest word that is relied on." }),
			failedHandshakes: z.number(),
			contradicted: z.boolean().meta({ description: "Evidence as good as the counted one says otherwise." }),
		}),
		disagreement: z
			.object({ count: z.number(), source: counts, destination: counts })
			.optional()
			.meta({ description: "Requests of which the two ends tell another outcome, and what each tells." }),
		firstSeen: moment.optional(),
		lastSeen: moment.optional(),
	})
	.meta({ id: "GraphEdge" });
export type GraphEdgeAnswer = z.infer<typeof graphEdge>;

const graphNode = z
	.object({
		id: z.string(),
		cluster: z.string(),
		namespace: z.string(),
		service: z.string().meta({ description: "Empty when grouped by namespace." }),
		kind: z.enum([...NODE_KINDS, "namespace"]),
		requests: z.number().meta({ description: "Received." }),
		connections: z.number(),
		errors: z.number(),
		sentRequests: z.number(),
		sentConnections: z.number(),
		sentErrors: z.number(),
	})
	.meta({ id: "GraphNode" });

export const graphAnswer = z
	.object({ window, nodes: z.array(graphNode).readonly(), edges: z.array(graphEdge).readonly() })
	.meta({ id: "GraphAnswer" });
export type GraphAnswer = z.infer<typeof graphAnswer>;

const meshPoint = z
	.object({
		time: moment.meta({ description: "Start of the step." }),
		requests: z.number(),
		errors: z
			.number()
			.meta({ description: "Requests that ended in a server error or without a response, as their callers felt them." }),
		connections: z.number(),
		connectionErrors: z.number(),
		requestMtls: mtlsCounts,
		connectionMtls: mtlsCounts,
	})
	.meta({ id: "MeshPoint", description: "All edges of a step added up." });
export type MeshPointAnswer = z.infer<typeof meshPoint>;

export const graphHistoryAnswer = z
	.object({
		window,
		stepMs: z.number(),
		begins: moment.optional().meta({
			description: "When the oldest thing that is kept began, in or before the range; absent when there is nothing.",
		}),
		points: z
			.array(meshPoint)
			.readonly()
			.meta({ description: "Oldest first; steps in which nothing was seen are left out." }),
	})
	.meta({ id: "GraphHistoryAnswer" });
export type GraphHistoryAnswer = z.infer<typeof graphHistoryAnswer>;

const edgeNumbers = z
	.object({
		count: z.number(),
		ratePerSecond: z.number(),
		errors: z.number(),
		errorRatio: z.number(),
		p95Ms: z.number().optional(),
		mtlsStatus,
		mtlsPercent: percent,
	})
	.meta({ id: "EdgeNumbers" });

export const graphDiffAnswer = z
	.object({
		window,
		baseline: window,
		changes: z
			.array(
				z.object({
					kind: z.enum(["added", "gone", "changed"]),
					id: z.string(),
					source: z.string(),
					target: z.string(),
					protocol,
					unit,
					effects: z
						.array(z.object({ what: z.enum(["rate", "errors", "p95", "mtls"]), effect: z.number() }))
						.readonly()
						.meta({
							description: "What changed beyond chance, the greatest first; empty for edges that came or went.",
						}),
					certain: z
						.boolean()
						.meta({ description: "False when the edge is so quiet that the other window may have missed it." }),
					score: z.number(),
					before: edgeNumbers.optional(),
					after: edgeNumbers.optional(),
				}),
			)
			.readonly()
			.meta({ description: "By traffic times effect, greatest first." }),
	})
	.meta({ id: "GraphDiffAnswer" });
export type GraphDiffAnswer = z.infer<typeof graphDiffAnswer>;

const sample = z
	.object({ traceId: traceIdText, time: moment, durationMs: z.number(), isError: z.boolean() })
	.meta({ id: "TraceSample" });

const namedEnd = z.object({
	told: z.string().meta({ description: "As the source of the evidence named it." }),
	taken: z.string().meta({ description: "Whom that was taken for." }),
});

export const edgeAnswer = z
	.object({
		window,
		groupBy: z.enum(GROUPINGS),
		edge: graphEdge.optional().meta({ description: "Absent when nothing was seen of it in the range." }),
		stepMs: z.number(),
		series: z
			.array(
				z.object({
					time: moment.meta({ description: "Start of the step." }),
					requests: z.number(),
					connections: z.number(),
					errors: z.number(),
					requestRate: z.number(),
					errorRatio: z.number(),
					bytes,
					latencyMs: latency.optional(),
					mtlsCounts,
				}),
			)
			.readonly()
			.meta({ description: "Oldest first; steps in which nothing was seen are left out." }),
		histogram: z
			.array(z.object({ fromMs: z.number(), toMs: z.number(), count: z.number(), exemplars: z.array(sample).readonly() }))
			.readonly()
			.meta({ description: "Latencies of the side that `latencySide` names, with traces that show them." }),
		evidence: z
			.array(
				z.object({
					series: z.number(),
					evidence,
					reporter,
					sampled: z.boolean(),
					source: namedEnd,
					target: namedEnd,
					mtls: mtlsFinding,
					outcome,
					destinationOutcome: outcome.optional(),
					observed: z.number(),
					count: z.number(),
					attempts: z.number(),
					failedHandshakes: z.number(),
					bytes,
					codes: counts,
					flags: counts,
					sourceP95Ms: z.number().optional(),
					destinationP95Ms: z.number().optional(),
					firstSeen: moment.optional(),
					lastSeen: moment.optional(),
				}),
			)
			.readonly()
			.meta({ description: "Every statement behind the edge; which of them count is the edge's `basis` and `reporter`." }),
	})
	.meta({ id: "EdgeAnswer" });
export type EdgeAnswer = z.infer<typeof edgeAnswer>;

const coverage = z.object({ counts: mtlsCounts, percent }).meta({ id: "MtlsCoverage" });

const unprotectedEdge = z
	.object({
		id: z.string(),
		source: z.string(),
		target: z.string(),
		protocol,
		unit,
		status: mtlsStatus,
		counts: mtlsCounts,
		percent,
		firstSeen: moment.optional().meta({ description: "Of what was not mutual TLS." }),
		lastSeen: moment.optional(),
		samples: z.array(sample).readonly().meta({ description: "Traces that show it." }),
	})
	.meta({ id: "UnprotectedEdge" });

export const mtlsAnswer = z
	.object({
		window,
		coverage: z.object({ requests: coverage, connections: coverage, edges: coverage }),
		plaintext: z
			.array(unprotectedEdge)
			.readonly()
			.meta({ description: "Plaintext, one-way TLS and `none`; most traffic first." }),
		mixed: z.array(unprotectedEdge).readonly(),
		identities: z
			.array(
				z.object({
					service: z.string().meta({ description: "Node ID." }),
					principal: z.string(),
					verifiedBy: verification,
					asSource: z.boolean(),
					asDestination: z.boolean(),
					firstSeen: moment,
					lastSeen: moment,
				}),
			)
			.readonly(),
		certificates: z
			.array(
				z.object({
					principal: z.string(),
					issuer: z.string(),
					notAfter: moment,
					lastSeen: moment,
					services: z.array(z.string()).readonly(),
				}),
			)
			.readonly()
			.meta({ description: "In use; the first to expire first." }),
	})
	.meta({ id: "MtlsAnswer" });
export type MtlsAnswer = z.infer<typeof mtlsAnswer>;

const redTotals = z.object({
	requests: z.number(),
	errors: z.number(),
	errorRatio: z.number(),
	requestRate: z.number(),
	connections: z.number(),
	connectionErrors: z.number(),
	bytes,
	sampled: z.boolean(),
	latencyMs: latency.optional(),
	mtls: z.object({ status: mtlsStatus, percent, counts: mtlsCounts }),
});

const red = redTotals
	.extend({ edges: z.array(graphEdge).readonly().meta({ description: "Busiest first." }) })
	.meta({ id: "RedFigures", description: "Rate, errors, duration; `latencyMs` and `mtls` are of requests." });

export const serviceTrafficAnswer = z
	.object({
		window,
		nodes: z.array(z.string()).readonly().meta({ description: "Node IDs that go by the name." }),
		inbound: red,
		outbound: red,
	})
	.meta({ id: "ServiceTrafficAnswer" });
export type ServiceTrafficAnswer = z.infer<typeof serviceTrafficAnswer>;

const servicePoint = z
	.object({
		time: moment.meta({ description: "Start of the step." }),
		inbound: redTotals,
		outbound: redTotals,
	})
	.meta({ id: "ServicePoint" });

export const serviceHistoryAnswer = z
	.object({
		window,
		stepMs: z.number(),
		points: z
			.array(servicePoint)
			.readonly()
			.meta({ description: "Oldest first; steps in which nothing was seen are left out." }),
	})
	.meta({ id: "ServiceHistoryAnswer" });
export type ServiceHistoryAnswer = z.infer<typeof serviceHistoryAnswer>;
