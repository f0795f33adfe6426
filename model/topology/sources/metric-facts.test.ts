import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EXTERNAL, UNKNOWN } from "../endpoint.ts";
import type { Attributes, MetricFacts } from "../facts.ts";
import { identityEndpoint, normalPrincipal } from "./identity.ts";
import { isEdgeMetric, metricFacts } from "./metric-facts.ts";

type Labels = Readonly<Record<string, string>>;

/** As rule 0 leaves attributes. */
function attributes(labels: Labels): Attributes {
	return {
		get(key) {
			const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
			return value === "" || value === "-" || value === "unknown" ? undefined : value;
		},
	};
}

function factsOf(name: string, labels: Labels, resource: Labels = {}): MetricFacts | undefined {
	return metricFacts(name, attributes(labels), attributes(resource));
}

function need(name: string, labels: Labels, resource: Labels = {}): MetricFacts {
	const facts = factsOf(name, labels, resource);
	assert.ok(facts !== undefined, `${name} gives no facts`);
	return facts;
}

const CLIENT = "spiffe://cluster.local/ns/default/sa/productpage";
const SERVER = "spiffe://cluster.local/ns/default/sa/reviews";

/** As a sidecar of Istio 1.24 exposes it at the destination. */
const ISTIO: Labels = {
	reporter: "destination",
	source_workload: "productpage-v1",
	source_canonical_service: "productpage",
	source_canonical_revision: "v1",
	source_workload_namespace: "default",
	source_principal: CLIENT,
	source_app: "productpage",
	source_version: "v1",
	source_cluster: "Kubernetes",
	destination_workload: "reviews-v2",
	destination_workload_namespace: "default",
	destination_principal: SERVER,
	destination_app: "reviews",
	destination_version: "v2",
	destination_service: "reviews.default.svc.cluster.local",
	destination_canonical_service: "reviews",
	destination_canonical_revision: "v2",
	destination_service_name: "reviews",
	destination_service_namespace: "default",
	destination_cluster: "Kubernetes",
	request_protocol: "http",
	response_code: "200",
	grpc_response_status: "",
	response_flags: "-",
	connection_security_policy: "mutual_tls",
};

const PRODUCTPAGE = {
	kind: "service",
	cluster: "",
	namespace: "default",
	service: "productpage",
	workload: "productpage-v1",
};
const REVIEWS = { kind: "service", cluster: "", namespace: "default", service: "reviews", workload: "reviews-v2" };

test("an Istio request counter names both ends, the reporter, the outcome and the policy", () => {
	assert.deepEqual(need("istio_requests_total", ISTIO), {
		emitter: "istio",
		source: PRODUCTPAGE,
		target: REVIEWS,
		reporter: "destination",
		protocol: "http",
		unit: "requests",
		outcome: "ok",
		code: "200",
		flags: "",
		mtls: { status: "mutual_tls", sourcePrincipal: CLIENT, destinationPrincipal: SERVER, verifiedBy: "server" },
		measure: { kind: "count" },
	});
});

test("every name of Istio's metrics measures what it says", () => {
	const tcp = { ...ISTIO, request_protocol: "tcp" };
	const rows: readonly (readonly [string, Labels, string, MetricFacts["unit"]])[] = [
		["istio_requests_total", ISTIO, "count", "requests"],
		["istio_request_duration_milliseconds", ISTIO, "latency", "requests"],
		["istio_request_bytes", ISTIO, "bytes_sent", "requests"],
		["istio_response_bytes", ISTIO, "bytes_received", "requests"],
		["istio_tcp_connections_opened_total", tcp, "count", "connections"],
		["istio_tcp_received_bytes_total", tcp, "bytes_sent", "connections"],
		["istio_tcp_sent_bytes_total", tcp, "bytes_received", "connections"],
		// Other writings of the same names.
		["istiocustom.istio_requests_total", ISTIO, "count", "requests"],
		["istio_requests", ISTIO, "count", "requests"],
		["istio.requests.total", ISTIO, "count", "requests"],
		["istio.request.duration.milliseconds", ISTIO, "latency", "requests"],
		["istiocustom.istio_tcp_connections_opened_total", tcp, "count", "connections"],
	];
	for (const [name, labels, kind, unit] of rows) {
		assert.ok(isEdgeMetric(name), name);
		const facts = need(name, labels);
		assert.deepEqual([facts.measure.kind, facts.unit], [kind, unit], name);
		assert.equal(facts.protocol, unit === "connections" ? "tcp" : "http", name);
	}
});

