/**
 * The running proxy: telemetry, identity, listeners, policy, in this order; one ready line; and on SIGTERM the reverse, with what is
 * under way given its time.
 */
import { createWriteStream, readFileSync } from "node:fs";
import type { Registration } from "../../model/mesh/control-protocol.ts";
import { formatSpiffeId } from "../../model/mesh/spiffe-id.ts";
import { startControlClient } from "../../proxy-shim/control/control-client.ts";
import type { ControlClient } from "../../proxy-shim/control/control-client.ts";
import { createFileSource, NO_ENDPOINTS } from "../../proxy-shim/control/file-source.ts";
import { startHealthCheck } from "../../proxy-shim/control/health.ts";
import type { ControlLog, EndpointSource, PolicySource } from "../../proxy-shim/control/sources.ts";
import { systemTimers } from "../../proxy-shim/control/timers.ts";
import { createClock } from "../../proxy-shim/clock.ts";
import { createHboneClient } from "../../proxy-shim/hbone/client.ts";
import type { HboneClient } from "../../proxy-shim/hbone/client.ts";
import { startProxy } from "../../proxy-shim/proxy.ts";
import type { Proxy } from "../../proxy-shim/proxy.ts";
import type { LogOutput } from "../../proxy-shim/telemetry/access-log.ts";
import type { Gauge } from "../../proxy-shim/telemetry/proxy-metrics.ts";
import { createTelemetry } from "../../proxy-shim/telemetry/telemetry.ts";
import type { Telemetry } from "../../proxy-shim/telemetry/telemetry.ts";
import { createRootSampler } from "../../proxy-shim/telemetry/trace-context.ts";
import { createIdSource } from "../../proxy-shim/telemetry/trace-ids.ts";
import { openFileIdentity } from "../../proxy-shim/tls/file-identity.ts";
import type { IdentitySource } from "../../proxy-shim/tls/identity-source.ts";
import { createMemoryIdentity } from "../../proxy-shim/tls/memory-identity.ts";
import { CommandError, EXIT_FAILURE, EXIT_OK, messageOf } from "../context.ts";
import type { CliContext } from "../context.ts";
import { watchMeshFiles } from "../mesh/mesh-files.ts";
import { readPolicy } from "../mesh/read-policy.ts";
import { openStateFolder } from "../mesh/state-folder.ts";
import { endSignal } from "../serve/end-signal.ts";
import { createLog } from "../serve/log.ts";
import type { Log } from "../serve/log.ts";
import { formatAddress } from "../settings/values.ts";
import { openAdmin, proxyGauges } from "./admin.ts";
import { releaseStartupMemory } from "./lean-process.ts";
import { CLOSED, runPolicy } from "./policy-runner.ts";
import { portsOf } from "./registration.ts";
import type { ProxyRunSettings } from "./settings.ts";

/** After the first policy and certificate are there. */
const SETTLED_MS = 1_000;
const HEALTH_EVERY_MS = 5_000;
const HEALTH_TIMEOUT_MS = 2_000;
const HEALTH_FAILURES = 3;
/** From our farewell to the control plane until the last peer has heard of it; what comes meanwhile is served as ever. */
export const NEWS_MS = 500;
/** Beyond the drain time, for telemetry to leave and sockets to close. */
const FLUSH_MS = 1_000;

/** Resolves with the exit code once the proxy has ended. */
export async function runProxy(settings: ProxyRunSettings, context: CliContext): Promise<number> {
	const log = createLog(settings.logLevel, context.stderr);
	const ending = endSignal(log);
	const running = await startWorkload(settings, context, log);
	return untilEnded(running, { active: () => running.proxy.active(), drainMs: settings.drainMs, ending, log, context });
}

export interface Lifetime {
	readonly active: () => number;
	readonly drainMs: number;
	readonly ending: Promise<unknown>;
	readonly log: Log;
	readonly context: CliContext;
}

