/**
 * A mesh whose every request is known: telemetry of many kinds of proxies and apps on one side, and what the graph must say of it,
 * counted one by one, on the other.
 *
 * Each edge reports in one style. Hosts' clocks are minutes apart, spans come in any order, and of some edges only a sample of spans
 * comes, with metrics that count everything.
 */
import { logNormal } from "../../bench/mesh.ts";
import type { Random } from "../../bench/mesh.ts";
import type { KeyValue, OtlpData, Span } from "../interop/otlp.ts";

export interface MeshSize {
	readonly services: number;
	readonly edges: number;
	/** Requests of an edge whose spans all come: at least half, at most one and a half of it. */
	readonly requests: number;
}

/** One end, as finely as its reporter names it. */
interface End {
	readonly kind: "service" | "gateway" | "database" | "messaging" | "external";
	readonly namespace: string;
	readonly service: string;
	readonly workload: string;
}

export type Grouping = "service" | "namespace" | "workload";

export interface KnownEdge {
	readonly source: End;
	readonly target: End;
	readonly protocol: "http" | "grpc" | "database" | "messaging";
	readonly style: Style;
	requests: number;
	errors: number;
	attempts: number;
	/** Latencies in ns as each side measured them. */
	readonly sourceNs: number[];
	readonly destinationNs: number[];
	/** Whether the latencies are those of every request. */
	readonly isSampled: boolean;
	readonly mtls: "mutual_tls" | "plaintext" | "unknown";
}

const STYLES = [
	"istio",
	"envoy plaintext",
	"linkerd",
	"waypoint",
	"nginx",
	"sdk",
	"app and sidecar",
	"database",
	"messaging",
	"client alone",
	"server alone",
	"shim",
	"retries",
	"grpc",
	"istio sampled with metrics",
] as const;
type Style = (typeof STYLES)[number];

interface Service {
	readonly name: string;
	readonly namespace: string;
	/** What its host's clock is ahead. */
	readonly skewMs: number;
}

type Values = Readonly<Record<string, string | number | boolean>>;

interface Sent {
	readonly resource: Values;
	readonly scope: string;
	readonly span: Span;
}

export interface KnownMesh {
	readonly edges: readonly KnownEdge[];
	readonly traces: readonly OtlpData[];
	/** In this order: counters, what they were before and what they came to. */
	readonly metrics: readonly OtlpData[];
	readonly spans: number;
}

const CLIENT = 3;
const SERVER = 2;
const PRODUCER = 4;
const MAX_SKEW_MS = 180_000;
/** All of it lies in the past, so that what stands alone is no longer waited for. */
const AGO_MS = 15 * 60_000;
const SAMPLED_SHARE = 0.01;
const NAMESPACES = 20;

export function createKnownMesh(size: MeshSize, random: Random, nowMs: number): KnownMesh {
	return new MeshMaker(size, random, nowMs).make();
}

class MeshMaker {
	private readonly size: MeshSize;
	private readonly random: Random;
	private readonly nowMs: number;
	private readonly services: readonly Service[];
	private readonly sent: Sent[] = [];
	/** What the world sends to each gateway: the first span of a request there has nobody above it. */
	private readonly fromOutside = new Map<string, KnownEdge>();
	private readonly counters: { readonly edge: KnownEdge; readonly code: string; readonly count: number }[] = [];

	constructor(size: MeshSize, random: Random, nowMs: number) {
		this.size = size;
		this.random = random;
		this.nowMs = nowMs;
		this.services = Array.from({ length: size.services }, (_, i) => ({
			name: `svc-${i}`,
			namespace: `ns-${i % NAMESPACES}`,
			skewMs: (random() * 2 - 1) * MAX_SKEW_MS,
		}));
	}

