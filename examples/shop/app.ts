/**
 * What every app of the shop is given and does: it listens on loopback and speaks plain HTTP to the shim beside it, which knows where
 * the other services are. No app knows of certificates, retries or balancing.
 */
import { Agent, createServer, request as httpRequest } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server } from "node:http";
import { log } from "./logs.ts";

export interface AppSettings {
	/** Its service's name. */
	readonly service: string;
	/** Where it listens, on loopback. */
	readonly port: number;
	/** The shim's listener for outgoing requests, `host:port`; empty for an app without a shim. */
	readonly shim: string;
	/** Where its shim takes TCP for the store, `host:port`; only the cart has it. */
	readonly store: string;
	readonly version: string;
	/** Requests a second; only the visitors have it. */
	readonly requestRate: number;
}

export interface Answer {
	readonly status: number;
	readonly body: unknown;
}

type Handler = (request: IncomingMessage, body: unknown) => Promise<Answer> | Answer;

const CALL_TIMEOUT_MS = 5_000;
const MAX_BODY_BYTES = 64 << 10;
const agent = new Agent({ keepAlive: true });

/** Answers JSON; what a handler throws is a 502 with its message, because the shop's handlers fail by failed calls. */
export function serveJson(settings: AppSettings, handle: Handler): Server {
	const server = createServer((request, response) => {
		readJson(request)
			.then((body) => handle(request, body))
			.catch((error: unknown): Answer => ({ status: 502, body: { error: String(error) } }))
			.then(({ status, body }) => {
				if (status >= 400) logFailure(settings.service, request, status, body);
				response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
			})
			.catch(() => response.destroy());
	});
	return server.listen(settings.port, "127.0.0.1");
}

function logFailure(service: string, { method, url, headers }: IncomingMessage, status: number, body: unknown): void {
	const reason = typeof body === "object" && body !== null && "error" in body ? `: ${String(body.error)}` : "";
	log(service, status >= 500 ? "ERROR" : "WARN", `${method} ${url} answered ${status}${reason}`, headers["traceparent"]);
}

/** To a service of the mesh, by its name, through the shim. */
export function call(
	settings: AppSettings,
	service: string,
	path: string,
	{ method = "GET", headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: unknown } = {},
): Promise<Answer> {
	const [host, port] = settings.shim.split(":");
	return new Promise((resolve, reject) => {
		const request = httpRequest({
			host,
			port,
			path,
			method,
			agent,
			headers: { ...headers, host: service, ...(body === undefined ? {} : { "content-type": "application/json" }) },
			signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
		});
		request.on("error", reject);
		request.on("response", (response) => {
			readJson(response)
				.then((answer) => resolve({ status: response.statusCode ?? 0, body: answer }))
				.catch(reject);
		});
		request.end(body === undefined ? undefined : JSON.stringify(body));
	});
}

const TRACE_HEADERS = ["traceparent", "tracestate", "x-request-id", "baggage"];

/** The few lines that an app owes its traces: what came in goes out with each call that is made for it. */
export function traceHeaders(incoming: IncomingHttpHeaders): Record<string, string> {
	return Object.fromEntries(
		TRACE_HEADERS.flatMap((name) => (incoming[name] === undefined ? [] : [[name, String(incoming[name])]])),
	);
}

/** Undefined where the body is empty or no JSON. */
async function readJson(message: IncomingMessage): Promise<unknown> {
	let text = "";
	for await (const chunk of message.setEncoding("utf8")) {
		text += String(chunk);
		if (text.length > MAX_BODY_BYTES) throw new Error(`more than ${MAX_BODY_BYTES} bytes`);
	}
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
