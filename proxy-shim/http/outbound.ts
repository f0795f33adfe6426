/** What the app asks of others: routed, made to fail where the policy says so, mirrored, and forwarded to a cluster. */
import type { Workload } from "../../model/mesh/proxy-config.ts";
import type { Clock } from "../clock.ts";
import { rewritePath, isHit } from "../routing/destination.ts";
import { applyHeaders } from "../routing/headers.ts";
import type { RouteRequest } from "../routing/request.ts";
import { parseGrpcTimeout } from "../resilience/grpc.ts";
import type { HopSink, Peer } from "../telemetry/hop.ts";
import { unknownTls } from "../tls/hop-tls.ts";
import { clusterLabel } from "../upstream/cluster.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { ClusterSet } from "../upstream/cluster-set.ts";
import type { Host } from "../upstream/host.ts";
import type { Downstream } from "./downstream.ts";
import { NO_EVENTS } from "./downstream.ts";
import { forward } from "./forward.ts";
import { NO_RETRIES } from "./forward-plan.ts";
import type { ForwardPlan } from "./forward-plan.ts";
import { replyLocally } from "./local-reply.ts";
import type { LocalReply } from "./local-reply.ts";
import { headerValue, withoutHeader } from "./message.ts";
import type { HeaderList } from "./message.ts";
import { createMirrors } from "./mirror.ts";
import { hashInput, planOutbound, routeRequest } from "./plan.ts";
import type { OutboundPlan, OutboundPolicy, PlanParts } from "./plan.ts";
import { HopRecord, mtlsModeTowards, NO_PEER } from "./record.ts";
import { traceOf, withTrace } from "./trace.ts";
import type { Tracing } from "./trace.ts";

export interface OutboundParts {
	readonly local: Workload;
	readonly policy: () => OutboundPolicy;
	readonly clusters: ClusterSet;
	readonly tracing: Tracing;
	readonly clock: Clock;
	readonly random: () => number;
	readonly sink: HopSink;
	readonly mayPassThrough: PlanParts["mayPassThrough"];
}

/** A listener for one destination names it; the one for all goes by Host. */
export interface FixedDestination {
	readonly host: string;
	readonly port: number;
}

export type OutboundHandler = (down: Downstream, fixed: FixedDestination | undefined) => void;

export function createOutbound(parts: OutboundParts): OutboundHandler {
	const { local, clock, random, sink } = parts;
	const mirrors = createMirrors();

	return (down, fixed) => {
		const policy = parts.policy();
		const { head } = down;
		const trace = traceOf(head, parts.tracing);
		const record = new HopRecord(
			{
				direction: "outbound",
				local,
				head,
				trace,
				requestId: trace.requestId,
				configVersion: policy.config.version,
				// Until there is a cluster: what goes nowhere has no mode of its own.
				mtlsMode: "permissive",
				tls: unknownTls(""),
				peer: NO_PEER,
			},
			clock,
		);
		const authority = authorityOf(head.authority, fixed);
		const request = fixedRequest(routeRequest(head, authority), fixed);
		const passthroughProtocol = head.isGrpc && head.protocolVersion === "2" ? "http2" : "http1";
		const plan = planOutbound(
			request,
			policy,
			{ clusters: parts.clusters, random, mayPassThrough: parts.mayPassThrough },
			passthroughProtocol,
		);
		record.route = routeNameOf(plan);
		const reply = (answer: LocalReply): void => {
			watchEnd(down, record, sink);
			replyLocally(down, record, answer);
		};
		if (plan.kind === "answer") {
			reply({ status: plan.status, body: plan.body, headers: plan.headers });
			return;
		}
		if (plan.kind === "refuse") {
			record.flag(plan.flag);
			reply({ status: plan.status, body: plan.message });
			return;
		}

		describe(record, plan.cluster);
		const proceed = (): void => {
			const { abort } = plan.fault;
			if (abort !== undefined) {
				record.faultInjected = true;
				record.flag("FI");
				reply({ status: abort.httpStatus, body: "fault filter abort", grpcStatus: abort.grpcStatus });
				return;
			}
			const ready = forwardPlan(down, plan, request, authority, withTrace(head.headers, trace), random);
			sendMirrors(plan, ready, down);
			forward(down, record, ready, {
				random,
				nowMs: clock.nowMs,
				sink,
				clusterNamed: (name) => parts.clusters.get(name),
				onAttempt(host, cluster) {
					describe(record, cluster);
					record.peer = peerOf(host, cluster);
				},
			});
		};
		if (plan.fault.delayMs === 0) {
			proceed();
			return;
		}
		record.faultInjected = true;
		record.flag("DI");
		const timer = setTimeout(proceed, plan.fault.delayMs);
		watchEnd(down, record, sink, () => clearTimeout(timer));
	};

	function sendMirrors(plan: Extract<OutboundPlan, { kind: "forward" }>, ready: ForwardPlan, down: Downstream): void {
		for (const { cluster: name, percent } of plan.route?.mirrors ?? []) {
			const cluster = parts.clusters.get(name);
			if (cluster === undefined || !isHit(percent, random)) continue;
			const { authority, scheme, path, headers } = ready;
			const protocol = protocolOf(cluster, down);
			mirrors.send(cluster, protocol, { method: down.head.method, authority, scheme, path, headers }, down.body);
		}
	}
}