test("metrics that measure nothing of an edge are left out by name", () => {
	const names = [
		"istio_tcp_connections_closed_total",
		"istio_request_messages_total",
		"istio_response_messages_total",
		"istio_build",
		"istio_requests_total_bucket",
		"envoy_cluster_upstream_rq_time",
		"request_total",
		"inbound_http_authz_allow_total",
		"tcp_open_connections",
		"tcp_close_total",
		"process_cpu_seconds_total",
		"",
	];
	for (const name of names) {
		assert.equal(isEdgeMetric(name), false, name);
		assert.equal(factsOf(name, ISTIO), undefined, name);
	}
});

test("bytes mean the same whoever reports: sent is the response", () => {
	for (const reporter of ["source", "destination"]) {
		assert.equal(need("istio_tcp_sent_bytes_total", { ...ISTIO, reporter }).measure.kind, "bytes_received");
		assert.equal(need("istio_tcp_received_bytes_total", { ...ISTIO, reporter }).measure.kind, "bytes_sent");
	}
});

test("latency belongs to the side that measured it", () => {
	const name = "istio_request_duration_milliseconds";
	const sides = ["source", "destination", "waypoint"].map((reporter) => need(name, { ...ISTIO, reporter }).measure);
	assert.deepEqual(sides, [
		{ kind: "latency", nsPerUnit: 1_000_000, side: "source" },
		{ kind: "latency", nsPerUnit: 1_000_000, side: "destination" },
		{ kind: "latency", nsPerUnit: 1_000_000, side: "destination" },
	]);
});

test("labels may be written with dots", () => {
	const dotted = Object.fromEntries(Object.entries(ISTIO).map(([name, value]) => [name.replaceAll("_", "."), value]));
	assert.deepEqual(need("istiocustom.istio_requests_total", dotted), need("istio_requests_total", ISTIO));
});

test("without a known reporter there is no edge", () => {
	assert.equal(factsOf("istio_requests_total", { ...ISTIO, reporter: "unknown" }), undefined);
	assert.equal(factsOf("istio_requests_total", { ...ISTIO, reporter: "sidecar" }), undefined);
});

test("Istio's policy at every reporter", () => {
	const none = { source_principal: "unknown", destination_principal: "unknown" };
	const rows: readonly (readonly [Labels, Partial<MetricFacts["mtls"]>])[] = [
		[
			{ reporter: "destination", connection_security_policy: "mutual_tls" },
			{ status: "mutual_tls", verifiedBy: "server" },
		],
		[
			{ reporter: "destination", connection_security_policy: "none", ...none },
			{ status: "none", verifiedBy: "" },
		],
		[{ reporter: "destination", connection_security_policy: "unknown", ...none }, { status: "unknown" }],
		// Both ends of the waypoint's own leg are not both ends of the edge: the destination is metadata.
		[
			{ reporter: "waypoint", connection_security_policy: "mutual_tls" },
			{ status: "mutual_tls", sourcePrincipal: CLIENT, destinationPrincipal: "", verifiedBy: "metric" },
		],
		[
			{ reporter: "waypoint", connection_security_policy: "none" },
			{ status: "none", destinationPrincipal: "", verifiedBy: "" },
		],
		// The source never says; both principals show it.
		[
			{ reporter: "source", connection_security_policy: "unknown" },
			{ status: "mutual_tls", sourcePrincipal: CLIENT, destinationPrincipal: SERVER, verifiedBy: "metric" },
		],
		[
			{ reporter: "source", connection_security_policy: "unknown", ...none },
			{ status: "unknown", verifiedBy: "" },
		],
		[
			{ reporter: "source", connection_security_policy: "unknown", source_principal: "unknown" },
			{ status: "unknown", destinationPrincipal: "", verifiedBy: "" },
		],
		[{ reporter: "source", connection_security_policy: "unknown", destination_principal: "unknown" }, { status: "unknown" }],
		[{ reporter: "source", connection_security_policy: "none", ...none }, { status: "unknown" }],
	];
	for (const [labels, expected] of rows) {
		const { mtls } = need("istio_requests_total", { ...ISTIO, ...labels });
		for (const [key, value] of Object.entries(expected))
			assert.equal(mtls[key as keyof typeof mtls], value, `${JSON.stringify(labels)} ${key}`);
	}
});

