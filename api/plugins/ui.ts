/** The built UI at `/`, or a plain page that says how to build it. It holds no data, so it needs no token. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { MeshscopeError } from "../../model/errors.ts";
import { type ApiLog, escapeControls } from "./request-log.ts";

export interface UiOptions {
	/** Where the build lies; undefined when there is none. */
	readonly directory: string | undefined;
	/** Where telemetry goes, by protocol, for the plain page. */
	readonly ingestAddresses: Readonly<Record<string, string | undefined>>;
	readonly log: ApiLog;
}

/** Vite writes a digest into the name of whatever it puts there, so a name's content never changes. */
const HASHED_ASSETS = "/assets/";

export async function installUi(app: FastifyInstance, options: UiOptions): Promise<void> {
	const directory = options.directory;
	if (directory !== undefined && existsSync(join(directory, "index.html"))) await serveBuild(app, directory);
	else servePlainPage(app, options);
}

async function serveBuild(app: FastifyInstance, directory: string): Promise<void> {
	await app.register(fastifyStatic, {
		root: directory,
		dotfiles: "ignore",
		// Ours says more than `max-age`.
		cacheControl: false,
		setHeaders: (reply, path) => {
			const isHashed = path.slice(directory.length).replaceAll("\\", "/").startsWith(HASHED_ASSETS);
			reply.header("cache-control", isHashed ? "public, max-age=31536000, immutable" : "no-cache");
		},
	});
	app.setNotFoundHandler((request, reply) => {
		// A page's own URL opened or reloaded; scripts and images that are missing stay missing.
		if (isPage(request)) return reply.sendFile("index.html");
		throw notFound(request);
	});
}

function servePlainPage(app: FastifyInstance, options: UiOptions): void {
	if (options.directory !== undefined) {
		options.log.warn({ directory: escapeControls(options.directory, 512) }, "no built UI here; run `npm run build`");
	}
	const page = plainPage(options.ingestAddresses);
	const send = (reply: FastifyReply): FastifyReply =>
		reply.header("cache-control", "no-cache").type("text/html; charset=utf-8").send(page);
	app.get("/", (_request, reply) => send(reply));
	app.setNotFoundHandler((request) => {
		throw notFound(request);
	});
}

function isPage(request: FastifyRequest): boolean {
	const path = request.raw.url?.split("?", 1)[0] ?? "";
	if (isApiPath(path) || path.startsWith(HASHED_ASSETS)) return false;
	return (request.method === "GET" || request.method === "HEAD") && /text\/html/i.test(request.headers.accept ?? "");
}

function isApiPath(path: string): boolean {
	return path === "/api" || path.startsWith("/api/");
}

export function notFound(request: FastifyRequest): MeshscopeError {
	const path = request.raw.url?.split("?", 1)[0] ?? "";
	return new MeshscopeError(
		"not_found",
		`no such path: ${JSON.stringify(path.slice(0, 100))}; /api/openapi.json lists the calls`,
	);
}

function plainPage(addresses: Readonly<Record<string, string | undefined>>): string {
	const rows = Object.entries(addresses)
		.filter(([, address]) => address !== undefined)
		.map(([name, address]) => `<li>${escapeHtml(name)}: <code>${escapeHtml(address ?? "")}</code></li>`);
	return [
		"<!doctype html>",
		'<html lang="en"><head><meta charset="utf-8"><title>meshscope</title></head><body>',
		"<h1>meshscope is running</h1>",
		"<p>Its pages are not built yet. In the checkout, run <code>npm run build</code>, then start it again.</p>",
		'<p>The API works without them: <a href="/api/v1/status">status</a>, <a href="/api/v1/traces">traces</a>, ' +
			'<a href="/api/openapi.json">OpenAPI</a>, <a href="/metrics">metrics</a>.</p>',
		...(rows.length === 0 ? [] : ["<p>Telemetry goes to:</p>", `<ul>${rows.join("")}</ul>`]),
		"</body></html>",
		"",
	].join("\n");
}

function escapeHtml(text: string): string {
	return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