/** One ready line, then until SIGTERM; what is under way is given its time, and no more. */
export async function untilEnded(running: Pick<Running, "addresses" | "close" | "drainAsked">, life: Lifetime): Promise<number> {
	const { active, drainMs, ending, log, context } = life;
	context.stdout.write(`${JSON.stringify({ event: "ready", ...running.addresses })}\n`);
	log.info({ ...running.addresses }, "ready");
	setTimeout(releaseStartupMemory, SETTLED_MS).unref();
	const signal = await Promise.race([ending, running.drainAsked]);
	log.info({ signal, active: active() }, "draining");
	const limit = setTimeout(
		() => {
			log.error({}, "draining took too long; ending");
			process.exit(EXIT_FAILURE);
		},
		NEWS_MS + drainMs + 2 * FLUSH_MS,
	);
	const isWhole = await running.close();
	clearTimeout(limit);
	log.info({ cutOff: !isWhole }, "ended");
	return EXIT_OK;
}

/** What is open, to be closed in reverse order. */
type Opened = (() => unknown)[];

export interface Running {
	readonly proxy: Proxy;
	readonly addresses: Readonly<Record<string, unknown>>;
	readonly isReady: () => { readonly ready: boolean; readonly reason: string };
	/** Resolves when the admin port is told to drain. */
	readonly drainAsked: Promise<string>;
	readonly identity: IdentitySource | undefined;
	/** Where peers call it, as it was told to the registry; one an inbound listener. */
	readonly ports: Registration["ports"];
	/** False: something was cut off. */
	close(): Promise<boolean>;
}

/** What workloads of one node proxy have in common; a proxy of one workload has its own. */
export interface Shared {
	readonly telemetry: Telemetry;
	/** Where tunnels to the workload arrive, as peers reach it. */
	readonly hboneAddress: string;
	tunnelsFor(principal: string, source: IdentitySource): HboneClient;
}

export async function startWorkload(
	settings: ProxyRunSettings,
	context: CliContext,
	log: Log,
	shared?: Shared,
): Promise<Running> {
	const { workload } = settings;
	/** Undone in reverse order when a later step fails, and at the end. */
	const opened: Opened = [];
	const undo = async (): Promise<void> => {
		for (const close of opened.splice(0).toReversed()) {
			await Promise.resolve()
				.then(close)
				.catch((error: unknown) => log.error({ reason: messageOf(error) }, "could not close"));
		}
	};
	try {
		const state: { proxy: Proxy | undefined; isDraining: boolean } = { proxy: undefined, isDraining: false };
		const telemetry = shared?.telemetry ?? openTelemetry(settings, log, workload, () => proxyGauges(state.proxy));
		if (shared === undefined) opened.push(() => closeTelemetry(telemetry));
		// Listeners need an identity to follow before there is one: the control plane is told their ports first.
		const identity = openIdentity(settings, context, log, opened);
		const tunnels = openTunnels(settings, identity.source, telemetry, context, shared, opened);
		const proxy = await startProxy(settings, CLOSED, {
			sink: telemetry,
			...(tunnels === undefined ? {} : { tunnels }),
			identity: identity.source,
			tracing: { ids: createIdSource(), sampler: createRootSampler(settings.sampling) },
			clock: createClock(() => performance.now(), context.nowMs),
			random: Math.random,
		}).catch((error: unknown) => {
			throw bindFailure(error, settings);
		});
		state.proxy = proxy;
		opened.push(() => proxy.drain(0));
		const ports = portsOf(settings, proxy);
		const registration =
			ports.length === 0 ? undefined : { ports, ...(shared === undefined ? {} : { hboneAddress: shared.hboneAddress }) };
		const sources = openSources(settings, registration, log, opened);
		if (sources.control !== undefined) identity.follow(sources.control.identity);
		const policy = runPolicy(proxy, workload, sources.policy, sources.endpoints, telemetry, log);
		opened.push(() => policy.close());
		if (settings.policy.kind === "files" && !policy.isReady) {
			throw new CommandError(
				`--mesh ${settings.policy.path}: there is no policy that can be run; the faults are in the log`,
			);
		}
		watchHealth(settings, sources.control, log, opened);
		const drain = Promise.withResolvers<string>();
		const ready = (): { ready: boolean; reason: string } => {
			if (state.isDraining) return { ready: false, reason: "draining" };
			if (!policy.isReady) return { ready: false, reason: "no policy yet" };
			const needsIdentity = identity.source !== undefined && identity.source.current() === undefined;
			return needsIdentity ? { ready: false, reason: "no certificate yet" } : { ready: true, reason: "" };
		};
		const admin =
			settings.admin === undefined
				? undefined
				: await openAdmin(settings.admin, {
						...{ ready, nowMs: context.nowMs, proxies: [{ service: "", proxy, identity: identity.source }] },
						stats: () => telemetry.prometheus(),
						drain: () => drain.resolve("asked at the admin port"),
					}).catch((error: unknown) => {
						throw bindFailure(error, settings);
					});
		if (admin !== undefined) opened.push(() => admin.close());
		return {
			proxy,
			addresses: { ...addressesOf(proxy), ...(admin === undefined ? {} : { admin: formatAddress(admin) }) },
			isReady: ready,
			drainAsked: drain.promise,
			identity: identity.source,
			ports,
			async close() {
				state.isDraining = true;
				// Peers hear of it before the ports are closed, so that they stop calling.
				if (sources.control !== undefined) {
					await sources.control.close();
					if (settings.inbound.length > 0) await new Promise((resolve) => setTimeout(resolve, NEWS_MS));
				}
				const isWhole = await proxy.drain(settings.drainMs);
				await undo();
				return isWhole;
			},
		};
	} catch (error) {
		await undo();
		throw error;
	}
}

