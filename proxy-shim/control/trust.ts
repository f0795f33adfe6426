/**
 * First contact. A joining proxy knows one thing of the control plane: the fingerprint of its root, from the token. It looks which roots
 * are shown, keeps the one with that fingerprint, and ends the connection; nothing was said on it. Every connection after that is
 * verified by TLS itself against that root, so no rule about certificates is written here.
 */
import { createHash, X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import type { PeerCertificate } from "node:tls";
import { CONTROL_NAMESPACE, CONTROL_SERVICE_ACCOUNT, rootServerName } from "../../model/mesh/control-protocol.ts";
import { formatSpiffeId } from "../../model/mesh/policy/spiffe.ts";

export interface ControlAddress {
	readonly host: string;
	readonly port: number;
}

const MAX_CHAIN = 8;

export function sha256Of(certificatePem: string): string {
	return createHash("sha256").update(new X509Certificate(certificatePem).raw).digest("hex");
}

/**
 * The root with this fingerprint, PEM.
 * @throws Error when the other end does not show it, or does not answer in time
 */
export function fetchPinnedRoot(address: ControlAddress, rootSha256: string, timeoutMs: number): Promise<string> {
	return new Promise((resolve, reject) => {
		const socket = connect({
			...address,
			servername: rootServerName(rootSha256),
			ALPNProtocols: ["h2"],
			minVersion: "TLSv1.3",
			// Only what is shown is looked at; nothing is sent and nothing else is believed.
			rejectUnauthorized: false,
		});
		const fail = (error: Error): void => {
			socket.destroy();
			reject(error);
		};
		socket.setTimeout(timeoutMs, () => fail(new Error("the control plane does not answer the handshake")));
		socket.on("error", fail);
		socket.once("secureConnect", () => {
			const root = shown(socket.getPeerCertificate(true)).find(
				(raw) => createHash("sha256").update(raw).digest("hex") === rootSha256,
			);
			if (root === undefined)
				fail(new Error("the control plane does not show the root that the join token names; it may be another one"));
			else {
				socket.destroy();
				resolve(new X509Certificate(root).toString());
			}
		});
	});
}

/** DER of the chain as far as it was shown. */
function shown(leaf: PeerCertificate | undefined): readonly Buffer[] {
	const chain: Buffer[] = [];
	let at: Partial<ReturnType<typeof Object>> | undefined = leaf;
	while (chain.length < MAX_CHAIN && at !== undefined && Buffer.isBuffer(at["raw"])) {
		chain.push(at["raw"]);
		at = at["issuerCertificate"] === at ? undefined : (at["issuerCertificate"] as typeof at);
	}
	return chain;
}

/** For the TLS of every connection that speaks: the other end is the control plane itself, not just somebody of the mesh. */
export function controlPlaneProblem(certificate: { readonly subjectaltname?: string }, trustDomain: string): Error | undefined {
	const expected = formatSpiffeId({ trustDomain, namespace: CONTROL_NAMESPACE, serviceAccount: CONTROL_SERVICE_ACCOUNT });
	return certificate.subjectaltname === `URI:${expected}`
		? undefined
		: new Error(
				`the other end is not the control plane of ${trustDomain}; its name is ${certificate.subjectaltname ?? "none"}`,
			);
}
