/**
 * mTLS as an access log record of Envoy states it, for one leg.
 *
 * A field that was logged and is empty says "no TLS"; a field that nobody configured says nothing.
 */
import type { Attributes, LegTls } from "../facts.ts";
import { NO_TLS_FACTS } from "../facts.ts";
import { onePrincipal } from "./log-names.ts";

/** Response flags of requests that never had a connection upstream. */
const NEVER_CONNECTED: ReadonlySet<string> = new Set(["UF", "UH", "UO", "NR", "NC", "DF"]);

const PEER_PARTS = ["uri_san", "subject", "dns_san", "cert_end"] as const;
const LOCAL_PARTS = ["uri_san", "subject", "dns_san"] as const;

/** The leg towards the caller, where the proxy is the server. */
export function downstreamLeg(attributes: Attributes): LegTls {
	const failure = tlsFailure(attributes.get("downstream_tls_failure"));
	if (!isReported(attributes, "downstream_tls_version")) return { ...NO_TLS_FACTS, failure };
	const facts = legOf(attributes, "downstream", failure);
	if (facts.version === "") return { ...NO_TLS_FACTS, status: failure === "" ? "plaintext" : "unknown", failure };
	if (hasAny(attributes, "downstream_peer", PEER_PARTS)) return { ...facts, status: "mutual_tls", verifiedBy: "server" };
	// A TLS version alone, where no field of the peer's certificate was configured, leaves open who the peer is.
	return { ...facts, status: reportsAny(attributes, "downstream_peer", PEER_PARTS) ? "tls" : "unknown" };
}

/** The leg towards the callee, where the proxy is the client. */
export function upstreamLeg(attributes: Attributes): LegTls {
	const failure = tlsFailure(attributes.get("upstream_tls_failure"));
	if (!isReported(attributes, "upstream_tls_version")) return { ...NO_TLS_FACTS, failure };
	const facts = legOf(attributes, "upstream", failure);
	if (facts.version === "") {
		const flags = attributes.get("response_flags")?.split(",") ?? [];
		const connected =
			failure === "" &&
			attributes.get("upstream_tls_failure") === undefined &&
			attributes.get("upstream_host") !== undefined &&
			!flags.some((flag) => NEVER_CONNECTED.has(flag));
		return { ...NO_TLS_FACTS, status: connected ? "plaintext" : "unknown", failure };
	}
	const ends = hasAny(attributes, "upstream_peer", PEER_PARTS) && hasAny(attributes, "upstream_local", LOCAL_PARTS);
	if (ends) return { ...facts, status: "mutual_tls", verifiedBy: "client" };
	const reported = reportsAny(attributes, "upstream_peer", PEER_PARTS) && reportsAny(attributes, "upstream_local", LOCAL_PARTS);
	return { ...facts, status: reported ? "tls" : "unknown", verifiedBy: reported && facts.peerPrincipal !== "" ? "client" : "" };
}

function legOf(attributes: Attributes, leg: "downstream" | "upstream", failure: string): LegTls {
	const notAfterMs = Date.parse(attributes.get(`${leg}_peer_cert_end`) ?? "");
	return {
		status: "unknown",
		peerPrincipal: principal(attributes, `${leg}_peer`),
		localPrincipal: principal(attributes, `${leg}_local`),
		version: tlsVersion(attributes.get(`${leg}_tls_version`)),
		cipher: attributes.get(`${leg}_tls_cipher`) ?? "",
		verifiedBy: "",
		peerNotAfterMs: Number.isNaN(notAfterMs) ? undefined : notAfterMs,
		peerIssuer: attributes.get(`${leg}_peer_issuer`) ?? "",
		failure,
	};
}

/** Empty gRPC log tags are left out, so that a tag of its own tells "plaintext" from "not configured". */
function isReported(attributes: Attributes, key: string): boolean {
	return attributes.has(key) || attributes.get("meshscope.tls.reported") !== undefined;
}

function reportsAny(attributes: Attributes, prefix: string, parts: readonly string[]): boolean {
	return parts.some((part) => isReported(attributes, `${prefix}_${part}`));
}

function hasAny(attributes: Attributes, prefix: string, parts: readonly string[]): boolean {
	return parts.some((part) => attributes.get(`${prefix}_${part}`) !== undefined);
}

function principal(attributes: Attributes, prefix: string): string {
	return (
		onePrincipal(attributes.get(`${prefix}_uri_san`)) ||
		(attributes.get(`${prefix}_subject`) ?? onePrincipal(attributes.get(`${prefix}_dns_san`)))
	);
}

/** Envoy's `TLSv1.3` as `1.3`. */
function tlsVersion(text: string | undefined): string {
	return text?.replace(/^TLSv/i, "") ?? "";
}

/** Envoy reports refused and timed-out connections in the same field as failed handshakes. */
function tlsFailure(reason: string | undefined): string {
	return reason !== undefined && /\b(?:TLS|SSL|ALTS)|certificate|handshake/i.test(reason)
		? reason.slice(0, MAX_REASON_CHARS)
		: "";
}

const MAX_REASON_CHARS = 256;
