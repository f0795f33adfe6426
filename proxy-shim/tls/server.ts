/**
 * The receiving end of mTLS. Accepted TCP connections are handed in, checked connections come out; nothing reaches `onSecure` whose
 * chain, validity and SPIFFE ID did not hold.
 *
 * A new identity replaces the secure context for handshakes from then on; live connections keep what they were made with. Checks are
 * Node's own (`rejectUnauthorized`, so that OpenSSL itself tells a client without a certificate) and then the rules of peer-check.ts.
 */
import type { Socket } from "node:net";
import { createServer } from "node:tls";
import type { SecureContext, TLSSocket } from "node:tls";
import type { HopSink, HopTls } from "../telemetry/hop.ts";
import { parseSpiffeId } from "../../model/mesh/spiffe-id.ts";
import { readCertificate } from "./certificate.ts";
import type { CertificateFacts } from "./certificate.ts";
import { detailOfError, reasonOfError, reasonOfVerifyResult, TlsFailure } from "./failure.ts";
import type { TlsFailureReason } from "./failure.ts";
import { rememberTls } from "./hop-tls.ts";
import type { Identity, IdentitySource } from "./identity-source.ts";
import { checkPeer } from "./peer-check.ts";
import { identityOptions, PROTOCOL_OPTIONS, secureContext } from "./secure-context.ts";
import type { MinTlsVersion } from "./secure-context.ts";

export interface ServerTlsOptions {
	/** In order of preference, `["h2", "http/1.1"]`; a client that offers others only is refused. Empty: none is negotiated. */
	readonly alpn: readonly string[];
	/** False: a client may show none (`tls` in telemetry); one that it shows is checked all the same. */
	readonly requireClientCertificate: boolean;
	/** Identities by the name that a client asks for (SNI), beside `source`, which answers all other names and none. */
	readonly byServerName?: (serverName: string) => IdentitySource | undefined;
	/** 1.2 unless given. */
	readonly minVersion?: MinTlsVersion;
	/** 10 s unless given. */
	readonly handshakeTimeoutMs?: number;
	/** Handshakes at one time, 1024 unless given; what comes beyond is closed at once. */
	readonly maxHandshakes?: number;
	/** Epoch ms. */
	readonly nowMs: () => number;
	readonly events: Pick<HopSink, "event">;
	/** Each connection once. Its `error` event is handled already; whoever takes it may add listeners of its own. */
	readonly onSecure: (socket: TLSSocket, tls: HopTls) => void;
	/** Called beside `events`; the connection is closed. */
	readonly onRefused?: (reason: TlsFailureReason, peerAddress: string) => void;
}

