/** What an edge of a graph is gathered from, at any level of grouping, and the figures that come of it. */
import { type Endpoint, type NodeKind, nodeId, type GroupBy } from "./endpoint.ts";
import { LatencyHistogram, quantilesNs } from "./histogram.ts";
import { mtlsPercent, noMtlsCounts, overallStatus, statusesOf, verificationRank } from "./mtls-status.ts";
import type { MtlsStatus, Outcome, Protocol, Reporter, Unit, Verification } from "./series.ts";
import type { Witness } from "./voices.ts";

export interface LatencyFigures {
	readonly p50: number;
	readonly p90: number;
	readonly p95: number;
	readonly p99: number;
	readonly max: number;
	readonly mean: number;
	/** Requests measured. */
	readonly count: number;
}

export interface EdgeMtls {
	readonly status: MtlsStatus;
	/** Share of mutual TLS among what is known, 0 to 100, never rounded to either; undefined when nothing is known. */
	readonly percent: number | undefined;
	/** In the edge's unit. */
	readonly counts: Readonly<Record<MtlsStatus, number>>;
	readonly sourcePrincipals: readonly string[];
	readonly destinationPrincipals: readonly string[];
	readonly tlsVersions: readonly string[];
	readonly ciphers: readonly string[];
	/** True when an end of the connection checked the certificate, for every request that is counted as mutual TLS. */
	readonly verified: boolean;
	/** The weakest word that is relied on. */
	readonly verifiedBy: Verification;
	/** Epoch ms; of the certificates in use at the end of the window, the first to expire. */
	readonly certificateNotAfterMs: number | undefined;
	readonly failedHandshakes: number;
	/** Other evidence, as good as the counted one, says otherwise. */
	readonly contradicted: boolean;
}

export interface Disagreement {
	/** Requests of which the two ends tell another outcome. */
	readonly count: number;
	readonly source: Readonly<Partial<Record<Outcome, number>>>;
	readonly destination: Readonly<Partial<Record<Outcome, number>>>;
}

export interface GraphEdge {
	/** 16 hex digits, the same in every window (edge-id.ts). */
	readonly id: string;
	/** Node ids. */
	readonly source: string;
	readonly target: string;
	readonly protocol: Protocol;
	readonly unit: Unit;
	/** Scaled up where the share of a sample is known. One of them is 0: the other unit's. */
	readonly requests: number;
	readonly connections: number;
	/** Observations behind the counts: fewer where a sample was scaled up. */
	readonly observed: number;
	/** Server errors and requests without a response, as the caller felt them. */
	readonly errors: number;
	readonly clientErrors: number;
	readonly errorRatio: number;
	/** Requests a second; 0 for connections, which tell nothing of a rate. */
	readonly requestRate: number;
	readonly bytes: { readonly sent: number; readonly received: number };
	/** What the caller feels, or what the callee measured where most of the requests were only seen there. */
	readonly latencyMs: LatencyFigures | undefined;
	readonly latencySide: "source" | "destination" | undefined;
	readonly sourceLatencyMs: LatencyFigures | undefined;
	readonly destinationLatencyMs: LatencyFigures | undefined;
	/** Between the two ends' means: network, and proxies where they are not measured. */
	readonly gapMs: number | undefined;
	/** Mean time in the app and in the proxies, where both kinds of spans were seen. */
	readonly hopTimeMs: { readonly app: number; readonly proxy: number; readonly count: number } | undefined;
	readonly reporter: Reporter;
	/** Observations by the rule they came by. */
	readonly evidence: Readonly<Record<string, number>>;
	/** Which kind of evidence gives the figures, of most of the requests. */
	readonly basis: {
		readonly counts: Witness | undefined;
		readonly latency: Witness | undefined;
		readonly mtls: Witness | undefined;
	};
	/** True when the counts may be a sample whose share is not known. */
	readonly sampled: boolean;
	readonly outcomes: Readonly<Record<Outcome, number>>;
	readonly codes: Readonly<Record<string, number>>;
	readonly flags: Readonly<Record<string, number>>;
	/** Requests of which tries were counted, their tries, and how many of these were not the first. */
	readonly attempts: { readonly requests: number; readonly tries: number; readonly retries: number } | undefined;
	readonly mtls: EdgeMtls;
	readonly disagreement: Disagreement | undefined;
	/** Epoch ms; undefined when only failed handshakes were seen. */
	readonly firstSeenMs: number | undefined;
	readonly lastSeenMs: number | undefined;
	/** Ids of the series behind it, all evidences. */
	readonly series: readonly number[];
}

export function noOutcomes(): Record<Outcome, number> {
	return { ok: 0, client_error: 0, server_error: 0, no_response: 0 };
}

