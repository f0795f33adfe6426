import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceEndpoint } from "../endpoint.ts";
import {
	type FactsRow,
	CLIENT,
	SERVER,
	type SpanSketch,
	type Values,
	atAddress,
	declared,
	identified,
	named,
	statedFacts,
} from "./test-kit.ts";

const REVIEWS: Values = {
	component: "proxy",
	node_id: "sidecar~10.244.1.10~reviews-v1-545db77b95-wcxvr.default~default.svc.cluster.local",
	"istio.canonical_service": "reviews",
	"istio.canonical_revision": "v1",
	"istio.mesh_id": "cluster.local",
	"istio.namespace": "default",
	"istio.cluster_id": "Kubernetes",
	"http.method": "GET",
	"http.url": "http://ratings:9080/ratings/0",
	"http.status_code": "200",
	response_flags: "-",
	downstream_cluster: "-",
	"peer.address": "10.244.1.12",
};

function span(kind: number, attributes: Values = {}, more: Partial<SpanSketch> = {}): SpanSketch {
	return { kind, resource: { "service.name": "reviews.default" }, attributes: { ...REVIEWS, ...attributes }, ...more };
}

const WAYPOINT: Values = {
	component: "proxy",
	node_id: "waypoint~10.244.1.20~waypoint-6f5c7d8b9-x4k2z.default~default.svc.cluster.local",
	"istio.canonical_service": "waypoint",
	"istio.namespace": "default",
	"istio.source_workload": "productpage-v1",
	"istio.source_namespace": "default",
	"istio.source_canonical_service": "productpage",
	"istio.source_cluster_id": "east",
	"istio.destination_workload": "reviews-v2",
	"istio.destination_namespace": "books",
	"istio.destination_canonical_service": "reviews",
	"istio.destination_cluster_id": "east",
	"peer.address": "envoy://internal_client_address/",
	"http.method": "GET",
	"http.status_code": "200",
	upstream_cluster: "inbound-vip|9080|http|reviews.books.svc.cluster.local",
};
const BOTH = {
	source: serviceEndpoint("productpage", "default", "productpage-v1", "east"),
	destination: serviceEndpoint("reviews", "books", "reviews-v2", "east"),
};

