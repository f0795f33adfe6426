import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { attributeMap, decodeProtobuf, type KeyValue, metricsOf } from "../../test/interop/otlp.ts";
import type { HttpHop } from "./hop.ts";
import { LabelSet, type MetricFamily } from "./metric-family.ts";
import { encodeMetricsRequest } from "./metrics-request.ts";
import { prometheusText } from "./prometheus-text.ts";
import { encodeResource, encodeScope } from "./span-chunk.ts";
import { answering, httpHop, mutualTls, noTls, peer, spiffeId, tcpHop, workload } from "./test-kit.ts";
import { trafficFamilies, TrafficMetrics } from "./traffic-metrics.ts";

/** Of decoded metrics what is asked for here. */
interface ToldData {
	readonly aggregationTemporality?: number;
	readonly isMonotonic?: boolean;
	readonly dataPoints: readonly {
		readonly attributes?: readonly KeyValue[];
		readonly startTimeUnixNano?: string;
		readonly timeUnixNano?: string;
		readonly asInt?: string;
		readonly asDouble?: number;
		readonly count?: string;
		readonly sum?: number;
		readonly bucketCounts?: readonly string[];
		readonly explicitBounds?: readonly number[];
	}[];
}

const START_MS = 1_764_000_000_000;

function counting(maxSeries?: number): TrafficMetrics {
	return new TrafficMetrics({ cluster: "", epochMs: () => START_MS, ...(maxSeries === undefined ? {} : { maxSeries }) });
}

function familyOf(metrics: TrafficMetrics, name: string): MetricFamily {
	return trafficFamilies(metrics.series()).find((family) => family.name === name)!;
}

function labelsOf(metrics: TrafficMetrics): Readonly<Record<string, string>>[] {
	return [...metrics.series()].map(({ labels }) => Object.fromEntries(labels.pairs));
}

test("labels are Istio's: both ends, codes, flags, policy and principals", () => {
	const metrics = counting();
	metrics.http(httpHop({ status: 503, responseFlags: "UF", subset: "v2" }));
	const [labels] = labelsOf(metrics);
	assert.deepEqual(labels, {
		reporter: "source",
		source_workload: "shop-v1",
		source_workload_namespace: "demo",
		source_principal: spiffeId("shop"),
		source_app: "shop",
		source_version: "v1",
		source_canonical_service: "shop",
		source_canonical_revision: "v1",
		source_cluster: "unknown",
		destination_workload: "cart-v1",
		destination_workload_namespace: "demo",
		destination_principal: spiffeId("cart"),
		destination_app: "cart",
		destination_version: "v2",
		destination_canonical_service: "cart",
		destination_canonical_revision: "v2",
		destination_cluster: "unknown",
		destination_service: "cart.demo.svc.cluster.local",
		destination_service_name: "cart",
		destination_service_namespace: "demo",
		response_flags: "UF",
		connection_security_policy: "mutual_tls",
		meshscope_mtls_status: "mutual_tls",
		meshscope_peer_verified: "true",
		meshscope_counted_by: "metric",
		request_protocol: "http",
		response_code: "503",
		grpc_response_status: "",
	});
});

test("the destination turns the ends around, and one-way TLS is not mutual", () => {
	const metrics = counting();
	const tls = mutualTls("", "cart", { status: "tls", clientPrincipal: "", peerVerified: false });
	metrics.http(answering(httpHop(), { tls }));
	const [labels] = labelsOf(metrics);
	assert.deepEqual(
		["reporter", "source_app", "destination_app", "connection_security_policy", "source_principal"].map(
			(key) => labels![key],
		),
		["destination", "shop", "cart", "none", "unknown"],
	);
});

test("each difference in a label is a series of its own, and nothing else is", () => {
	const variants: readonly Partial<HttpHop>[] = [
		{},
		{ status: 404 },
		{ isGrpc: true, grpcStatus: 0 },
		{ isGrpc: true, grpcStatus: 14 },
		{ responseFlags: "UO" },
		{ tls: noTls("plaintext", "disabled") },
		{ peer: peer("orders") },
		{ peer: peer("cart", { workload: "cart-v2" }) },
		{ subset: "v2" },
		{ local: workload("shop", { instanceId: "shop-2" }) },
	];
	const metrics = counting();
	const same: readonly Partial<HttpHop>[] = [
		{},
		{ path: "/other", requestId: "r", userAgent: "u", durationNs: 5, method: "POST" },
		{ peer: peer("cart", { address: "10.0.0.99", port: 1 }) },
		{ tls: mutualTls("shop", "cart", { serverNotAfterMs: 5 }), configVersion: "8", route: "canary" },
	];
	for (const variant of variants) for (const more of same) metrics.http(httpHop({ ...more, ...variant }));
	assert.equal(metrics.seriesCount, variants.length);
	const requests = familyOf(metrics, "istio_requests_total").samples.map(({ value }) => value);
	assert.deepEqual(
		requests,
		variants.map(() => same.length),
	);
});

test("counts are those of a plain map by labels, whatever comes in which order", () => {
	const hops = fc.array(
		fc.record({
			status: fc.constantFrom(200, 404, 503),
			service: fc.constantFrom("a", "b", "c", ""),
			inbound: fc.boolean(),
			flags: fc.constantFrom("", "UF"),
			address: fc.constantFrom("10.0.0.1", "10.0.0.2"),
		}),
		{ maxLength: 200 },
	);
	fc.assert(
		fc.property(hops, (all) => {
			const metrics = counting();
			const expected = new Map<string, number>();
			for (const { status, service, inbound, flags, address } of all) {
				const out = httpHop({
					status,
					responseFlags: flags,
					peer: peer(service, { address }),
					tls: noTls("plaintext", ""),
				});
				metrics.http(inbound ? answering(out, { peer: peer(service, { address }) }) : out);
				const key = [status, service, inbound, flags, inbound && service === "" ? address : ""].join();
				expected.set(key, (expected.get(key) ?? 0) + 1);
			}
			const counts = familyOf(metrics, "istio_requests_total").samples.map(({ value }) => Number(value));
			assert.deepEqual(counts.toSorted(), [...expected.values()].toSorted());
		}),
		{ numRuns: 200 },
	);
});

