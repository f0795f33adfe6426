/**
 * Istio on top of Envoy: sidecars and gateways, which say who they are in the span's attributes and in `node_id`, and waypoints, whose
 * spans name both ends.
 */
import { type Endpoint, serviceEndpoint } from "../endpoint.ts";
import type { PeerHint, SpanFacts, SpanInput } from "../facts.ts";
import { peerIp } from "./address.ts";
import { CLIENT, SERVER, type SpanSource, localEndpoint } from "./convention.ts";
import { upstreamCluster, envoyFacts } from "./envoy.ts";
import { isIstioGateway } from "./identity.ts";

export const istioSource: SpanSource = { recognises: isIstio, facts: istioFacts };
export const waypointSource: SpanSource = { recognises: isWaypoint, facts: waypointFacts };

function isIstio(input: SpanInput): boolean {
	const { attributes } = input;
	return (
		attributes.get("istio.canonical_service") !== undefined ||
		attributes.get("istio.namespace") !== undefined ||
		attributes.get("istio.mesh_id") !== undefined ||
		nodeOf(input) !== undefined
	);
}

interface Node {
	readonly type: "sidecar" | "router" | "waypoint";
	readonly address: string;
	readonly pod: string;
	readonly namespace: string;
}

/** `TYPE~ADDRESS~POD.NAMESPACE~NAMESPACE.svc.DOMAIN` */
function nodeOf({ attributes }: SpanInput): Node | undefined {
	const parts = (attributes.get("node_id") ?? "").split("~");
	const [type, address, id] = parts;
	if (parts.length !== 4 || (type !== "sidecar" && type !== "router" && type !== "waypoint")) return undefined;
	const dot = id!.lastIndexOf(".");
	return { type, address: peerIp(address), pod: id!.slice(0, Math.max(dot, 0)), namespace: id!.slice(dot + 1) };
}

function istioFacts(input: SpanInput): SpanFacts {
	const node = nodeOf(input);
	const local = istioLocal(input, node);
	const facts = envoyFacts(input, "istio", local);
	const source = namedEnd(input, "source");
	// What the proxy was told of its caller names it better than an account, and is no better proof than a header.
	const peer = facts.kind === SERVER && facts.peer?.from !== "identity" && source !== undefined ? declared(source) : facts.peer;
	return { ...facts, localAddress: node?.address || facts.localAddress, peer };
}

function istioLocal(input: SpanInput, node: Node | undefined): Endpoint {
	const { attributes, resource } = input;
	const base = localEndpoint(input);
	const namespace = attributes.get("istio.namespace") ?? node?.namespace ?? base.namespace;
	const service = attributes.get("istio.canonical_service") ?? splitService(resource.get("service.name"), namespace);
	if (service === undefined) return base;
	const workload =
		workloadOfPod(node?.pod ?? "") || base.workload || revised(service, attributes.get("istio.canonical_revision"));
	const cluster = clusterId(attributes.get("istio.cluster_id")) || base.cluster;
	const endpoint = serviceEndpoint(service, namespace, workload, cluster);
	return node?.type === "router" || isIstioGateway(service) ? { ...endpoint, kind: "gateway" } : endpoint;
}

/** `a.b` is service a of namespace b only where the proxy is in b: a name may have dots of its own. */
export function splitService(name: string | undefined, namespace: string): string | undefined {
	return name !== undefined && namespace !== "" && name.length > namespace.length + 1 && name.endsWith(`.${namespace}`)
		? name.slice(0, -namespace.length - 1)
		: name;
}

/** `Kubernetes` is what Istio calls a cluster that nobody named. */
export function clusterId(id: string | undefined): string {
	return id === undefined || id === "Kubernetes" ? "" : id;
}

/** Kubernetes draws the random ends of pods' names from these characters. */
const RANDOM = "[bcdf-hj-np-tv-z2456789]";
const REPLICA = new RegExp(`^(.+?)(?:-${RANDOM}{5,10})?-${RANDOM}{5}$`);

/** The deployment, daemon set, job or stateful set that made a pod of that name; empty where its name does not tell. */
export function workloadOfPod(pod: string): string {
	return REPLICA.exec(pod)?.[1] ?? /^(.+)-\d+$/.exec(pod)?.[1] ?? "";
}

function revised(service: string, revision: string | undefined): string {
	return revision === undefined || revision === "latest" ? "" : `${service}-${revision}`;
}

function isWaypoint(input: SpanInput): boolean {
	return nodeOf(input)?.type === "waypoint" || namedEnd(input, "destination") !== undefined;
}

/** Rule 2: one span is a whole edge. Its own cluster leads to the service, its attributes to the workload. */
function waypointFacts(input: SpanInput): SpanFacts {
	const node = nodeOf(input);
	const local: Endpoint = { ...istioLocal(input, node), kind: "gateway" };
	const facts = envoyFacts(input, "waypoint", local);
	const source = namedEnd(input, "source");
	const destination = namedEnd(input, "destination") ?? clusterEnd(input, local.namespace);
	const both = source !== undefined && destination !== undefined ? { source, destination } : undefined;
	const peerEnd = facts.kind === CLIENT ? destination : facts.kind === SERVER ? source : undefined;
	return {
		...facts,
		localAddress: node?.address || facts.localAddress,
		both,
		peer: peerEnd === undefined || facts.peer?.from === "identity" ? facts.peer : declared(peerEnd),
	};
}

function clusterEnd(input: SpanInput, namespace: string): Endpoint | undefined {
	const cluster = upstreamCluster(input, namespace);
	return cluster?.kind === "endpoint" && cluster.by === "istio" ? cluster.endpoint : undefined;
}

function namedEnd({ attributes }: SpanInput, end: "source" | "destination"): Endpoint | undefined {
	const workload = attributes.get(`istio.${end}_workload`);
	const service = attributes.get(`istio.${end}_canonical_service`) ?? attributes.get(`istio.${end}_app`) ?? workload;
	if (service === undefined) return undefined;
	const endpoint = serviceEndpoint(
		service,
		attributes.get(`istio.${end}_namespace`) ?? "",
		workload ?? "",
		clusterId(attributes.get(`istio.${end}_cluster_id`)),
	);
	return isIstioGateway(service) ? { ...endpoint, kind: "gateway" } : endpoint;
}

function declared(endpoint: Endpoint): PeerHint {
	return { endpoint, from: "declared" };
}
