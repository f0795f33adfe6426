/**
 * The admin port: what a person, a probe or a scraper asks a proxy. Separate from the data path and bound to loopback by default.
 *
 * Reading needs no credentials, so nothing that is read is a secret. Pages of other sites must not read it through a name that they
 * point at this machine, nor drain the proxy through a form: hosts are checked, and so is where a POST comes from.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP, type AddressInfo } from "node:net";
import { createServer } from "../http/node-http.ts";
import { PROMETHEUS_CONTENT_TYPE } from "../telemetry/prometheus-text.ts";
import type { Identity } from "../tls/identity-source.ts";
import { shownIdentity } from "./certificates.ts";
import { dumpJson } from "./dump.ts";

/** One endpoint of a cluster as `/clusters` shows it. */
export interface ShownHost {
	readonly id: string;
	readonly address: string;
	readonly port: number;
	readonly healthy: boolean;
	/** Ms until it may be called again; 0 while it is not ejected. */
	readonly ejectedForMs: number;
	readonly ejections: number;
	readonly activeRequests: number;
	/** Peak EWMA; 0 where it is not measured. */
	readonly ewmaMs: number;
	/** Empty where it has no identity. */
	readonly principal: string;
}

export interface ShownCluster {
	readonly name: string;
	readonly loadBalancer: string;
	readonly hosts: readonly ShownHost[];
	readonly activeRequests: number;
	readonly pendingRequests: number;
	readonly activeRetries: number;
	readonly connections: number;
	readonly limits: Readonly<Record<string, number>>;
	/** `closed`, `open`, `half_open`; empty where there is no breaker. */
	readonly breaker: string;
}

export interface AdminOptions {
	/** Loopback unless told otherwise. */
	readonly host?: string;
	/** 0 for any free one. */
	readonly port: number;
	/** Names under which it may be asked, beside `localhost` and addresses. */
	readonly allowedHosts?: readonly string[];
	readonly nowMs: () => number;
	/** Whether it takes requests; if not, why. */
	readonly ready: () => { readonly ready: boolean; readonly reason: string };
	/** Prometheus text (Telemetry.prometheus). */
	readonly stats: () => string;
	/** Shown without what looks like a secret. */
	readonly configDump: () => unknown;
	readonly clusters: () => readonly ShownCluster[];
	readonly identities: () => readonly Identity[];
	/** Begins to drain; called once however often it is asked. */
	readonly drain: () => void;
}

export interface Admin {
	readonly host: string;
	readonly port: number;
	close(): Promise<void>;
}

interface Answer {
	readonly status: number;
	readonly type: string;
	readonly body: string;
	readonly allow?: string;
}

const JSON_TYPE = "application/json; charset=utf-8";
const TEXT_TYPE = "text/plain; charset=utf-8";
const MAX_CONNECTIONS = 64;