test("series are bounded: what comes beyond is gathered and said to be, and idle ones make room", () => {
	const metrics = counting(50);
	for (let i = 0; i < 500; i++) metrics.http(httpHop({ peer: peer(`service-${i}`) }));
	assert.ok(metrics.seriesCount <= 52, String(metrics.seriesCount));
	assert.equal(metrics.overflowed, 450);
	const gathered = labelsOf(metrics).find((labels) => labels["otel_metric_overflow"] === "true")!;
	assert.deepEqual([gathered["source_app"], gathered["destination_app"]], ["shop", "unknown"]);
	const total = familyOf(metrics, "istio_requests_total").samples.reduce((sum, { value }) => sum + Number(value), 0);
	assert.equal(total, 500);
	for (const series of metrics.series()) series.toldChanges = series.changes;
	for (let i = 0; i < 3; i++) metrics.sweep(3);
	assert.ok(metrics.seriesCount <= 25, String(metrics.seriesCount));
	metrics.http(httpHop({ peer: peer("service-0") }));
	assert.ok(labelsOf(metrics).some((labels) => labels["destination_app"] === "service-0"));
});

test("TCP counts connections and bytes by role, failed handshakes are counted at the source", () => {
	const metrics = counting();
	metrics.tcp(tcpHop());
	metrics.http(httpHop({ tls: noTls("unknown", "wrong_identity"), failedHandshakes: 1, status: 503 }));
	const valueOf = (name: string): unknown => familyOf(metrics, name).samples[0]?.value;
	assert.deepEqual(
		["opened_total", "closed_total"].map((name) => valueOf(`istio_tcp_connections_${name}`)),
		[1, 1],
	);
	assert.deepEqual([valueOf("istio_tcp_received_bytes_total"), valueOf("istio_tcp_sent_bytes_total")], [100, 2000]);
	assert.equal(valueOf("meshscope_tls_handshake_failures_total"), 1);
});

test("as Prometheus text, labels are escaped and buckets cumulative", () => {
	const metrics = counting();
	metrics.http(httpHop({ authority: 'a"b\\c\nd', peer: peer(""), upstreamCluster: "PassthroughCluster", durationNs: 3e6 }));
	metrics.http(httpHop({ authority: 'a"b\\c\nd', peer: peer(""), upstreamCluster: "PassthroughCluster", durationNs: 70e6 }));
	const text = prometheusText(trafficFamilies(metrics.series()));
	for (const line of text.split("\n"))
		assert.match(line, /^(?:|# (?:HELP|TYPE) .+|[a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+\})? [\d.e+-]+)$/);
	assert.ok(text.includes('destination_service="a\\"b\\\\c\\nd"'));
	const bucket = (le: string): string | undefined =>
		new RegExp(`istio_request_duration_milliseconds_bucket\\{.*le="${le}"\\} (\\d+)`).exec(text)?.[1];
	assert.deepEqual(["2.5", "5", "50", "100", "\\+Inf"].map(bucket), ["0", "1", "1", "2", "2"]);
	assert.match(text, /istio_request_duration_milliseconds_sum\{.*\} 73\n/);
});

test("as OTLP, every point is cumulative since its series began, with the same labels and values", () => {
	const metrics = counting();
	metrics.http(httpHop({ durationNs: 3e6 }));
	metrics.http(httpHop({ durationNs: 70e6 }));
	const gauge: MetricFamily = {
		name: "g",
		help: "h",
		kind: "gauge",
		unit: "1",
		samples: [{ labels: new LabelSet([["a", "ä"]]), startMs: 0, value: -1.5 }],
	};
	const message = encodeMetricsRequest(
		[
			{
				resource: encodeResource(workload("shop"), { cluster: "", version: "1" }),
				families: trafficFamilies(metrics.series()),
			},
			{ resource: encodeResource(workload("other"), { cluster: "", version: "1" }), families: [gauge] },
		],
		encodeScope("1"),
		START_MS + 10_000,
	)!;
	assert.equal(Buffer.from(message).readUInt32BE(1), message.length - 5);
	const told = metricsOf(decodeProtobuf("metrics", message.subarray(5)));
	assert.deepEqual(
		told.map(({ name }) => name),
		["istio_requests_total", "istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes", "g"],
	);
	const sum = told[0]!.sum as ToldData;
	assert.deepEqual([sum.aggregationTemporality, sum.isMonotonic], [2, true]);
	const [point] = sum.dataPoints;
	assert.deepEqual(
		[point!.startTimeUnixNano, point!.timeUnixNano, point!.asInt],
		[`${START_MS}000000`, `${START_MS + 10_000}000000`, "2"],
	);
	assert.deepEqual(attributeMap(point!.attributes)["destination_app"], { stringValue: "cart" });
	const [histogram] = (told[1]!.histogram as ToldData).dataPoints;
	assert.deepEqual([histogram!.count, histogram!.sum], ["2", 73]);
	assert.equal(histogram!.bucketCounts!.length, histogram!.explicitBounds!.length + 1);
	assert.equal(
		histogram!.bucketCounts!.reduce((all, count) => all + Number(count), 0),
		2,
	);
	assert.deepEqual((told[4]!.gauge as ToldData).dataPoints[0]!.asDouble, -1.5);
	assert.equal(encodeMetricsRequest([], encodeScope("1"), 0), undefined);
});
