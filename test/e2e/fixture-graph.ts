/** A service graph as the API answers it: a shop with a plaintext edge, a mixed one, a failing one, and names that try to be markup. */
import type { EdgeAnswer, GraphAnswer, GraphEdgeAnswer, GraphHistoryAnswer } from "../../api/contract/topology.ts";
import { HOSTILE } from "./fixture-traces.ts";

type Node = GraphAnswer["nodes"][number];
type Mtls = GraphEdgeAnswer["mtls"];

const MINUTE_MS = 60_000;

function nodeOf(id: string, kind: Node["kind"] = "service"): Node {
	const bare = id.replace(/^[a-z]+:/, "");
	const at = kind === "service" || kind === "gateway" ? bare.indexOf("/") : -1;
	return {
		...{ id, cluster: "", namespace: at < 0 ? "" : bare.slice(0, at), service: bare.slice(at + 1), kind },
		...{ requests: 0, connections: 0, errors: 0, sentRequests: 0, sentConnections: 0, sentErrors: 0 },
	};
}

interface EdgePlan {
	readonly source: string;
	readonly target: string;
	readonly protocol?: GraphEdgeAnswer["protocol"];
	readonly rate?: number;
	readonly errorRatio?: number;
	readonly p95?: number;
	readonly status?: Mtls["status"];
	readonly percent?: number;
}

const edgeId = (index: number): string => index.toString(16).padStart(16, "e");

function edgeOf(plan: EdgePlan, index: number): GraphEdgeAnswer {
	const { source, target, protocol = "http", rate = 10, errorRatio = 0, p95 = 40, status = "mutual_tls" } = plan;
	const percent = plan.percent ?? { mutual_tls: 100, plaintext: 0, none: 0, tls: 0, mixed: 50, unknown: undefined }[status];
	const isTcp = protocol === "tcp";
	const requests = isTcp ? 0 : Math.round(rate * 900);
	const errors = Math.round(requests * errorRatio);
	const latencyMs = {
		...{ p50: p95 / 3, p90: p95 * 0.8, p95, p99: p95 * 2.2, max: p95 * 4, mean: p95 / 2.4, count: requests },
	};
	const mutual = Math.round((requests * (percent ?? 0)) / 100);
	const noMtls = { mutual_tls: 0, tls: 0, plaintext: 0, none: 0, mixed: 0, unknown: 0 };
	const rest = status === "mutual_tls" ? "unknown" : status === "mixed" ? "plaintext" : status;
	const principals = (id: string): string[] =>
		mutual > 0 ? [`spiffe://demo.mesh/ns/${id.split("/")[0]}/sa/${id.split("/")[1]}`] : [];
	return {
		...{ id: edgeId(index), source, target, protocol, unit: isTcp ? "connections" : "requests" },
		...{ requests, connections: isTcp ? 42 : 0, observed: requests, errors, clientErrors: 0, errorRatio },
		...{ requestRate: isTcp ? 0 : rate, bytes: { sent: requests * 512, received: requests * 4_096 } },
		...(isTcp ? {} : { latencyMs, latencySide: "source" as const, sourceLatencyMs: latencyMs }),
		...(isTcp ? {} : { destinationLatencyMs: { ...latencyMs, mean: p95 / 2.9 }, gapMs: p95 / 2.4 - p95 / 2.9 }),
		...{ reporter: "both", evidence: { pair: requests }, basis: { counts: "spans", latency: "spans", mtls: "spans" } },
		...{ sampled: false, outcomes: { ok: requests - errors, server_error: errors } },
		codes: { "200": requests - errors, ...(errors > 0 ? { "503": errors } : {}) },
		flags: errors > 0 ? { UF: errors } : {},
		mtls: {
			status,
			...(percent === undefined ? {} : { percent }),
			counts: { ...noMtls, mutual_tls: mutual, [rest]: requests - mutual },
			sourcePrincipals: principals(source),
			destinationPrincipals: principals(target),
			...{ tlsVersions: mutual > 0 ? ["1.3"] : [], ciphers: mutual > 0 ? ["TLS_AES_128_GCM_SHA256"] : [] },
			...(mutual > 0 ? { certificateNotAfter: new Date(Date.now() + 20.5 * 3_600_000).toISOString() } : {}),
			...{ verified: mutual > 0, verifiedBy: mutual > 0 ? "server" : "", failedHandshakes: 0, contradicted: false },
		},
		...(errors > 0 ? { disagreement: { count: errors, source: { server_error: errors }, destination: { ok: errors } } } : {}),
		...{ firstSeen: new Date(Date.now() - 15 * MINUTE_MS).toISOString(), lastSeen: new Date().toISOString() },
	};
}

