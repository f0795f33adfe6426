/** The ends of an access log record that only its addresses and its resource tell. */
import { EXTERNAL, type Endpoint, UNKNOWN } from "../endpoint.ts";
import type { Attributes } from "../facts.ts";
import { addressEndpoint, peerIp } from "./address.ts";
import { localEndpoint } from "./convention.ts";
import { clusterId, splitService } from "./istio.ts";
import { PUBLIC_ADDRESS } from "./keys.ts";

/** Of a resource, what {@link recordedAt} reads. */
export const LOCAL_KEYS = [
	...["service.name", "service.namespace", "k8s.namespace.name", "k8s.cluster.name", "k8s.workload.name"],
	...["k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.cronjob.name"],
] as const;

/** Where a record was made, by its resource; unknown where that names no service. */
export function recordedAt(resource: Attributes): Endpoint {
	const local = localEndpoint({ resource });
	if (local === UNKNOWN) return local;
	return {
		...local,
		service: splitService(local.service, local.namespace) ?? local.service,
		workload: local.workload || (resource.get("k8s.workload.name") ?? ""),
		cluster: clusterId(local.cluster),
	};
}

/** @param text an address, or the word that stands for all public ones */
export function callerOfAddress(text: string | undefined): Endpoint {
	if (text === PUBLIC_ADDRESS) return EXTERNAL;
	const address = peerIp(text);
	return address === "" ? UNKNOWN : addressEndpoint(address);
}
