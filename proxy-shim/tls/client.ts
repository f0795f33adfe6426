/**
 * The calling end: which endpoints are spoken to over TLS, with what, and who must answer. One for each cluster.
 *
 * A connection is handed out only after the peer's chain and identity held, so not a byte of a request reaches a wrong one. Sessions are
 * never resumed (secure-context.ts says why), hence every connection is checked.
 */
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions, PeerCertificate, TLSSocket } from "node:tls";
import type { ClusterConfig, Endpoint } from "../../model/mesh/proxy-config.ts";
import type { HopSink } from "../telemetry/hop.ts";
import { detailOfError, isTlsFailure, reasonOfError, TlsFailure } from "./failure.ts";
import type { TlsFailureReason } from "./failure.ts";
import type { CertificateFacts } from "./certificate.ts";
import { plaintextTls, rememberHopTls, rememberTls } from "./hop-tls.ts";
import type { IdentitySource } from "./identity-source.ts";
import { checkPeer } from "./peer-check.ts";
import { secureContext } from "./secure-context.ts";
import { readPeer, trustDomainOf } from "./server.ts";
import { createTlsFiles } from "./tls-files.ts";

export interface ClientTlsOptions {
	readonly cluster: Pick<ClusterConfig, "tls" | "host" | "port" | "subset" | "external">;
	/** Epoch ms. */
	readonly nowMs: () => number;
	readonly events: Pick<HopSink, "event">;
}

export interface ConnectOptions {
	/** `["h2"]` or `["http/1.1"]`; a peer may pick none (`alpnProtocol` is false then). Empty negotiates none. */
	readonly alpn: readonly string[];
	/** TCP and handshake together. */
	readonly timeoutMs: number;
	/** Where a connection without TLS is made from, if this machine can; undefined: from anywhere. */
	readonly plainFrom?: string | undefined;
}

type Callback = (error: Error | undefined, socket: Socket | undefined) => void;

export interface ClientTls {
	/** Why connections to it are plain; undefined where they are TLS. */
	plaintextReason(endpoint: Endpoint): string | undefined;
	/**
	 * Calls back once, with a connection that is ready for the request, or with an error: a TlsFailure where TLS is the reason, else
	 * the socket's own. The returned function gives up.
	 */
	connect(endpoint: Endpoint, options: ConnectOptions, callback: Callback): () => void;
}

