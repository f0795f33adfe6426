/** What the server says about itself: status, its own metrics, the OpenAPI document, and the two probes. */
import type { FastifyInstance } from "fastify";
import { MeshscopeError } from "../../model/errors.ts";
import type { ServerStatus } from "../../model/status.ts";
import { type ProbeAnswer, type StatusAnswer, statusAnswer } from "../contract/status.ts";
import { openApiDocument } from "../openapi.ts";
import { addRoute, sendJson } from "./context.ts";
import { PROMETHEUS_TEXT, prometheusText } from "./self-metrics.ts";

export type StatusSource = () => ServerStatus | Promise<ServerStatus>;

export interface IngestAddresses {
	readonly otlpGrpc?: string | undefined;
	readonly otlpHttp?: string | undefined;
	readonly zipkin?: string | undefined;
}

/** @param addresses asked when a request comes: what was bound is not known before */
export function addStatusRoutes(
	scope: FastifyInstance,
	status: StatusSource,
	hasControlPlane: boolean,
	addresses: () => IngestAddresses & { readonly http: string },
): void {
	addRoute(scope, "status", async ({ reply }) => {
		const current = await status();
		// Parsing keeps the keys of the contract and drops all others: what is not declared there cannot leak.
		const answer: StatusAnswer = statusAnswer.parse({
			...current,
			controlPlane: hasControlPlane,
			addresses: { ...current.addresses, ...addresses() },
		});
		return sendJson(reply, answer);
	});

	addRoute(scope, "selfMetrics", async ({ reply }) =>
		reply
			.header("cache-control", "no-store")
			.type(PROMETHEUS_TEXT)
			.send(prometheusText(await status())),
	);

	let document: string | undefined;
	addRoute(scope, "openapi", async ({ reply }) => {
		document ??= JSON.stringify(openApiDocument((await status()).version));
		return reply.header("cache-control", "no-cache").type("application/json; charset=utf-8").send(document);
	});
}

/** Open without a token: they say no more than that the process is there. */
export function addProbeRoutes(app: FastifyInstance, status: StatusSource): void {
	const ok: ProbeAnswer = { status: "ok" };
	addRoute(app, "healthz", async ({ reply }) => sendJson(reply, ok));
	addRoute(app, "readyz", async ({ reply }) => {
		if (!(await status()).ready)
			throw new MeshscopeError("shutting_down", "not ready: it is starting, or draining after SIGTERM");
		return sendJson(reply, ok);
	});
}
