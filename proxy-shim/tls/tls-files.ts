/**
 * SIMPLE and MUTUAL: TLS to servers outside the mesh, with roots and certificates from files. The files are looked at when a connection
 * is made, once a second at most; a set that cannot be used leaves the one before it in force.
 */
import { checkServerIdentity, createSecureContext, rootCertificates } from "node:tls";
import type { ConnectionOptions, PeerCertificate, SecureContext } from "node:tls";
import type { UpstreamTls } from "../../model/mesh/proxy-config.ts";
import { TlsFailure } from "./failure.ts";
import { filesVersion, readPemFile } from "./pem-files.ts";
import { PROTOCOL_OPTIONS } from "./secure-context.ts";

type FileTls = Extract<UpstreamTls, { mode: "simple" | "mutual" }>;

export interface TlsFiles {
	/** Throws a TlsFailure where no usable set of files was ever there. */
	connectionOptions(host: string): ConnectionOptions;
}

const CHECK_EVERY_MS = 1_000;

export function createTlsFiles(tls: FileTls, nowMs: () => number): TlsFiles {
	const certificateFile = tls.mode === "mutual" ? tls.certificateFile : undefined;
	const keyFile = tls.mode === "mutual" ? tls.keyFile : undefined;
	const paths = [tls.caFile, certificateFile, keyFile].filter((path) => path !== undefined);
	let context: SecureContext | undefined;
	let version = "";
	let checkedAtMs = Number.NEGATIVE_INFINITY;

	function load(): SecureContext {
		return createSecureContext({
			...PROTOCOL_OPTIONS,
			minVersion: "TLSv1.2",
			ca: tls.caFile === undefined ? [...rootCertificates] : readPemFile(tls.caFile, "tls.caCertificates"),
			allowPartialTrustChain: tls.caFile !== undefined,
			...(certificateFile === undefined ? {} : { cert: readPemFile(certificateFile, "tls.clientCertificate") }),
			...(keyFile === undefined ? {} : { key: readPemFile(keyFile, "tls.privateKey") }),
		});
	}

	function current(): SecureContext {
		const now = nowMs();
		if (context !== undefined && now - checkedAtMs < CHECK_EVERY_MS && now >= checkedAtMs) return context;
		checkedAtMs = now;
		const found = filesVersion(paths);
		if (context !== undefined && found === version) return context;
		try {
			context = load();
			// Taken before the files were read: what changes meanwhile is noticed next time.
			version = found;
		} catch (error) {
			if (context === undefined) throw new TlsFailure("no_own_certificate", String(error), error);
		}
		return context;
	}

	return {
		connectionOptions(host) {
			const servername = tls.sni ?? host;
			return {
				secureContext: current(),
				servername,
				checkServerIdentity: (_name: string, certificate: PeerCertificate) =>
					tls.subjectAltNames.length === 0
						? checkServerIdentity(servername, certificate)
						: checkNames(tls.subjectAltNames, certificate),
			};
		},
	};
}

/** One of the names must be the certificate's: a URI as it stands, anything else as a host name. */
function checkNames(names: readonly string[], certificate: PeerCertificate): Error | undefined {
	const uris = new Set((certificate.subjectaltname ?? "").split(", ").filter((name) => name.startsWith("URI:")));
	for (const name of names) {
		const matches = name.includes("://") ? uris.has(`URI:${name}`) : checkServerIdentity(name, certificate) === undefined;
		if (matches) return undefined;
	}
	return new TlsFailure("wrong_identity", `the certificate bears none of ${names.join(", ")}`);
}
