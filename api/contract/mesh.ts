/** `/api/v1/mesh/*`: what the control plane of the own mesh knows: who is in it, on which policy, with which certificates. */
import * as z from "zod";
import { moment } from "./common.ts";

const counts = z.object({ total: z.number(), healthy: z.number() });

export const meshAnswer = z.object({
	trustDomain: z.string(),
	address: z.string().meta({ description: "Where proxies connect, `host:port`." }),
	started: moment,
	services: z.number(),
	instances: counts,
	proxies: z.object({
		total: z.number(),
		connected: z.number(),
		inSync: z.number().meta({ description: "Run the policy in force." }),
		refusing: z.number().meta({ description: "Refused the last policy they were sent." }),
	}),
	policy: z.object({
		version: z.string().meta({ description: "In force; empty before the first." }),
		hash: z.string(),
		accepted: moment.optional(),
		faults: z.number().meta({ description: "In what was read since and refused." }),
	}),
	nextExpiry: moment.optional().meta({ description: "End of the certificate that ends first." }),
	bundleSequence: z.number(),
	roots: z.array(
		z
			.object({
				sha256: z.string().meta({ description: "Of the certificate's DER, hex." }),
				stage: z
					.enum(["active", "incoming", "retiring"])
					.meta({ description: "`incoming` is trusted and does not sign yet; `retiring` signs no more." }),
				notBefore: moment,
				notAfter: moment,
				dropAt: moment.optional().meta({ description: "Of a retiring root: when no leaf of it is valid any more." }),
			})
			.meta({ id: "MeshRoot" }),
	),
});
export type MeshAnswer = z.infer<typeof meshAnswer>;

const service = z
	.object({
		namespace: z.string(),
		service: z.string(),
		ports: z.array(z.object({ servicePort: z.number(), protocol: z.string() })),
		instances: counts,
		principals: z.array(z.string()).meta({ description: "SPIFFE IDs that its instances have." }),
	})
	.meta({ id: "MeshService" });
export const meshServicesAnswer = z.object({ services: z.array(service) });
export type MeshServicesAnswer = z.infer<typeof meshServicesAnswer>;

const instance = z
	.object({
		instanceId: z.string(),
		namespace: z.string(),
		service: z.string().meta({ description: "Empty for a pure client." }),
		workload: z.string(),
		version: z.string(),
		principal: z.string(),
		labels: z.record(z.string(), z.string()),
		endpoints: z.array(z.object({ servicePort: z.number(), address: z.string(), port: z.number(), protocol: z.string() })),
		hboneAddress: z.string().optional(),
		presence: z.enum(["connected", "lost"]).meta({ description: "`lost`: its stream ended, and it has time to come back." }),
		healthy: z.boolean(),
		healthReason: z.string(),
		registered: moment,
	})
	.meta({ id: "MeshInstance" });
export const meshInstancesAnswer = z.object({ instances: z.array(instance) });
export type MeshInstancesAnswer = z.infer<typeof meshInstancesAnswer>;

const fault = z
	.object({
		file: z.string(),
		line: z.number().meta({ description: "From 1; 0 where it concerns the whole file." }),
		column: z.number(),
		path: z.string().meta({ examples: ["DestinationRule default/reviews: spec.trafficPolicy.outlierDetection.interval"] }),
		message: z.string(),
	})
	.meta({ id: "PolicyFault", description: "What is wrong in a policy, where, and what to write instead." });

const proxy = z
	.object({
		instanceId: z.string(),
		principal: z.string(),
		remoteAddress: z.string(),
		proxyVersion: z.string(),
		connectedSince: moment.optional().meta({ description: "Absent while it is not connected." }),
		policyVersion: z.string().meta({ description: "That it runs; empty for none." }),
		inSync: z.boolean(),
		nack: z.object({ version: z.string(), time: moment, faults: z.array(fault) }).optional(),
		bundleSequence: z.number().meta({ description: "Of the roots that it trusts." }),
	})
	.meta({ id: "MeshProxy" });
export const meshProxiesAnswer = z.object({ policyVersion: z.string(), proxies: z.array(proxy) });
export type MeshProxiesAnswer = z.infer<typeof meshProxiesAnswer>;

const certificate = z
	.object({
		principal: z.string(),
		instanceId: z.string().meta({ description: "Empty for the control plane's own." }),
		serial: z.string(),
		notBefore: moment,
		notAfter: moment,
		rootSha256: z.string(),
	})
	.meta({ id: "MeshCertificate" });
export const meshCertificatesAnswer = z.object({
	certificates: z.array(certificate).meta({ description: "Soonest end first." }),
});
export type MeshCertificatesAnswer = z.infer<typeof meshCertificatesAnswer>;

export const meshPolicyAnswer = z.object({
	version: z.string(),
	hash: z.string().meta({ description: "SHA-256 of the documents' values, hex." }),
	accepted: moment.optional(),
	documents: z.array(z.object({ line: z.number(), file: z.string(), value: z.unknown() })),
	rejected: z
		.array(z.object({ time: moment, faults: z.array(fault) }))
		.meta({ description: "Read since the policy in force and refused, newest first." }),
});
export type MeshPolicyAnswer = z.infer<typeof meshPolicyAnswer>;
