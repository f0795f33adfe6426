/**
 * What may cross from one connection to the next (RFC 9110 section 7.6.1): connection fields end here, and so does everything that a
 * peer could use to claim what only the proxy may say.
 */
import type { HopTls } from "../telemetry/hop.ts";

/** Fields that belong to one connection. `trailer` only announces, and trailers are forwarded, so it stays. */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
	"connection",
	"keep-alive",
	"proxy-connection",
	"transfer-encoding",
	"upgrade",
	"http2-settings",
]);

/** What a Connection field cannot take away: it would change who is asked, for what, or where the message ends. */
const NOT_NOMINABLE: ReadonlySet<string> = new Set([
	"host",
	"content-length",
	"content-type",
	"authorization",
	"cookie",
	"x-forwarded-for",
	"x-forwarded-proto",
	"x-request-id",
	"traceparent",
	"tracestate",
]);

/** Who is calling is told by the verified certificate alone. */
export const CLIENT_CERT_HEADER = "x-forwarded-client-cert";

export interface Sorted {
	/** Forwarded on. */
	readonly headers: string[];
	readonly host: string | undefined;
	readonly hostCount: number;
	readonly connectionOptions: readonly string[];
	readonly upgrade: string;
	readonly expect: string;
	readonly isGrpc: boolean;
}

/** Sorts the fields of a request as they came off the wire; pseudo-fields of HTTP/2 are left out. */
export function sortRequestHeaders(raw: readonly string[]): Sorted {
	const headers: string[] = [];
	let host: string | undefined;
	let hostCount = 0;
	let connection = "";
	let upgrade = "";
	let expect = "";
	let isGrpc = false;
	let cookieAt = -1;
	for (let i = 0; i < raw.length; i += 2) {
		const name = raw[i]!.toLowerCase();
		const value = raw[i + 1]!;
		if (name.charCodeAt(0) === 58) continue;
		switch (name) {
			case "host":
				host ??= value;
				hostCount++;
				continue;
			case "connection":
				connection = connection === "" ? value : `${connection},${value}`;
				continue;
			case "upgrade":
				upgrade = upgrade === "" ? value : `${upgrade},${value}`;
				continue;
			case "expect":
				expect = value;
				continue;
			case "te":
				// The one thing that may be asked of the next hop; gRPC servers insist on it.
				if (/(?:^|,)\s*trailers\s*(?:;|,|$)/i.test(value)) headers.push("te", "trailers");
				continue;
			case "content-type":
				isGrpc = isGrpcType(value);
				break;
			case "cookie":
				// HTTP/2 may split it for compression; HTTP/1.1 has it once (RFC 9113 section 8.2.3).
				if (cookieAt >= 0) {
					headers[cookieAt] = `${headers[cookieAt]}; ${value}`;
					continue;
				}
				cookieAt = headers.length + 1;
				break;
			default:
				if (CONNECTION_FIELDS.has(name) || name === CLIENT_CERT_HEADER) continue;
		}
		headers.push(name, value);
	}
	const connectionOptions = tokensOf(connection);
	return {
		headers: withoutNominated(headers, connectionOptions),
		host,
		hostCount,
		connectionOptions,
		upgrade,
		expect,
		isGrpc,
	};
}

/** The fields of a response that go on to the caller. */
export function sortResponseHeaders(raw: readonly (string | Buffer)[]): string[] {
	const headers: string[] = [];
	let connection = "";
	for (let i = 0; i < raw.length; i += 2) {
		const name = textOf(raw[i]!).toLowerCase();
		if (name.charCodeAt(0) === 58) continue;
		const value = textOf(raw[i + 1]!);
		if (name === "connection") connection = connection === "" ? value : `${connection},${value}`;
		else if (!CONNECTION_FIELDS.has(name)) headers.push(name, value);
	}
	return connection === "" ? headers : withoutNominated(headers, tokensOf(connection));
}

/** Trailers must not decide framing, routing or authentication (RFC 9110 section 6.5.1). */
export function sortTrailers(raw: readonly (string | Buffer)[]): string[] {
	const trailers: string[] = [];
	for (let i = 0; i < raw.length; i += 2) {
		const name = textOf(raw[i]!).toLowerCase();
		if (name.charCodeAt(0) === 58 || CONNECTION_FIELDS.has(name) || NOT_IN_TRAILERS.has(name)) continue;
		trailers.push(name, textOf(raw[i + 1]!));
	}
	return trailers;
}

const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
	...NOT_NOMINABLE,
	"te",
	"trailer",
	"expect",
	"set-cookie",
	"content-encoding",
	CLIENT_CERT_HEADER,
]);

/** Of a connection, which all its requests share. */
const clientCertHeaders = new WeakMap<HopTls, { readonly localPrincipal: string; readonly text: string }>();

/** In Envoy's format; undefined where no certificate was verified. */
export function clientCertHeader(tls: HopTls, localPrincipal: string): string | undefined {
	if (!tls.peerVerified || tls.clientPrincipal === "") return undefined;
	const known = clientCertHeaders.get(tls);
	if (known?.localPrincipal === localPrincipal) return known.text;
	// A subject is any text that a certificate bears; on the wire U+010A would become a line feed.
	const subject = tls.clientSubject
		.toWellFormed()
		.replaceAll(/["\\]/g, "")
		.replaceAll(/[^\x20-\x7e]/gu, encodeURIComponent);
	const text = `By=${localPrincipal};Subject="${subject}";URI=${tls.clientPrincipal}`;
	clientCertHeaders.set(tls, { localPrincipal, text });
	return text;
}

export function isGrpcType(contentType: string): boolean {
	return /^application\/grpc(?:$|[+;\s])/i.test(contentType);
}

function withoutNominated(headers: string[], options: readonly string[]): string[] {
	const nominated = options.filter((option) => option !== "close" && option !== "keep-alive" && !NOT_NOMINABLE.has(option));
	if (nominated.length === 0) return headers;
	const kept: string[] = [];
	for (let i = 0; i < headers.length; i += 2) {
		// `te: trailers` is named in Connection by every sender that keeps to the rules, and was judged already.
		if (!nominated.includes(headers[i]!) || headers[i] === "te") kept.push(headers[i]!, headers[i + 1]!);
	}
	return kept;
}

function tokensOf(list: string): string[] {
	return list === ""
		? []
		: list
				.toLowerCase()
				.split(",")
				.map((token) => token.trim())
				.filter((token) => token !== "");
}

function textOf(value: string | Buffer): string {
	return typeof value === "string" ? value : value.toString("latin1");
}