	make(): KnownMesh {
		const pairs = new Set<string>();
		const edges: KnownEdge[] = [];
		while (edges.length < this.size.edges) {
			// Every service is a source before any is one twice.
			const source = this.services[edges.length % this.services.length]!;
			const target = this.services[Math.floor(this.random() * this.services.length)]!;
			const pair = `${source.name}>${target.name}`;
			if (source === target || pairs.has(pair)) continue;
			pairs.add(pair);
			edges.push(this.makeEdge(STYLES[edges.length % STYLES.length]!, source, target));
		}
		shuffle(this.sent, this.random);
		const traces: OtlpData[] = [];
		for (let at = 0; at < this.sent.length; at += 2_000) traces.push(tracesOf(this.sent.slice(at, at + 2_000)));
		return {
			edges: [...edges, ...this.fromOutside.values()],
			traces,
			metrics: [this.metricsOf(0), this.metricsOf(1)],
			spans: this.sent.length,
		};
	}

	private makeEdge(style: Style, source: Service, target: Service): KnownEdge {
		const isSampled = style === "istio sampled with metrics";
		const edge: KnownEdge = {
			...endsOf(style, source, target),
			protocol: protocolOf(style),
			style,
			requests: 0,
			errors: 0,
			attempts: 0,
			sourceNs: [],
			destinationNs: [],
			isSampled,
			mtls: mtlsOf(style),
		};
		const count = Math.round(this.size.requests * (isSampled ? 50 : 0.5 + this.random()));
		const medianNs = 1e6 * 2 ** (6 * this.random());
		let failed = 0;
		for (let i = 0; i < count; i++) {
			const isError = this.random() < 0.08;
			if (isError) failed++;
			edge.requests++;
			if (isError) edge.errors++;
			// The first one always, so that a sample is never empty.
			if (isSampled && i > 0 && this.random() >= SAMPLED_SHARE) continue;
			this.send(edge, source, target, Math.round(logNormal(this.random, medianNs, 0.7)), isError);
		}
		if (isSampled) {
			this.counters.push({ edge, code: "200", count: count - failed });
			if (failed > 0) this.counters.push({ edge, code: "503", count: failed });
		}
		return edge;
	}

