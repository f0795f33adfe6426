/**
 * A preload for Node apps that do not forward trace context themselves: `node --import meshscope/propagate app.mjs`.
 *
 * What names a trace in the headers of an incoming request is kept for as long as that request is worked on, and is added to the
 * requests that the app sends meanwhile, unless the app set it itself. So the spans of the proxies on both sides of the app become
 * one trace. Nothing else of the app changes: no span is made, nothing is sent, and a fault in here is swallowed.
 *
 * JavaScript, because it runs in the app's process: on its Node, and out of node_modules, where types are not stripped. Node 22.15
 * and newer have every channel that is used here; an older one only loses what its channels do not tell.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe } from "node:diagnostics_channel";
import http2 from "node:http2";
import module from "node:module";

/** @typedef {readonly (readonly [name: string, value: string])[]} Kept */
/** @typedef {(name: string) => boolean} Has */

/** Of one kind: an app that sets one of them says itself which trace this is. */
const TRACE_HEADERS = [
	"traceparent",
	"tracestate",
	"b3",
	"x-b3-traceid",
	"x-b3-spanid",
	"x-b3-parentspanid",
	"x-b3-sampled",
	"x-b3-flags",
];
const HEADERS = [...TRACE_HEADERS, "x-request-id", "baggage"];
const INSTALLED = Symbol.for("meshscope.propagate");
const OPENTELEMETRY = Symbol.for("opentelemetry.js.api.1");

/** @type {AsyncLocalStorage<Kept>} */
const storage = new AsyncLocalStorage();

/** @param {Readonly<Record<string, unknown>>} headers names in lower case @returns {Kept} */
function keep(headers) {
	/** @type {(readonly [string, string])[]} */
	const kept = [];
	for (const name of HEADERS) {
		const value = headers[name];
		if (typeof value === "string" && value !== "") kept.push([name, value]);
	}
	return kept;
}

/** What an outgoing request lacks. @param {Has} has whether the app set a header @returns {Kept} */
function missing(has) {
	const kept = storage.getStore();
	if (kept === undefined || kept.length === 0) return [];
	const isNamed = TRACE_HEADERS.some(has);
	// An OpenTelemetry SDK in the app makes spans of its own, and what it sends names those.
	const hasSdk = Reflect.get(globalThis, OPENTELEMETRY)?.propagation !== undefined;
	return kept.filter(([name]) => {
		const isSaid = TRACE_HEADERS.includes(name) ? isNamed || hasSdk : name === "baggage" && hasSdk;
		return !isSaid && !has(name);
	});
}

/** @param {() => void} step */
function harmless(step) {
	try {
		step();
	} catch {
		// The app's request matters more than its trace.
	}
}

/** @template T @param {string} name @param {(message: T) => void} listener */
function on(name, listener) {
	subscribe(name, (message) => harmless(() => listener(/** @type {T} */ (message))));
}

/**
 * What is read from a connection is emitted in the connection's context, so listeners are called in that of the request.
 *
 * @param {import("node:events").EventEmitter} emitter @param {Kept} kept
 */
function bindEvents(emitter, kept) {
	const emit = emitter.emit;
	emitter.emit = function (...event) {
		return storage.run(kept, () => emit.apply(this, event));
	};
}

/** @param {{ request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse }} message */
function onServerRequest({ request, response }) {
	const kept = keep(request.headers);
	// Set when it is empty too: several requests come out of one read of a connection.
	storage.enterWith(kept);
	if (kept.length === 0) return;
	bindEvents(request, kept);
	bindEvents(response, kept);
}

/** @param {{ stream: import("node:http2").Http2Stream, headers: import("node:http2").IncomingHttpHeaders }} message */
function onServerStream({ stream, headers }) {
	const kept = keep(headers);
	storage.enterWith(kept);
	if (kept.length > 0) bindEvents(stream, kept);
}

/** @param {{ request: import("node:http").ClientRequest }} message */
function onClientRequest({ request }) {
	// Headers that were given as a list are written already.
	if (request.headersSent) return;
	for (const [name, value] of missing((name) => request.hasHeader(name))) request.setHeader(name, value);
}

