/** A control plane's state for tests of the API: two instances, one of them on an older policy that it refused to leave. */
import type { PolicyFault } from "../model/mesh/control-protocol.ts";
import type { MeshInstance, MeshState, MeshStateSource } from "../model/mesh/mesh-state.ts";

const fault: PolicyFault = {
	file: "mesh.yaml",
	line: 12,
	column: 7,
	path: "DestinationRule shop/cart: spec.trafficPolicy.outlierDetection.interval",
	message: "must be a duration such as 10s",
};

export function cannedMesh(nowMs: number): MeshStateSource {
	const root = "ab".repeat(32);
	const instance = (number: number, healthy: boolean): MeshInstance => ({
		instanceId: `cart-${number}`,
		namespace: "shop",
		service: "cart",
		workload: "cart-v1",
		version: "v1",
		principal: "spiffe://cluster.local/ns/shop/sa/cart",
		labels: { app: "cart", version: "v1" },
		endpoints: [{ servicePort: 80, address: `10.0.0.${number}`, port: 15_006, protocol: "http" }],
		hboneAddress: number === 1 ? "10.0.0.9:15008" : undefined,
		presence: healthy ? "connected" : "lost",
		healthy,
		healthReason: healthy ? "" : "GET /healthz answered 503",
		registeredAtMs: nowMs - 60_000,
	});
	const state: MeshState = {
		trustDomain: "cluster.local",
		address: "127.0.0.1:4340",
		startedAtMs: nowMs - 120_000,
		services: [
			{
				namespace: "shop",
				service: "cart",
				ports: [{ servicePort: 80, protocol: "http" }],
				instances: 2,
				healthy: 1,
				principals: ["spiffe://cluster.local/ns/shop/sa/cart"],
			},
		],
		instances: [instance(1, true), instance(2, false)],
		proxies: [
			{
				instanceId: "cart-1",
				principal: "spiffe://cluster.local/ns/shop/sa/cart",
				remoteAddress: "10.0.0.1",
				proxyVersion: "0.1.0",
				connectedSinceMs: nowMs - 60_000,
				policyVersion: "4",
				inSync: true,
				nack: undefined,
				bundleSequence: 2,
			},
			{
				instanceId: "cart-2",
				principal: "spiffe://cluster.local/ns/shop/sa/cart",
				remoteAddress: "10.0.0.2",
				proxyVersion: "0.1.0",
				connectedSinceMs: undefined,
				policyVersion: "3",
				inSync: false,
				nack: { version: "4", atMs: nowMs - 30_000, faults: [fault] },
				bundleSequence: 1,
			},
		],
		certificates: [
			{
				principal: "spiffe://cluster.local/ns/shop/sa/cart",
				instanceId: "cart-1",
				serial: "4f".repeat(16),
				notBeforeMs: nowMs - 3_660_000,
				notAfterMs: nowMs + 82_800_000,
				rootSha256: root,
			},
		],
		roots: [
			{ sha256: root, stage: "active", notBeforeMs: nowMs - 60_000, notAfterMs: nowMs + 3e11, dropAtMs: undefined },
			{
				sha256: "cd".repeat(32),
				stage: "retiring",
				notBeforeMs: 0,
				notAfterMs: nowMs + 3e10,
				dropAtMs: nowMs + 86_400_000,
			},
		],
		bundleSequence: 2,
		policy: {
			current: {
				version: "4",
				hash: "ef".repeat(32),
				documents: [
					{ line: 1, file: "mesh.yaml", value: { kind: "PeerAuthentication", spec: { mtls: { mode: "STRICT" } } } },
				],
			},
			acceptedAtMs: nowMs - 45_000,
			rejected: [{ atMs: nowMs - 10_000, faults: [fault] }],
		},
	};
	return { state: () => state, bundleJwks: () => ({ keys: [], spiffe_sequence: 2, spiffe_refresh_hint: 60 }) };
}