const SHOP: readonly EdgePlan[] = [
	{ source: "edge/gateway", target: "shop/frontend", rate: 120, p95: 90 },
	{ source: "shop/frontend", target: "shop/cart", rate: 64, p95: 22 },
	{ source: "shop/frontend", target: "shop/catalog", rate: 210, p95: 14 },
	{ source: "shop/frontend", target: "shop/checkout", rate: 18, p95: 320, errorRatio: 0.02 },
	{ source: "shop/checkout", target: "pay/payment", protocol: "grpc", rate: 18, p95: 240, errorRatio: 0.081 },
	{ source: "shop/checkout", target: "shop/cart", rate: 18, p95: 19 },
	{ source: "shop/checkout", target: "shop/shipping", rate: 12, p95: 45, status: "mixed", percent: 99.9996 },
	{ source: "shop/catalog", target: "legacy/inventory", rate: 33, p95: 61, status: "plaintext" },
	{ source: "pay/payment", target: "pay/fraud", protocol: "grpc", rate: 9, p95: 130 },
	{ source: "pay/fraud", target: "pay/payment", rate: 0.2, p95: 8, errorRatio: 0.000001 },
	{ source: "pay/payment", target: "external:bank.example", rate: 9, p95: 480, status: "tls" },
	{ source: "shop/cart", target: "database:redis", protocol: "tcp", status: "plaintext" },
	{ source: "shop/catalog", target: "database:postgresql/catalog", protocol: "database", rate: 180, p95: 4, status: "unknown" },
	{ source: "shop/checkout", target: "messaging:kafka/orders", protocol: "messaging", rate: 17, p95: 6, status: "unknown" },
	{ source: "shop/recommend", target: "shop/recommend", rate: 1, p95: 3 },
	{ source: "shop/frontend", target: "shop/recommend", rate: 40, p95: 71, status: "none" },
	{ source: "legacy/inventory", target: "unknown:10.0.0.7", rate: 0.0004, p95: 900, status: "unknown" },
];

const HOSTILE_PLAN: EdgePlan = { source: `shop/${HOSTILE.image}`, target: `shop/${HOSTILE.script}`, rate: 3 };

const KINDS: Readonly<Record<string, Node["kind"]>> = { "edge/gateway": "gateway" };

function graphOfPlans(plans: readonly EdgePlan[]): GraphAnswer {
	const edges = plans.map(edgeOf);
	const ids = [...new Set(edges.flatMap(({ source, target }) => [source, target]))].sort();
	const nodes = ids.map((id) => {
		const prefix = /^(external|database|messaging|unknown):/.exec(id)?.[1] as Node["kind"] | undefined;
		const node = nodeOf(id, prefix ?? KINDS[id] ?? "service");
		const sum = (end: "source" | "target", read: (edge: GraphEdgeAnswer) => number): number =>
			edges.reduce((total, edge) => total + (edge[end] === id ? read(edge) : 0), 0);
		return {
			...node,
			...{ requests: sum("target", (edge) => edge.requests), errors: sum("target", (edge) => edge.errors) },
			...{ connections: sum("target", (edge) => edge.connections), sentErrors: sum("source", (edge) => edge.errors) },
			...{
				sentRequests: sum("source", (edge) => edge.requests),
				sentConnections: sum("source", (edge) => edge.connections),
			},
		};
	});
	const nowMs = Date.now();
	const window = {
		from: new Date(nowMs - 15 * MINUTE_MS).toISOString(),
		to: new Date(nowMs).toISOString(),
		resolutionMs: 10_000,
	};
	return { window, nodes, edges };
}

export function shopGraph(extra: readonly EdgePlan[] = []): GraphAnswer {
	return graphOfPlans([...SHOP, ...extra]);
}

export function hostileGraph(): GraphAnswer {
	return graphOfPlans([...SHOP, HOSTILE_PLAN]);
}

/** `count` services in twenty namespaces, three calls each. */
export function largeGraph(count: number): GraphAnswer {
	const name = (i: number): string => `ns${i % 20}/svc${i}`;
	return graphOfPlans(
		Array.from({ length: count * 3 }, (_, k) => {
			const i = Math.floor(k / 3);
			const step = ((i * 7 + k * 13) % 40) + 1;
			return {
				source: name(i),
				target: name((i + (k % 3 === 2 ? step : step * 20)) % count),
				rate: 1 + (k % 97),
				errorRatio: k % 50 === 0 ? 0.1 : 0,
				status: k % 31 === 0 ? ("plaintext" as const) : ("mutual_tls" as const),
			};
		}),
	);
}

const HISTORY_STEPS: Readonly<Record<string, readonly [lengthMs: number, stepMs: number]>> = {
	"now-1h": [60 * MINUTE_MS, MINUTE_MS],
	"now-24h": [1_440 * MINUTE_MS, 10 * MINUTE_MS],
	"now-7d": [7 * 1_440 * MINUTE_MS, 60 * MINUTE_MS],
	"now-30d": [30 * 1_440 * MINUTE_MS, 360 * MINUTE_MS],
};

