/** A cluster's way to its endpoints, by tunnel to those that stand behind a node proxy and directly to all others. */
import type { Socket } from "node:net";
import type { ClusterConfig } from "../../model/mesh/proxy-config.ts";
import type { ClientTls } from "../tls/client.ts";
import type { HboneClient } from "./client.ts";

/** Within the tunnel everything is plain: its mTLS is that of the caller and of the workload that is called. */
export function withTunnels(direct: ClientTls, cluster: Pick<ClusterConfig, "tls">, tunnels: HboneClient): ClientTls {
	const { tls } = cluster;
	if (tls.mode !== "auto" && tls.mode !== "istio_mutual") return direct;
	const named = tls.mode === "istio_mutual" ? tls.subjectAltNames : [];
	return {
		plaintextReason: (endpoint) => (endpoint.hboneAddress === undefined ? direct.plaintextReason(endpoint) : undefined),
		connect(endpoint, options, callback) {
			const { hboneAddress, address, port, principal } = endpoint;
			// Several names may be meant by the policy; the SNI of a tunnel asks for one workload.
			const expected = principal ?? (named.length === 1 ? named[0] : undefined);
			if (hboneAddress === undefined || (named.length > 0 && (expected === undefined || !named.includes(expected)))) {
				return direct.connect(endpoint, options, callback);
			}
			const request = { hboneAddress, address, port, principal: expected };
			return tunnels.connect(request, options.timeoutMs, (error, stream: Socket | undefined) => callback(error, stream));
		},
	};
}
