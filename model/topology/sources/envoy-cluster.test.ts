import assert from "node:assert/strict";
import { test } from "node:test";
import { type Endpoint, serviceEndpoint } from "../endpoint.ts";
import { type ControlPlane, type UpstreamCluster, parseUpstreamCluster } from "./envoy-cluster.ts";
import { identityEndpoint, principalOf } from "./identity.ts";
import { named } from "./test-kit.ts";

function leadsTo(endpoint: Endpoint, port: number | undefined, by: ControlPlane | undefined): UpstreamCluster {
	return { kind: "endpoint", endpoint, port, by };
}

const REVIEWS = serviceEndpoint("reviews", "default");
const TRUST_DOMAIN = "e5b08d03-bfc3-c870-1833-baddb116e648.consul";

const CLUSTERS: readonly (readonly [name: string, meaning: UpstreamCluster | undefined])[] = [
	["outbound|9080|v1|reviews.default.svc.cluster.local", leadsTo(REVIEWS, 9080, "istio")],
	["outbound|9080||reviews.default.svc.cluster.local;", leadsTo(REVIEWS, 9080, "istio")],
	["outbound|9080||reviews.default.svc.my.domain", leadsTo(REVIEWS, 9080, "istio")],
	["outbound_.9080_.v1_.reviews.default.svc.cluster.local", leadsTo(REVIEWS, 9080, "istio")],
	["outbound_.9080_._.reviews.default.svc.cluster.local", leadsTo(REVIEWS, 9080, "istio")],
	["inbound-vip|9080|http|details.default.svc.cluster.local", leadsTo(serviceEndpoint("details", "default"), 9080, "istio")],
	["outbound|443||api.stripe.com", leadsTo(named("external", "api.stripe.com"), 443, "istio")],
	["outbound|80||web-0.web.default.svc.cluster.local", leadsTo(serviceEndpoint("web", "default"), 80, "istio")],
	["inbound|9080||", { kind: "local", by: "istio" }],
	["inbound|9080|http|reviews.default.svc.cluster.local", { kind: "local", by: "istio" }],
	["InboundPassthroughCluster", { kind: "local", by: "istio" }],
	["InboundPassthroughClusterIpv4", { kind: "local", by: "istio" }],
	["PassthroughCluster", { kind: "passthrough" }],
	["BlackHoleCluster", { kind: "blackhole" }],
	["xds-grpc", { kind: "internal" }],

	[`web.default.dc1.internal.${TRUST_DOMAIN}`, leadsTo(serviceEndpoint("web"), undefined, "consul")],
	[`web.team.dc1.internal.${TRUST_DOMAIN}`, leadsTo(serviceEndpoint("web", "team"), undefined, "consul")],
	[`v2.web.team.dc1.internal.${TRUST_DOMAIN}`, leadsTo(serviceEndpoint("web", "team"), undefined, "consul")],
	[`web.team.part.dc1.internal-v1.${TRUST_DOMAIN}`, leadsTo(serviceEndpoint("web", "team"), undefined, "consul")],
	[`v2.web.team.part.dc1.internal-v1.${TRUST_DOMAIN}`, leadsTo(serviceEndpoint("web", "team"), undefined, "consul")],
	[`web.team.default.cloud.external.${TRUST_DOMAIN}`, leadsTo(serviceEndpoint("web", "team"), undefined, "consul")],
	[`nearest.default.dc1.query.${TRUST_DOMAIN}`, leadsTo(serviceEndpoint("nearest"), undefined, "consul")],
	[`failover-target~web.default.dc2.internal.${TRUST_DOMAIN}`, leadsTo(serviceEndpoint("web"), undefined, "consul")],
	[`9f8b7a6c~web.default.dc1.internal.${TRUST_DOMAIN}`, leadsTo(serviceEndpoint("web"), undefined, "consul")],
	["local_app", { kind: "local", by: "consul" }],
	["original-destination", { kind: "passthrough" }],
	// Counter-examples: a host of somebody's own, and too many labels before the sign.
	["web.team.dc1.internal.example.com", leadsTo(named("external", "web.team.dc1.internal.example.com"), undefined, undefined)],
	[
		`a.b.c.d.e.internal.${TRUST_DOMAIN}`,
		leadsTo(named("external", `a.b.c.d.e.internal.${TRUST_DOMAIN}`), undefined, undefined),
	],

	["backend_kuma-demo_svc_3001", leadsTo(serviceEndpoint("backend", "kuma-demo"), 3001, "kuma")],
	["backend_kuma-demo_svc_3001-0a1b2c3d4e5f6071", leadsTo(serviceEndpoint("backend", "kuma-demo"), 3001, "kuma")],
	["backend_kuma-demo_svc", leadsTo(serviceEndpoint("backend", "kuma-demo"), undefined, "kuma")],
	["default_backend_kuma-demo_east_msvc_3001", leadsTo(serviceEndpoint("backend", "kuma-demo", "", "east"), 3001, "kuma")],
	["kri_msvc_default_east_kuma-demo_backend_3001", leadsTo(serviceEndpoint("backend", "kuma-demo", "", "east"), 3001, "kuma")],
	["kri_msvc_default___backend_http", leadsTo(serviceEndpoint("backend"), undefined, "kuma")],
	["default_backend__east_msvc_80", leadsTo(serviceEndpoint("backend", "", "", "east"), 80, "kuma")],
	["default_backend___mzsvc_80", leadsTo(serviceEndpoint("backend"), 80, "kuma")],
	["kri_mzsvc_default__kuma-system_backend_http", leadsTo(serviceEndpoint("backend"), undefined, "kuma")],
	["kri_extsvc_mesh-1__kuma-system_es1_", leadsTo(named("external", "es1"), undefined, "kuma")],
	["self_8080", { kind: "local", by: "kuma" }],
	["self_passthrough-ipv4-outbound", { kind: "passthrough" }],
	["self_passthrough-ipv6-inbound", { kind: "local", by: "kuma" }],
	["localhost:8080", { kind: "local", by: undefined }],
	["outbound:passthrough:ipv4", { kind: "passthrough" }],
	["tracing:my-backend", { kind: "internal" }],
	["_kuma:metrics:opentelemetry:b", { kind: "internal" }],

	["cds_egress_mesh_backend_prod_http_9080", leadsTo(serviceEndpoint("backend", "prod"), 9080, "app-mesh")],
	["cds_egress_mesh_backend_grpc_9080", leadsTo(serviceEndpoint("backend"), 9080, "app-mesh")],
	["cds_ingress_mesh_backend_http_8080", { kind: "local", by: "app-mesh" }],

	["backend", leadsTo(serviceEndpoint("backend"), undefined, undefined)],
	["backend-plain", leadsTo(serviceEndpoint("backend-plain"), undefined, undefined)],
	["otel-demo-cart", leadsTo(serviceEndpoint("otel-demo-cart"), undefined, undefined)],
	["reviews.default.svc.cluster.local:9080", leadsTo(REVIEWS, 9080, undefined)],
	["10.0.0.9:8080", leadsTo(named("unknown", "10.0.0.9"), 8080, undefined)],
	["127.0.0.1:8080", { kind: "local", by: undefined }],
	["otel-collector", { kind: "internal" }],
	["a|b", leadsTo(serviceEndpoint("a|b"), undefined, undefined)],
	["", undefined],
];

