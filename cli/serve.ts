/**
 * The running server: wires store, pipeline, readers, receivers, API and page together, tells when all is bound, and drains them in
 * order when it is told to end.
 */
import { readFileSync } from "node:fs";
import type { IngestSink } from "../collector/ingest.ts";
import { startReceivers } from "../collector/receivers/receivers.ts";
import type { Receivers } from "../collector/receivers/receivers.ts";
import type { ReceiverLog } from "../collector/receivers/settings.ts";
import { startScraper } from "../collector/scrape/scraper.ts";
import type { Scraper } from "../collector/scrape/scraper.ts";
import { startApi } from "../api/server.ts";
import type { RunningApi } from "../api/server.ts";
import type { ServerStatus } from "../model/status.ts";
import { controlStateDirectory } from "./mesh/state-directory.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { buildUiIfStale } from "../ui/build.ts";
import { CommandError, EXIT_FAILURE, EXIT_OK, messageOf } from "./context.ts";
import type { CliContext } from "./context.ts";
import type { Phase, SelfTelemetry } from "./self-telemetry.ts";
import { openRunningStore } from "./serve/running-store.ts";
import type { RunningStore } from "./serve/running-store.ts";
import { endSignal } from "./serve/end-signal.ts";
import { createLog } from "./serve/log.ts";
import type { Log } from "./serve/log.ts";
import { bindFailure } from "./serve/bind-failure.ts";
import type { Settings } from "./settings.ts";

/** Connections under way may finish for this long; then they are cut off, and only what is acknowledged is owed. */
const GRACE_MS = 5_000;
/** After it the process ends whatever is still hanging: supervisors kill at 10 s. */
const DRAIN_LIMIT_MS = 9_500;

/** Resolves with the exit code once the server has ended. */
export async function serve(settings: Settings, context: CliContext): Promise<number> {
	const log = createLog(settings.logLevel, context.stderr);
	const ending = endSignal(log);
	const server = await startServer(settings, context, log);
	context.stdout.write(`${JSON.stringify({ event: "ready", ...server.addresses })}\n`);
	log.info({ ...server.addresses, data: settings.dataDirectory }, "ready");

	const reason = await Promise.race([ending, server.failed]);
	if (reason instanceof Error) log.fatal({ reason: reason.message }, "the store has failed; ending");
	else log.info({ signal: reason }, "draining");
	const limit = setTimeout(() => {
		log.error({ limitMs: DRAIN_LIMIT_MS }, "draining took too long; ending with requests unanswered");
		process.exit(EXIT_FAILURE);
	}, DRAIN_LIMIT_MS);
	await server.close();
	clearTimeout(limit);
	log.info({}, "ended");
	return reason instanceof Error ? EXIT_FAILURE : EXIT_OK;
}

interface Server {
	readonly addresses: {
		readonly http: string;
		readonly otlpGrpc?: string;
		readonly otlpHttp?: string;
		readonly zipkin?: string;
		/** Where proxies of the mesh connect. */
		readonly control?: string;
	};
	/** Resolves, never rejects, when the store can no longer go on. */
	readonly failed: Promise<Error>;
	close(): Promise<void>;
}

async function startServer(settings: Settings, context: CliContext, log: Log): Promise<Server> {
	const phases: Phase[] = [];
	const phase = async <T>(name: string, step: Promise<T>): Promise<T> => {
		const startMs = context.nowMs();
		const result = await step;
		phases.push({ name, startMs, endMs: context.nowMs() });
		return result;
	};
	const version = versionOf();
	const startedAtMs = context.nowMs();
	const state: { ready: boolean; scraper?: Scraper | undefined } = { ready: false };
	/** Undone in reverse order when a later step fails. */
	const opened: (() => Promise<void>)[] = [];
	try {
		const building = phase("build ui", buildUi(log));
		const store = await phase("open store", openRunningStore(settings, context.env, log));
		opened.push(() => store.close());
		const uiDirectory = await building;
		let bound: Server["addresses"] = { http: "" };
		const status = async (): Promise<ServerStatus> =>
			statusOf(
				{ ...(await store.status()), scrape: state.scraper?.status() ?? [] },
				{
					version,
					startedAtMs,
					nowMs: context.nowMs(),
					ready: state.ready,
					addresses: bound,
				},
			);

		const telemetry = await startTelemetry(settings, context, version, status, log);
		if (telemetry !== undefined) opened.push(() => telemetry.shutdown());
		const receivers = await phase(
			"bind receivers",
			bindReceivers(settings, telemetry?.traceSink(store.sink) ?? store.sink, log),
		);
		opened.push(() => receivers.close(0));
		state.scraper = scrape(settings, store.sink, context, log);
		opened.push(async () => state.scraper?.close());
		const control = await phase("start control plane", startControl(settings, context, log));
		if (control !== undefined) opened.push(() => control.close());
		const api = await phase("bind api", bindApi(settings, store, status, uiDirectory, receivers, control, context, log));
		bound = { http: api.address, ...receivers.addresses, ...(control && { control: control.address }) };
		telemetry?.observeApi(Number(api.address.slice(api.address.lastIndexOf(":") + 1)));
		telemetry?.recordStart(phases);
		state.ready = true;
		return {
			addresses: bound,
			failed: store.failed,
			async close() {
				state.ready = false;
				// Our own telemetry may go to our own receivers, so it ends before they do; nothing is owed to anybody meanwhile.
				await Promise.all([state.scraper?.close(), telemetry?.shutdown()]);
				await Promise.all([receivers.close(GRACE_MS), api.close(GRACE_MS), control?.close()]);
				await store.close();
			},
		};
	} catch (error) {
		for (const undo of opened.toReversed()) {
			await undo().catch((reason: unknown) =>
				log.error({ reason: messageOf(reason) }, "could not close after a failed start"),
			);
		}
		throw error;
	}
}

