/**
 * mTLS as an access log record of Envoy states it, for one leg.
 *
 * A field that was logged and is empty says "no TLS"; a field that nobody configured says nothing.
 */
import type { LegTls, LogAttributes } from "../facts.ts";
import { NO_TLS_FACTS } from "../facts.ts";
import { principalOf } from "./identity.ts";
import { notAfterMs, tlsVersion } from "./leg-tls.ts";
import { flagsOf, isUnreached } from "./outcome.ts";

const PEER_PARTS = ["uri_san", "subject", "dns_san", "cert_end"] as const;
const LOCAL_PARTS = ["uri_san", "subject", "dns_san"] as const;

/** The leg towards the caller, where the proxy is the server. */
export function downstreamLeg(attributes: LogAttributes): LegTls {
	const failure = tlsFailure(attributes.get("downstream_tls_failure"));
	if (!isReported(attributes, "downstream_tls_version")) return { ...NO_TLS_FACTS, failure };
	const facts = legOf(attributes, "downstream", failure);
	if (facts.version === "") {
		return failure === "" ? { ...NO_TLS_FACTS, status: "plaintext", verifiedBy: "server" } : { ...NO_TLS_FACTS, failure };
	}
	if (hasAny(attributes, "downstream_peer", PEER_PARTS)) return { ...facts, status: "mutual_tls", verifiedBy: "server" };
	// A TLS version alone, where no field of the peer's certificate was configured, leaves open who the peer is.
	return reportsAny(attributes, "downstream_peer", PEER_PARTS) ? { ...facts, status: "tls", verifiedBy: "server" } : facts;
}

/** The leg towards the callee, where the proxy is the client. */
export function upstreamLeg(attributes: LogAttributes): LegTls {
	const failure = tlsFailure(attributes.get("upstream_tls_failure"));
	if (!isReported(attributes, "upstream_tls_version")) return { ...NO_TLS_FACTS, failure };
	const facts = legOf(attributes, "upstream", failure);
	if (facts.version === "") {
		const connected =
			attributes.get("upstream_tls_failure") === undefined &&
			attributes.get("upstream_host") !== undefined &&
			!isUnreached(flagsOf(attributes.get("response_flags")));
		return connected ? { ...NO_TLS_FACTS, status: "plaintext", verifiedBy: "client" } : { ...NO_TLS_FACTS, failure };
	}
	const ends = hasAny(attributes, "upstream_peer", PEER_PARTS) && hasAny(attributes, "upstream_local", LOCAL_PARTS);
	if (ends) return { ...facts, status: "mutual_tls", verifiedBy: "client" };
	const reported = reportsAny(attributes, "upstream_peer", PEER_PARTS) && reportsAny(attributes, "upstream_local", LOCAL_PARTS);
	return reported ? { ...facts, status: "tls", verifiedBy: "client" } : facts;
}

function legOf(attributes: LogAttributes, leg: "downstream" | "upstream", failure: string): LegTls {
	return {
		status: "unknown",
		peerPrincipal: principal(attributes, `${leg}_peer`),
		localPrincipal: principal(attributes, `${leg}_local`),
		version: tlsVersion(attributes.get(`${leg}_tls_version`)),
		cipher: attributes.get(`${leg}_tls_cipher`) ?? "",
		verifiedBy: "",
		peerNotAfterMs: notAfterMs(attributes.get(`${leg}_peer_cert_end`)),
		peerIssuer: attributes.get(`${leg}_peer_issuer`) ?? "",
		failure,
	};
}

/** Empty gRPC log tags are left out, so that a tag of its own tells "plaintext" from "not configured". */
function isReported(attributes: LogAttributes, key: string): boolean {
	return attributes.has(key) || attributes.get("meshscope.tls.reported") !== undefined;
}

function reportsAny(attributes: LogAttributes, prefix: string, parts: readonly string[]): boolean {
	return parts.some((part) => isReported(attributes, `${prefix}_${part}`));
}

function hasAny(attributes: LogAttributes, prefix: string, parts: readonly string[]): boolean {
	return parts.some((part) => attributes.get(`${prefix}_${part}`) !== undefined);
}

function principal(attributes: LogAttributes, prefix: string): string {
	return (
		principalOf(attributes.get(`${prefix}_uri_san`)) ||
		// A subject has commas of its own.
		(attributes.get(`${prefix}_subject`) ?? principalOf(attributes.get(`${prefix}_dns_san`)))
	);
}

/** Envoy reports refused and timed-out connections in the same field as failed handshakes. */
function tlsFailure(reason: string | undefined): string {
	return reason !== undefined && /\b(?:TLS|SSL|ALTS)|certificate|handshake/i.test(reason)
		? reason.slice(0, MAX_REASON_CHARS)
		: "";
}

const MAX_REASON_CHARS = 256;
