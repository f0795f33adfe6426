/**
 * Istio's standard metrics of every hop, sampled or not. A series is found by comparison of fields, as span templates are; the number
 * of series is bounded, and what comes beyond it is gathered in one that says so.
 */
import type { Workload } from "../../model/mesh/proxy-config.ts";
import type { HopTls, HttpHop, TcpHop } from "./hop.ts";
import { Histogram, LabelSet, type MetricFamily, type Sample } from "./metric-family.ts";
import { countedBy, type CountedBy, trafficLabels } from "./traffic-labels.ts";

/** Istio's scale in ms, finer where services of a mesh are. */
const DURATION_BOUNDS = [
	0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
	3_600_000,
];
const SIZE_BOUNDS = [64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864, 268_435_456];

const SLOTS = 512;
const MAX_SERIES = 2_000;

export interface HttpSeries {
	readonly kind: "http";
	readonly workload: Workload;
	readonly labels: LabelSet;
	readonly startMs: number;
	readonly duration: Histogram;
	readonly requestBytes: Histogram;
	readonly responseBytes: Histogram;
	requests: number;
	requestMessages: number;
	responseMessages: number;
	failedHandshakes: number;
	/** Rises with every observation; what was told last. */
	changes: number;
	toldChanges: number;
	idleSweeps: number;
}

export interface TcpSeries {
	readonly kind: "tcp";
	readonly workload: Workload;
	readonly labels: LabelSet;
	readonly startMs: number;
	connections: number;
	receivedBytes: number;
	sentBytes: number;
	failedHandshakes: number;
	changes: number;
	toldChanges: number;
	idleSweeps: number;
}

export type TrafficSeries = HttpSeries | TcpSeries;

export interface TrafficMetricsOptions {
	readonly cluster: string;
	readonly epochMs: () => number;
	/** Some 5 KiB each with their encoded labels. */
	readonly maxSeries?: number;
}

interface Slot<Hop, Series> {
	readonly hop: Hop;
	readonly by: CountedBy;
	readonly series: Series;
}

export class TrafficMetrics {
	private readonly options: TrafficMetricsOptions;
	private readonly byLabels = new Map<string, TrafficSeries>();
	private readonly httpSlots = new Array<Slot<HttpHop, HttpSeries> | undefined>(SLOTS).fill(undefined);
	private readonly tcpSlots = new Array<Slot<TcpHop, TcpSeries> | undefined>(SLOTS).fill(undefined);
	/** Hops that found no room for a series of their own. */
	overflowed = 0;

	constructor(options: TrafficMetricsOptions) {
		this.options = options;
	}

	get seriesCount(): number {
		return this.byLabels.size;
	}

	http(hop: HttpHop): void {
		const by = countedBy(hop);
		const at = slotOf(hop, hop.status + 7 * (hop.grpcStatus ?? 31));
		let slot = this.httpSlots[at];
		if (slot === undefined || slot.by !== by || !isSameHttp(slot.hop, hop)) {
			const first = slot;
			slot = this.httpSlots[at ^ 1];
			if (slot === undefined || slot.by !== by || !isSameHttp(slot.hop, hop)) {
				// Two places for each hash: edges that share one take turns, and need not be looked up by their labels.
				slot = { hop, by, series: this.find(hop, by, newHttpSeries) };
				this.httpSlots[at ^ 1] = first;
				this.httpSlots[at] = slot;
			}
		}
		const { series } = slot;
		series.changes++;
		series.requests++;
		series.duration.record(hop.durationNs / 1e6);
		series.requestBytes.record(hop.requestBytes);
		series.responseBytes.record(hop.responseBytes);
		series.requestMessages += hop.requestMessages;
		series.responseMessages += hop.responseMessages;
		series.failedHandshakes += hop.failedHandshakes;
	}

	tcp(hop: TcpHop): void {
		const by = countedBy(hop);
		const at = slotOf(hop, 0);
		let slot = this.tcpSlots[at];
		if (slot === undefined || slot.by !== by || !isSameEdge(slot.hop, hop)) {
			slot = { hop, by, series: this.find(hop, by, newTcpSeries) };
			this.tcpSlots[at] = slot;
		}
		const { series } = slot;
		series.changes++;
		series.connections++;
		// In Istio's words what went to the server was received, and what came from it was sent, whoever reports.
		series.receivedBytes += hop.bytesSent;
		series.sentBytes += hop.bytesReceived;
		series.failedHandshakes += hop.failedHandshakes;
	}