function forwardPlan(
	down: Downstream,
	plan: Extract<OutboundPlan, { kind: "forward" }>,
	request: RouteRequest,
	authority: string,
	traced: HeaderList,
	random: () => number,
): ForwardPlan {
	const { head } = down;
	const { route, match, destination, cluster } = plan;
	const hash = hashInput(cluster, request, down.connection.remoteAddress, random);
	// A `host` set by the policy is a rewrite of the authority.
	let headers: HeaderList = route === undefined ? traced : applyHeaders(route.requestHeaders, traced);
	headers = applyHeaders(destination.requestHeaders, headers);
	const setHost = headerValue(headers, "host");
	if (setHost !== undefined) headers = withoutHeader(headers, "host");
	if (head.upgrade !== "") headers = [...headers, "upgrade", head.upgrade];
	return {
		cluster,
		protocol: protocolOf(cluster, down),
		path: rewritePath(route?.rewrite, match, head.path),
		authority: setHost ?? route?.rewrite?.authority ?? authority,
		scheme: head.scheme,
		headers,
		responseChanges: [destination.responseHeaders, ...(route === undefined ? [] : [route.responseHeaders])],
		responseHeaders: hash.setCookie === undefined ? [] : ["set-cookie", hash.setCookie],
		retries: route?.retries ?? NO_RETRIES,
		timeoutMs: route?.timeoutMs ?? 0,
		grpcTimeoutMs: head.isGrpc ? parseGrpcTimeout(headerValue(head.headers, "grpc-timeout") ?? "") : undefined,
		fallback: route?.fallback,
		hash: hash.hash,
		clusterLabel: clusterLabel(cluster),
	};
}

/** gRPC needs HTTP/2 whatever the port is named. */
function protocolOf(cluster: Cluster, down: Downstream): "http1" | "http2" {
	const isGrpc = down.head.isGrpc && down.head.protocolVersion === "2";
	return (cluster.config.protocol === "http2" || isGrpc) && down.head.upgrade === "" ? "http2" : "http1";
}

/** An app that calls a local port names that port; its callee is called by its own name. */
function authorityOf(authority: string, fixed: FixedDestination | undefined): string {
	if (fixed === undefined || !isLocalName(authority)) return authority;
	return fixed.port === 80 ? fixed.host : `${fixed.host}:${fixed.port}`;
}

function isLocalName(authority: string): boolean {
	return authority === "" || /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i.test(authority);
}

function fixedRequest(request: RouteRequest, fixed: FixedDestination | undefined): RouteRequest {
	return fixed === undefined ? request : { ...request, host: fixed.host, port: fixed.port };
}

function routeNameOf(plan: OutboundPlan): string {
	return plan.kind === "forward" ? (plan.route?.name ?? "") : plan.route;
}

function describe(record: HopRecord, cluster: Cluster): void {
	record.upstreamCluster = clusterLabel(cluster);
	record.lbPolicy = cluster.config.loadBalancer.kind;
	record.subset = cluster.config.subset;
	record.mtlsMode = mtlsModeTowards(cluster.config.tls);
}

export function peerOf(host: Host, cluster: Cluster): Peer {
	const { service, namespace } = cluster.config;
	const { endpoint } = host;
	const version = endpoint.labels["version"];
	return {
		service,
		namespace,
		workload: endpoint.labels["workload"] ?? (version === undefined ? service : `${service}-${version}`),
		instanceId: endpoint.id,
		address: endpoint.address,
		port: endpoint.port,
	};
}

/** For answers that are the proxy's own: the hop is told when they left, or the caller did. */
export function watchEnd(down: Downstream, record: HopRecord, sink: HopSink, onGone: () => void = () => {}): void {
	const end = (): void => {
		record.requestBytes = down.body?.bytes ?? 0;
		record.finish(sink);
	};
	down.events = {
		...NO_EVENTS,
		onFinished: end,
		onGone() {
			onGone();
			record.flag("DC");
			end();
		},
	};
}
