/** Clusters of a proxy: what DestinationRules say of a host, a port and a subset, with Istio's defaults for what they leave out. */
import type {
	CircuitLimits,
	ClusterConfig,
	Endpoint,
	FailureRateBreaker,
	LoadBalancer,
	OutlierDetection,
	UpstreamProtocol,
	UpstreamTls,
	Workload,
} from "../proxy-config.ts";
import type { DestinationRule, PortPolicy, TrafficPolicy } from "./destination-rule.ts";
import { coveringIndex, serviceOfHost } from "./host-names.ts";
import { isExportedTo, type MeshHost, type MeshHosts } from "./mesh-hosts.ts";
import { warn } from "./place.ts";
import { type Policy, ROOT_NAMESPACE } from "./policy-set.ts";
import { formatSpiffeId, parseSpiffeId, trustDomainProblem } from "./spiffe.ts";
import { hasLabels, type Labels } from "./values.ts";

/**
 * Istio lifts Envoy's limits (1024, 1024, 1024, 3) to what 32 bits hold, with and without a DestinationRule: a limit that nobody wrote
 * must not be the first thing that a busy mesh notices. Retries stay bounded all the same, by the budget.
 */
const NO_LIMIT = 4_294_967_295;
const CONNECT_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 3_600_000;

export interface Clusters {
	/** The name of the cluster, which is made when it is first asked for; without endpoints where the host has no such subset. */
	use(host: string, port: number, subset: string | undefined): string;
	hasSubset(host: string, subset: string): boolean;
	/** Makes all that DestinationRules and ports know of a host. */
	useAll(host: MeshHost): void;
	readonly made: ReadonlyMap<string, ClusterConfig>;
}

interface Rule {
	readonly trafficPolicy: TrafficPolicy | undefined;
	readonly subsets: ReadonlyMap<string, { readonly labels: Labels; readonly trafficPolicy: TrafficPolicy | undefined }>;
}

export function compileClusters(hosts: MeshHosts, rules: readonly Policy<DestinationRule>[], workload: Workload): Clusters {
	const made = new Map<string, ClusterConfig>();
	const ruleOfHost = new Map<string, Rule>();
	const visible = rules
		.filter(({ spec, namespace }) => isExportedTo(spec.exportTo, namespace, workload.namespace))
		.filter(({ spec }) => hasLabels(workload.labels, spec.workloadSelector))
		.map((rule) => ({ rule, host: hosts.resolve(rule.spec.host, rule.namespace) }));

	const covering = coveringIndex(visible);

	function ruleOf(host: string): Rule {
		let rule = ruleOfHost.get(host);
		if (rule === undefined) {
			rule = merged(host, applying(host));
			ruleOfHost.set(host, rule);
		}
		return rule;
	}

	/** As in Istio: those of the caller's namespace, else of the service's, else of the root namespace; of these the most specific. */
	function applying(host: string): readonly Policy<DestinationRule>[] {
		const known = hosts.find(host);
		const own = known?.namespace ?? serviceOfHost(host)?.namespace;
		for (const namespace of [workload.namespace, own, ROOT_NAMESPACE]) {
			const fitting = covering(host).filter(({ rule }) => rule.namespace === namespace);
			if (fitting.length === 0) continue;
			// A suffix may be as long as a host below it: *.example.com and a.example.com.
			const exact = fitting.filter((one) => one.host === host);
			const longest = Math.max(...fitting.map((one) => one.host.length));
			return (exact.length > 0 ? exact : fitting.filter((one) => one.host.length === longest)).map(({ rule }) => rule);
		}
		return [];
	}

	function use(host: string, port: number, subset: string | undefined): string {
		const name = `${host}|${port}|${subset ?? ""}`;
		if (!made.has(name)) made.set(name, cluster(name, host, port, subset ?? "", hosts.find(host), ruleOf(host), workload));
		return name;
	}

	return {
		made,
		use,
		hasSubset: (host, subset) => ruleOf(host).subsets.has(subset),
		useAll: ({ host, ports }) => {
			for (const { port } of ports) {
				use(host, port, undefined);
				for (const subset of ruleOf(host).subsets.keys()) use(host, port, subset);
			}
		},
	};
}