async function startTelemetry(
	settings: Settings,
	context: CliContext,
	version: string,
	status: () => Promise<ServerStatus>,
	log: Log,
): Promise<SelfTelemetry | undefined> {
	const endpoint = settings.selfTelemetry;
	if (endpoint === undefined) return undefined;
	const { startSelfTelemetry } = await import("./self-telemetry.ts");
	return startSelfTelemetry({ endpoint, version, env: context.env, status, log });
}

function bindReceivers(settings: Settings, sink: IngestSink, log: Log): Promise<Receivers> {
	const { tls } = settings;
	const receiverLog: ReceiverLog = (level, message, fields) => log[level](fields ?? {}, message);
	const started = startReceivers(
		{
			otlpGrpc: settings.otlpGrpc,
			otlpHttp: settings.otlpHttp,
			zipkin: settings.zipkin,
			ingestTokens: settings.ingestTokens,
			tls: tls === undefined ? undefined : { certPem: tls.cert, keyPem: tls.key, clientCaPem: tls.clientCa },
			maxPayloadBytes: settings.maxPayloadBytes,
		},
		sink,
		receiverLog,
	);
	return started.catch((error: unknown) => {
		throw bindFailure(error, settings);
	});
}

/** Texts of this size are far beyond what a proxy has to say; Envoy's largest are some 5 MB. */
const MAX_SCRAPE_BYTES = 16 * 2 ** 20;
const MAX_CONCURRENT_SCRAPES = 4;

function scrape(settings: Settings, sink: IngestSink, context: CliContext, log: Log): Scraper | undefined {
	if (settings.scrape.length === 0) return undefined;
	return startScraper({
		targets: settings.scrape,
		maxBytes: Math.min(MAX_SCRAPE_BYTES, settings.maxPayloadBytes),
		maxConcurrent: MAX_CONCURRENT_SCRAPES,
		sink,
		readFile: context.readFile,
		now: context.nowMs,
		random: Math.random,
		log: (level, message, fields) => log[level](fields, message),
	});
}

/** Loaded only where there is a mesh: its certificate library takes 25 MB. */
async function startControl(settings: Settings, context: CliContext, log: Log): Promise<ControlPlane | undefined> {
	if (settings.mesh === undefined) return undefined;
	const { runControlPlane } = await import("./mesh/running-control-plane.ts");
	try {
		return await runControlPlane(settings.mesh, controlStateDirectory(settings.dataDirectory), context.nowMs, log);
	} catch (error) {
		throw bindFailure(error, settings);
	}
}

function bindApi(
	settings: Settings,
	store: RunningStore,
	status: () => Promise<ServerStatus>,
	uiDirectory: string | undefined,
	receivers: Receivers,
	mesh: ControlPlane | undefined,
	context: CliContext,
	log: Log,
): Promise<RunningApi> {
	const { tls, readTokens } = settings;
	const started = startApi({
		listen: settings.http,
		reader: store.reader,
		status,
		readTokens,
		allowHosts: settings.allowHosts,
		// Browsers seldom have client certificates, so a read token takes their place where there is one.
		tls:
			tls === undefined
				? undefined
				: { certPem: tls.cert, keyPem: tls.key, clientCaPem: readTokens.length > 0 ? undefined : tls.clientCa },
		uiDirectory,
		ingestAddresses: receivers.addresses,
		mesh,
		now: context.nowMs,
		log,
	});
	return started.catch((error: unknown) => {
		throw bindFailure(error, settings);
	});
}

/** The page is a convenience: a server that cannot build it still takes data and answers the API. */
async function buildUi(log: Log): Promise<string | undefined> {
	try {
		return await buildUiIfStale({ log: (message) => log.info({}, message) });
	} catch (error) {
		log.error({ reason: messageOf(error) }, "the page could not be built; the API is served without it");
		return undefined;
	}
}

interface ProcessFacts {
	readonly version: string;
	readonly startedAtMs: number;
	readonly nowMs: number;
	readonly ready: boolean;
	readonly addresses: Server["addresses"];
}

function statusOf(
	parts: Pick<ServerStatus, "ingest" | "pipeline" | "store" | "topology" | "scrape">,
	facts: ProcessFacts,
): ServerStatus {
	const memory = process.memoryUsage();
	const cpu = process.cpuUsage();
	return {
		version: facts.version,
		startedAtMs: facts.startedAtMs,
		uptimeSeconds: (facts.nowMs - facts.startedAtMs) / 1_000,
		ready: facts.ready,
		addresses: facts.addresses,
		...parts,
		process: {
			rssBytes: memory.rss,
			heapUsedBytes: memory.heapUsed,
			cpuSeconds: (cpu.user + cpu.system) / 1e6,
			nodeVersion: process.version,
		},
	};
}

function versionOf(): string {
	const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
	if (typeof manifest === "object" && manifest !== null && "version" in manifest) return String(manifest.version);
	throw new CommandError("package.json holds no version");
}
