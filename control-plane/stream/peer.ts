/** Who is at the other end of a TLS connection: read from the connection alone, and only from a certificate that this mesh issued. */
import { createHash, X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { CONTROL_NAMESPACE } from "../../model/mesh/control-protocol.ts";
import { parseSpiffeId } from "../../model/mesh/policy/spiffe.ts";
import type { SessionPeer } from "./session.ts";

export function peerOf(socket: TLSSocket, trustDomain: string, rootsPem: readonly string[], nowMs: number): SessionPeer {
	const remoteAddress = (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
	const certificate = socket.getPeerX509Certificate();
	const nobody = (problem: string): SessionPeer => ({ principal: undefined, certificate: undefined, problem, remoteAddress });
	if (certificate === undefined) return nobody("");
	if (!socket.authorized) return nobody(`it is not trusted (${String(socket.authorizationError)})`);
	// A resumed session keeps the verdict of its first handshake.
	const notAfterMs = certificate.validToDate.getTime();
	if (nowMs >= notAfterMs) return nobody("it has expired");
	const name = /^URI:(spiffe:\/\/[^\s,"]+)$/.exec(certificate.subjectAltName ?? "")?.[1];
	const parsed = name === undefined ? undefined : parseSpiffeId(name);
	if (name === undefined || parsed?.ok !== true) return nobody("it has not exactly one SPIFFE ID");
	if (parsed.trustDomain !== trustDomain) return nobody("it is of another trust domain");
	if (parsed.namespace === CONTROL_NAMESPACE) return nobody("it is a control plane's");
	const root = rootsPem.map((pem) => new X509Certificate(pem)).find((one) => certificate.verify(one.publicKey));
	if (root === undefined) return nobody("its root is no longer trusted");
	return {
		principal: name,
		certificate: {
			serial: certificate.serialNumber.toLowerCase(),
			notBeforeMs: certificate.validFromDate.getTime(),
			notAfterMs,
			rootSha256: createHash("sha256").update(root.raw).digest("hex"),
		},
		problem: "",
		remoteAddress,
	};
}