/** Of several rules for one host the first traffic policy and the first subset of a name count. */
function merged(host: string, rules: readonly Policy<DestinationRule>[]): Rule {
	const subsets = new Map<string, { readonly labels: Labels; readonly trafficPolicy: TrafficPolicy | undefined }>();
	const [first] = rules;
	for (const rule of rules) {
		if (first !== undefined && rule !== first) {
			warn(
				rule.at,
				`${host} has DestinationRule ${first.namespace}/${first.name} already: subsets are joined, and the first trafficPolicy counts`,
			);
		}
		for (const { name, labels, trafficPolicy } of rule.spec.subsets ?? []) {
			if (!subsets.has(name)) subsets.set(name, { labels: labels ?? new Map(), trafficPolicy });
		}
	}
	return { trafficPolicy: rules.find(({ spec }) => spec.trafficPolicy !== undefined)?.spec.trafficPolicy, subsets };
}

type PolicyBlocks = Omit<PortPolicy, "port">;

/** A port's settings replace all others; a subset's replace the rule's block by block. */
function policyFor(rule: Rule, port: number, subset: string): PolicyBlocks | undefined {
	const whole = atPort(rule.trafficPolicy, port);
	const own = atPort(rule.subsets.get(subset)?.trafficPolicy, port);
	if (own === undefined || whole === undefined || own.isOfPort) return own ?? whole;
	return {
		loadBalancer: own.loadBalancer ?? whole.loadBalancer,
		connectionPool: own.connectionPool ?? whole.connectionPool,
		outlierDetection: own.outlierDetection ?? whole.outlierDetection,
		tls: own.tls ?? whole.tls,
		retryBudget: own.retryBudget ?? whole.retryBudget,
		meshscope: own.meshscope ?? whole.meshscope,
	};
}

function atPort(policy: TrafficPolicy | undefined, port: number): (PolicyBlocks & { readonly isOfPort: boolean }) | undefined {
	if (policy === undefined) return undefined;
	const own = policy.portLevelSettings?.find((one) => one.port === port);
	return { ...(own ?? policy), isOfPort: own !== undefined };
}

function cluster(
	name: string,
	host: string,
	port: number,
	subset: string,
	known: MeshHost | undefined,
	rule: Rule,
	workload: Workload,
): ClusterConfig {
	const policy = policyFor(rule, port, subset);
	const labels = rule.subsets.get(subset)?.labels ?? new Map<string, string>();
	const { service, namespace } = known ?? serviceOfHost(host) ?? { service: host, namespace: "" };
	const spoken = known?.ports.find((one) => one.port === port)?.protocol ?? "http";
	const protocol = protocolOf(spoken, policy);
	return {
		name,
		host,
		port,
		subset,
		service,
		namespace,
		external: known?.entry !== undefined && known.entry.spec.location !== "MESH_INTERNAL",
		protocol,
		labels: Object.fromEntries(labels),
		// Without the subset's labels every endpoint would fit.
		discovery:
			subset !== "" && !rule.subsets.has(subset)
				? { kind: "static", endpoints: [] }
				: discoveryOf(host, port, known, labels, workload),
		tls: tlsOf(policy, known),
		loadBalancer: loadBalancerOf(policy),
		limits: limitsOf(policy, protocol),
		outlier: outlierOf(policy),
		breaker: breakerOf(policy),
		retryBudget: {
			percent: policy?.meshscope?.retryBudget?.percent ?? policy?.retryBudget?.percent ?? 20,
			minConcurrent: policy?.meshscope?.retryBudget?.minConcurrent ?? policy?.retryBudget?.minRetryConcurrency ?? 3,
		},
	};
}

function protocolOf(spoken: string, policy: PolicyBlocks | undefined): UpstreamProtocol {
	if (spoken === "tcp") return "tcp";
	return spoken === "http2" || spoken === "grpc" || policy?.connectionPool?.http?.h2UpgradePolicy === "UPGRADE"
		? "http2"
		: "http1";
}