/** Traffic in waves that began forty minutes ago, a burst of errors, and plaintext at last. */
export function historyAnswerOf({ edges, window }: GraphAnswer, from: string, nowMs: number): GraphHistoryAnswer {
	const [lengthMs, stepMs] = HISTORY_STEPS[from] ?? HISTORY_STEPS["now-1h"]!;
	const toMs = Math.ceil(nowMs / stepMs) * stepMs;
	const fromMs = toMs - lengthMs;
	const total = edges.reduce((sum, { requestRate }) => sum + requestRate, 0) * (stepMs / 1_000);
	const beginsMs = nowMs - 40 * MINUTE_MS;
	const none = { mutual_tls: 0, tls: 0, plaintext: 0, none: 0, mixed: 0, unknown: 0 };
	const points = Array.from({ length: lengthMs / stepMs }, (_, i) => {
		const timeMs = fromMs + i * stepMs;
		const requests = Math.round(total * (0.7 + 0.3 * Math.sin(i / 6)));
		const plaintext = timeMs > nowMs - 12 * MINUTE_MS ? Math.round(requests / 20) : 0;
		return {
			time: new Date(timeMs).toISOString(),
			...{ requests, errors: i % 17 === 3 ? Math.round(requests / 12) : 0, connections: 12, connectionErrors: 0 },
			requestMtls: { ...none, mutual_tls: requests - plaintext, plaintext },
			connectionMtls: { ...none, unknown: 12 },
		};
	}).filter(({ time }) => edges.length > 0 && Date.parse(time) + stepMs > beginsMs);
	return {
		window: { ...window, from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() },
		stepMs,
		...(edges.length > 0 ? { begins: new Date(beginsMs).toISOString() } : {}),
		points,
	};
}

export const EXEMPLAR_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

export function edgeAnswerOf(graph: GraphAnswer, id: string): EdgeAnswer | undefined {
	const edge = graph.edges.find((candidate) => candidate.id === id);
	if (edge === undefined) return undefined;
	const { latencyMs, requests, errors, requestRate, errorRatio, bytes, mtls } = edge;
	const startMs = Date.parse(graph.window.from);
	const series = Array.from({ length: 15 }, (_, i) => {
		const swing = 1 + Math.sin(i / 2) / 3 + (i > 10 ? 0.8 : 0);
		const { p50 = 0, p90 = 0, p95 = 0, p99 = 0, max = 0, mean = 0 } = latencyMs ?? {};
		const moved = { p50: p50 * swing, p90: p90 * swing, p95: p95 * swing, p99: p99 * swing, max, mean, count: requests / 15 };
		return {
			...{ time: new Date(startMs + i * MINUTE_MS).toISOString(), requests: requests / 15, connections: 0 },
			...{ errors: errors / 15, requestRate, errorRatio, bytes, mtlsCounts: mtls.counts },
			...(latencyMs === undefined ? {} : { latencyMs: moved }),
		};
	});
	const exemplar = { traceId: EXEMPLAR_TRACE, time: graph.window.to, durationMs: latencyMs?.p95 ?? 0, isError: false };
	const histogram = Array.from({ length: 40 }, (_, i) => ({
		fromMs: ((latencyMs?.p50 ?? 1) / 2) * 1.08 ** i,
		toMs: ((latencyMs?.p50 ?? 1) / 2) * 1.08 ** (i + 1),
		count: Math.round(900 * Math.exp(-(((i - 12) / 9) ** 2))) + (i % 3),
		exemplars: i % 4 === 0 ? [exemplar] : [],
	}));
	const principal = { source: mtls.sourcePrincipals[0] ?? "", destination: mtls.destinationPrincipals[0] ?? "" };
	return {
		...{ window: graph.window, groupBy: "service", edge, stepMs: MINUTE_MS, series },
		histogram: latencyMs === undefined ? [] : histogram,
		evidence: [
			{
				...{ series: 1, evidence: "pair", reporter: "both", sampled: false, outcome: "ok" },
				source: { told: edge.source, taken: edge.source },
				target: { told: "10.0.0.12", taken: edge.target },
				mtls: {
					...{ status: mtls.status, source: mtls.status, destination: mtls.status, tlsVersion: "1.3", cipher: "" },
					...{ sourcePrincipal: principal.source, destinationPrincipal: principal.destination },
					verifiedBy: mtls.verifiedBy,
				},
				...{ observed: requests, count: requests, attempts: requests, failedHandshakes: 0, bytes },
				...{ codes: edge.codes, flags: edge.flags },
			},
		],
	};
}