/** A sum of histograms; of one it is that one, since most edges are one series and copying it costs as much as reading it. */
class GatheredHistogram {
	sum: LatencyHistogram | undefined = undefined;
	private isOwn = false;

	add(histogram: LatencyHistogram | undefined): void {
		if (histogram === undefined) return;
		if (this.sum === undefined) {
			this.sum = histogram;
			return;
		}
		if (!this.isOwn) {
			const own = new LatencyHistogram();
			own.add(this.sum);
			this.sum = own;
			this.isOwn = true;
		}
		this.sum.add(histogram);
	}
}

/** Sums of one edge; graph.ts adds to it what it decided to believe. */
export class EdgeSums {
	readonly id: string;
	readonly source: Endpoint;
	readonly target: Endpoint;
	readonly protocol: Protocol;
	readonly unit: Unit;
	readonly series: number[] = [];
	count = 0;
	observed = 0;
	readonly outcomes = noOutcomes();
	bytesSent = 0;
	bytesReceived = 0;
	readonly sourceLatency = new GatheredHistogram();
	readonly destinationLatency = new GatheredHistogram();
	sourceLatencyNs = 0;
	destinationLatencyNs = 0;
	appNs = 0;
	proxyNs = 0;
	appCount = 0;
	readonly reporters = new Map<Reporter, number>();
	readonly evidence = new Map<string, number>();
	/** Requests by the witness that is believed. */
	readonly basis = {
		counts: new Map<Witness, number>(),
		latency: new Map<Witness, number>(),
		mtls: new Map<Witness, number>(),
	};
	sampled = false;
	readonly codes = new Map<string, number>();
	readonly flags = new Map<string, number>();
	triedRequests = 0;
	tries = 0;
	readonly mtlsCounts = noMtlsCounts();
	/** Statuses that others, whose word is as good, tell. */
	readonly otherStatuses = new Set<MtlsStatus>();
	readonly sourcePrincipals = new Set<string>();
	readonly destinationPrincipals = new Set<string>();
	readonly tlsVersions = new Set<string>();
	readonly ciphers = new Set<string>();
	/** Of what is counted as mutual TLS. */
	weakest: Verification | undefined = undefined;
	notAfterMs: number | undefined = undefined;
	failedHandshakes = 0;
	disagreementCount = 0;
	readonly sourceSays = noOutcomes();
	readonly destinationSays = noOutcomes();
	firstMs = Infinity;
	lastMs = -Infinity;

	constructor(id: string, source: Endpoint, target: Endpoint, protocol: Protocol, unit: Unit) {
		this.id = id;
		this.source = source;
		this.target = target;
		this.protocol = protocol;
		this.unit = unit;
	}

	/** What makes up rate, errors, duration and mTLS; not who said so. */
	add(other: EdgeSums): void {
		this.count += other.count;
		this.observed += other.observed;
		for (const outcome of Object.keys(this.outcomes) as Outcome[]) this.outcomes[outcome] += other.outcomes[outcome];
		this.bytesSent += other.bytesSent;
		this.bytesReceived += other.bytesReceived;
		this.sourceLatency.add(other.sourceLatency.sum);
		this.destinationLatency.add(other.destinationLatency.sum);
		this.sourceLatencyNs += other.sourceLatencyNs;
		this.destinationLatencyNs += other.destinationLatencyNs;
		if (other.sampled) this.sampled = true;
		for (const status of Object.keys(this.mtlsCounts) as MtlsStatus[]) this.mtlsCounts[status] += other.mtlsCounts[status];
		for (const status of other.otherStatuses) this.otherStatuses.add(status);
	}

	relyOn(verification: Verification): void {
		if (this.weakest === undefined || verificationRank(verification) > verificationRank(this.weakest))
			this.weakest = verification;
	}
}

export function addTo<K>(into: Map<K, number>, key: K, count: number): void {
	into.set(key, (into.get(key) ?? 0) + count);
}