	series(): Iterable<TrafficSeries> {
		return this.byLabels.values();
	}

	/** Where room grows short, lets go of series that did not move for as many calls as this. One that comes back begins anew. */
	sweep(idleSweeps: number): void {
		const { maxSeries = MAX_SERIES } = this.options;
		let isShort = this.byLabels.size > maxSeries / 2;
		for (const [key, series] of this.byLabels) {
			series.idleSweeps = series.changes === series.toldChanges ? series.idleSweeps + 1 : 0;
			if (!isShort || series.idleSweeps < idleSweeps) continue;
			this.byLabels.delete(key);
			this.httpSlots.fill(undefined);
			this.tcpSlots.fill(undefined);
			isShort = this.byLabels.size > maxSeries / 2;
		}
	}

	private find<Series extends TrafficSeries>(
		hop: HttpHop | TcpHop,
		by: CountedBy,
		make: (workload: Workload, labels: LabelSet, startMs: number) => Series,
	): Series {
		const { cluster, epochMs, maxSeries = MAX_SERIES } = this.options;
		let pairs = trafficLabels(hop, cluster, by);
		let key = keyOf(hop, pairs);
		if (!this.byLabels.has(key) && this.byLabels.size >= maxSeries) {
			this.overflowed++;
			pairs = overflowLabels(pairs, hop.direction === "outbound" ? "destination" : "source");
			key = keyOf(hop, pairs);
		}
		let series = this.byLabels.get(key);
		if (series === undefined) this.byLabels.set(key, (series = make(hop.local, new LabelSet(pairs), epochMs())));
		// The key begins with the kind, so that the series is of the kind that was asked for.
		return series as Series;
	}
}

function keyOf(hop: HttpHop | TcpHop, pairs: readonly (readonly [string, string])[]): string {
	return `${hop.kind}\n${hop.local.instanceId}\n${pairs.map(([, value]) => value).join("\n")}`;
}

/** The own end, the protocol and the reporter stay: few enough to be bounded by themselves. */
function overflowLabels(pairs: readonly (readonly [string, string])[], other: string): [string, string][] {
	const kept: [string, string][] = pairs.map(([name, value]) => {
		const isLost =
			name.startsWith(`${other}_`) ||
			name.startsWith("destination_service") ||
			name === "meshscope_source_address" ||
			name.endsWith("_principal") ||
			/^(?:response_code|grpc_response_status|response_flags)$/.test(name);
		return [name, isLost ? "unknown" : value];
	});
	return [...kept, ["otel_metric_overflow", "true"]];
}

function newHttpSeries(workload: Workload, labels: LabelSet, startMs: number): HttpSeries {
	return {
		kind: "http",
		workload,
		labels,
		startMs,
		duration: new Histogram(DURATION_BOUNDS),
		requestBytes: new Histogram(SIZE_BOUNDS),
		responseBytes: new Histogram(SIZE_BOUNDS),
		requests: 0,
		requestMessages: 0,
		responseMessages: 0,
		failedHandshakes: 0,
		changes: 0,
		toldChanges: 0,
		idleSweeps: 0,
	};
}

function newTcpSeries(workload: Workload, labels: LabelSet, startMs: number): TcpSeries {
	const counts = {
		connections: 0,
		receivedBytes: 0,
		sentBytes: 0,
		failedHandshakes: 0,
		changes: 0,
		toldChanges: 0,
		idleSweeps: 0,
	};
	return { kind: "tcp", workload, labels, startMs, ...counts };
}

function slotOf(hop: HttpHop | TcpHop, ending: number): number {
	const { peer, local, upstreamCluster } = hop;
	let hash = ending + 31 * textHash(local.instanceId);
	hash = Math.imul(hash, 31) + textHash(peer.workload) + textHash(peer.service);
	hash = Math.imul(hash, 31) + textHash(upstreamCluster);
	hash = Math.imul(hash, 31) + hop.responseFlags.length + (hop.direction === "outbound" ? 64 : 0);
	return (hash ^ (hash >>> 11) ^ (hash >>> 20)) & (SLOTS - 1);
}