/** To workloads behind node proxies; a proxy without an identity cannot make any. */
function openTunnels(
	settings: ProxyRunSettings,
	source: IdentitySource | undefined,
	events: Telemetry,
	context: CliContext,
	shared: Shared | undefined,
	opened: Opened,
): HboneClient | undefined {
	if (source === undefined) return undefined;
	if (shared !== undefined) return shared.tunnelsFor(formatSpiffeId(settings.workload), source);
	const tunnels = createHboneClient({ source, nowMs: context.nowMs, events });
	opened.push(() => tunnels.close());
	return tunnels;
}

export async function closeTelemetry(telemetry: Telemetry): Promise<void> {
	await telemetry.flush(FLUSH_MS);
	telemetry.close();
}

export function openTelemetry(
	settings: Pick<ProxyRunSettings, "otlp" | "accessLog">,
	log: Log,
	local: ProxyRunSettings["workload"],
	gauges: () => Iterable<Gauge>,
): Telemetry {
	return createTelemetry({
		local,
		version: versionOf(),
		gauges,
		...(settings.otlp === undefined ? {} : { otlp: settings.otlp }),
		...(settings.accessLog === undefined ? {} : { accessLog: openAccessLog(settings.accessLog, log) }),
		log: ({ level, message, fields }) => log[level](fields, message),
	});
}

function openAccessLog(path: string, log: Log): LogOutput {
	if (path === "-") return process.stderr;
	const file = createWriteStream(path, { flags: "a", mode: 0o640 });
	file.on("error", (error) => log.error({ reason: error.message }, "the access log cannot be written"));
	return file;
}

interface OwnIdentity {
	readonly source: IdentitySource | undefined;
	follow(source: IdentitySource): void;
}

function openIdentity(settings: ProxyRunSettings, context: CliContext, log: Log, opened: Opened): OwnIdentity {
	if (settings.policy.kind === "control") {
		const source = createMemoryIdentity();
		return {
			source,
			follow(issued) {
				const first = issued.current();
				if (first !== undefined) source.set(first);
				opened.push(issued.onChange((next) => source.set(next)));
			},
		};
	}
	const none = { source: undefined, follow: () => {} };
	if (settings.mtls === undefined) return none;
	const onFault = (error: Error): void =>
		log.warn({ reason: error.message }, "the certificate files do not fit; the ones before stay");
	try {
		const source = openFileIdentity({ ...settings.mtls, nowMs: context.nowMs, onFault });
		opened.push(() => source.close());
		return { source, follow: () => {} };
	} catch (error) {
		throw new CommandError(messageOf(error));
	}
}

