/** What the proxy counts of itself: upstreams, ejections, breakers, handshakes, configuration, certificates, telemetry. */
import type { Direction, HttpHop, ProxyEvent, TcpHop } from "./hop.ts";
import { LabelSet, type MetricFamily, NO_LABELS, type Sample } from "./metric-family.ts";
import type { SpanExporterStats } from "./span-exporter.ts";

/** What others measure at the moment it is asked for: active requests, budgets, pools. */
export interface Gauge {
	/** `meshscope_…`, in Prometheus' alphabet. */
	readonly name: string;
	readonly help: string;
	readonly labels: readonly (readonly [name: string, value: string])[];
	readonly value: number;
}

export interface ProxyMetricsOptions {
	readonly epochMs: () => number;
	readonly gauges: () => Iterable<Gauge>;
	readonly spans: () => SpanExporterStats | undefined;
	readonly accessLogDropped: () => number;
	readonly seriesOverflowed: () => number;
}

interface Counter {
	readonly labels: LabelSet;
	readonly startMs: number;
	value: number;
}

/** Of all counters together: clusters come from policy, and from passthrough hosts. */
const MAX_COUNTERS = 4_000;
const MAX_UPSTREAMS = 1_000;

const HELP: Readonly<Record<string, string>> = {
	meshscope_upstream_requests_total: "Requests by cluster and class of the answer.",
	meshscope_upstream_retries_total: "Retries, beyond first attempts.",
	meshscope_fallbacks_total: "Answers that were a route's fallback.",
	meshscope_faults_injected_total: "Requests that a fault was injected into.",
	meshscope_authz_decisions_total: "Verdicts of authorisation policies.",
	meshscope_ejections_total: "Endpoints taken out by outlier detection.",
	meshscope_returns_total: "Endpoints taken back after an ejection.",
	meshscope_breaker_transitions_total: "Changes of circuit breakers.",
	meshscope_handshake_failures_total: "TLS handshakes that failed, with callers and with upstreams.",
	meshscope_config_updates_total: "Configurations that were taken or refused.",
};

export class ProxyMetrics {
	private readonly options: ProxyMetricsOptions;
	private readonly startMs: number;
	private readonly counters = new Map<string, Map<string, Counter>>();
	private countersMade = 0;
	/** By cluster, then by the status' first digit. */
	private readonly upstreams = new Map<string, (Counter | undefined)[]>();
	private readonly openTcp: Record<Direction, number> = { inbound: 0, outbound: 0 };
	private readonly certificates = new Map<string, number>();
	private configVersion = "";

	constructor(options: ProxyMetricsOptions) {
		this.options = options;
		this.startMs = options.epochMs();
	}

	http(hop: HttpHop): void {
		const { upstreamCluster, status } = hop;
		let byClass = this.upstreams.get(upstreamCluster);
		if (byClass === undefined) {
			if (this.upstreams.size >= MAX_UPSTREAMS) this.upstreams.clear();
			this.upstreams.set(upstreamCluster, (byClass = []));
		}
		const ofClass = Math.floor(status / 100);
		const counter = (byClass[ofClass] ??= this.counter("meshscope_upstream_requests_total", [
			["cluster", upstreamCluster],
			["response_class", ofClass === 0 ? "none" : `${ofClass}xx`],
		]));
		counter.value++;
		if (hop.retries > 0) this.count("meshscope_upstream_retries_total", [["cluster", upstreamCluster]], hop.retries);
		if (hop.fellBack) this.count("meshscope_fallbacks_total", [["cluster", upstreamCluster]]);
		if (hop.faultInjected) this.count("meshscope_faults_injected_total", [["cluster", upstreamCluster]]);
		this.verdict(hop);
	}

	tcp(hop: TcpHop): void {
		this.openTcp[hop.direction] = Math.max(0, this.openTcp[hop.direction] - 1);
		this.verdict(hop);
	}

	tcpOpened(direction: Direction): void {
		this.openTcp[direction]++;
	}

	event(event: ProxyEvent): void {
		switch (event.kind) {
			case "ejected":
				return this.count("meshscope_ejections_total", [
					["cluster", event.cluster],
					["reason", event.reason],
				]);
			case "returned":
				return this.count("meshscope_returns_total", [["cluster", event.cluster]]);
			case "breaker":
				return this.count("meshscope_breaker_transitions_total", [
					["cluster", event.cluster],
					["from", event.from],
					["to", event.to],
				]);
			case "handshake_failed":
				return this.count("meshscope_handshake_failures_total", [["direction", event.direction]]);
			case "config":
				if (event.accepted) this.configVersion = event.version;
				return this.count("meshscope_config_updates_total", [["accepted", String(event.accepted)]]);
			case "certificate":
				if (this.certificates.size < 256 || this.certificates.has(event.principal))
					this.certificates.set(event.principal, event.notAfterMs);
		}
	}