/** `source` is undefined for a proxy that has no identity at all; one that waits for its first certificate does not fall back. */
export function createClientTls(source: IdentitySource | undefined, options: ClientTlsOptions): ClientTls {
	const { cluster } = options;
	const { tls } = cluster;
	const files = tls.mode === "simple" || tls.mode === "mutual" ? createTlsFiles(tls, options.nowMs) : undefined;
	const insecure = (tls.mode === "simple" || tls.mode === "mutual") && tls.insecureSkipVerify;

	function plaintextReason(endpoint: Endpoint): string | undefined {
		if (tls.mode === "disable") return "disabled";
		if (tls.mode !== "auto") return undefined;
		if (endpoint.principal === undefined) return cluster.external ? "external" : "peer_not_in_mesh";
		return source === undefined ? "no_identity" : undefined;
	}

	/** Throws a TlsFailure. The check runs within the handshake and leaves what it read. */
	function tlsOptions(endpoint: Endpoint, seen: (facts: CertificateFacts) => void): ConnectionOptions {
		if (files !== undefined) return files.connectionOptions(cluster.host);
		const identity = source?.current();
		if (identity === undefined || identity.notAfterMs <= options.nowMs()) {
			throw new TlsFailure("no_own_certificate", "this proxy has no valid certificate yet");
		}
		const expected = expectedPrincipals(cluster, endpoint);
		const trustDomain = trustDomainOf(identity);
		return {
			secureContext: secureContext(identity),
			servername: (tls.mode === "istio_mutual" ? tls.sni : undefined) ?? istioSni(cluster),
			checkServerIdentity: (_name: string, certificate: PeerCertificate) => {
				try {
					const facts = readPeer(certificate.raw);
					checkPeer(facts, { trustDomain, expected, nowMs: options.nowMs() });
					seen(facts);
					return undefined;
				} catch (error) {
					return error instanceof Error ? error : new Error(String(error));
				}
			},
		};
	}

	function connect(endpoint: Endpoint, { alpn, timeoutMs, plainFrom }: ConnectOptions, callback: Callback): () => void {
		const why = plaintextReason(endpoint);
		let socket: Socket | undefined;
		let facts: CertificateFacts | undefined;
		let tcpConnected = false;
		let done = false;
		const timer = setTimeout(() => {
			finish(
				tcpConnected
					? new TlsFailure("handshake_timeout", `no handshake within ${timeoutMs} ms`)
					: new TlsFailure("connect_timeout", `no connection within ${timeoutMs} ms`),
			);
		}, timeoutMs);

		function finish(error: Error | undefined): void {
			if (done) return;
			done = true;
			clearTimeout(timer);
			if (error === undefined) return callback(undefined, socket);
			socket?.destroy();
			const reason = reasonOfError(error);
			if (why !== undefined || !isTlsFailure(reason)) return callback(error, undefined);
			tell(reason, error);
			callback(error instanceof TlsFailure ? error : new TlsFailure(reason, error.message, error), undefined);
		}

		const address = { host: endpoint.address, port: endpoint.port, noDelay: true, keepAlive: true };
		try {
			socket = why === undefined ? connectSecurely() : connectPlainly(plainFrom);
		} catch (error) {
			const failure = error instanceof TlsFailure ? error : new TlsFailure("handshake_failed", String(error), error);
			queueMicrotask(() => finish(failure));
			return giveUp;
		}
		follow(socket);
		return giveUp;

		function follow(started: Socket): void {
			started.on("error", (error) => {
				if (done) onLateError(error);
				else if (started === socket) finish(error);
			});
			started.on("close", () => {
				if (started === socket) finish(new TlsFailure("connection_closed", "the peer closed the connection"));
			});
			started.on("connect", () => {
				tcpConnected = true;
				if (why === undefined) return;
				rememberHopTls(started, plaintextTls(why));
				finish(undefined);
			});
		}

		function connectPlainly(from: string | undefined): Socket {
			if (from === undefined) return connectTcp(address);
			const started = connectTcp({ ...address, localAddress: from });
			started.prependListener("error", (error: NodeJS.ErrnoException) => {
				if (done || error.syscall !== "bind") return;
				socket = connectTcp(address);
				follow(socket);
			});
			return started;
		}

		function connectSecurely(): TLSSocket {
			const secure = connectTls({
				...address,
				...tlsOptions(endpoint, (read) => (facts = read)),
				...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
				rejectUnauthorized: files === undefined || !insecure,
			});
			secure.on("secureConnect", () => {
				rememberTls(secure, "client", facts ?? verifiedFacts(secure));
				finish(undefined);
			});
			return secure;
		}
		/**
		 * In TLS 1.3 a client hears after its handshake that its certificate was refused; and Node leaves a connection with such an error
		 * open, on which nothing would ever come.
		 */
		function onLateError(error: Error): void {
			socket?.destroy();
			const reason = reasonOfError(error);
			if (why === undefined && (reason === "own_certificate_refused" || reason === "refused_by_peer")) tell(reason, error);
		}
		function tell(reason: TlsFailureReason, error: Error): void {
			const peerAddress = `${endpoint.address}:${endpoint.port}`;
			options.events.event({
				kind: "handshake_failed",
				direction: "outbound",
				peerAddress,
				reason,
				detail: detailOfError(error),
			});
		}
		/** No failure of TLS: nothing is reported, and the caller knows. */
		function giveUp(): void {
			if (done) return;
			done = true;
			clearTimeout(timer);
			socket?.destroy();
			callback(new TlsFailure("connection_closed", "given up by the caller"), undefined);
		}
	}

	return { plaintextReason, connect };
}

/** Outside the mesh any certificate will do whose chain and name held. */
function verifiedFacts(socket: TLSSocket): CertificateFacts | undefined {
	const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
	return certificate === undefined ? undefined : readPeer(certificate.raw);
}

/** Istio's form, by which its sidecars and gateways pick a filter chain: `outbound_.8080_.v1_.orders.shop.svc.cluster.local`. */
export function istioSni(cluster: Pick<ClusterConfig, "host" | "port" | "subset">): string {
	return `outbound_.${cluster.port}_.${cluster.subset}_.${cluster.host}`;
}

/** Names in the policy come before the endpoint's own; without either, any workload of the trust domain may answer. */
function expectedPrincipals(cluster: Pick<ClusterConfig, "tls">, endpoint: Endpoint): readonly string[] {
	if (cluster.tls.mode === "istio_mutual" && cluster.tls.subjectAltNames.length > 0) return cluster.tls.subjectAltNames;
	return endpoint.principal === undefined ? [] : [endpoint.principal];
}
