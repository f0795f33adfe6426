/** What the control plane in this process knows of its own mesh. Every call is a view of one picture, so none waits and none is capped. */
import type { FastifyInstance } from "fastify";
import { MeshscopeError } from "../../model/errors.ts";
import type { MeshState, MeshStateSource } from "../../model/mesh/mesh-state.ts";
import type {
	MeshAnswer,
	MeshCertificatesAnswer,
	MeshInstancesAnswer,
	MeshPolicyAnswer,
	MeshProxiesAnswer,
	MeshServicesAnswer,
} from "../contract/mesh.ts";
import type { RouteName } from "../contract/routes.ts";
import { addRoute, momentOf, sendJson } from "./context.ts";

export function addMeshRoutes(scope: FastifyInstance, mesh: MeshStateSource | undefined): void {
	const view = (name: RouteName, look: (source: MeshStateSource) => unknown): void =>
		addRoute(scope, name, async ({ reply }) => {
			if (mesh === undefined)
				throw new MeshscopeError(
					"no_control_plane",
					"no control plane runs here; start the server with --mesh mesh.yaml",
				);
			return sendJson(reply, look(mesh));
		});
	view("mesh", (source) => summaryOf(source.state()));
	view("meshServices", (source) => servicesOf(source.state()));
	view("meshInstances", (source) => instancesOf(source.state()));
	view("meshProxies", (source) => proxiesOf(source.state()));
	view("meshCertificates", (source) => certificatesOf(source.state()));
	view("meshPolicy", (source) => policyOf(source.state()));
	view("meshBundle", (source) => source.bundleJwks());
}

function summaryOf({ policy, ...state }: MeshState): MeshAnswer {
	const first = state.certificates[0];
	return {
		trustDomain: state.trustDomain,
		address: state.address,
		started: momentOf(state.startedAtMs),
		services: state.services.length,
		instances: { total: state.instances.length, healthy: state.instances.filter(({ healthy }) => healthy).length },
		proxies: {
			total: state.proxies.length,
			connected: state.proxies.filter(({ connectedSinceMs }) => connectedSinceMs !== undefined).length,
			inSync: state.proxies.filter(({ inSync }) => inSync).length,
			refusing: state.proxies.filter(({ nack }) => nack !== undefined).length,
		},
		policy: {
			version: policy.current?.version ?? "",
			hash: policy.current?.hash ?? "",
			accepted: momentIf(policy.acceptedAtMs),
			faults: policy.rejected[0]?.faults.length ?? 0,
		},
		nextExpiry: momentIf(first?.notAfterMs),
		bundleSequence: state.bundleSequence,
		roots: state.roots.map(({ sha256, stage, notBeforeMs, notAfterMs, dropAtMs }) => ({
			...{ sha256, stage },
			notBefore: momentOf(notBeforeMs),
			notAfter: momentOf(notAfterMs),
			dropAt: momentIf(dropAtMs),
		})),
	};
}

function servicesOf({ services }: MeshState): MeshServicesAnswer {
	return {
		services: services.map(({ instances, healthy, ports, principals, ...names }) => ({
			...names,
			ports: [...ports],
			instances: { total: instances, healthy },
			principals: [...principals],
		})),
	};
}

function instancesOf({ instances }: MeshState): MeshInstancesAnswer {
	return {
		instances: instances.map(({ registeredAtMs, endpoints, ...rest }) => ({
			...rest,
			endpoints: [...endpoints],
			registered: momentOf(registeredAtMs),
		})),
	};
}

function proxiesOf({ proxies, policy }: MeshState): MeshProxiesAnswer {
	return {
		policyVersion: policy.current?.version ?? "",
		proxies: proxies.map(({ connectedSinceMs, nack, ...rest }) => ({
			...rest,
			connectedSince: momentIf(connectedSinceMs),
			nack: nack && { version: nack.version, time: momentOf(nack.atMs), faults: [...nack.faults] },
		})),
	};
}

function certificatesOf({ certificates }: MeshState): MeshCertificatesAnswer {
	return {
		certificates: certificates.map(({ notBeforeMs, notAfterMs, ...rest }) => ({
			...rest,
			notBefore: momentOf(notBeforeMs),
			notAfter: momentOf(notAfterMs),
		})),
	};
}

function policyOf({ policy }: MeshState): MeshPolicyAnswer {
	return {
		version: policy.current?.version ?? "",
		hash: policy.current?.hash ?? "",
		accepted: momentIf(policy.acceptedAtMs),
		documents: [...(policy.current?.documents ?? [])],
		rejected: policy.rejected.map(({ atMs, faults }) => ({ time: momentOf(atMs), faults: [...faults] })),
	};
}

function momentIf(ms: number | undefined): string | undefined {
	return ms === undefined ? undefined : momentOf(ms);
}