interface Sources {
	readonly policy: PolicySource;
	readonly endpoints: EndpointSource;
	readonly control: ControlClient | undefined;
}

function openSources(settings: ProxyRunSettings, registration: Registration | undefined, log: Log, opened: Opened): Sources {
	const controlLog: ControlLog = (level, message, fields) => log[level](fields, message);
	if (settings.policy.kind === "files") {
		const files = watchMeshFiles(settings.policy.path);
		const policy = createFileSource({ files, readPolicy, log: controlLog });
		opened.push(() => {
			policy.close();
			files.close();
		});
		return { policy, endpoints: NO_ENDPOINTS, control: undefined };
	}
	const { address, token, tokenFile, stateDirectory } = settings.policy;
	const control = startControlClient({
		address,
		workload: settings.workload,
		registration,
		proxyVersion: versionOf(),
		token: () => (tokenFile === undefined ? token : readToken(tokenFile)),
		state: openStateFolder(stateDirectory),
		log: controlLog,
	});
	opened.push(() => control.close());
	return { policy: control.policy, endpoints: control.endpoints, control };
}

/** Undefined while it is not there: it may be laid down later. */
function readToken(path: string): string | undefined {
	try {
		return readFileSync(path, "utf8").trim();
	} catch {
		return undefined;
	}
}

function watchHealth(settings: ProxyRunSettings, control: ControlClient | undefined, log: Log, opened: Opened): void {
	const [first] = settings.inbound;
	if (settings.health === undefined || first === undefined) return;
	const { host, port } = first.app;
	const check = startHealthCheck({
		target: settings.health === "tcp" ? { kind: "tcp", host, port } : { kind: "http", host, port, path: settings.health },
		intervalMs: HEALTH_EVERY_MS,
		timeoutMs: HEALTH_TIMEOUT_MS,
		failures: HEALTH_FAILURES,
		timers: systemTimers(),
		onChange(healthy, reason) {
			log[healthy ? "info" : "warn"]({ healthy, reason }, "health of the app");
			control?.setHealth(healthy, reason);
		},
	});
	opened.push(() => check.close());
}

function addressesOf(proxy: Proxy): Record<string, unknown> {
	const { inbound, outbound, upstreams } = proxy.addresses;
	return {
		inbound: inbound.map(formatAddress),
		...(outbound === undefined ? {} : { outbound: formatAddress(outbound) }),
		upstreams: upstreams.map(formatAddress),
	};
}

/** Why an address could not be bound, with the flag that gave it. */
function bindFailure(error: unknown, settings: ProxyRunSettings): unknown {
	if (!(error instanceof Error) || !("code" in error)) return error;
	const port = "port" in error ? Number(error.port) : -1;
	const listeners = [
		...settings.inbound.map(({ listen }) => ["--inbound", listen] as const),
		...(settings.outbound === undefined ? [] : [["--outbound", settings.outbound] as const]),
		...settings.upstreams.map(({ listen }) => ["--upstream", listen] as const),
		...(settings.admin === undefined ? [] : [["--admin", settings.admin] as const]),
	];
	const found = listeners.find(([, address]) => address.port === port);
	const where = found === undefined ? "a listener" : `${found[0]} ${formatAddress(found[1])}`;
	const reasons: Readonly<Record<string, string>> = {
		EADDRINUSE: "the port is in use",
		EADDRNOTAVAIL: "this machine has no such address",
		EACCES: "not allowed to bind this port; take one above 1023",
		ENOTFOUND: "no such host name",
	};
	const reason = reasons[String(error.code)];
	return reason === undefined ? error : new CommandError(`${where}: ${reason}`);
}

function versionOf(): string {
	const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
	return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "unknown";
}