/** Rejects where the address cannot be bound. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
	const allowed = new Set(["localhost", ...(options.allowedHosts ?? []).map((name) => name.toLowerCase())]);
	let isDraining = false;

	const server = createServer(
		{ headersTimeout: 5_000, requestTimeout: 10_000, maxHeaderSize: 16 << 10 },
		(request, response) => {
			request.on("error", () => undefined);
			response.on("error", () => undefined);
			request.resume();
			send(request, response, answerOf(request));
		},
	);
	server.maxConnections = MAX_CONNECTIONS;
	server.on("clientError", (_error, socket) => {
		if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
		else socket.destroy();
	});

	function answerOf(request: IncomingMessage): Answer {
		if (!isAllowedHost(request.headers.host, allowed))
			return text(403, "This host name is not allowed here: ask by address, or start with it as an allowed host.\n");
		const path = (request.url ?? "/").replace(/[?#].*$/s, "");
		const page = PAGES.get(path);
		if (page === undefined) return text(404, `There is no ${path.slice(0, 100)} here; see /.\n`);
		const method = request.method === "HEAD" ? "GET" : request.method;
		if (method !== page.method) return { ...text(405, `${path} takes ${page.method}.\n`), allow: page.method };
		if (method === "POST" && isFromElsewhere(request)) return text(403, "A page of another site may not ask for this.\n");
		try {
			return page.answer();
		} catch {
			// What went wrong inside is not for whoever asks; the proxy goes on.
			return text(500, "This could not be answered.\n");
		}
	}

	const PAGES = new Map<string, { readonly method: "GET" | "POST"; readonly about: string; readonly answer: () => Answer }>([
		["/", { method: "GET", about: "this page", answer: index }],
		[
			"/ready",
			{
				method: "GET",
				about: "200 while it takes requests, else 503 and why",
				answer() {
					const { ready, reason } = isDraining ? { ready: false, reason: "draining" } : options.ready();
					return text(ready ? 200 : 503, `${ready ? "ready" : reason}\n`);
				},
			},
		],
		[
			"/stats",
			{
				method: "GET",
				about: "metrics as Prometheus text",
				answer: () => ({ status: 200, type: PROMETHEUS_CONTENT_TYPE, body: options.stats() }),
			},
		],
		["/config_dump", { method: "GET", about: "the configuration in force", answer: () => json(options.configDump()) }],
		[
			"/clusters",
			{ method: "GET", about: "endpoints, health, load, limits, breakers", answer: () => json(options.clusters()) },
		],
		[
			"/certs",
			{
				method: "GET",
				about: "identities and roots",
				answer: () => json(options.identities().map((identity) => shownIdentity(identity, options.nowMs()))),
			},
		],
		[
			"/drain",
			{
				method: "POST",
				about: "takes no new connections, and ends when those at hand have ended",
				answer() {
					if (!isDraining) {
						isDraining = true;
						options.drain();
					}
					return text(202, "draining\n");
				},
			},
		],
	]);

	function index(): Answer {
		const items = [...PAGES].map(([path, { method, about }]) =>
			method === "GET" ? `<li><a href="${path}">${path}</a> ${about}` : `<li><code>${method} ${path}</code> ${about}`,
		);
		const body = `<!doctype html><meta charset="utf-8"><title>meshscope proxy</title><h1>meshscope proxy</h1><ul>${items.join("\n")}</ul>\n`;
		return { status: 200, type: "text/html; charset=utf-8", body };
	}

	const { promise, resolve, reject } = Promise.withResolvers<void>();
	server.once("error", reject);
	server.listen({ host: options.host ?? "127.0.0.1", port: options.port, exclusive: true }, resolve);
	await promise;
	server.off("error", reject);
	server.on("error", () => undefined);
	const { address, port } = server.address() as AddressInfo;
	return {
		host: address,
		port,
		close() {
			const ended = Promise.withResolvers<void>();
			server.close(() => ended.resolve());
			server.closeAllConnections();
			return ended.promise;
		},
	};
}

function text(status: number, body: string): Answer {
	return { status, type: TEXT_TYPE, body };
}

function json(value: unknown): Answer {
	return { status: 200, type: JSON_TYPE, body: dumpJson(value) };
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body, allow }: Answer): void {
	response.writeHead(status, {
		"content-type": type,
		"content-length": Buffer.byteLength(body),
		"cache-control": "no-store",
		"x-content-type-options": "nosniff",
		"content-security-policy": "default-src 'none'; frame-ancestors 'none'",
		...(allow === undefined ? {} : { allow }),
	});
	response.end(request.method === "HEAD" ? undefined : body);
}

/** An address cannot be made to mean another machine; a name can. */
function isAllowedHost(header: string | undefined, allowed: ReadonlySet<string>): boolean {
	// HTTP/1.0 probes send none; browsers always do.
	if (header === undefined) return true;
	const host = /^(?:\[([^\]]+)\]|([^:]*))(?::\d{1,5})?$/.exec(header);
	if (host === null) return false;
	const name = (host[1] ?? host[2]!).toLowerCase();
	return isIP(name) !== 0 || allowed.has(name);
}

function isFromElsewhere({ headers }: IncomingMessage): boolean {
	const site = headers["sec-fetch-site"];
	if (site !== undefined && site !== "same-origin" && site !== "none") return true;
	return headers.origin !== undefined && headers.origin !== `http://${headers.host ?? ""}`;
}