// ---- discovery

function discoveryOf(
	host: string,
	port: number,
	known: MeshHost | undefined,
	labels: Labels,
	workload: Workload,
): ClusterConfig["discovery"] {
	const entry = known?.entry;
	if (entry === undefined) return { kind: "registry" };
	const { spec } = entry;
	const declared = spec.ports.find(({ number }) => number === port);
	const targetPort = declared?.targetPort ?? port;
	const endpoints = (spec.endpoints ?? [])
		.filter((one) => hasLabels(Object.fromEntries(one.labels ?? []), labels))
		.map((one) => ({ ...one, port: (declared === undefined ? undefined : one.ports?.get(declared.name)) ?? targetPort }));
	if (spec.resolution === "STATIC") {
		return {
			kind: "static",
			endpoints: endpoints.map((one): Endpoint => ({
				id: one.address.includes(":") ? `[${one.address}]:${one.port}` : `${one.address}:${one.port}`,
				address: one.address,
				port: one.port,
				labels: Object.fromEntries(one.labels ?? []),
				weight: one.weight ?? 1,
				principal: principalOf(entry.namespace, one.serviceAccount, spec, workload),
				healthy: true,
				hboneAddress: undefined,
			})),
		};
	}
	if (spec.endpoints === undefined) return { kind: "dns", endpoints: [{ host, port: targetPort, weight: 1 }] };
	return { kind: "dns", endpoints: endpoints.map((one) => ({ host: one.address, port: one.port, weight: one.weight ?? 1 })) };
}

/** Only what stands inside the mesh has an identity: the endpoint's service account, else the entry's only name where that is an ID. */
function principalOf(
	namespace: string,
	serviceAccount: string | undefined,
	spec: NonNullable<MeshHost["entry"]>["spec"],
	{ trustDomain }: Workload,
): string | undefined {
	if (spec.location !== "MESH_INTERNAL") return undefined;
	if (serviceAccount !== undefined && trustDomainProblem(trustDomain) === undefined)
		return formatSpiffeId({ trustDomain, namespace, serviceAccount });
	const [only, ...more] = spec.subjectAltNames ?? [];
	return only !== undefined && more.length === 0 && parseSpiffeId(only).ok ? only : undefined;
}

// ---- traffic policy

function tlsOf(policy: PolicyBlocks | undefined, known: MeshHost | undefined): UpstreamTls {
	const tls = policy?.tls;
	if (tls === undefined) return { mode: "auto" };
	if (tls.mode === "DISABLE") return { mode: "disable" };
	const subjectAltNames = tls.subjectAltNames ?? known?.entry?.spec.subjectAltNames ?? [];
	if (tls.mode === "ISTIO_MUTUAL") return { mode: "istio_mutual", subjectAltNames, sni: tls.sni };
	return {
		mode: tls.mode === "SIMPLE" ? "simple" : "mutual",
		caFile: tls.caCertificates,
		certificateFile: tls.clientCertificate,
		keyFile: tls.privateKey,
		subjectAltNames,
		sni: tls.sni,
		insecureSkipVerify: tls.insecureSkipVerify ?? false,
	};
}

function loadBalancerOf(policy: PolicyBlocks | undefined): LoadBalancer {
	if (policy?.meshscope?.loadBalancer === "PEAK_EWMA") return { kind: "peak_ewma", defaultRttMs: 30, decayMs: 10_000 };
	const hashing = policy?.loadBalancer?.consistentHash;
	if (hashing !== undefined) {
		const minimumRingSize = hashing.ringHash?.minimumRingSize ?? 1024;
		if (hashing.httpHeaderName !== undefined)
			return { kind: "ring_hash", minimumRingSize, hash: { on: "header", name: hashing.httpHeaderName } };
		if (hashing.httpQueryParameterName !== undefined)
			return { kind: "ring_hash", minimumRingSize, hash: { on: "query", name: hashing.httpQueryParameterName } };
		const cookie = hashing.httpCookie;
		if (cookie === undefined) return { kind: "ring_hash", minimumRingSize, hash: { on: "source_ip" } };
		return {
			kind: "ring_hash",
			minimumRingSize,
			hash: { on: "cookie", name: cookie.name, path: cookie.path ?? "/", ttlMs: cookie.ttl },
		};
	}
	switch (policy?.loadBalancer?.simple) {
		case "ROUND_ROBIN":
			return { kind: "round_robin" };
		case "RANDOM":
			return { kind: "random" };
		default:
			return { kind: "least_request" };
	}
}