test("Kiali's four series come out as one mutual and one that is not, with nothing averaged here", () => {
	const statuses = ["none", "mutual_tls", "none", "mutual_tls"].map(
		(connection_security_policy) => need("istio_requests_total", { ...ISTIO, connection_security_policy }).mtls.status,
	);
	assert.deepEqual(statuses, ["none", "mutual_tls", "none", "mutual_tls"]);
});

test("response codes, gRPC statuses and flags", () => {
	const rows: readonly (readonly [Labels, MetricFacts["outcome"], string])[] = [
		[{ response_code: "200" }, "ok", "200"],
		[{ response_code: "302" }, "ok", "302"],
		[{ response_code: "404" }, "client_error", "404"],
		[{ response_code: "503", response_flags: "UF,URX" }, "no_response", "503"],
		[{ response_code: "503", response_flags: "UC" }, "server_error", "503"],
		[{ response_code: "0", response_flags: "DC" }, "no_response", ""],
		[{ response_code: "" }, "no_response", ""],
		[{ response_code: "200", grpc_response_status: "0", request_protocol: "grpc" }, "ok", "grpc:0"],
		[{ response_code: "200", grpc_response_status: "14", request_protocol: "grpc" }, "server_error", "grpc:14"],
		[{ response_code: "200", grpc_response_status: "5", request_protocol: "grpc" }, "client_error", "grpc:5"],
		[{ response_code: "200", grpc_response_status: "", request_protocol: "grpc" }, "ok", "200"],
	];
	for (const [labels, outcome, code] of rows) {
		const facts = need("istio_requests_total", { ...ISTIO, ...labels });
		assert.deepEqual([facts.outcome, facts.code], [outcome, code], JSON.stringify(labels));
		assert.equal(facts.flags, labels["response_flags"] ?? "");
		assert.equal(facts.protocol, labels["request_protocol"] ?? "http");
	}
});

test("an end that no label names", () => {
	const noSource = {
		source_workload: "unknown",
		source_canonical_service: "unknown",
		source_app: "unknown",
		source_workload_namespace: "unknown",
	};
	const noTarget = {
		destination_workload: "unknown",
		destination_canonical_service: "unknown",
		destination_app: "unknown",
		destination_workload_namespace: "unknown",
	};
	const fallback = { ...noTarget, destination_service_namespace: "unknown" };
	const rows: readonly (readonly [string, Labels, "source" | "target", object])[] = [
		["a verified caller", noSource, "source", { namespace: "default", service: "productpage", kind: "service" }],
		["an unmeshed caller", { ...noSource, source_principal: "unknown" }, "source", EXTERNAL],
		["a service without workload", noTarget, "target", { service: "reviews", namespace: "default", workload: "" }],
		[
			"a ServiceEntry",
			{
				...noTarget,
				reporter: "source",
				destination_service: "api.stripe.com",
				destination_service_name: "api.stripe.com",
				destination_service_namespace: "payments",
			},
			"target",
			{ kind: "external", service: "api.stripe.com" },
		],
		[
			"the Host header at the source",
			{
				...fallback,
				reporter: "source",
				destination_service: "Example.com:8443",
				destination_service_name: "Example.com:8443",
			},
			"target",
			{ kind: "external", service: "example.com" },
		],
		[
			"the Host header at the destination, which anybody may choose",
			{ ...fallback, destination_service: "evil.example", destination_service_name: "evil.example" },
			"target",
			UNKNOWN,
		],
		[
			"an address at the source",
			{ ...fallback, reporter: "source", destination_service: "10.1.2.3:80", destination_service_name: "10.1.2.3:80" },
			"target",
			{ kind: "unknown", service: "10.1.2.3" },
		],
		["Passthrough", { ...fallback, reporter: "source", destination_service_name: "PassthroughCluster" }, "target", UNKNOWN],
		[
			"a gateway",
			{ source_workload: "istio-ingressgateway", source_canonical_service: "istio-ingressgateway" },
			"source",
			{ kind: "gateway" },
		],
	];
	for (const [what, labels, end, expected] of rows) {
		const endpoint = need("istio_requests_total", { ...ISTIO, ...labels })[end];
		assert.deepEqual({ ...endpoint, ...expected }, endpoint, what);
	}
	assert.equal(
		factsOf("istio_requests_total", {
			...ISTIO,
			...noSource,
			...fallback,
			reporter: "source",
			source_principal: "",
			destination_service_name: "",
			destination_service: "",
		}),
		undefined,
	);
});