const ROWS: readonly FactsRow[] = [
	{
		rule: "a sidecar says who it is in `istio.*`; its pod names the workload and `node_id` the address",
		span: span(SERVER, { upstream_cluster: "inbound|9080||" }),
		facts: {
			emitter: "istio",
			proxy: true,
			kind: SERVER,
			local: serviceEndpoint("reviews", "default", "reviews-v1"),
			localAddress: "10.244.1.10",
			peerAddress: "10.244.1.12",
			peer: atAddress("10.244.1.12"),
		},
	},
	{
		rule: "an outbound cluster names service and namespace",
		span: span(CLIENT, { upstream_cluster: "outbound|9080|v1|ratings.books.svc.cluster.local" }),
		facts: { kind: CLIENT, peer: declared("ratings", "books") },
	},
	{
		rule: "a cluster's id is kept, except the one that stands for none",
		span: span(SERVER, { "istio.cluster_id": "east" }),
		facts: { local: serviceEndpoint("reviews", "default", "reviews-v1", "east") },
	},
	{
		rule: "without `node_id` service and revision name the workload",
		span: span(SERVER, { node_id: "-" }),
		facts: { local: serviceEndpoint("reviews", "default", "reviews-v1"), localAddress: "" },
	},
	{
		rule: "`a.b` is split where the proxy's namespace is b",
		span: span(SERVER, { "istio.canonical_service": "unknown", node_id: "-", "istio.canonical_revision": "latest" }),
		facts: { local: serviceEndpoint("reviews", "default") },
	},
	{
		rule: "`a.b` stays whole where the proxy's namespace is another",
		span: span(SERVER, {
			"istio.canonical_service": "unknown",
			node_id: "-",
			"istio.namespace": "books",
			"istio.canonical_revision": "latest",
		}),
		facts: { local: serviceEndpoint("reviews.default", "books") },
	},
	{
		rule: "`a.b` stays whole in spans that are not Istio's",
		span: { kind: SERVER, scope: "envoy", resource: { "service.name": "reviews.default" } },
		facts: { emitter: "envoy", local: serviceEndpoint("reviews.default") },
	},
	{
		rule: "a gateway is known by its node",
		span: span(CLIENT, {
			node_id: "router~10.244.1.5~shop-gateway-7c9d8b6f5-zk2xw.edge~edge.svc.cluster.local",
			"istio.canonical_service": "shop-gateway",
			"istio.namespace": "edge",
			upstream_cluster: "outbound|9080||productpage.default.svc.cluster.local",
		}),
		facts: { local: named("gateway", "shop-gateway", "edge", "shop-gateway"), peer: declared("productpage", "default") },
	},
	{
		rule: "a gateway is known by the name that Istio gives it",
		span: span(CLIENT, {
			node_id: "-",
			"istio.canonical_service": "istio-ingressgateway",
			"istio.namespace": "istio-system",
			"istio.canonical_revision": "latest",
		}),
		facts: { local: named("gateway", "istio-ingressgateway", "istio-system") },
	},
	{
		rule: "a service whose name ends in gateway is no gateway",
		span: span(SERVER, { node_id: "-", "istio.canonical_service": "payment-gateway", "istio.canonical_revision": "latest" }),
		facts: { local: serviceEndpoint("payment-gateway", "default") },
	},
	{
		rule: "`istio.source_*` names the caller before `downstream_cluster` does",
		span: span(SERVER, {
			"istio.source_workload": "productpage-v1",
			"istio.source_namespace": "default",
			downstream_cluster: "forged.default",
		}),
		facts: { peer: declared("productpage-v1", "default", "productpage-v1") },
	},
	{
		rule: "`downstream_cluster` is split as the own name is",
		span: span(SERVER, { downstream_cluster: "productpage.default" }),
		facts: { peer: declared("productpage", "default") },
	},
	{
		rule: "`downstream_cluster` of another namespace stays whole",
		span: span(SERVER, { downstream_cluster: "productpage.web" }),
		facts: { peer: declared("productpage.web") },
	},
	{
		rule: "a verified identity names the caller before all else",
		span: span(SERVER, {
			"meshscope.tls.reported": "1",
			"meshscope.downstream.tls.version": "TLSv1.3",
			"meshscope.downstream.peer.uri_san": "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account",
			"istio.source_workload": "forged",
		}),
		facts: { peer: { endpoint: named("gateway", "istio-ingressgateway", "istio-system"), from: "identity" } },
	},
	{
		rule: "an external host stays external",
		span: span(CLIENT, { upstream_cluster: "outbound|443||api.stripe.com" }),
		facts: { peer: { endpoint: named("external", "api.stripe.com"), from: "declared" } },
	},
	{
		rule: "what a waypoint saw is a whole edge",
		span: { kind: CLIENT, resource: { "service.name": "waypoint.default" }, attributes: WAYPOINT },
		facts: {
			emitter: "waypoint",
			proxy: true,
			local: named("gateway", "waypoint", "default", "waypoint"),
			localAddress: "10.244.1.20",
			peerAddress: "",
			both: BOTH,
			peer: { endpoint: BOTH.destination, from: "declared" },
		},
	},
	{
		rule: "a waypoint's SERVER names its caller",
		span: { kind: SERVER, resource: { "service.name": "waypoint.default" }, attributes: WAYPOINT },
		facts: { both: BOTH, peer: { endpoint: BOTH.source, from: "declared" } },
	},
	{
		rule: "a waypoint that does not know the workload leads to its cluster's service",
		span: {
			kind: CLIENT,
			attributes: {
				...WAYPOINT,
				"istio.destination_workload": "unknown",
				"istio.destination_canonical_service": "unknown",
			},
		},
		facts: { emitter: "waypoint", both: { source: BOTH.source, destination: serviceEndpoint("reviews", "books") } },
	},
	{
		rule: "a waypoint that does not know its caller names one end only",
		span: {
			kind: CLIENT,
			attributes: { ...WAYPOINT, "istio.source_workload": "unknown", "istio.source_canonical_service": "unknown" },
		},
		facts: { both: undefined, peer: { endpoint: BOTH.destination, from: "declared" } },
	},
	{
		rule: "a verified caller of a waypoint is an identity",
		span: {
			kind: SERVER,
			attributes: {
				...WAYPOINT,
				"meshscope.tls.reported": "1",
				"meshscope.downstream.tls.version": "TLSv1.3",
				"meshscope.downstream.peer.uri_san": "spiffe://cluster.local/ns/default/sa/productpage",
			},
		},
		facts: { both: BOTH, peer: identified("productpage", "default") },
	},
];

for (const row of ROWS) test(row.rule, () => assert.deepEqual(statedFacts(row), row.facts));
