/**
 * What keeps a page of another site away from the data: a Host allow-list (DNS rebinding), an Origin check on whatever is not a
 * read, and headers that make a browser treat answers as data. No CORS: other origins cannot read anything.
 *
 * `X-Forwarded-*` is never looked at: behind a proxy, its name belongs in `allowHosts`.
 */
import { isIP } from "node:net";
import type { FastifyInstance, FastifyReply } from "fastify";
import { MeshscopeError } from "../../model/errors.ts";

/** No inline script or style, nothing from elsewhere, no framing. React sets styles through the CSSOM, which this allows. */
const CONTENT_SECURITY_POLICY = [
	"default-src 'self'",
	"img-src 'self' data:",
	"object-src 'none'",
	"base-uri 'none'",
	"form-action 'self'",
	"frame-ancestors 'none'",
].join("; ");

export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
	"content-security-policy": CONTENT_SECURITY_POLICY,
	"x-content-type-options": "nosniff",
	"referrer-policy": "no-referrer",
	"x-frame-options": "DENY",
	"cross-origin-opener-policy": "same-origin",
	"cross-origin-resource-policy": "same-origin",
	"permissions-policy": "camera=(), geolocation=(), microphone=()",
};

export interface HostRules {
	/** The host it was told to bind. */
	readonly boundHost: string;
	/** Further names by which people reach it, without port. */
	readonly allowHosts: readonly string[];
}

export function installSecurity(app: FastifyInstance, rules: HostRules): void {
	const isAllowed = hostCheck(rules);
	app.addHook("onRequest", async (request, reply) => {
		reply.headers(SECURITY_HEADERS);
		const host = request.raw.headers.host ?? "";
		if (!isAllowed(host)) {
			throw new MeshscopeError(
				"forbidden",
				`this server does not answer for host ${shown(host)}; add it with --allow-host`,
			);
		}
		if (request.method === "GET" || request.method === "HEAD") return;
		// Whatever the body was, it is not read: a client that goes on sending is cut off.
		reply.header("connection", "close");
		checkOrigin(request.raw.headers.origin, request.raw.headers["sec-fetch-site"], host);
		refuseMethod(request.method, reply);
	});
}

/** Every call is a read today; a browser's preflight is answered like any other method, without CORS headers. */
function refuseMethod(method: string, reply: FastifyReply): never {
	reply.header("allow", "GET, HEAD");
	throw new MeshscopeError("method_not_allowed", `${method} is not served here; queries take GET`);
}

/** @throws MeshscopeError `forbidden` when a browser says that another site sent the request. */
export function checkOrigin(origin: string | undefined, fetchSite: string | string[] | undefined, host: string): void {
	// Absent from everything that is not a browser.
	const isForeignOrigin = origin !== undefined && originHost(origin) !== host.toLowerCase();
	if (isForeignOrigin || fetchSite === "cross-site" || fetchSite === "same-site") {
		throw new MeshscopeError(
			"forbidden",
			`a page of another origin (${shown(origin ?? "unknown")}) may not send requests here`,
		);
	}
}

/** Host and port of an origin; undefined for `null` and for what is not one. A TLS proxy may differ in scheme, never in host. */
function originHost(origin: string): string | undefined {
	return /^https?:\/\/([^/?#@]+)$/i.exec(origin)?.[1]?.toLowerCase();
}

/**
 * Says whether a Host header names this server. The port is not compared: rebinding needs a name the attacker owns, and port
 * forwarding is common.
 */
export function hostCheck(rules: HostRules): (host: string) => boolean {
	const bound = unbracketed(rules.boundHost.toLowerCase());
	// Bound to every address, it is reached by addresses it cannot list. A rebound page always carries a name, never an address.
	const anyAddress = bound === "0.0.0.0" || bound === "::";
	const names = new Set([bound, "localhost", "::1", ...rules.allowHosts.map((name) => unbracketed(name.toLowerCase()))]);
	return (host) => {
		const name = hostName(host);
		if (name === undefined) return false;
		return names.has(name) || (isIP(name) === 4 && name.startsWith("127.")) || (anyAddress && isIP(name) !== 0);
	};
}

function hostName(host: string): string | undefined {
	const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(host);
	return match === null ? undefined : unbracketed(match[1]!.toLowerCase());
}

function unbracketed(host: string): string {
	return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}

function shown(text: string): string {
	return JSON.stringify(text.slice(0, 100));
}