const ZTUNNEL_RESOURCE: Labels = { "service.name": "ztunnel" };
const ZTUNNEL: Labels = {
	...ISTIO,
	request_protocol: "tcp",
	response_code: "",
	reporter: "source",
	connection_security_policy: "mutual_tls",
};

test("ztunnel states mTLS or nothing, never plaintext", () => {
	const name = "istio_tcp_connections_opened_total";
	const source = need(name, ZTUNNEL);
	assert.equal(source.emitter, "ztunnel", "no sidecar states a policy at the source");
	assert.deepEqual([source.mtls.status, source.mtls.verifiedBy], ["mutual_tls", "metric"]);
	const destination = need(name, { ...ZTUNNEL, reporter: "destination" }, ZTUNNEL_RESOURCE);
	assert.deepEqual(
		[destination.emitter, destination.mtls.status, destination.mtls.verifiedBy],
		["ztunnel", "mutual_tls", "server"],
	);
	for (const reporter of ["source", "destination"])
		for (const connection_security_policy of ["unknown", "none", ""]) {
			const { mtls } = need(name, { ...ZTUNNEL, reporter, connection_security_policy }, ZTUNNEL_RESOURCE);
			assert.deepEqual(mtls, { status: "unknown", sourcePrincipal: "", destinationPrincipal: "", verifiedBy: "" });
		}
});

test("ztunnel's failed connections by flag", () => {
	const rows: readonly (readonly [string, string, MetricFacts["outcome"]])[] = [
		["TLS_FAILURE", "failed_handshakes", "no_response"],
		["CERT_REVOKED", "failed_handshakes", "no_response"],
		["CONNECT", "count", "no_response"],
		["H2_HANDSHAKE_FAILURE", "count", "no_response"],
		["IDENTITY_ERROR", "count", "no_response"],
		["DENY", "count", "client_error"],
		["NETWORK_POLICY", "count", "no_response"],
	];
	for (const [response_flags, kind, outcome] of rows) {
		const facts = need("istio_tcp_connections_failed_total", { ...ZTUNNEL, response_flags });
		assert.deepEqual(
			[facts.measure.kind, facts.outcome, facts.flags, facts.unit],
			[kind, outcome, response_flags, "connections"],
		);
		assert.equal(facts.emitter, "ztunnel");
	}
});

const LINKERD_RESOURCE: Labels = { "k8s.deployment.name": "web", "k8s.namespace.name": "emojivoto" };
const OUTBOUND: Labels = {
	direction: "outbound",
	authority: "emoji-svc.emojivoto.svc.cluster.local:8080",
	target_addr: "10.42.0.11:8080",
	target_ip: "10.42.0.11",
	target_port: "8080",
	dst_deployment: "emoji",
	dst_namespace: "emojivoto",
	dst_service: "emoji-svc",
	dst_pod: "emoji-78594cb998-6zrxm",
	dst_serviceaccount: "emoji",
	tls: "true",
	server_id: "emoji.emojivoto.serviceaccount.identity.linkerd.cluster.local",
	status_code: "200",
	classification: "success",
	grpc_status: "0",
	error: "",
};
const INBOUND: Labels = {
	direction: "inbound",
	target_addr: "10.42.0.12:8080",
	target_ip: "10.42.0.12",
	target_port: "8080",
	tls: "true",
	client_id: "vote-bot.emojivoto.serviceaccount.identity.linkerd.cluster.local",
	srv_name: "web-http",
	status_code: "200",
	classification: "success",
};

test("a Linkerd series joins the proxy that was asked and the end that its labels name", () => {
	const outbound = need("response_total", OUTBOUND, LINKERD_RESOURCE);
	assert.deepEqual(outbound.source, { kind: "service", cluster: "", namespace: "emojivoto", service: "web", workload: "web" });
	assert.deepEqual(outbound.target, {
		kind: "service",
		cluster: "",
		namespace: "emojivoto",
		service: "emoji",
		workload: "emoji",
	});
	assert.deepEqual([outbound.reporter, outbound.protocol, outbound.code], ["source", "grpc", "grpc:0"]);
	const inbound = need("response_total", INBOUND, LINKERD_RESOURCE);
	assert.equal(inbound.source.service, "vote-bot");
	assert.equal(inbound.target.service, "web");
	assert.deepEqual([inbound.reporter, inbound.protocol, inbound.code], ["destination", "http", "200"]);
});