/** @param seconds length of the window */
export function finishEdge(sums: EdgeSums, groupBy: GroupBy, seconds: number): GraphEdge {
	const { id, unit, count, outcomes } = sums;
	const errors = outcomes.server_error + outcomes.no_response;
	const isRequests = unit === "requests";
	const source = latencyFigures(sums.sourceLatency.sum, sums.sourceLatencyNs);
	const destination = latencyFigures(sums.destinationLatency.sum, sums.destinationLatencyNs);
	const side = latencySide(source?.count ?? 0, destination?.count ?? 0);
	return {
		id,
		source: nodeId(sums.source, groupBy),
		target: nodeId(sums.target, groupBy),
		protocol: sums.protocol,
		unit,
		requests: isRequests ? count : 0,
		connections: isRequests ? 0 : count,
		observed: sums.observed,
		errors,
		clientErrors: outcomes.client_error,
		errorRatio: count > 0 ? errors / count : 0,
		requestRate: isRequests ? count / seconds : 0,
		bytes: { sent: sums.bytesSent, received: sums.bytesReceived },
		latencyMs: side === "destination" ? destination : source,
		latencySide: side,
		sourceLatencyMs: source,
		destinationLatencyMs: destination,
		gapMs: source === undefined || destination === undefined ? undefined : source.mean - destination.mean,
		hopTimeMs:
			sums.appCount > 0
				? {
						app: sums.appNs / sums.appCount / 1e6,
						proxy: sums.proxyNs / sums.appCount / 1e6,
						count: sums.appCount,
					}
				: undefined,
		reporter: mostOf(sums.reporters) ?? "both",
		evidence: mostFirst(sums.evidence),
		basis: { counts: mostOf(sums.basis.counts), latency: mostOf(sums.basis.latency), mtls: mostOf(sums.basis.mtls) },
		sampled: sums.sampled,
		outcomes: { ...outcomes },
		codes: mostFirst(sums.codes),
		flags: mostFirst(sums.flags),
		attempts:
			sums.triedRequests > 0
				? { requests: sums.triedRequests, tries: sums.tries, retries: Math.max(0, sums.tries - sums.triedRequests) }
				: undefined,
		mtls: finishMtls(sums),
		disagreement:
			sums.disagreementCount > 0
				? {
						count: sums.disagreementCount,
						source: someOf(sums.sourceSays),
						destination: someOf(sums.destinationSays),
					}
				: undefined,
		firstSeenMs: sums.firstMs <= sums.lastMs ? sums.firstMs : undefined,
		lastSeenMs: sums.firstMs <= sums.lastMs ? sums.lastMs : undefined,
		series: sums.series,
	};
}

function finishMtls(sums: EdgeSums): EdgeMtls {
	const counted = statusesOf(sums.mtlsCounts);
	const status = overallStatus(new Set([...counted, ...sums.otherStatuses]));
	const verifiedBy = sums.weakest ?? "";
	return {
		status,
		percent: mtlsPercent(sums.mtlsCounts),
		counts: { ...sums.mtlsCounts },
		sourcePrincipals: [...sums.sourcePrincipals].sort(),
		destinationPrincipals: [...sums.destinationPrincipals].sort(),
		tlsVersions: [...sums.tlsVersions].sort(),
		ciphers: [...sums.ciphers].sort(),
		verified: verifiedBy === "server" || verifiedBy === "client",
		verifiedBy,
		certificateNotAfterMs: sums.notAfterMs,
		failedHandshakes: sums.failedHandshakes,
		contradicted: status !== overallStatus(counted),
	};
}

const QUANTILES = [0.5, 0.9, 0.95, 0.99, 1] as const;

/** In ms; undefined when nothing was measured. */
export function latencyFigures(histogram: LatencyHistogram | undefined, sumNs: number): LatencyFigures | undefined {
	const values = histogram && quantilesNs(histogram, QUANTILES);
	if (histogram === undefined || values === undefined) return undefined;
	const count = histogram.total();
	const [p50, p90, p95, p99, max] = values as readonly [number, number, number, number, number];
	return {
		p50: p50 / 1e6,
		p90: p90 / 1e6,
		p95: p95 / 1e6,
		p99: p99 / 1e6,
		max: max / 1e6,
		mean: count > 0 ? sumNs / count / 1e6 : 0,
		count,
	};
}

/** The caller's, unless it knows of less than half as many requests. */
function latencySide(source: number, destination: number): "source" | "destination" | undefined {
	if (source === 0 && destination === 0) return undefined;
	return source * 2 >= destination ? "source" : "destination";
}

/** Of two equal ones the first by name, so that the order of series decides nothing. */
function mostOf<K extends string>(counts: ReadonlyMap<K, number>): K | undefined {
	let most: K | undefined;
	let mostCount = 0;
	for (const [key, count] of counts) {
		if (most !== undefined && (count < mostCount || (count === mostCount && key > most))) continue;
		most = key;
		mostCount = count;
	}
	return most;
}

/** Most first, so that a person reads what matters first. */
function mostFirst(counts: ReadonlyMap<string, number>): Record<string, number> {
	// Of most edges there is one, or none.
	if (counts.size <= 1) {
		const only: Record<string, number> = {};
		for (const [key, count] of counts) if (count > 0) only[key] = count;
		return only;
	}
	return Object.fromEntries([...counts].filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)));
}

function someOf(outcomes: Readonly<Record<Outcome, number>>): Partial<Record<Outcome, number>> {
	return Object.fromEntries(Object.entries(outcomes).filter(([, count]) => count > 0));
}

/** What a node is, where its endpoints say different things: a gateway is one for all. */
export function kindOf(a: NodeKind, b: NodeKind): NodeKind {
	return a === "gateway" || b === "gateway" ? "gateway" : a;
}
