/**
 * TLS on one leg as a span states it (docs/topology.md, "What each source tells"). What a proxy checked itself counts as verified by
 * it; what it was told in a header does not.
 */
import { type Attributes, type LegTls, NO_TLS_FACTS } from "../facts.ts";
import type { MtlsStatus, Verification } from "../series.ts";
import { principalOf } from "./identity.ts";
import type { SpanKey } from "./keys.ts";

/** `TLSv1.3`, `TLSv1_3`, `1.3` → `1.3`; empty for what is no version of TLS. */
export function tlsVersion(text: string | undefined): string {
	const match = /^(?:TLS ?v?)?([12])(?:[._]([0-3]))?$/i.exec(text ?? "");
	if (match === null) return "";
	return `${match[1]!}.${match[2] ?? "0"}`;
}

/** Epoch ms of a certificate's end as proxies print it, always in UTC; undefined for other text. */
export function notAfterMs(text: string | undefined): number | undefined {
	if (
		text === undefined ||
		!/^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d)$|^[A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4} GMT$/.test(text)
	)
		return undefined;
	const ms = Date.parse(text);
	return Number.isNaN(ms) ? undefined : ms;
}

/**
 * The leg towards the caller, by Envoy's custom tags. Empty operators leave no tag, so `meshscope.tls.reported` is what tells plaintext
 * from tags that were never configured.
 */
export function envoyDownstreamLeg(attributes: Attributes<SpanKey>): LegTls {
	const version = tlsVersion(attributes.get("meshscope.downstream.tls.version"));
	const peer = principalOf(
		attributes.get("meshscope.downstream.peer.uri_san") ?? attributes.get("meshscope.downstream.peer.subject"),
	);
	if (version === "") {
		if (isReported(attributes)) return { ...NO_TLS_FACTS, status: "plaintext", verifiedBy: "server" };
		return forwardedLeg(attributes.get("x-forwarded-client-cert")) ?? NO_TLS_FACTS;
	}
	return {
		status: peer === "" ? "tls" : "mutual_tls",
		peerPrincipal: peer,
		localPrincipal: principalOf(attributes.get("meshscope.downstream.local.uri_san")),
		version,
		cipher: attributes.get("meshscope.downstream.tls.cipher") ?? "",
		verifiedBy: "server",
		peerNotAfterMs: notAfterMs(attributes.get("meshscope.downstream.peer.cert_end")),
		peerIssuer: attributes.get("meshscope.downstream.peer.issuer") ?? "",
		failure: "",
	};
}

/** The leg towards the callee. @param reached whether an upstream took the request: without one there is nothing to be plaintext */
export function envoyUpstreamLeg(attributes: Attributes<SpanKey>, reached: boolean): LegTls {
	const failure = attributes.get("meshscope.upstream.tls.failure") ?? "";
	const version = tlsVersion(attributes.get("meshscope.upstream.tls.version"));
	const peer = principalOf(
		attributes.get("meshscope.upstream.peer.uri_san") ?? attributes.get("meshscope.upstream.peer.subject"),
	);
	const local = principalOf(attributes.get("meshscope.upstream.local.uri_san"));
	if (failure !== "") return { ...NO_TLS_FACTS, peerPrincipal: peer, localPrincipal: local, failure };
	if (version === "") {
		return isReported(attributes) && reached ? { ...NO_TLS_FACTS, status: "plaintext", verifiedBy: "client" } : NO_TLS_FACTS;
	}
	return {
		status: peer === "" || local === "" ? "tls" : "mutual_tls",
		peerPrincipal: peer,
		localPrincipal: local,
		version,
		cipher: attributes.get("meshscope.upstream.tls.cipher") ?? "",
		verifiedBy: "client",
		peerNotAfterMs: notAfterMs(attributes.get("meshscope.upstream.peer.cert_end")),
		peerIssuer: attributes.get("meshscope.upstream.peer.issuer") ?? "",
		failure: "",
	};
}

function isReported(attributes: Attributes<SpanKey>): boolean {
	return attributes.get("meshscope.tls.reported") !== undefined;
}