/** @param {{ request: { headers: string | readonly unknown[], addHeader(name: string, value: string): void } }} message */
function onFetch({ request }) {
	const { headers } = request;
	const names =
		typeof headers === "string"
			? headers.split("\r\n").map((line) => line.slice(0, Math.max(0, line.indexOf(":"))))
			: headers.filter((_, index) => index % 2 === 0).map(String);
	for (const [name, value] of missing(hasName(names))) request.addHeader(name, value);
}

/** @param {readonly string[]} names @returns {Has} */
function hasName(names) {
	const lower = new Set(names.map((name) => name.toLowerCase()));
	return (name) => lower.has(name);
}

/** @template T @param {T} headers of an HTTP/2 request, an object or a list of names and values @returns {T} */
function withMissing(headers) {
	if (Array.isArray(headers)) {
		const names = headers.filter((_, index) => index % 2 === 0).map(String);
		const added = isGrpcJs((name) => headers[names.indexOf(name) * 2 + 1]) ? [] : missing(hasName(names)).flat();
		return added.length === 0 ? headers : /** @type {T} */ ([...headers, ...added]);
	}
	const given = /** @type {Readonly<Record<string, unknown>> | undefined} */ (headers) ?? {};
	const added = isGrpcJs((name) => given[name]) ? [] : missing(hasName(Object.keys(given)));
	return added.length === 0 ? headers : /** @type {T} */ ({ ...given, ...Object.fromEntries(added) });
}

/**
 * `@grpc/grpc-js` lets calls wait for a connection and sends them when it stands, in the context of whoever opened it. So its calls
 * are given their headers when they begin, and none here.
 *
 * @param {(name: string) => unknown} header
 */
function isGrpcJs(header) {
	return (
		String(header("content-type")).startsWith("application/grpc") && String(header("user-agent")).includes("grpc-node-js/")
	);
}

function hookHttp2Client() {
	const { connect } = http2;
	http2.connect = function (/** @type {unknown[]} */ ...args) {
		/** @type {import("node:http2").ClientHttp2Session} */
		const session = Reflect.apply(connect, this, args);
		harmless(() => {
			const { request } = session;
			session.request = function (headers, ...rest) {
				let given = headers;
				harmless(() => (given = withMissing(headers)));
				return Reflect.apply(request, this, [given, ...rest]);
			};
		});
		return session;
	};
	module.syncBuiltinESMExports();
}

/** @typedef {{ get(name: string): unknown[], set(name: string, value: string): void, clone(): Metadata }} Metadata */
/** @typedef {{ start(metadata: Metadata, ...rest: unknown[]): void }} GrpcCall */

const GRPC_CALL_FILE = /\/@grpc\/grpc-js\/build\/src\/resolving-call\.js$/;

/** Every call of grpc-js passes here once, in its caller's context. @param {{ ResolvingCall: { prototype: GrpcCall } }} exports */
function hookGrpcCall(exports) {
	const { prototype } = exports.ResolvingCall;
	const { start } = prototype;
	prototype.start = function (metadata, ...rest) {
		let given = metadata;
		harmless(() => {
			const added = missing((name) => metadata.get(name).length > 0);
			if (added.length === 0) return;
			// The app may use its metadata again, for another request.
			given = metadata.clone();
			for (const [name, value] of added) given.set(name, value);
		});
		return Reflect.apply(start, this, [given, ...rest]);
	};
}

function hookGrpc() {
	const hook = Symbol.for("meshscope.propagate.grpc");
	Reflect.set(globalThis, hook, (/** @type {Parameters<typeof hookGrpcCall>[0]} */ exports) =>
		harmless(() => hookGrpcCall(exports)),
	);
	module.registerHooks?.({
		load(url, context, nextLoad) {
			const loaded = nextLoad(url, context);
			if (!GRPC_CALL_FILE.test(url) || loaded.source === undefined || loaded.source === null) return loaded;
			const source = typeof loaded.source === "string" ? loaded.source : new TextDecoder().decode(loaded.source);
			return { ...loaded, source: `${source}\n;globalThis[Symbol.for("${hook.description}")]?.(exports);\n` };
		},
	});
}

if (Reflect.get(globalThis, INSTALLED) !== true) {
	Reflect.set(globalThis, INSTALLED, true);
	harmless(() => {
		on("http.server.request.start", onServerRequest);
		on("http2.server.stream.start", onServerStream);
		on("http.client.request.created", onClientRequest);
		on("undici:request:create", onFetch);
		hookHttp2Client();
		hookGrpc();
	});
}
