/** Hops for tests and measurements: a plain one of each kind, and what a test wants otherwise. */
import type { Workload } from "../../model/mesh/proxy-config.ts";
import type { Clock } from "./clock.ts";
import type { HopTls, HopTrace, HttpHop, Peer, TcpHop } from "./hop.ts";

export const NOT_AFTER_MS = Date.UTC(2030, 0, 2, 3, 4, 5);

export function workload(service: string, overrides: Partial<Workload> = {}): Workload {
	return {
		trustDomain: "demo.local",
		namespace: "demo",
		service,
		workload: `${service}-v1`,
		version: "v1",
		serviceAccount: service,
		instanceId: `${service}-1`,
		labels: { app: service, version: "v1" },
		...overrides,
	};
}

export function spiffeId(service: string): string {
	return `spiffe://demo.local/ns/demo/sa/${service}`;
}

export function mutualTls(source: string, destination: string, overrides: Partial<HopTls> = {}): HopTls {
	return {
		status: "mutual_tls",
		version: "1.3",
		cipher: "TLS_AES_128_GCM_SHA256",
		serverName: `outbound_.8080_._.${destination}.demo.svc.cluster.local`,
		clientPrincipal: spiffeId(source),
		serverPrincipal: spiffeId(destination),
		clientSubject: `CN=${source}`,
		serverSubject: `CN=${destination}`,
		clientNotAfterMs: NOT_AFTER_MS,
		serverNotAfterMs: NOT_AFTER_MS + 60_000,
		peerVerified: true,
		noTlsReason: "",
		...overrides,
	};
}

export function noTls(status: "plaintext" | "unknown", noTlsReason: string): HopTls {
	return {
		status,
		version: "",
		cipher: "",
		serverName: "",
		clientPrincipal: "",
		serverPrincipal: "",
		clientSubject: "",
		serverSubject: "",
		clientNotAfterMs: 0,
		serverNotAfterMs: 0,
		peerVerified: false,
		noTlsReason,
	};
}

export function peer(service: string, overrides: Partial<Peer> = {}): Peer {
	return {
		service,
		namespace: "demo",
		workload: `${service}-v1`,
		instanceId: `${service}-1`,
		address: "10.0.0.7",
		port: 15006,
		...overrides,
	};
}

export function trace(overrides: Partial<HopTrace> = {}): HopTrace {
	return {
		traceId: "0af7651916cd43dd8448eb211c80319c",
		spanId: "b7ad6b7169203331",
		parentSpanId: "",
		sampled: true,
		traceState: "",
		...overrides,
	};
}

/** shop calls cart. */
export function httpHop(overrides: Partial<HttpHop> = {}): HttpHop {
	return {
		kind: "http",
		direction: "outbound",
		local: workload("shop"),
		peer: peer("cart"),
		startTimeUnixNano: 1_764_000_000_123_456_789n,
		durationNs: 1_234_567,
		tls: mutualTls("shop", "cart"),
		failedHandshakes: 0,
		mtlsMode: "strict",
		responseFlags: "",
		authzPolicy: "",
		authzDecision: "",
		configVersion: "7",
		upstreamCluster: "outbound|8080||cart.demo.svc.cluster.local",
		lbPolicy: "least_request",
		subset: "",
		trace: trace(),
		requestId: "7f1d1f0e-6a4b-4e0e-9a53-0e5f0a1b2c3d",
		method: "GET",
		scheme: "http",
		authority: "cart.demo:8080",
		path: "/items/17",
		protocolVersion: "1.1",
		isGrpc: false,
		userAgent: "undici",
		status: 200,
		grpcStatus: undefined,
		requestBytes: 0,
		responseBytes: 1024,
		requestMessages: 0,
		responseMessages: 0,
		route: "default",
		retries: 0,
		breakerState: "",
		fellBack: false,
		upstreamServiceTimeMs: 1,
		faultInjected: false,
		...overrides,
	};
}

/** The other end of an outbound hop: what the callee's proxy tells of it. */
export function answering(hop: HttpHop, overrides: Partial<HttpHop> = {}): HttpHop {
	return {
		...hop,
		direction: "inbound",
		local: workload(hop.peer.service),
		peer: peer(hop.local.service, { address: "10.0.0.3", port: 40_123 }),
		trace: {
			...hop.trace,
			spanId: "00f067aa0ba902b7",
			parentSpanId: hop.trace.spanId,
			traceState: `meshscope=${hop.trace.spanId}`,
		},
		upstreamCluster: "inbound|8080||",
		lbPolicy: "",
		failedHandshakes: 0,
		durationNs: Math.floor(hop.durationNs / 2),
		retries: 0,
		...overrides,
	};
}

export function tcpHop(overrides: Partial<TcpHop> = {}): TcpHop {
	return {
		kind: "tcp",
		direction: "outbound",
		local: workload("shop"),
		peer: peer("db"),
		startTimeUnixNano: 1_764_000_000_123_456_789n,
		durationNs: 5_000_000,
		tls: mutualTls("shop", "db"),
		failedHandshakes: 0,
		mtlsMode: "strict",
		responseFlags: "",
		authzPolicy: "",
		authzDecision: "",
		configVersion: "7",
		upstreamCluster: "outbound|5432||db.demo.svc.cluster.local",
		lbPolicy: "round_robin",
		subset: "",
		trace: trace(),
		bytesSent: 100,
		bytesReceived: 2000,
		closedBy: "downstream",
		...overrides,
	};
}

/** A clock that stands until a test lets it go on; what was due is called in order. */
export function fakeClock(): Clock & { advance(ms: number): Promise<void> } {
	let nowMs = 0;
	const due = new Set<{ readonly atMs: number; readonly run: () => void }>();
	return {
		monotonicMs: () => nowMs,
		epochMs: () => 1_764_000_000_000 + nowMs,
		after(ms, run) {
			const entry = { atMs: nowMs + ms, run };
			due.add(entry);
			return () => void due.delete(entry);
		},
		async advance(ms) {
			const endMs = nowMs + ms;
			for (;;) {
				await settled();
				const next = [...due].filter(({ atMs }) => atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs)[0];
				if (next === undefined) break;
				due.delete(next);
				nowMs = Math.max(nowMs, next.atMs);
				next.run();
			}
			nowMs = endMs;
		},
	};
}

/** Promises that are resolved already have told everybody. */
async function settled(): Promise<void> {
	for (let i = 0; i < 10; i++) await Promise.resolve();
}
