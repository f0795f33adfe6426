/** The control plane's picture of the mesh, gathered from its parts when somebody asks. */
import { CONTROL_NAMESPACE, CONTROL_SERVICE_ACCOUNT } from "../model/mesh/control-protocol.ts";
import type { MeshCertificate, MeshInstance, MeshProxy, MeshService, MeshState } from "../model/mesh/mesh-state.ts";
import type { Authority } from "./ca/authority.ts";
import type { PolicyBook } from "./policy/policy-book.ts";
import type { ProxyBook, ProxyRecord } from "./registry/proxies.ts";
import type { Instance, Registry } from "./registry/registry.ts";

export interface MeshParts {
	readonly address: string;
	readonly startedAtMs: number;
	readonly authority: Authority;
	readonly registry: Registry;
	readonly proxies: ProxyBook;
	readonly policy: PolicyBook;
}

export function meshState({ address, startedAtMs, authority, registry, proxies, policy }: MeshParts): MeshState {
	const { trustDomain, sequence } = authority.bundle();
	const current = policy.current();
	return {
		...{ trustDomain, address, startedAtMs },
		services: registry
			.services()
			.toSorted()
			.map((key) => serviceOf(registry, key)),
		instances: registry.instances().map(instanceOf).toSorted(byInstance),
		proxies: proxies
			.all()
			.map((record) => proxyOf(record, current?.version))
			.toSorted(byInstance),
		certificates: [...proxies.all().flatMap(certificateOf), ...ownCertificates(authority, trustDomain)].toSorted(
			(a, b) => a.notAfterMs - b.notAfterMs || (a.principal < b.principal ? -1 : 1),
		),
		roots: authority.roots(),
		bundleSequence: sequence,
		policy: { current, acceptedAtMs: policy.acceptedAtMs(), rejected: policy.rejected() },
	};
}

function serviceOf(registry: Registry, key: string): MeshService {
	const { namespace, service, ports } = registry.endpoints(key);
	const endpoints = new Map(ports.flatMap((port) => port.endpoints.map((endpoint) => [endpoint.id, endpoint] as const)));
	const all = [...endpoints.values()];
	return {
		...{ namespace, service },
		ports: ports.map(({ servicePort, protocol }) => ({ servicePort, protocol })),
		instances: all.length,
		healthy: all.filter(({ healthy }) => healthy).length,
		principals: [...new Set(all.map(({ principal }) => principal ?? ""))].toSorted(),
	};
}

function instanceOf({ instanceId, principal, workload, registration, ...rest }: Instance): MeshInstance {
	return {
		...{ instanceId, principal },
		...{ namespace: workload.namespace, service: workload.service, workload: workload.workload, version: workload.version },
		labels: workload.labels,
		endpoints: registration?.ports ?? [],
		hboneAddress: registration?.hboneAddress,
		presence: rest.forgetAtMs === undefined ? "connected" : "lost",
		healthy: rest.healthy,
		healthReason: rest.healthReason,
		registeredAtMs: rest.registeredAtMs,
	};
}

function proxyOf({ certificate: _elsewhere, ...record }: ProxyRecord, currentVersion: string | undefined): MeshProxy {
	return { ...record, inSync: currentVersion !== undefined && record.policyVersion === currentVersion };
}

function certificateOf({ instanceId, principal, certificate }: ProxyRecord): readonly MeshCertificate[] {
	return certificate === undefined ? [] : [{ instanceId, principal, ...certificate }];
}

function ownCertificates(authority: Authority, trustDomain: string): readonly MeshCertificate[] {
	const principal = `spiffe://${trustDomain}/ns/${CONTROL_NAMESPACE}/sa/${CONTROL_SERVICE_ACCOUNT}`;
	return authority.serverCertificates().map(({ serial, notBeforeMs, notAfterMs, rootSha256 }) => ({
		...{ principal, instanceId: "", serial, notBeforeMs, notAfterMs, rootSha256 },
	}));
}

function byInstance(a: { readonly instanceId: string }, b: { readonly instanceId: string }): number {
	return a.instanceId < b.instanceId ? -1 : a.instanceId > b.instanceId ? 1 : 0;
}