	/** The spans of one request, and what they are in the truth. */
	private send(edge: KnownEdge, source: Service, target: Service, clientNs: number, isError: boolean): void {
		const { style } = edge;
		const traceId = this.hex(32);
		const atMs = this.nowMs - AGO_MS + this.random() * 120_000;
		const serverNs = Math.round(clientNs * (0.6 + 0.3 * this.random()));
		const status = isError ? "503" : "200";
		const emit = (
			by: Service,
			resource: Values,
			scope: string,
			kind: number,
			parent: string,
			durationNs: number,
			attributes: Values,
		): string => {
			const spanId = this.hex(16);
			const startNs = BigInt(Math.round((atMs + by.skewMs) * 1e3)) * 1_000n;
			this.sent.push({
				resource,
				scope,
				span: {
					traceId,
					spanId,
					...(parent === "" ? {} : { parentSpanId: parent }),
					name: "call",
					kind,
					startTimeUnixNano: String(startNs),
					endTimeUnixNano: String(startNs + BigInt(durationNs)),
					attributes: keyValues(attributes),
				},
			});
			return spanId;
		};
		const told = (side: "source" | "destination" | "both", tries = 1): void => {
			if (side !== "destination") edge.sourceNs.push(clientNs);
			if (side !== "source") edge.destinationNs.push(serverNs);
			edge.attempts += tries;
		};
		const http: Values = { "http.request.method": "GET", "http.response.status_code": isError ? 503 : 200 };
		switch (style) {
			case "istio":
			case "istio sampled with metrics": {
				const caller = emit(source, istio(source), "envoy", CLIENT, "", clientNs, {
					...istioTags(source),
					...envoyTags(status, `outbound|80||${target.name}.${target.namespace}.svc.cluster.local`),
					...tls("upstream", target, source),
				});
				emit(target, istio(target), "envoy", SERVER, caller, serverNs, {
					...istioTags(target),
					...envoyTags(status, "inbound|80||"),
					...tls("downstream", source, target),
				});
				return told("both");
			}
			case "envoy plaintext":
			case "retries":
			case "grpc": {
				const tries = style === "retries" ? 2 : 1;
				const grpc: Values = style === "grpc" ? { "grpc.status_code": isError ? "14" : "0", "grpc.path": "/a.B/C" } : {};
				const code = style === "grpc" ? "200" : status;
				const leg = style === "envoy plaintext";
				const caller = emit(source, kubernetes(source), "envoy", CLIENT, "", clientNs, {
					...envoyTags(code, `outbound|80||${target.name}.${target.namespace}.svc.cluster.local`),
					...grpc,
					...(leg ? {} : tls("upstream", target, source)),
				});
				for (let i = 0; i < tries; i++)
					emit(target, kubernetes(target), "envoy", SERVER, caller, serverNs, {
						...envoyTags(i + 1 < tries ? "503" : code, "inbound|80||"),
						...grpc,
						...(leg ? {} : tls("downstream", source, target)),
					});
				return told("both", tries);
			}
			case "linkerd": {
				const at = { ...http, "server.address": `${target.name}.${target.namespace}.svc.cluster.local` };
				const status503 = { "http.response.status_code": status };
				const outer = emit(source, linkerd(source), "", SERVER, "", clientNs + 2_000, {
					...{ ...at, ...status503, direction: "outbound" },
				});
				const caller = emit(source, linkerd(source), "", CLIENT, outer, clientNs, {
					...{ ...at, ...status503, direction: "outbound" },
				});
				const callee = emit(target, linkerd(target), "", SERVER, caller, serverNs, {
					...{ ...at, ...status503, direction: "inbound" },
				});
				emit(target, linkerd(target), "", CLIENT, callee, serverNs - 2_000, {
					...{ ...at, ...status503, direction: "inbound" },
				});
				return told("both");
			}
			case "waypoint":
				emit(target, { "service.name": `waypoint.${target.namespace}` }, "envoy", SERVER, "", serverNs, {
					...envoyTags(status, `inbound-vip|80|http|${target.name}.${target.namespace}.svc.cluster.local`),
					node_id: `waypoint~10.0.0.1~waypoint-6f5c7d8b9-x4k2z.${target.namespace}~${target.namespace}.svc.cluster.local`,
					"istio.canonical_service": "waypoint",
					"istio.namespace": target.namespace,
					"istio.source_workload": workloadOf(source),
					"istio.source_namespace": source.namespace,
					"istio.source_canonical_service": source.name,
					"istio.destination_workload": workloadOf(target),
					"istio.destination_namespace": target.namespace,
					"istio.destination_canonical_service": target.name,
				});
				return told("destination");
			case "nginx": {
				const gateway = emit(
					source,
					{ "service.name": edge.source.service, "k8s.namespace.name": source.namespace },
					"nginx",
					SERVER,
					"",
					clientNs,
					{ "http.method": "GET", "http.status_code": Number(status), "net.sock.peer.addr": "203.0.113.9" },
				);
				emit(target, kubernetes(target), "app", SERVER, gateway, serverNs, http);
				this.countFromOutside(edge.source, clientNs, isError);
				return told("destination");
			}
			case "sdk": {
				const caller = emit(source, kubernetes(source), "app", CLIENT, "", clientNs, {
					...http,
					"server.address": target.name,
				});
				emit(target, kubernetes(target), "app", SERVER, caller, serverNs, http);
				return told("both");
			}
			case "app and sidecar": {
				const app = emit(source, kubernetes(source), "app", CLIENT, "", clientNs + 50_000, {
					...http,
					"server.address": target.name,
				});
				const caller = emit(source, kubernetes(source), "envoy", CLIENT, app, clientNs, {
					...envoyTags(status, target.name),
					...tls("upstream", target, source),
				});
				const callee = emit(target, kubernetes(target), "envoy", SERVER, caller, serverNs, {
					...envoyTags(status, "inbound|80||"),
					...tls("downstream", source, target),
				});
				emit(target, kubernetes(target), "app", SERVER, callee, serverNs - 5_000, http);
				return told("both");
			}
			case "database":
				emit(source, kubernetes(source), "app", CLIENT, "", clientNs, {
					"db.system.name": "postgresql",
					"db.namespace": edge.target.service.slice("postgresql/".length),
					"server.address": edge.target.workload,
					...(isError ? { "error.type": "timeout" } : {}),
				});
				return told("source");
			case "messaging":
				emit(source, kubernetes(source), "app", PRODUCER, "", clientNs, {
					"messaging.system": "kafka",
					"messaging.destination.name": edge.target.service.slice("kafka/".length),
					...(isError ? { "error.type": "timeout" } : {}),
				});
				return told("source");
			case "client alone":
				emit(source, kubernetes(source), "app", CLIENT, "", clientNs, {
					...http,
					"service.peer.name": target.name,
					"service.peer.namespace": target.namespace,
				});
				return told("source");
			case "server alone":
				emit(target, kubernetes(target), "envoy", SERVER, this.hex(16), serverNs, {
					...envoyTags(status, "inbound|80||"),
					...tls("downstream", source, target),
				});
				return told("destination");
			case "shim": {
				const shim: Values = {
					...{ ...http, "meshscope.mtls.status": "mutual_tls", "meshscope.peer.verified": true },
					"meshscope.source.principal": identityOf(source),
					"meshscope.destination.principal": identityOf(target),
				};
				const caller = emit(source, kubernetes(source), "shim", CLIENT, "", clientNs, {
					...{ ...shim, "meshscope.direction": "outbound", "service.peer.name": target.name },
				});
				emit(target, kubernetes(target), "shim", SERVER, caller, serverNs, { ...shim, "meshscope.direction": "inbound" });
				return told("both");
			}
		}
	}