for (const [name, meaning] of CLUSTERS) {
	test(`cluster ${JSON.stringify(name)}`, () => assert.deepEqual(parseUpstreamCluster(name, ""), meaning));
}

const IDENTITIES: readonly (readonly [principal: string, endpoint: Endpoint | undefined])[] = [
	["spiffe://cluster.local/ns/default/sa/reviews", serviceEndpoint("reviews", "default")],
	["spiffe://cluster.local/ns/default/sa/default", undefined],
	[
		"spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account",
		named("gateway", "istio-ingressgateway", "istio-system"),
	],
	["spiffe://cluster.local/ns/default/sa/-service-account", serviceEndpoint("-service-account", "default")],
	[`spiffe://${TRUST_DOMAIN}/ns/team/dc/dc1/svc/web`, serviceEndpoint("web", "team")],
	[`spiffe://${TRUST_DOMAIN}/ap/part/ns/default/dc/dc1/svc/web`, serviceEndpoint("web")],
	[`spiffe://${TRUST_DOMAIN}/agent/client/dc/dc1/id/n1`, undefined],
	["spiffe://default/backend_kuma-demo_svc_3001", serviceEndpoint("backend", "kuma-demo")],
	["spiffe://default/backend", serviceEndpoint("backend")],
	["spiffe://default.east.mesh.local/ns/kuma-demo/sa/backend", serviceEndpoint("backend", "kuma-demo")],
	["spiffe://td", undefined],
	["spiffe://td/", undefined],
	["spiffe://td/a/b/c", undefined],
	["web.emojivoto.serviceaccount.identity.linkerd.cluster.local", serviceEndpoint("web", "emojivoto")],
	["default.emojivoto.serviceaccount.identity.linkerd.cluster.local", undefined],
	["CN=web,O=demo", undefined],
	["https://example.test/web", undefined],
	["", undefined],
];

for (const [principal, endpoint] of IDENTITIES) {
	test(`identity ${JSON.stringify(principal)}`, () => assert.deepEqual(identityEndpoint(principal), endpoint));
}

test("of several names the SPIFFE id is the principal, else the first", () => {
	assert.equal(principalOf("https://a/b, spiffe://td/ns/a/sa/b"), "spiffe://td/ns/a/sa/b");
	assert.equal(principalOf("CN=a"), "CN=a");
	assert.equal(principalOf(",b"), "b");
	assert.equal(principalOf(","), "");
	assert.equal(principalOf(undefined), "");
});
