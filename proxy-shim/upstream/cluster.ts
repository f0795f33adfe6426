/**
 * One cluster at work: its hosts, who of them is asked next, what it takes at once, and what is remembered of each answer. Mechanisms
 * are those of lb/ and resilience/; connections are those of the pools. Nothing here knows a request, so both tiers of the data path
 * ask it the same questions.
 */
import type { ClusterConfig, Endpoint } from "../../model/mesh/proxy-config.ts";
import { createTieredPool } from "../fast/tiered-pool.ts";
import { createBreaker } from "../resilience/breaker.ts";
import type { Breaker, BreakerState } from "../resilience/breaker.ts";
import { httpStatusOfGrpc } from "../resilience/grpc.ts";
import { createLimits, createRetryBudget } from "../resilience/limits.ts";
import type { Limits } from "../resilience/limits.ts";
import { createOutlierDetector } from "../resilience/outlier.ts";
import type { Tier } from "../http/server.ts";
import type { HopSink } from "../telemetry/hop.ts";
import type { ClientTls } from "../tls/client.ts";
import { createConnect } from "./connector.ts";
import type { ApplicationProtocol, PoolConnect } from "./connector.ts";
import type { AttemptOutcome, Host } from "./host.ts";
import { createHttp1Pool } from "./http1-pool.ts";
import { createHttp2Pool } from "./http2-pool.ts";
import type { HttpPool, PoolLimits } from "./http-pool.ts";
import { createPicker } from "./lb/picker.ts";

export interface ClusterParts {
	readonly clientTls: ClientTls;
	readonly random: () => number;
	/** Monotonic ms. */
	readonly nowMs: () => number;
	readonly events: Pick<HopSink, "event">;
	readonly tier: Tier;
}

/** Why no attempt is made, with Envoy's flag: `UO` for limits and breaker, `UH` for no host. */
export interface Refusal {
	readonly flag: "UO" | "UH";
	readonly reason: "breaker_open" | "max_requests" | "no_healthy_host";
}

/** An attempt under way; ended exactly once. */
export interface Attempt {
	readonly host: Host;
	/** Undefined: it came to nothing that says anything of the host (the caller went away). */
	end(outcome: AttemptOutcome | undefined): void;
}

export interface AttemptContext {
	/** `hashOf` of what the balancer hashes; 0 where it hashes nothing. */
	readonly hash: number;
	/** By earlier attempts of the request. */
	readonly tried: ReadonlySet<Host>;
}

export interface Cluster {
	readonly config: ClusterConfig;
	readonly limits: Limits;
	/** All of them, healthy or not. */
	readonly hosts: readonly Host[];
	begin(context: AttemptContext): Attempt | Refusal;
	/** One more than policy allows: a retry is made only where this says yes, and then ended by {@link endRetry}. */
	tryRetry(): boolean;
	endRetry(): void;
	breakerState(): "" | BreakerState;
	pool(host: Host, protocol: "http1" | "http2"): HttpPool;
	/** A connection outside the pools: TCP, upgrades, the fast tier. */
	connect(host: Host, protocol: ApplicationProtocol): PoolConnect;
	readonly poolLimits: PoolLimits;
	/** Hosts keep what is known of them for as long as their endpoint's ID stays. */
	setEndpoints(endpoints: readonly Endpoint[]): void;
	/** New connections from now on; the old ones end after what they carry. */
	renewConnections(): void;
	close(): void;
}

export function isRefusal(result: Attempt | Refusal): result is Refusal {
	return "flag" in result;
}

/** As Envoy calls it in Istio. */
export function clusterLabel(cluster: Cluster): string {
	const { name, host, port, subset } = cluster.config;
	return name === "PassthroughCluster" ? name : `outbound|${port}|${subset}|${host}`;
}

export function createHost(endpoint: Endpoint): Host {
	return {
		endpoint,
		activeRequests: 0,
		ewmaMs: 0,
		ewmaAtMs: 0,
		ejectedUntilMs: 0,
		outlier: {
			consecutive5xx: 0,
			consecutiveGatewayErrors: 0,
			consecutiveLocalOriginFailures: 0,
			successes: 0,
			total: 0,
			ejections: 0,
		},
	};
}

/** What breaker and balancer take for a failure. */
export function isFailure(outcome: AttemptOutcome): boolean {
	if (outcome.kind === "local") return true;
	if (outcome.status >= 500) return true;
	return outcome.grpcStatus !== undefined && httpStatusOfGrpc(outcome.grpcStatus) >= 500;
}

interface HostPools {
	http1: HttpPool | undefined;
	http2: HttpPool | undefined;
}