	families(): MetricFamily[] {
		const families: MetricFamily[] = [];
		for (const [name, series] of this.counters)
			families.push({ name, help: HELP[name] ?? name, kind: "counter", unit: "1", samples: [...series.values()] });
		families.push(...this.gauges(), ...this.telemetryFamilies());
		return families;
	}

	private verdict({ authzDecision, authzPolicy }: HttpHop | TcpHop): void {
		if (authzDecision === "") return;
		this.count("meshscope_authz_decisions_total", [
			["decision", authzDecision],
			["policy", authzPolicy],
		]);
	}

	private count(name: string, labels: readonly (readonly [string, string])[], by = 1): void {
		this.counter(name, labels).value += by;
	}

	private counter(name: string, labels: readonly (readonly [string, string])[]): Counter {
		let series = this.counters.get(name);
		if (series === undefined) this.counters.set(name, (series = new Map()));
		let pairs = labels.map(([label, value]): [string, string] => [label, value.slice(0, 256)]);
		let key = pairs.map(([, value]) => value).join("\n");
		if (!series.has(key) && this.countersMade >= MAX_COUNTERS) {
			pairs = labels.map(([label]) => [label, "(overflow)"]);
			key = "(overflow)";
		}
		let counter = series.get(key);
		if (counter === undefined) {
			this.countersMade++;
			counter = { labels: new LabelSet(pairs), startMs: this.options.epochMs(), value: 0 };
			series.set(key, counter);
		}
		return counter;
	}

	private gauges(): MetricFamily[] {
		const now = this.options.epochMs();
		const byName = new Map<string, { help: string; samples: Sample[] }>();
		const add = ({ name, help, labels, value }: Gauge): void => {
			let family = byName.get(name);
			if (family === undefined) byName.set(name, (family = { help, samples: [] }));
			family.samples.push({ labels: new LabelSet(labels), startMs: this.startMs, value });
		};
		for (const [principal, notAfterMs] of this.certificates)
			add({
				name: "meshscope_cert_expiry_seconds",
				help: "Until the proxy's certificate ends; negative once it has.",
				labels: [["principal", principal]],
				value: Math.round((notAfterMs - now) / 1000),
			});
		if (this.configVersion !== "")
			add({
				name: "meshscope_config_info",
				help: "The configuration in force.",
				labels: [["version", this.configVersion]],
				value: 1,
			});
		for (const direction of ["inbound", "outbound"] as const)
			add({
				name: "meshscope_tcp_connections_active",
				help: "TCP connections that are open.",
				labels: [["direction", direction]],
				value: this.openTcp[direction],
			});
		for (const gauge of this.options.gauges()) add(gauge);
		return [...byName].map(([name, { help, samples }]) => ({ name, help, kind: "gauge", unit: "1", samples }));
	}

	private telemetryFamilies(): MetricFamily[] {
		const counter = (name: string, help: string, samples: readonly (readonly [LabelSet, number])[]): MetricFamily => ({
			name,
			help,
			kind: "counter",
			unit: "1",
			samples: samples.map(([labels, value]) => ({ labels, startMs: this.startMs, value })),
		});
		const families = [
			counter("meshscope_access_log_dropped_total", "Lines of the access log that found no room.", [
				[NO_LABELS, this.options.accessLogDropped()],
			]),
			counter("meshscope_metric_series_overflowed_total", "Hops that found no series of their own.", [
				[NO_LABELS, this.options.seriesOverflowed()],
			]),
		];
		const spans = this.options.spans();
		if (spans === undefined) return families;
		const dropped = Object.entries(spans.dropped).map(
			([reason, value]) => [new LabelSet([["reason", reason]]), value] as const,
		);
		return [
			...families,
			counter("meshscope_spans_sent_total", "Spans that the collector took.", [[NO_LABELS, spans.sentSpans]]),
			counter("meshscope_spans_dropped_total", "Spans that the collector never got.", dropped),
			counter("meshscope_span_retries_total", "Chunks of spans that were sent again.", [[NO_LABELS, spans.retries]]),
			{
				name: "meshscope_span_queue_bytes",
				help: "Bytes of spans that wait for the collector.",
				kind: "gauge",
				unit: "By",
				samples: [{ labels: NO_LABELS, startMs: this.startMs, value: spans.queuedBytes }],
			},
		];
	}
}
