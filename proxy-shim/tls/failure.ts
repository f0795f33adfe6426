/** Why a TLS connection did not come about, in words that docs/mtls.md explains one by one. */

export const TLS_FAILURES = [
	"no_own_certificate",
	"no_certificate",
	"peer_certificate_expired",
	"peer_certificate_not_yet_valid",
	"unknown_authority",
	"invalid_certificate",
	"not_spiffe",
	"wrong_trust_domain",
	"wrong_identity",
	"own_certificate_refused",
	"refused_by_peer",
	"not_tls",
	"protocol_version",
	"no_shared_cipher",
	"no_application_protocol",
	"handshake_timeout",
	"connection_closed",
	"connect_failed",
	"connect_timeout",
	"too_many_handshakes",
	"handshake_failed",
] as const;

export type TlsFailureReason = (typeof TLS_FAILURES)[number];

export class TlsFailure extends Error {
	readonly reason: TlsFailureReason;
	/** The message without the reason. */
	readonly detail: string;
	/** As Node's errors have it, for code that looks there. */
	readonly code = "ERR_MESH_TLS";

	constructor(reason: TlsFailureReason, detail: string, cause?: unknown) {
		super(`${reason}: ${detail}`, cause === undefined ? undefined : { cause });
		this.name = "TlsFailure";
		this.reason = reason;
		this.detail = detail;
	}
}

/** OpenSSL's results of chain verification (X509_V_ERR_*), by the names that Node gives them. */
const VERIFY_RESULTS: ReadonlyMap<string, TlsFailureReason> = new Map<string, TlsFailureReason>([
	["CERT_HAS_EXPIRED", "peer_certificate_expired"],
	["CERT_NOT_YET_VALID", "peer_certificate_not_yet_valid"],
	["UNABLE_TO_GET_ISSUER_CERT", "unknown_authority"],
	["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "unknown_authority"],
	["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "unknown_authority"],
	["SELF_SIGNED_CERT_IN_CHAIN", "unknown_authority"],
	["DEPTH_ZERO_SELF_SIGNED_CERT", "unknown_authority"],
	["CERT_UNTRUSTED", "unknown_authority"],
	["CERT_SIGNATURE_FAILURE", "unknown_authority"],
	["INVALID_PURPOSE", "invalid_certificate"],
	["INVALID_CA", "invalid_certificate"],
	["PATH_LENGTH_EXCEEDED", "invalid_certificate"],
	["CERT_CHAIN_TOO_LONG", "invalid_certificate"],
	["CERT_REJECTED", "invalid_certificate"],
	["ERROR_IN_CERT_NOT_BEFORE_FIELD", "invalid_certificate"],
	["ERROR_IN_CERT_NOT_AFTER_FIELD", "invalid_certificate"],
	["ERR_TLS_CERT_ALTNAME_INVALID", "wrong_identity"],
]);

/** OpenSSL's and Node's errors, first match wins; names rather than messages, which change with OpenSSL's version. */
const ERROR_CODES: readonly (readonly [pattern: RegExp, reason: TlsFailureReason])[] = [
	[/^ERR_TLS_HANDSHAKE_TIMEOUT$/, "handshake_timeout"],
	[/PEER_DID_NOT_RETURN_A_CERTIFICATE/, "no_certificate"],
	[/ALERT_NO_APPLICATION_PROTOCOL|NO_APPLICATION_PROTOCOL/, "no_application_protocol"],
	[/ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|VERSION_TOO_HIGH/, "protocol_version"],
	[/HTTP_REQUEST|HTTPS_PROXY_REQUEST|WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/, "not_tls"],
	[/ALERT_.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/, "own_certificate_refused"],
	[/ALERT_/, "refused_by_peer"],
	[/NO_SHARED_CIPHER|NO_SHARED_GROUP|NO_SUITABLE_(KEY_SHARE|GROUPS|SIGNATURE)/, "no_shared_cipher"],
	[/^(ECONNRESET|EPIPE|ECONNABORTED)$/, "connection_closed"],
	[/^(ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/, "connect_timeout"],
	[/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|ENOTFOUND|EAI_AGAIN|EINVAL|EMFILE|ENFILE)$/, "connect_failed"],
];

export function reasonOfVerifyResult(code: string): TlsFailureReason {
	return VERIFY_RESULTS.get(code) ?? "invalid_certificate";
}

/** Of an error that a socket gave, before or after its handshake: in TLS 1.3 a client learns late that it was refused. */
export function reasonOfError(error: unknown): TlsFailureReason {
	if (error instanceof TlsFailure) return error.reason;
	if (typeof error !== "object" || error === null || !("code" in error)) return "handshake_failed";
	const code = String(error.code);
	return VERIFY_RESULTS.get(code) ?? ERROR_CODES.find(([pattern]) => pattern.test(code))?.[1] ?? "handshake_failed";
}

const MAX_DETAIL_CHARS = 500;

/** What a reason leaves out, in one line for a log. */
export function detailOfError(error: unknown): string {
	if (error instanceof TlsFailure) return error.detail.slice(0, MAX_DETAIL_CHARS);
	if (!(error instanceof Error)) return "";
	// OpenSSL's errors have the words alone there; their messages begin with addresses and end with source files.
	const words = "reason" in error ? String(error.reason) : error.message;
	return words.slice(0, MAX_DETAIL_CHARS);
}

/** Some ends of a connection are no attack and no mistake of policy: the peer went away, or was never there. */
export function isTlsFailure(reason: TlsFailureReason): boolean {
	return reason !== "connect_failed" && reason !== "connect_timeout";
}