/** Both ends and two places between: what tells names apart for the price of four reads. */
function textHash(text: string): number {
	const { length } = text;
	if (length === 0) return 0;
	const ends = text.charCodeAt(length - 1) + 131 * text.charCodeAt(length >> 1);
	return (ends + 17 * text.charCodeAt(length >> 2) + 257 * text.charCodeAt((length * 3) >> 2)) * 31 + length;
}

function isSameHttp(a: HttpHop, b: HttpHop): boolean {
	return (
		a.status === b.status &&
		a.grpcStatus === b.grpcStatus &&
		a.isGrpc === b.isGrpc &&
		isSameEdge(a, b) &&
		(b.upstreamCluster.includes("|") || a.authority === b.authority)
	);
}

function isSameEdge(a: HttpHop | TcpHop, b: HttpHop | TcpHop): boolean {
	return (
		a.direction === b.direction &&
		(a.local === b.local || a.local.instanceId === b.local.instanceId) &&
		a.responseFlags === b.responseFlags &&
		a.subset === b.subset &&
		a.upstreamCluster === b.upstreamCluster &&
		a.peer.service === b.peer.service &&
		a.peer.namespace === b.peer.namespace &&
		a.peer.workload === b.peer.workload &&
		(b.peer.service !== "" || a.peer.address === b.peer.address) &&
		(a.tls === b.tls || isSameTls(a.tls, b.tls))
	);
}

function isSameTls(a: HopTls, b: HopTls): boolean {
	return (
		a.status === b.status &&
		a.peerVerified === b.peerVerified &&
		a.clientPrincipal === b.clientPrincipal &&
		a.serverPrincipal === b.serverPrincipal
	);
}

const COUNTER = { kind: "counter", unit: "1" } as const;

/** Istio's families out of these series; those that count nothing have no sample. */
export function trafficFamilies(series: Iterable<TrafficSeries>): MetricFamily[] {
	const of: Record<string, Sample[]> = {};
	const add = (name: string, { labels, startMs }: TrafficSeries, value: number | Histogram): void => {
		(of[name] ??= []).push({ labels, startMs, value });
	};
	for (const one of series) {
		if (one.kind === "http") {
			add("requests", one, one.requests);
			add("duration", one, one.duration);
			add("requestBytes", one, one.requestBytes);
			add("responseBytes", one, one.responseBytes);
			if (one.requestMessages > 0) add("requestMessages", one, one.requestMessages);
			if (one.responseMessages > 0) add("responseMessages", one, one.responseMessages);
		} else {
			// A connection is told when it ends: then its ends and its bytes are known.
			add("opened", one, one.connections);
			add("closed", one, one.connections);
			add("received", one, one.receivedBytes);
			add("sent", one, one.sentBytes);
		}
		if (one.failedHandshakes > 0) add("handshakes", one, one.failedHandshakes);
	}
	const family = (key: string, name: string, help: string, more: Pick<MetricFamily, "kind" | "unit">): MetricFamily => ({
		name,
		help,
		...more,
		samples: of[key] ?? [],
	});
	const bytes = { kind: "histogram", unit: "By" } as const;
	return [
		family("requests", "istio_requests_total", "Requests.", COUNTER),
		family("duration", "istio_request_duration_milliseconds", "Durations of requests.", { kind: "histogram", unit: "ms" }),
		family("requestBytes", "istio_request_bytes", "Sizes of request bodies.", bytes),
		family("responseBytes", "istio_response_bytes", "Sizes of response bodies.", bytes),
		family("requestMessages", "istio_request_messages_total", "gRPC messages sent by clients.", COUNTER),
		family("responseMessages", "istio_response_messages_total", "gRPC messages sent by servers.", COUNTER),
		family("opened", "istio_tcp_connections_opened_total", "TCP connections, counted when they end.", COUNTER),
		family("closed", "istio_tcp_connections_closed_total", "TCP connections that ended.", COUNTER),
		family("received", "istio_tcp_received_bytes_total", "Bytes from clients to servers.", { kind: "counter", unit: "By" }),
		family("sent", "istio_tcp_sent_bytes_total", "Bytes from servers to clients.", { kind: "counter", unit: "By" }),
		family("handshakes", "meshscope_tls_handshake_failures_total", "Failed TLS handshakes with upstreams.", COUNTER),
	];
}
