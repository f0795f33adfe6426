/**
 * Who is in the mesh: every instance that a proxy told of, whether it is healthy and connected, and the endpoints that follow. An
 * instance whose stream ended stays for a grace, so that neither a brief cut nor a restart of the control plane empties a service.
 */
import type { Registration, ServiceEndpoints } from "../../model/mesh/control-protocol.ts";
import type { Endpoint, Workload } from "../../model/mesh/proxy-config.ts";

export interface Instance {
	readonly instanceId: string;
	/** SPIFFE ID, from its certificate. */
	readonly principal: string;
	readonly workload: Workload;
	readonly registration: Registration | undefined;
	readonly healthy: boolean;
	readonly healthReason: string;
	readonly registeredAtMs: number;
	/** When it is forgotten; undefined while it is connected. */
	readonly forgetAtMs: number | undefined;
}

export interface Arrival {
	readonly instanceId: string;
	readonly principal: string;
	readonly workload: Workload;
	readonly registration: Registration | undefined;
}

export interface RegistryOptions {
	readonly lostGraceMs: number;
	/** For `known`: as long as proxies may wait between two tries, or it would forget those that are about to come back. */
	readonly returnGraceMs: number;
	/** Epoch ms. */
	readonly nowMs: () => number;
	/** Called with the keys of services whose endpoints changed; it may be called often. */
	readonly onChange: (services: readonly string[]) => void;
	/** Known from before a restart: they are lost until they come back. */
	readonly known?: readonly Instance[];
}

export interface Registry {
	/** `taken` where another identity holds the instance's ID. */
	arrive(arrival: Arrival): "known" | "taken" | "full";
	health(instanceId: string, healthy: boolean, reason: string): void;
	/** Its stream ended. */
	lose(instanceId: string): void;
	/** It said goodbye. */
	leave(instanceId: string): void;
	/** Forgets those whose grace is over. */
	tick(): void;
	instance(instanceId: string): Instance | undefined;
	instances(): readonly Instance[];
	/** Keys of all services that have an instance. */
	services(): readonly string[];
	/** By key; without ports where nobody answers for it any more. */
	endpoints(service: string): ServiceEndpoints;
}

/** Ten times the largest mesh that one control plane is meant for. */
const MAX_INSTANCES = 10_000;

function serviceKey(namespace: string, service: string): string {
	return `${namespace}/${service}`;
}

export function createRegistry({ lostGraceMs, returnGraceMs, nowMs, onChange, known = [] }: RegistryOptions): Registry {
	const instances = new Map<string, Instance>();
	/** Instance IDs by service key. */
	const members = new Map<string, Set<string>>();
	for (const one of known) {
		instances.set(one.instanceId, { ...one, forgetAtMs: nowMs() + returnGraceMs });
		addMember(keyOf(one), one.instanceId);
	}

	return {
		arrive({ instanceId, principal, workload, registration }) {
			const before = instances.get(instanceId);
			if (before !== undefined && before.principal !== principal) return "taken";
			if (before === undefined && instances.size >= MAX_INSTANCES) return "full";
			put({
				...{ instanceId, principal, workload, registration },
				healthy: before?.healthy ?? true,
				healthReason: before?.healthReason ?? "",
				registeredAtMs: before?.registeredAtMs ?? nowMs(),
				forgetAtMs: undefined,
			});
			return "known";
		},
		health(instanceId, healthy, healthReason) {
			const before = instances.get(instanceId);
			if (before === undefined || (before.healthy === healthy && before.healthReason === healthReason)) return;
			put({ ...before, healthy, healthReason });
		},
		lose(instanceId) {
			const before = instances.get(instanceId);
			// Endpoints stay as they are, so nothing is told to anybody.
			if (before !== undefined) instances.set(instanceId, { ...before, forgetAtMs: nowMs() + lostGraceMs });
		},
		leave: forget,
		tick() {
			const now = nowMs();
			for (const { instanceId, forgetAtMs } of instances.values())
				if (forgetAtMs !== undefined && now >= forgetAtMs) forget(instanceId);
		},
		instance: (instanceId) => instances.get(instanceId),
		instances: () => [...instances.values()],
		services: () => [...members.keys()],
		endpoints,
	};

	function put(instance: Instance): void {
		const before = instances.get(instance.instanceId);
		instances.set(instance.instanceId, instance);
		const oldKey = keyOf(before);
		const key = keyOf(instance);
		if (oldKey !== undefined && oldKey !== key) removeMember(oldKey, instance.instanceId);
		addMember(key, instance.instanceId);
		if (before === undefined || oldKey !== key || JSON.stringify(shown(before)) !== JSON.stringify(shown(instance)))
			onChange([...new Set([oldKey, key])].filter((one) => one !== undefined));
	}

	function forget(instanceId: string): void {
		const instance = instances.get(instanceId);
		if (instance === undefined) return;
		instances.delete(instanceId);
		const key = keyOf(instance);
		if (key === undefined) return;
		removeMember(key, instanceId);
		onChange([key]);
	}

	function addMember(key: string | undefined, instanceId: string): void {
		if (key !== undefined) members.set(key, (members.get(key) ?? new Set<string>()).add(instanceId));
	}

	function removeMember(key: string, instanceId: string): void {
		const ids = members.get(key);
		ids?.delete(instanceId);
		if (ids?.size === 0) members.delete(key);
	}

	function endpoints(key: string): ServiceEndpoints {
		const slash = key.indexOf("/");
		const ports = new Map<string, { servicePort: number; protocol: PortProtocol; endpoints: Endpoint[] }>();
		for (const instanceId of [...(members.get(key) ?? [])].toSorted()) {
			const instance = instances.get(instanceId)!;
			for (const port of instance.registration?.ports ?? []) {
				const portKey = `${port.servicePort}/${port.protocol}`;
				const entry = ports.get(portKey) ?? { servicePort: port.servicePort, protocol: port.protocol, endpoints: [] };
				entry.endpoints.push({
					id: instanceId,
					address: port.address,
					port: port.port,
					labels: instance.workload.labels,
					weight: 1,
					principal: instance.principal,
					healthy: instance.healthy,
					hboneAddress: instance.registration?.hboneAddress,
				});
				ports.set(portKey, entry);
			}
		}
		return {
			namespace: key.slice(0, slash),
			service: key.slice(slash + 1),
			ports: [...ports.values()].toSorted((a, b) => a.servicePort - b.servicePort),
		};
	}
}

type PortProtocol = Registration["ports"][number]["protocol"];

/** Undefined for a pure client: nobody calls it. */
function keyOf(instance: Instance | undefined): string | undefined {
	if (instance === undefined || instance.workload.service === "" || instance.registration === undefined) return undefined;
	return serviceKey(instance.workload.namespace, instance.workload.service);
}

/** What of an instance shows in endpoints. */
function shown({ principal, workload, registration, healthy }: Instance): unknown {
	return [principal, workload.labels, registration, healthy];
}