/** `inherited`: hosts of the cluster that this one takes the place of. */
export function createCluster(config: ClusterConfig, parts: ClusterParts, inherited: readonly Host[] = []): Cluster {
	const { nowMs, events } = parts;
	const picker = createPicker(config.loadBalancer, parts.random);
	const limits = createLimits(config.limits);
	const budget = createRetryBudget(config.retryBudget);
	const outlier =
		config.outlier === undefined
			? undefined
			: createOutlierDetector(config.outlier, { clusterName: config.name, onEvent: (event) => events.event(event) });
	const breaker: Breaker | undefined =
		config.breaker === undefined
			? undefined
			: createBreaker(config.breaker, (from, to) => events.event({ kind: "breaker", cluster: config.name, from, to }));
	const known = new Map(inherited.map((host) => [host.endpoint.id, host]));
	const pools = new Map<Host, HostPools>();
	let hosts: readonly Host[] = [];
	let usable: readonly Host[] = [];
	let closed = false;
	const sweeping =
		outlier === undefined || config.outlier === undefined
			? undefined
			: setInterval(() => outlier.sweep(usable, nowMs()), config.outlier.intervalMs).unref();

	const poolLimits: PoolLimits = {
		tryPending: () => limits.pending.tryAcquire(),
		endPending: () => limits.pending.release(),
		tryConnection: () => limits.connections.tryAcquire(),
		endConnection: () => limits.connections.release(),
	};

	function begin(context: AttemptContext): Attempt | Refusal {
		const startMs = nowMs();
		if (breaker !== undefined && !breaker.tryAcquire(startMs)) return { flag: "UO", reason: "breaker_open" };
		if (!limits.requests.tryAcquire()) {
			breaker?.onCancelled();
			return { flag: "UO", reason: "max_requests" };
		}
		const eligible = outlier === undefined ? usable : outlier.eligible(usable, startMs);
		const host = picker.pick(eligible, { nowMs: startMs, hash: context.hash, tried: context.tried });
		if (host === undefined) {
			breaker?.onCancelled();
			limits.requests.release();
			return { flag: "UH", reason: "no_healthy_host" };
		}
		host.activeRequests++;
		picker.onStart(host);
		let over = false;
		return {
			host,
			end(outcome) {
				if (over) return;
				over = true;
				const endMs = nowMs();
				host.activeRequests--;
				limits.requests.release();
				if (outcome === undefined) {
					breaker?.onCancelled();
					return;
				}
				const failed = isFailure(outcome);
				picker.onDone(host, endMs - startMs, endMs, failed);
				outlier?.report(host, outcome, endMs);
				breaker?.onResult(endMs - startMs, failed, endMs);
			},
		};
	}

	function poolOf(host: Host, protocol: "http1" | "http2"): HttpPool {
		let own = pools.get(host);
		if (own === undefined) pools.set(host, (own = { http1: undefined, http2: undefined }));
		const known = own[protocol];
		if (known !== undefined) return known;
		const settings = {
			connect: connectTo(host, protocol === "http1" ? "http/1.1" : "h2"),
			limits: poolLimits,
			idleTimeoutMs: config.limits.idleTimeoutMs,
			maxRequestsPerConnection: config.limits.maxRequestsPerConnection,
		};
		const createPlain = parts.tier === "fast" ? createTieredPool : createHttp1Pool;
		const pool = protocol === "http2" ? createHttp2Pool(settings) : createPlain(settings);
		// A retry in a cluster that was replaced meanwhile: its connections end with it.
		if (closed) pool.close();
		own[protocol] = pool;
		return pool;
	}

	function connectTo(host: Host, protocol: ApplicationProtocol): PoolConnect {
		return createConnect(parts.clientTls, host.endpoint, protocol, config.limits.connectTimeoutMs);
	}

	function closePools(host: Host): void {
		const own = pools.get(host);
		pools.delete(host);
		own?.http1?.close();
		own?.http2?.close();
	}

	return {
		config,
		limits,
		poolLimits,
		get hosts() {
			return hosts;
		},
		begin,
		tryRetry() {
			if (!limits.retries.tryAcquire()) return false;
			if (budget.tryAcquire(limits.requests.active + limits.pending.active)) return true;
			limits.retries.release();
			return false;
		},
		endRetry() {
			limits.retries.release();
			budget.release();
		},
		breakerState: () => breaker?.state(nowMs()) ?? "",
		pool: poolOf,
		connect: connectTo,
		setEndpoints(endpoints) {
			const next: Host[] = [];
			const seen = new Set<string>();
			for (const endpoint of endpoints) {
				if (seen.has(endpoint.id)) continue;
				seen.add(endpoint.id);
				const host = known.get(endpoint.id) ?? createHost(endpoint);
				if (!isSamePlace(host.endpoint, endpoint)) closePools(host);
				host.endpoint = endpoint;
				known.set(endpoint.id, host);
				next.push(host);
			}
			for (const [id, host] of known) {
				if (seen.has(id)) continue;
				known.delete(id);
				closePools(host);
			}
			hosts = next;
			const healthy = next.filter((host) => host.endpoint.healthy);
			// Envoy's panic: with fewer healthy hosts than this share, health is not believed. 0 never panics, as Istio has it.
			const panics = healthy.length * 100 < (config.outlier?.minHealthPercent ?? 0) * next.length;
			usable = panics ? next : healthy;
		},
		renewConnections() {
			for (const host of pools.keys()) closePools(host);
		},
		close() {
			closed = true;
			clearInterval(sweeping);
			for (const host of pools.keys()) closePools(host);
		},
	};
}

function isSamePlace(a: Endpoint, b: Endpoint): boolean {
	return a.address === b.address && a.port === b.port && a.principal === b.principal && a.hboneAddress === b.hboneAddress;
}