export interface ServerTls {
	/** Takes a TCP connection, of which nothing was read or what was read is unshifted again. */
	accept(socket: Socket): void;
	/** Handshakes under way. */
	readonly handshakes: number;
	/** Ends following the identity. Live connections and handshakes go on. */
	close(): void;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
const MAX_HANDSHAKES = 1_024;

export function createServerTls(source: IdentitySource, options: ServerTlsOptions): ServerTls {
	const minVersion = options.minVersion ?? "TLSv1.2";
	const maxHandshakes = options.maxHandshakes ?? MAX_HANDSHAKES;
	let identity: Identity | undefined;
	let handshakes = 0;
	const { byServerName } = options;
	const server = createServer({
		...PROTOCOL_OPTIONS,
		minVersion,
		...(byServerName === undefined ? {} : { SNICallback: chooseIdentity }),
		...(options.alpn.length === 0 ? {} : { ALPNProtocols: [...options.alpn] }),
		requestCert: true,
		rejectUnauthorized: options.requireClientCertificate,
		handshakeTimeout: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
	});

	function chooseIdentity(serverName: string, choose: (error: Error | null, context?: SecureContext) => void): void {
		const named = byServerName?.(serverName);
		if (named === undefined) return choose(null);
		const own = named.current();
		if (!isValid(own)) return choose(new TlsFailure("no_own_certificate", `there is no valid certificate for ${serverName}`));
		try {
			choose(null, secureContext(own));
		} catch (error) {
			choose(new TlsFailure("no_own_certificate", `the certificate for ${serverName} cannot be used`, error));
		}
	}

	/** Undefined where a client asked for nobody's name and nobody answers such. */
	function identityFor(socket: TLSSocket): Identity | undefined {
		const serverName: unknown = Reflect.get(socket, "servername");
		const named = typeof serverName === "string" ? byServerName?.(serverName) : undefined;
		return named === undefined ? identity : named.current();
	}

	function isValid(own: Identity | undefined): own is Identity {
		return own !== undefined && own.notAfterMs > options.nowMs();
	}

	function adopt(next: Identity): void {
		try {
			server.setSecureContext(identityOptions(next, minVersion));
			identity = next;
		} catch (error) {
			// The one before it stays in force for as long as it is valid.
			report("no_own_certificate", "", `the certificate of ${next.principal} cannot be used: ${detailOfError(error)}`);
		}
	}

	function report(reason: TlsFailureReason, peerAddress: string, detail: string): void {
		options.events.event({ kind: "handshake_failed", direction: "inbound", peerAddress, reason, detail });
		options.onRefused?.(reason, peerAddress);
	}

	server.on("secureConnection", (socket: TLSSocket) => {
		handshakes--;
		// Node leaves a connection open whose TLS broke.
		socket.on("error", () => socket.destroy());
		let peer: CertificateFacts | undefined;
		try {
			const own = identityFor(socket);
			if (own === undefined) throw new TlsFailure("no_own_certificate", "the client named no identity of this proxy");
			peer = checkConnection(socket, own, options);
		} catch (error) {
			const peerAddress = addressOf(socket);
			socket.destroy();
			report(reasonOfError(error), peerAddress, detailOfError(error));
			return;
		}
		options.onSecure(socket, rememberTls(socket, "server", peer));
	});
	server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
		handshakes--;
		const peerAddress = addressOf(socket);
		socket.destroy();
		// Node closes without a word where the chain does not hold, and leaves the verdict here.
		const verdict: unknown = socket.authorizationError;
		if (typeof verdict === "string") report(reasonOfVerifyResult(verdict), peerAddress, verdict);
		else report(reasonOfError(error), peerAddress, detailOfError(error));
	});

	const first = source.current();
	if (first !== undefined) adopt(first);
	const unsubscribe = source.onChange(adopt);

	return {
		accept(socket) {
			// Read while the connection lives: the kernel forgets it with the connection, Node remembers.
			const peerAddress = socket.remoteAddress ?? "";
			socket.on("error", ignore);
			if (socket.destroyed) return;
			if (byServerName === undefined && !isValid(identity)) {
				socket.destroy();
				report("no_own_certificate", peerAddress, "there is none, or it has expired");
			} else if (handshakes >= maxHandshakes) {
				socket.destroy();
				report("too_many_handshakes", peerAddress, `${handshakes} are under way`);
			} else {
				handshakes++;
				server.emit("connection", socket);
			}
		},
		get handshakes() {
			return handshakes;
		},
		close() {
			unsubscribe();
		},
	};
}

/** The peer's certificate where it holds, undefined where none was shown and none is asked for. */
function checkConnection(socket: TLSSocket, own: Identity, options: ServerTlsOptions): CertificateFacts | undefined {
	const certificate = socket.getPeerX509Certificate();
	if (certificate === undefined) {
		if (options.requireClientCertificate) throw new TlsFailure("no_certificate", "the client showed none");
		return undefined;
	}
	if (!socket.authorized) {
		const verdict: unknown = socket.authorizationError;
		throw new TlsFailure(reasonOfVerifyResult(String(verdict)), "the client's chain does not hold");
	}
	const facts = readPeer(certificate.raw);
	checkPeer(facts, { trustDomain: trustDomainOf(own), expected: [], nowMs: options.nowMs() });
	return facts;
}

export function readPeer(der: Uint8Array): CertificateFacts {
	try {
		return readCertificate(der);
	} catch (error) {
		throw new TlsFailure("invalid_certificate", "it cannot be read", error);
	}
}

export function trustDomainOf(identity: Identity): string {
	const id = parseSpiffeId(identity.principal);
	if (id === undefined) throw new TlsFailure("no_own_certificate", `${identity.principal} is no SPIFFE ID of this mesh`);
	return id.trustDomain;
}

/** Of a connection that may be closed already, where only the TCP connection under it remembers its peer. */
function addressOf(socket: TLSSocket): string {
	const under: unknown = Reflect.get(socket, "_parent");
	const address =
		socket.remoteAddress ?? (under !== null && typeof under === "object" ? Reflect.get(under, "remoteAddress") : "");
	return typeof address === "string" ? address : "";
}

function ignore(): void {}
