/** The hosts that a workload may call by name: registered services, and the ServiceEntries that it may see. */
import type { Workload } from "../proxy-config.ts";
import { covers, resolveHost, serviceHost, serviceOfHost } from "./host-names.ts";
import { warn } from "./place.ts";
import type { Policy } from "./policy-set.ts";
import type { EntryProtocol, ServiceEntry } from "./service-entry.ts";

/** A service as the registry knows it. */
export interface RegisteredService {
	readonly namespace: string;
	readonly service: string;
	readonly ports: readonly { readonly servicePort: number; readonly protocol: EntryProtocol }[];
}

export interface MeshHost {
	/** The whole name, or the `*.suffix` of a ServiceEntry. */
	readonly host: string;
	readonly service: string;
	readonly namespace: string;
	readonly ports: readonly { readonly port: number; readonly protocol: EntryProtocol }[];
	/** Undefined for a registered service. */
	readonly entry: Policy<ServiceEntry> | undefined;
}

export interface MeshHosts {
	/** By name. */
	readonly all: ReadonlyMap<string, MeshHost>;
	/** The one that the name belongs to: its own, else that of the longest suffix. */
	find(host: string): MeshHost | undefined;
	/** The whole name that a document of `namespace` means. */
	resolve(host: string, namespace: string): string;
}

export function isExportedTo(exportTo: readonly string[] | undefined, own: string, namespace: string): boolean {
	if (exportTo === undefined || exportTo.length === 0) return true;
	return exportTo.some((one) => one === "*" || one === namespace || (one === "." && own === namespace));
}

export function meshHosts(
	services: readonly RegisteredService[],
	entries: readonly Policy<ServiceEntry>[],
	workload: Workload,
): MeshHosts {
	const all = new Map<string, MeshHost>();
	for (const { namespace, service, ports } of services) {
		const host = serviceHost(namespace, service);
		const known = all.get(host)?.ports ?? [];
		const more = ports.filter(({ servicePort }) => !known.some(({ port }) => port === servicePort));
		const merged = [...known, ...more.map(({ servicePort, protocol }) => ({ port: servicePort, protocol }))];
		all.set(host, { host, service, namespace, ports: merged, entry: undefined });
	}
	for (const entry of entries) {
		if (!isExportedTo(entry.spec.exportTo, entry.namespace, workload.namespace)) continue;
		const ports = entry.spec.ports.map(({ number, protocol }) => ({ port: number, protocol: protocol ?? "tcp" }));
		for (const written of entry.spec.hosts) {
			const host = written.endsWith(".svc") ? resolveHost(written, entry.namespace, () => false) : written;
			const other = all.get(host);
			if (other?.entry !== undefined) {
				warn(
					entry.at,
					`${host} is in ServiceEntry ${other.entry.namespace}/${other.entry.name} already: the first one counts`,
				);
				continue;
			}
			if (other !== undefined) warn(entry.at, `${host} is a registered service too: the ServiceEntry counts`);
			all.set(host, { host, ...(serviceOfHost(host) ?? { service: host, namespace: entry.namespace }), ports, entry });
		}
	}
	const wildcards = [...all.values()].filter(({ host }) => host.startsWith("*")).sort((a, b) => b.host.length - a.host.length);
	return {
		all,
		find: (host) => all.get(host) ?? wildcards.find((one) => covers(one.host, host)),
		resolve: (host, namespace) => resolveHost(host, namespace, (name) => all.has(name)),
	};
}
