/**
 * The policy of a mesh, compiled for one workload. Pure: the same documents, workload and services give the same configuration,
 * whoever asks.
 */
import type { ProxyConfig, Workload } from "../proxy-config.ts";
import { compileClusters } from "./compile-clusters.ts";
import { compileInbound } from "./compile-inbound.ts";
import { compileRoutes } from "./compile-routes.ts";
import { meshHosts, type RegisteredService } from "./mesh-hosts.ts";
import { readPolicies } from "./policies.ts";
import type { Findings, MeshDocument } from "./policy-set.ts";

export interface CompileOptions {
	/** Of the snapshot. */
	readonly version?: string;
	readonly unknownHosts?: ProxyConfig["unknownHosts"];
}

export interface Compiled extends Findings {
	/** With faults: without the documents that have them. Not to be run then. */
	readonly config: ProxyConfig;
}

/** Never throws for any documents. `services` is what the registry knows; each gets a virtual host and clusters without any policy. */
export function compile(
	documents: readonly MeshDocument[],
	workload: Workload,
	services: readonly RegisteredService[],
	options: CompileOptions = {},
): Compiled {
	const policies = readPolicies(documents);
	const hosts = meshHosts(services, policies.serviceEntries, workload);
	const clusters = compileClusters(hosts, policies.destinationRules, workload);
	for (const host of hosts.all.values()) clusters.useAll(host);
	const virtualHosts = compileRoutes(hosts, policies.virtualServices, clusters, workload);
	const config: ProxyConfig = {
		version: options.version ?? "",
		inbound: compileInbound(policies, workload),
		virtualHosts,
		clusters: clusters.made,
		unknownHosts: options.unknownHosts ?? "passthrough",
	};
	return { config, faults: policies.faults, warnings: policies.warnings };
}