/** `By=…;Hash=…;URI=…`, an element a proxy passed; the last one is the nearest. Whoever may send the header may have made it up. */
function forwardedLeg(header: string | undefined): LegTls | undefined {
	const nearest = splitQuoted(header ?? "", ",").at(-1) ?? "";
	const fields = new Map<string, string>();
	for (const field of splitQuoted(nearest, ";")) {
		const equals = field.indexOf("=");
		if (equals > 0)
			fields.set(
				field.slice(0, equals).trim().toLowerCase(),
				field
					.slice(equals + 1)
					.trim()
					.replaceAll('"', ""),
			);
	}
	const peer = fields.get("uri") || fields.get("subject") || "";
	if (peer === "") return undefined;
	return {
		...NO_TLS_FACTS,
		status: "mutual_tls",
		peerPrincipal: peer,
		localPrincipal: fields.get("by") ?? "",
		verifiedBy: "header",
	};
}

/** Splits where the separator stands outside of double quotes. */
function splitQuoted(text: string, separator: string): string[] {
	const parts: string[] = [];
	let start = 0;
	let quoted = false;
	for (let i = 0; i < text.length; i++) {
		if (text[i] === "\\") i++;
		else if (text[i] === '"') quoted = !quoted;
		else if (text[i] === separator && !quoted) {
			parts.push(text.slice(start, i));
			start = i + 1;
		}
	}
	parts.push(text.slice(start));
	return parts;
}

/** The leg that a span of an app or of our shim lies on, by the conventions' `tls.*`; its own end is the server's or the client's. */
export function conventionLeg(attributes: Attributes<SpanKey>, side: "server" | "client"): LegTls {
	const client = attributes.get("tls.client.subject") ?? "";
	const server = attributes.get("tls.server.subject") ?? "";
	const version = tlsVersion(attributes.get("tls.protocol.version"));
	const established = attributes.get("tls.established");
	if (established === "false") return { ...NO_TLS_FACTS, failure: attributes.get("error.type") ?? "handshake not completed" };
	if (established === undefined && version === "") return NO_TLS_FACTS;
	const peer = side === "server" ? "tls.client" : "tls.server";
	return {
		status: client !== "" && (side === "server" || server !== "") ? "mutual_tls" : "tls",
		peerPrincipal: side === "server" ? client : server,
		localPrincipal: side === "server" ? server : client,
		version,
		cipher: attributes.get("tls.cipher") ?? "",
		verifiedBy: side,
		peerNotAfterMs: notAfterMs(attributes.get(`${peer}.not_after`)),
		peerIssuer: attributes.get(`${peer}.issuer`) ?? "",
		failure: "",
	};
}

const SHIM_STATUSES: ReadonlyMap<string, MtlsStatus> = new Map([
	["mutual_tls", "mutual_tls"],
	["tls", "tls"],
	["plaintext", "plaintext"],
]);

/** Our shim says what it found; only where it checked the peer's certificate does it vouch for it. */
export function shimLeg(attributes: Attributes<SpanKey>, side: "server" | "client"): LegTls {
	const status = SHIM_STATUSES.get(attributes.get("meshscope.mtls.status") ?? "");
	const ofConnection = conventionLeg(attributes, side);
	const hasFailed = attributes.get("meshscope.tls.failed_handshakes") !== undefined;
	// Of tries before the one that the connection belongs to.
	const leg = hasFailed && ofConnection.failure === "" ? { ...ofConnection, failure: "handshake_failed" } : ofConnection;
	// It sends `unknown` where no connection was made, also for want of a handshake.
	if (status === undefined) return leg.failure === "" ? NO_TLS_FACTS : leg;
	const source = attributes.get("meshscope.source.principal") ?? "";
	const destination = attributes.get("meshscope.destination.principal") ?? "";
	const unverified = status === "mutual_tls" && attributes.get("meshscope.peer.verified") !== "true";
	const verifiedBy: Verification = unverified ? "" : side;
	return {
		...leg,
		status,
		peerPrincipal: (side === "server" ? source : destination) || leg.peerPrincipal,
		localPrincipal: (side === "server" ? destination : source) || leg.localPrincipal,
		verifiedBy,
	};
}