test("the proxy's workload comes from the resource, its own annotations, or the scraper's labels", () => {
	const rows: readonly (readonly [Labels, Labels])[] = [
		[LINKERD_RESOURCE, {}],
		[{ "service.name": "linkerd-proxy", "linkerd.io/proxy-deployment": "web", "linkerd.io/workload-ns": "emojivoto" }, {}],
		[{ "service.name": "web", "service.namespace": "emojivoto" }, {}],
		[{}, { deployment: "web", namespace: "emojivoto" }],
	];
	for (const [resource, labels] of rows) {
		const { source } = need("response_total", { ...OUTBOUND, ...labels }, resource);
		assert.deepEqual([source.namespace, source.service], ["emojivoto", "web"], JSON.stringify(resource));
	}
	assert.equal(factsOf("response_total", OUTBOUND, {}), undefined, "nobody knows who called");
});

test("Linkerd's target falls back from workload to service to authority to address", () => {
	const { dst_deployment: _, ...noWorkload } = OUTBOUND;
	const { dst_service: __, ...noService } = noWorkload;
	const { authority: ___, ...noAuthority } = noService;
	const target = (labels: Labels): string[] => {
		const { kind, namespace, service } = need("response_total", labels, LINKERD_RESOURCE).target;
		return [kind, namespace, service];
	};
	assert.deepEqual(target({ ...noWorkload, dst_statefulset: "redis" }), ["service", "emojivoto", "redis"]);
	assert.deepEqual(target(noWorkload), ["service", "emojivoto", "emoji-svc"]);
	assert.deepEqual(target(noService), ["service", "emojivoto", "emoji-svc"]);
	assert.deepEqual(target({ ...noService, authority: "api.github.com:443" }), ["external", "", "api.github.com"]);
	assert.deepEqual(target(noAuthority), ["unknown", "", "10.42.0.11"]);
});

test("every TLS label of Linkerd", () => {
	const rows: readonly (readonly [Labels, MetricFacts["mtls"]["status"] | "ignored"])[] = [
		[{ tls: "true" }, "mutual_tls"],
		[{ tls: "true", client_id: "" }, "tls"],
		[{ tls: "no_identity", no_tls_reason: "loopback" }, "ignored"],
		[{ tls: "no_identity", no_tls_reason: "port_skipped" }, "plaintext"],
		[{ tls: "no_identity", no_tls_reason: "no_tls_from_remote" }, "plaintext"],
		[{ tls: "no_identity", no_tls_reason: "not_provided_by_service_discovery" }, "plaintext"],
		[{ tls: "no_identity", no_tls_reason: "ingress_without_override" }, "plaintext"],
		[{ tls: "no_identity", no_tls_reason: "disabled" }, "plaintext"],
		[{ tls: "no_identity", no_tls_reason: "something_new" }, "unknown"],
		[{ tls: "opaque" }, "tls"],
		[{ tls: "disabled" }, "plaintext"],
		[{ tls: "" }, "unknown"],
	];
	for (const [labels, status] of rows) {
		const facts = factsOf("response_total", { ...INBOUND, ...labels }, LINKERD_RESOURCE);
		assert.equal(facts?.mtls.status ?? "ignored", status, JSON.stringify(labels));
		if (facts !== undefined && status !== "mutual_tls")
			assert.deepEqual([facts.source, facts.mtls.verifiedBy], [EXTERNAL, ""]);
	}
	assert.deepEqual(need("response_total", OUTBOUND, LINKERD_RESOURCE).mtls, {
		status: "mutual_tls",
		sourcePrincipal: "",
		destinationPrincipal: OUTBOUND["server_id"],
		verifiedBy: "client",
	});
	assert.deepEqual(need("response_total", INBOUND, LINKERD_RESOURCE).mtls, {
		status: "mutual_tls",
		sourcePrincipal: INBOUND["client_id"],
		destinationPrincipal: "",
		verifiedBy: "server",
	});
});