	private countFromOutside(gateway: End, durationNs: number, isError: boolean): void {
		let edge = this.fromOutside.get(gateway.service);
		if (edge === undefined) {
			edge = {
				source: { kind: "external", namespace: "", service: "external", workload: "" },
				target: gateway,
				...{ protocol: "http", style: "nginx", requests: 0, errors: 0, attempts: 0 },
				...{ sourceNs: [], destinationNs: [], isSampled: false, mtls: "unknown" },
			};
			this.fromOutside.set(gateway.service, edge);
		}
		edge.requests++;
		edge.attempts++;
		if (isError) edge.errors++;
		edge.destinationNs.push(durationNs);
	}

	/** Both reporters count the same requests. @param share 0: before the first of them, 1: after the last */
	private metricsOf(share: 0 | 1): OtlpData {
		const timeUnixNano = String(BigInt(Math.round(this.nowMs - AGO_MS + share * 120_000)) * 1_000_000n);
		const startTimeUnixNano = String(BigInt(Math.round(this.nowMs - AGO_MS - 60_000)) * 1_000_000n);
		const dataPoints = this.counters.flatMap(({ edge, code, count }) =>
			["source", "destination"].map((reporter) => ({
				attributes: keyValues(istioLabels(edge, reporter, code)),
				...{ startTimeUnixNano, timeUnixNano, asInt: String(share * count) },
			})),
		);
		const sum = { dataPoints, aggregationTemporality: 2, isMonotonic: true };
		return { resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: "istio_requests_total", sum }] }] }] };
	}

	private hex(digits: number): string {
		let text = "";
		while (text.length < digits)
			text += Math.floor(this.random() * 2 ** 32)
				.toString(16)
				.padStart(8, "0");
		return text;
	}
}

function endsOf(style: Style, source: Service, target: Service): { readonly source: End; readonly target: End } {
	const end = ({ name, namespace }: Service, workload: string): End => ({
		kind: "service",
		namespace,
		service: name,
		workload,
	});
	const whole = { source: end(source, workloadOf(source)), target: end(target, workloadOf(target)) };
	switch (style) {
		case "linkerd":
			return { source: end(source, source.name), target: end(target, target.name) };
		case "nginx":
			return {
				...whole,
				source: { kind: "gateway", namespace: source.namespace, service: `edge-${source.name}`, workload: "" },
			};
		case "database":
			return {
				...whole,
				target: {
					kind: "database",
					namespace: "",
					service: `postgresql/db-${target.name}`,
					workload: `pg-${target.name}`,
				},
			};
		case "messaging":
			return {
				...whole,
				target: { kind: "messaging", namespace: "", service: `kafka/topic-${target.name}`, workload: "" },
			};
		case "client alone":
			return { ...whole, target: end(target, "") };
		case "server alone":
			return { ...whole, source: end(source, "") };
		default:
			return whole;
	}
}

