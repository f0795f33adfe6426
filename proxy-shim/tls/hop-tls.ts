/** What a hop tells of its TLS, taken from the live connection once and remembered for as long as the connection lives. */
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { HopTls } from "../telemetry/hop.ts";
import { readCertificate } from "./certificate.ts";
import type { CertificateFacts } from "./certificate.ts";

/** Of this proxy, on the wire. */
export type TlsRole = "client" | "server";

const NO_TLS: HopTls = {
	status: "plaintext",
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
	noTlsReason: "",
};

const known = new WeakMap<Duplex, HopTls>();
const plaintext = new Map<string, HopTls>();

/** One shared record a reason: `permissive_plaintext`, `peer_not_in_mesh`, `disabled`, `external`, `no_identity`. */
export function plaintextTls(reason: string): HopTls {
	return shared(plaintext, reason, "plaintext");
}

const unknown = new Map<string, HopTls>();

/** Where no connection came about: a TlsFailureReason, or empty where none was tried. */
export function unknownTls(reason: string): HopTls {
	return shared(unknown, reason, "unknown");
}

function shared(records: Map<string, HopTls>, reason: string, status: "plaintext" | "unknown"): HopTls {
	let record = records.get(reason);
	if (record === undefined) {
		record = Object.freeze({ ...NO_TLS, status, noTlsReason: reason });
		records.set(reason, record);
	}
	return record;
}

/** For what a connection cannot tell by itself: why it is plain, or what the tunnel around it is. */
export function rememberHopTls(connection: Duplex, tls: HopTls): void {
	known.set(connection, tls);
}

/**
 * Costs a map look-up once it is known. Principals and subjects of the peer are told only where its chain was verified: what a stranger
 * writes into a certificate of its own making is nobody's identity.
 */
export function peerTls(socket: Duplex, role: TlsRole): HopTls {
	const found = known.get(socket);
	if (found !== undefined) return found;
	const facts = socket instanceof TLSSocket ? liveTls(socket, role) : plaintextTls("");
	known.set(socket, facts);
	return facts;
}

/** The facts of a certificate that was read already need not be read again. */
export function rememberTls(socket: TLSSocket, role: TlsRole, peer: CertificateFacts | undefined): HopTls {
	const facts = describe(socket, role, peer);
	known.set(socket, facts);
	return facts;
}

function liveTls(socket: TLSSocket, role: TlsRole): HopTls {
	const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
	return describe(socket, role, certificate === undefined ? undefined : factsOf(certificate.raw));
}

function describe(socket: TLSSocket, role: TlsRole, peer: CertificateFacts | undefined): HopTls {
	const local = localFacts(socket);
	const client = role === "client" ? local : peer;
	const server = role === "client" ? peer : local;
	const mutual = client !== undefined && server !== undefined;
	return Object.freeze({
		status: mutual ? "mutual_tls" : "tls",
		version: socket.getProtocol()?.replace(/^TLSv/, "") ?? "",
		cipher: socket.getCipher()?.standardName ?? "",
		serverName: serverName(socket),
		clientPrincipal: principalOf(client),
		serverPrincipal: principalOf(server),
		clientSubject: client?.subject ?? "",
		serverSubject: server?.subject ?? "",
		clientNotAfterMs: client?.notAfterMs ?? 0,
		serverNotAfterMs: server?.notAfterMs ?? 0,
		peerVerified: peer !== undefined && socket.authorized,
		noTlsReason: mutual ? "" : role === "client" ? "no_client_certificate" : "no_certificate",
	});
}

/** On a server it is what the client asked for, false for nothing; on a client Node keeps it in the same place. */
function serverName(socket: TLSSocket): string {
	const name: unknown = Reflect.get(socket, "servername");
	return typeof name === "string" ? name : "";
}

function principalOf(facts: CertificateFacts | undefined): string {
	return facts?.uris.length === 1 ? facts.uris[0]! : "";
}

/** Local certificates are few and live on many connections: the last ones are remembered by their bytes. */
let lastLocal: { readonly der: Buffer; readonly facts: CertificateFacts } | undefined;

function localFacts(socket: TLSSocket): CertificateFacts | undefined {
	const der = socket.getX509Certificate()?.raw;
	if (der === undefined) return undefined;
	if (lastLocal?.der.equals(der) === true) return lastLocal.facts;
	const facts = factsOf(der);
	if (facts !== undefined) lastLocal = { der, facts };
	return facts;
}

function factsOf(der: Uint8Array): CertificateFacts | undefined {
	try {
		return readCertificate(der);
	} catch {
		return undefined;
	}
}