test("Linkerd's TCP counters count the connection that crosses the network", () => {
	const name = "tcp_open_total";
	assert.equal(factsOf(name, { ...OUTBOUND, peer: "src" }, LINKERD_RESOURCE), undefined);
	assert.equal(factsOf(name, { ...INBOUND, peer: "dst" }, LINKERD_RESOURCE), undefined);
	const open = need(name, { ...OUTBOUND, peer: "dst" }, LINKERD_RESOURCE);
	assert.deepEqual([open.protocol, open.unit, open.measure.kind], ["tcp", "connections", "count"]);
	const kinds = [
		need("tcp_write_bytes_total", { ...OUTBOUND, peer: "dst" }, LINKERD_RESOURCE).measure.kind,
		need("tcp_read_bytes_total", { ...OUTBOUND, peer: "dst" }, LINKERD_RESOURCE).measure.kind,
		need("tcp_write_bytes_total", { ...INBOUND, peer: "src" }, LINKERD_RESOURCE).measure.kind,
		need("tcp_read_bytes_total", { ...INBOUND, peer: "src" }, LINKERD_RESOURCE).measure.kind,
	];
	assert.deepEqual(kinds, ["bytes_sent", "bytes_received", "bytes_received", "bytes_sent"]);
});

test("Linkerd's latency and judgement", () => {
	const { grpc_status: _, ...http } = OUTBOUND;
	assert.deepEqual(need("response_latency_ms", http, LINKERD_RESOURCE).measure, {
		kind: "latency",
		nsPerUnit: 1_000_000,
		side: "source",
	});
	assert.deepEqual(need("response_latency_ms", INBOUND, LINKERD_RESOURCE).measure, {
		kind: "latency",
		nsPerUnit: 1_000_000,
		side: "destination",
	});
	const outcome = (labels: Labels): string => need("response_total", { ...http, ...labels }, LINKERD_RESOURCE).outcome;
	assert.equal(outcome({ classification: "failure", status_code: "503" }), "server_error");
	assert.equal(outcome({ classification: "failure", status_code: "200" }), "server_error");
	assert.equal(outcome({ classification: "success", status_code: "404" }), "client_error");
	assert.equal(outcome({ classification: "failure", status_code: "", error: "connect" }), "no_response");
	assert.equal(outcome({ classification: "success", grpc_status: "PERMISSION_DENIED" }), "client_error");
});

test("metrics of the same generic names that are not Linkerd's are nobody's edge", () => {
	assert.equal(factsOf("response_total", { status_code: "200" }, LINKERD_RESOURCE), undefined);
	assert.equal(factsOf("tcp_open_total", { direction: "sideways", peer: "dst" }, LINKERD_RESOURCE), undefined);
});

test("identities are told in one spelling, and name their owner", () => {
	assert.equal(normalPrincipal("cluster.local/ns/default/sa/x"), "spiffe://cluster.local/ns/default/sa/x");
	assert.equal(normalPrincipal(undefined), "");
	const owner = (principal: string): string => {
		const endpoint = identityEndpoint(principal);
		return endpoint === undefined ? "" : `${endpoint.namespace}/${endpoint.service}`;
	};
	assert.equal(owner("spiffe://td/ns/a/sa/b"), "a/b");
	assert.equal(owner("spiffe://td/ns/default/dc/dc1/svc/web"), "/web");
	assert.equal(owner("b.a.serviceaccount.identity.linkerd.cluster.local"), "a/b");
	assert.equal(owner("spiffe://td/ns/a/sa/default"), "", "shared by all that have none of their own");
	assert.equal(owner("CN=client"), "");
});

test("no labels make it throw", () => {
	const name = fc.constantFrom(
		"istio_requests_total",
		"istio_tcp_connections_failed_total",
		"response_total",
		"tcp_open_total",
		"istio.",
	);
	const labels = fc.dictionary(
		fc.oneof(fc.constantFrom(...Object.keys(ISTIO), ...Object.keys(OUTBOUND), "peer"), fc.string()),
		fc.oneof(
			fc.constantFrom("source", "destination", "waypoint", "outbound", "inbound", "dst", "true", "mutual_tls"),
			fc.string(),
		),
	);
	fc.assert(fc.property(name, labels, labels, (metric, own, resource) => void factsOf(metric, own, resource)));
});

test("a cluster that Istio was told the name of is part of an end's name, as in its spans; the one it makes up is not", () => {
	const told = need("istio_requests_total", { ...ISTIO, source_cluster: "east", destination_cluster: "west" });
	assert.equal(told.source.cluster, "east");
	assert.equal(told.target.cluster, "west");
	assert.equal(need("istio_requests_total", ISTIO).source.cluster, "");
});
