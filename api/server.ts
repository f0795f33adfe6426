/**
 * The HTTP server of port 4300: the query API, the server's own metrics, and the UI. It owns the socket, its timeouts and the order
 * in which a request passes the guards: Host and Origin, token, admission, then the route.
 */
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import fastify, { type FastifyInstance } from "fastify";
import { MeshscopeError } from "../model/errors.ts";
import type { MeshStateSource } from "../model/mesh/mesh-state.ts";
import type { StoreReader } from "../store/store.ts";
import { answerBudget, installAdmission } from "./plugins/admission.ts";
import { installAuth } from "./plugins/auth.ts";
import { installCompression } from "./plugins/compression.ts";
import { answerClientError, installErrors, sendError } from "./plugins/errors.ts";
import { type ApiLog, installRequestLog, requestIds } from "./plugins/request-log.ts";
import { installSecurity } from "./plugins/security.ts";
import { installUi, notFound } from "./plugins/ui.ts";
import type { RouteContext } from "./routes/context.ts";
import { addLogRoutes } from "./routes/logs.ts";
import { addMeshRoutes } from "./routes/mesh.ts";
import { addMetricRoutes } from "./routes/metrics.ts";
import { addServiceRoutes } from "./routes/services.ts";
import { addProbeRoutes, addStatusRoutes, type IngestAddresses, type StatusSource } from "./routes/status.ts";
import { addTopologyRoutes } from "./routes/topology.ts";
import { addTraceRoutes } from "./routes/traces.ts";

export interface ApiTls {
	readonly certPem: string;
	readonly keyPem: string;
	/** When set, every client must present a certificate that this authority signed. */
	readonly clientCaPem?: string | undefined;
}

export interface ApiTimeouts {
	/** The whole request must have arrived. */
	readonly requestMs: number;
	readonly headersMs: number;
	/** No byte in either direction; longer than a query may take, since nothing flows meanwhile. */
	readonly idleMs: number;
	readonly keepAliveMs: number;
	readonly queryMs: number;
}

export interface ApiOptions {
	readonly listen: { readonly host: string; readonly port: number };
	readonly reader: StoreReader;
	readonly status: StatusSource;
	/** Tokens that may read; none means everyone who reaches the port. */
	readonly readTokens: readonly string[];
	/** Further host names by which it is reached, without port. */
	readonly allowHosts: readonly string[];
	readonly tls?: ApiTls | undefined;
	/** The built UI; undefined when there is none. */
	readonly uiDirectory: string | undefined;
	readonly ingestAddresses: IngestAddresses;
	/** The control plane in this process; undefined when there is none. */
	readonly mesh?: MeshStateSource | undefined;
	/** Epoch ms. */
	readonly now: () => number;
	readonly log: ApiLog;
	readonly timeouts?: Partial<ApiTimeouts> | undefined;
}

export interface RunningApi {
	/** `host:port` as bound, brackets around IPv6. */
	readonly address: string;
	/** The same with its scheme. */
	readonly url: string;
	/** Takes no new request, lets those under way finish within `graceMs`, then cuts them off. */
	close(graceMs: number): Promise<void>;
}

const DEFAULT_TIMEOUTS: ApiTimeouts = {
	requestMs: 15_000,
	headersMs: 10_000,
	idleMs: 60_000,
	keepAliveMs: 30_000,
	queryMs: 30_000,
};

/** Node's own default; query strings and headers together. */
const MAX_HEADER_BYTES = 16 * 1024;
/** Enough for any dashboard; keeps a flood of sockets from taking the receivers' descriptors. */
const MAX_CONNECTIONS = 1_024;
const MAX_CONCURRENT_QUERIES = 32;
/** Trace bodies that clients have not read yet. */
const MAX_HELD_ANSWER_BYTES = 160 * 1024 * 1024;
/** No call takes a body. */
const MAX_BODY_BYTES = 16 * 1024;