function limitsOf(policy: PolicyBlocks | undefined, protocol: UpstreamProtocol): CircuitLimits {
	const { tcp, http } = policy?.connectionPool ?? {};
	return {
		maxConnections: tcp?.maxConnections ?? NO_LIMIT,
		maxPendingRequests: http?.http1MaxPendingRequests ?? NO_LIMIT,
		maxRequests: http?.http2MaxRequests ?? NO_LIMIT,
		maxRetries: http?.maxRetries ?? NO_LIMIT,
		maxRequestsPerConnection: http?.maxRequestsPerConnection ?? 0,
		connectTimeoutMs: tcp?.connectTimeout ?? CONNECT_TIMEOUT_MS,
		idleTimeoutMs: (protocol === "tcp" ? tcp?.idleTimeout : http?.idleTimeout) ?? IDLE_TIMEOUT_MS,
	};
}

/** Envoy's defaults. Istio turns ejection on only where a rule names it, and by success rate never: that is for our block to ask. */
function outlierOf(policy: PolicyBlocks | undefined): OutlierDetection | undefined {
	const outlier = policy?.outlierDetection;
	if (outlier === undefined) return undefined;
	const successRate = policy?.meshscope?.successRate;
	const baseEjectionTimeMs = outlier.baseEjectionTime ?? 30_000;
	return {
		consecutive5xx: outlier.consecutive5xxErrors ?? 5,
		consecutiveGatewayErrors: outlier.consecutiveGatewayErrors ?? 0,
		consecutiveLocalOriginFailures: outlier.consecutiveLocalOriginFailures ?? 5,
		splitLocalOriginErrors: outlier.splitExternalLocalOriginErrors ?? false,
		intervalMs: outlier.interval ?? 10_000,
		baseEjectionTimeMs,
		maxEjectionTimeMs: Math.max(300_000, baseEjectionTimeMs),
		maxEjectionPercent: outlier.maxEjectionPercent ?? 10,
		successRateMinimumHosts: successRate === undefined ? 0 : (successRate.minimumHosts ?? 5),
		successRateRequestVolume: successRate?.requestVolume ?? 100,
		successRateStdevFactor: successRate?.stdevFactor ?? 1.9,
		minHealthPercent: outlier.minHealthPercent ?? 0,
	};
}

/** Resilience4j's defaults. */
function breakerOf(policy: PolicyBlocks | undefined): FailureRateBreaker | undefined {
	const breaker = policy?.meshscope?.breaker;
	if (breaker === undefined) return undefined;
	const slidingWindowSize = breaker.slidingWindowSize ?? 100;
	return {
		slidingWindowSize,
		minimumNumberOfCalls: breaker.minimumNumberOfCalls ?? Math.min(100, slidingWindowSize),
		failureRateThreshold: breaker.failureRateThreshold ?? 50,
		slowCallDurationThresholdMs: breaker.slowCallDurationThreshold ?? 60_000,
		slowCallRateThreshold: breaker.slowCallRateThreshold ?? 100,
		waitDurationInOpenStateMs: breaker.waitDurationInOpenState ?? 60_000,
		permittedNumberOfCallsInHalfOpenState: breaker.permittedNumberOfCallsInHalfOpenState ?? 10,
		maxWaitDurationInHalfOpenStateMs: breaker.maxWaitDurationInHalfOpenState ?? 0,
	};
}