function protocolOf(style: Style): KnownEdge["protocol"] {
	return style === "database" || style === "messaging" || style === "grpc" ? style : "http";
}

function mtlsOf(style: Style): KnownEdge["mtls"] {
	switch (style) {
		case "istio":
		case "istio sampled with metrics":
		case "app and sidecar":
		case "server alone":
		case "shim":
		case "retries":
		case "grpc":
			return "mutual_tls";
		case "envoy plaintext":
		case "waypoint":
			return "plaintext";
		default:
			return "unknown";
	}
}

function workloadOf({ name }: Service): string {
	return `${name}-v1`;
}

function identityOf({ name, namespace }: Service): string {
	return `spiffe://cluster.local/ns/${namespace}/sa/${name}`;
}

function kubernetes(service: Service): Values {
	return {
		"service.name": service.name,
		"k8s.namespace.name": service.namespace,
		"k8s.deployment.name": workloadOf(service),
	};
}

function istio({ name, namespace }: Service): Values {
	return { "service.name": `${name}.${namespace}` };
}

function istioTags(service: Service): Values {
	const { name, namespace } = service;
	return {
		node_id: `sidecar~10.1.2.3~${workloadOf(service)}-7d9f8b6c5-x2x7k.${namespace}~${namespace}.svc.cluster.local`,
		"istio.canonical_service": name,
		"istio.canonical_revision": "v1",
		"istio.namespace": namespace,
	};
}

function linkerd({ name, namespace }: Service): Values {
	return { "service.name": "linkerd-proxy", "linkerd.io/proxy-deployment": name, "linkerd.io/workload-ns": namespace };
}

function envoyTags(status: string, cluster: string): Values {
	return {
		component: "proxy",
		"http.method": "GET",
		"http.status_code": status,
		upstream_cluster: cluster,
		"upstream_cluster.name": cluster,
		response_flags: "-",
		"meshscope.tls.reported": "1",
	};
}

function tls(leg: "upstream" | "downstream", peer: Service, local: Service): Values {
	return {
		[`meshscope.${leg}.tls.version`]: "TLSv1.3",
		[`meshscope.${leg}.peer.uri_san`]: identityOf(peer),
		[`meshscope.${leg}.local.uri_san`]: identityOf(local),
	};
}

function istioLabels({ source, target }: KnownEdge, reporter: string, code: string): Values {
	const end = (side: string, { service, namespace, workload }: End): Values => ({
		[`${side}_workload`]: workload,
		[`${side}_workload_namespace`]: namespace,
		[`${side}_canonical_service`]: service,
		[`${side}_canonical_revision`]: "v1",
		[`${side}_principal`]: `spiffe://cluster.local/ns/${namespace}/sa/${service}`,
		[`${side}_cluster`]: "Kubernetes",
	});
	return {
		reporter,
		...end("source", source),
		...end("destination", target),
		destination_service: `${target.service}.${target.namespace}.svc.cluster.local`,
		destination_service_name: target.service,
		destination_service_namespace: target.namespace,
		request_protocol: "http",
		response_code: code,
		grpc_response_status: "",
		response_flags: "-",
		connection_security_policy: reporter === "source" ? "unknown" : "mutual_tls",
	};
}

function keyValues(values: Values): KeyValue[] {
	return Object.entries(values).map(([key, value]) => ({
		key,
		value:
			typeof value === "string"
				? { stringValue: value }
				: typeof value === "boolean"
					? { boolValue: value }
					: { intValue: String(value) },
	}));
}

function tracesOf(sent: readonly Sent[]): OtlpData {
	const resourceSpans = [...Map.groupBy(sent, ({ resource, scope }) => JSON.stringify([resource, scope])).values()].map(
		(own) => ({
			resource: { attributes: keyValues(own[0]!.resource) },
			scopeSpans: [{ scope: { name: own[0]!.scope }, spans: own.map(({ span }) => span) }],
		}),
	);
	return { resourceSpans };
}

function shuffle(items: unknown[], random: Random): void {
	for (let i = items.length - 1; i > 0; i--) {
		const other = Math.floor(random() * (i + 1));
		[items[i], items[other]] = [items[other], items[i]];
	}
}