/** @throws Error of the socket (`EADDRINUSE`, `EACCES`) when the address cannot be bound. */
export async function startApi(options: ApiOptions): Promise<RunningApi> {
	const timeouts: ApiTimeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
	const state = { isDraining: false, address: "" };
	const app = fastify({
		serverFactory: (handler) => createServer(handler as RequestListener, options.tls, timeouts),
		bodyLimit: MAX_BODY_BYTES,
		genReqId: requestIds(),
		trustProxy: false,
		return503OnClosing: false,
		// Service names in paths: the header limit bounds them.
		routerOptions: { maxParamLength: MAX_HEADER_BYTES },
		clientErrorHandler: answerClientError,
		frameworkErrors: (error, request, reply) => void sendError(error, request, reply, options.log),
	});
	installErrors(app, options.log);
	installRequestLog(app, options.log, options.now);
	installSecurity(app, { boundHost: options.listen.host, allowHosts: options.allowHosts });
	installDrain(app, state);
	installCompression(app);
	addProbeRoutes(app, options.status);
	await app.register(async (scope) => {
		installAuth(scope, options.readTokens);
		addStatusRoutes(scope, options.status, options.mesh !== undefined, () => ({
			...options.ingestAddresses,
			http: state.address,
		}));
		addMeshRoutes(scope, options.mesh);
		scope.get("/api/*", (request) => {
			throw notFound(request);
		});
		await scope.register(async (queries) => {
			installAdmission(queries, MAX_CONCURRENT_QUERIES);
			addQueryRoutes(queries, options, timeouts.queryMs);
		});
	});
	await installUi(app, { directory: options.uiDirectory, ingestAddresses: { ...options.ingestAddresses }, log: options.log });
	await app.listen({ host: options.listen.host, port: options.listen.port });
	state.address = boundAddress(app);
	return {
		address: state.address,
		url: `${options.tls === undefined ? "http" : "https"}://${state.address}`,
		close: (graceMs) => {
			state.isDraining = true;
			return closeWithin(app, graceMs);
		},
	};
}

function addQueryRoutes(scope: FastifyInstance, options: ApiOptions, queryTimeoutMs: number): void {
	const context: RouteContext = {
		reader: options.reader,
		queryTimeoutMs,
		budget: answerBudget(MAX_HELD_ANSWER_BYTES),
		now: options.now,
	};
	addTraceRoutes(scope, context);
	addServiceRoutes(scope, context);
	addLogRoutes(scope, context);
	addMetricRoutes(scope, context);
	addTopologyRoutes(scope, context);
}

function createServer(handler: RequestListener, tls: ApiTls | undefined, timeouts: ApiTimeouts): Server {
	const limits = {
		headersTimeout: timeouts.headersMs,
		requestTimeout: timeouts.requestMs,
		keepAliveTimeout: timeouts.keepAliveMs,
		maxHeaderSize: MAX_HEADER_BYTES,
		// Node looks for overdue requests only this often; its default of 30 s would triple every limit above.
		connectionsCheckingInterval: Math.min(1_000, Math.ceil(timeouts.headersMs / 4)),
	};
	const server =
		tls === undefined
			? createHttpServer(limits, handler)
			: createHttpsServer(
					{ ...limits, ...tlsSettings(tls), minVersion: "TLSv1.2", handshakeTimeout: timeouts.headersMs },
					handler,
				);
	server.setTimeout(timeouts.idleMs);
	server.maxConnections = MAX_CONNECTIONS;
	return server;
}

function tlsSettings(tls: ApiTls): object {
	const client = tls.clientCaPem === undefined ? {} : { ca: tls.clientCaPem, requestCert: true, rejectUnauthorized: true };
	return { cert: tls.certPem, key: tls.keyPem, ...client };
}

/** While draining, what comes on open connections is refused as retryable, and each connection ends with its answer. */
function installDrain(app: FastifyInstance, state: { readonly isDraining: boolean }): void {
	app.addHook("onRequest", async (_request, reply) => {
		if (!state.isDraining) return;
		reply.header("connection", "close");
		throw new MeshscopeError("shutting_down", "the server is shutting down", { retryAfterMs: 2_000 });
	});
	app.addHook("onSend", async (_request, reply) => {
		if (state.isDraining) reply.header("connection", "close");
	});
}

async function closeWithin(app: FastifyInstance, graceMs: number): Promise<void> {
	const cutOff = setTimeout(() => app.server.closeAllConnections(), graceMs);
	try {
		await app.close();
	} finally {
		clearTimeout(cutOff);
	}
}

function boundAddress(app: FastifyInstance): string {
	const bound = app.server.address();
	if (bound === null || typeof bound === "string") throw new Error("the API is not bound to a port");
	return bound.family === "IPv6" ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}
