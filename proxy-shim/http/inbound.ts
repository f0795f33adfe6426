/** What others ask of the app: allowed or not, then forwarded to it on loopback. */
import type { InboundConfig, ProxyConfig, Workload } from "../../model/mesh/proxy-config.ts";
import { parseSpiffeId } from "../../model/mesh/spiffe-id.ts";
import type { Clock } from "../clock.ts";
import { authorize } from "../authz/authorize.ts";
import { normalizePath } from "../authz/normalize-path.ts";
import { parseGrpcTimeout } from "../resilience/grpc.ts";
import type { HopSink, HopTls, Peer } from "../telemetry/hop.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { CallerConnection, Downstream } from "./downstream.ts";
import { NO_RETRIES } from "./forward-plan.ts";
import { forward } from "./forward.ts";
import { CLIENT_CERT_HEADER, clientCertHeader } from "./hop-headers.ts";
import { replyLocally } from "./local-reply.ts";
import { headerValue, joinedHeader } from "./message.ts";
import { watchEnd } from "./outbound.ts";
import { splitAuthority } from "./plan.ts";
import { HopRecord, mtlsModeOf, NO_PEER } from "./record.ts";
import { traceOf, withTrace } from "./trace.ts";
import type { Tracing } from "./trace.ts";

/** Where a port of the service is served by the app. */
export interface InboundPort {
	readonly servicePort: number;
	/** What policies go by, as in Istio: the port that the workload itself listens on. */
	readonly appPort: number;
	readonly protocol: "http" | "http2" | "grpc" | "tcp";
	/** The app, as a cluster of one. */
	readonly app: Cluster;
}

export interface InboundParts {
	readonly local: Workload;
	/** The present configuration. */
	readonly config: () => ProxyConfig;
	readonly localPrincipal: () => string;
	readonly tracing: Tracing;
	readonly clock: Clock;
	readonly random: () => number;
	readonly sink: HopSink;
}

export type InboundHandler = (down: Downstream, port: InboundPort) => void;

export function createInbound(parts: InboundParts): InboundHandler {
	const { local, clock, sink } = parts;
	return (down, port) => {
		const { head, connection } = down;
		const config = parts.config();
		const trace = traceOf(head, parts.tracing);
		const record = new HopRecord(
			{
				direction: "inbound",
				local,
				head,
				trace,
				requestId: trace.requestId,
				configVersion: config.version,
				mtlsMode: mtlsModeOf(config.inbound.mtls, port.appPort),
				tls: connection.tls,
				peer: callerOf(connection),
			},
			clock,
		);
		record.upstreamCluster = `inbound|${port.servicePort}||`;
		record.route = "default";
		const path = normalizedTarget(head.path);
		if (path === undefined) {
			record.flag("DPE");
			watchEnd(down, record, sink);
			replyLocally(down, record, { status: 400, body: "the path has %00" });
			return;
		}
		if (!isAllowed(down, port, config.inbound, record)) {
			record.flag("UAEX");
			watchEnd(down, record, sink);
			replyLocally(down, record, { status: 403, body: "RBAC: access denied" });
			return;
		}
		const headers = withTrace(head.headers, trace);
		if (headerValue(headers, "x-forwarded-proto") === undefined) headers.push("x-forwarded-proto", head.scheme);
		const certificate = clientCertHeader(connection.tls, parts.localPrincipal());
		if (certificate !== undefined) headers.push(CLIENT_CERT_HEADER, certificate);
		if (head.upgrade !== "") headers.push("upgrade", head.upgrade);
		const isGrpc = head.isGrpc && head.protocolVersion === "2";
		const speaksHttp2 = port.protocol === "http2" || port.protocol === "grpc" || isGrpc;
		forward(
			down,
			record,
			{
				cluster: port.app,
				protocol: speaksHttp2 && head.upgrade === "" ? "http2" : "http1",
				path,
				authority: head.authority,
				scheme: head.scheme,
				headers,
				responseChanges: [],
				responseHeaders: [],
				// A connection to the app that died idle is replaced (forward.ts); beyond that nothing is asked of the app twice.
				retries: NO_RETRIES,
				timeoutMs: 0,
				grpcTimeoutMs: head.isGrpc ? parseGrpcTimeout(headerValue(head.headers, "grpc-timeout") ?? "") : undefined,
				fallback: undefined,
				hash: 0,
				clusterLabel: `inbound|${port.servicePort}||`,
			},
			{ random: parts.random, nowMs: clock.nowMs, sink, clusterNamed: () => undefined, onAttempt: () => {} },
		);
	};
}

/** What was authorised is what the app is asked: the path in the form that policies see, with its query as it came. */
function normalizedTarget(target: string): string | undefined {
	const path = normalizePath(target);
	if (path === undefined) return undefined;
	const endAt = target.search(/[?#]/);
	return endAt >= 0 && target[endAt] === "?" ? path + target.slice(endAt) : path;
}

function isAllowed(down: Downstream, port: InboundPort, inbound: InboundConfig, record: HopRecord): boolean {
	const { head, connection } = down;
	const caller = callerIdentity(connection.tls);
	const result = authorize(inbound.authorization, {
		principal: caller.principal,
		namespace: caller.namespace,
		sourceIp: connection.remoteAddress,
		host: splitAuthority(head.authority, 0).host,
		port: port.appPort,
		method: head.method,
		path: head.path,
		header: (name) => (name === "host" ? head.authority : joinedHeader(head.headers, name)),
		sni: connection.tls.serverName,
		destinationIp: connection.localAddress,
	});
	record.authzDecision = result.decision;
	record.authzPolicy = result.policy;
	return result.decision !== "deny";
}

/** Only what a verified certificate says. */
export function callerIdentity(tls: HopTls): { readonly principal: string; readonly namespace: string } {
	if (!tls.peerVerified || tls.clientPrincipal === "") return { principal: "", namespace: "" };
	return { principal: tls.clientPrincipal, namespace: parseSpiffeId(tls.clientPrincipal)?.namespace ?? "" };
}

export function callerOf(connection: CallerConnection): Peer {
	const { namespace } = callerIdentity(connection.tls);
	return { ...NO_PEER, namespace, address: connection.remoteAddress, port: connection.remotePort };
}
