/**
 * The demo from its first process to its last: starts the server, the shop and a shim beside each app, tells when the graph is alive,
 * changes something now and then with `--chaos`, and ends everything in order, whatever ends it.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connectApi } from "../api-client.ts";
import { CommandError, EXIT_FAILURE, EXIT_OK, EXIT_USAGE } from "../context.ts";
import type { CliContext } from "../context.ts";
import { superviseChildren } from "./children.ts";
import type { ChildFailure, Children, ChildSpec } from "./children.ts";
import { appCommands, SERVER, serverCommand } from "./commands.ts";
import { CHAOS_STEPS, meshText } from "./mesh-text.ts";
import { findPortBlock } from "./ports.ts";
import { welcome } from "./screen.ts";
import { appPortOf, LEGACY_SERVICE, hbonePort, planShop } from "./shop-plan.ts";
import type { PlannedWorkload } from "./shop-plan.ts";
import { hireUndertaker } from "./undertaker.ts";

export interface DemoSettings {
	/** Given by the person, and kept; undefined for a temporary one. */
	readonly dataDirectory: string | undefined;
	/** Further flags of `serve`. */
	readonly serverFlags: readonly string[];
	readonly chaosEveryMs: number | undefined;
	readonly requestRate: number;
	readonly python: boolean;
	/** All shims in one process. */
	readonly nodeProxy: boolean;
}

/** Apps end at once, shims drain for two seconds. */
const SHOP_GRACE_MS = 5_000;
/** `serve` ends itself after 9.5 s. */
const SERVER_GRACE_MS = 11_000;
const ALIVE_LIMIT_MS = 60_000;
const API_TIMEOUT_MS = 2_000;
const SAME_SIGNAL_MS = 500;

const EXAMPLE = new URL("../../examples/shop/mesh.yaml", import.meta.url);

/** Resolves with the exit code once every process has ended. */
export async function runDemo(settings: DemoSettings, context: CliContext): Promise<number> {
	const startedMs = performance.now();
	const directory = mkdtempSync(join(tmpdir(), "meshscope-demo-"));
	const undertaker = hireUndertaker(directory);
	const say = (line: string): void => void context.stderr.write(`${line}\n`);
	const children = superviseChildren({
		onRestart: (failure) => say(`${told(failure)}\nstarting it again`),
		onGroups: (pids) => undertaker.tell(pids),
		nowMs: () => performance.now(),
		maxDeathsPerMinute: 3,
		restartDelayMs: 500,
	});
	const over = new AbortController();
	const signals = endSignals(children);
	const failed = children.failed.then((failure) => ({ failure }));
	const run = runShop({ settings, context, children, directory, say, startedMs, signal: over.signal }).then(
		() => undefined,
		(error: unknown) => ({ error }),
	);
	try {
		const outcome = await Promise.race([signals.first.then(() => undefined), failed, run]);
		if (outcome === undefined) return EXIT_OK;
		if ("error" in outcome) throw outcome.error;
		say(`the demo ends: ${told(outcome.failure)}`);
		return outcome.failure.exitCode === EXIT_USAGE ? EXIT_USAGE : EXIT_FAILURE;
	} finally {
		over.abort();
		await run;
		await children.end((name) => name !== SERVER, SHOP_GRACE_MS);
		await children.end(() => true, SERVER_GRACE_MS);
		await undertaker.bury();
		rmSync(directory, { recursive: true, force: true });
		signals.close();
	}
}

function told({ name, how, lastLines }: ChildFailure): string {
	return [`${name}: ended (${how})`, ...lastLines.map((line) => `  | ${line}`)].join("\n");
}

/** The first signal ends the demo in order, a second one at once. Under npm one Ctrl-C arrives twice. */
function endSignals(children: Children): { readonly first: Promise<void>; close(): void } {
	const { promise, resolve } = Promise.withResolvers<void>();
	let firstMs: number | undefined;
	const onSignal = (): void => {
		firstMs ??= performance.now();
		if (performance.now() - firstMs > SAME_SIGNAL_MS) void children.end(() => true, 0);
		resolve();
	};
	const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
	for (const name of names) process.on(name, onSignal);
	return {
		first: promise,
		close: () => {
			for (const name of names) process.off(name, onSignal);
		},
	};
}

interface Shop {
	readonly settings: DemoSettings;
	readonly context: CliContext;
	readonly children: Children;
	/** Of the demo's own files. */
	readonly directory: string;
	readonly say: (line: string) => void;
	readonly startedMs: number;
	readonly signal: AbortSignal;
}

/** Never resolves before the end of its signal. */
async function runShop(shop: Shop): Promise<void> {
	const { settings, context, children, directory, say, startedMs, signal } = shop;
	const { env } = context;
	const python = settings.python ? isPythonThere(env) : Promise.resolve(false);
	const firstPort = await findPortBlock();
	const legacyPort = appPortOf(LEGACY_SERVICE, firstPort);
	const example = readFileSync(EXAMPLE, "utf8");
	const meshFile = join(directory, "mesh.yaml");
	writeFileSync(meshFile, meshText(example, legacyPort));
	const dataDirectory = settings.dataDirectory ?? join(directory, "data");
	if (signal.aborted) return;

	const ready = Promise.withResolvers<ReadyLine>();
	// It is waited for below, and may be there before.
	ready.promise.catch(() => undefined);
	const onLine = (line: string): void => {
		try {
			const addresses = readyLine(line);
			if (addresses !== undefined) ready.resolve(addresses);
		} catch (error) {
			ready.reject(error);
		}
	};
	children.start(serverCommand({ dataDirectory, meshFile, flags: settings.serverFlags, env, onLine }));
	// What is needed from here on loads while the server starts.
	const [{ createShims }, { askGraph, missingServices }, hasPython] = await Promise.all([
		import("./shims.ts"),
		import("./liveness.ts"),
		python,
	]);
	const workloads = planShop({ firstPort, hasPython });
	if (signal.aborted) return;
	const isTraffic = ({ host }: PlannedWorkload): boolean => host === "traffic";
	const first = workloads.filter((one) => one.host !== "late" && !isTraffic(one));
	const apps = appCommands(first, settings.requestRate, env);
	for (const command of apps) children.start(command);

	const addresses = await until(ready.promise, signal);
	context.stdout.write(`${addresses.line}\n`);
	const tellLogs = (commands: readonly ChildSpec[]): void => {
		// Apps in Python do not heed it.
		if (addresses.otlpHttp !== undefined)
			for (const { name } of commands) children.tell(name, `logs http://${addresses.otlpHttp}\n`);
	};
	tellLogs(apps);
	const readySeconds = secondsSince(startedMs);
	const api = connectApi(`http://${addresses.http}`, env["MESHSCOPE_TOKEN"], API_TIMEOUT_MS);
	const shims = createShims({
		...{ children, directory, dataDirectory, api, env, signal, nowMs: context.nowMs },
		controlUrl: `https://${addresses.control}`,
		otlpUrl: `http://${addresses.otlpGrpc}`,
	});
	const behindShims = workloads.filter(({ host }) => host !== "late");
	const traffic = appCommands(workloads.filter(isTraffic), settings.requestRate, env);
	const joined = settings.nodeProxy ? shims.startTogether(behindShims, hbonePort(firstPort)) : shims.startEach(behindShims);
	for (const command of traffic) children.start(command);
	tellLogs(traffic);
	await joined;
	for (const { name } of traffic) children.tell(name, "begin\n");
	const shimsSeconds = secondsSince(startedMs);
	let edges = 0;
	const isAlive = await untilAlive(shop, async () => {
		const graph = await askGraph(api);
		edges = graph?.edges.length ?? 0;
		return graph && missingServices(graph, workloads);
	});
	if (isAlive) {
		const told = { event: "alive", seconds: secondsSince(startedMs), readySeconds, shimsSeconds, edges };
		context.stdout.write(`${JSON.stringify(told)}\n`);
	}
	say(
		welcome({
			...{ http: addresses.http, meshFile, dataDirectory, workloads, hasPython },
			adminOf: ({ shim }) => (settings.nodeProxy ? undefined : shim?.adminPort),
			isDataKept: settings.dataDirectory !== undefined,
			chaosEveryMs: settings.chaosEveryMs,
		}),
	);
	if (settings.chaosEveryMs === undefined) {
		await until(new Promise(() => undefined), signal);
		return;
	}
	const deployed = new Set<string>();
	for (let step = 0; ; step = (step + 1) % CHAOS_STEPS.length) {
		await delay(settings.chaosEveryMs, undefined, { signal });
		const chaos = CHAOS_STEPS[step]!;
		const added = workloads.filter(({ name }) => name === chaos.needs && !deployed.has(name));
		const late = appCommands(added, settings.requestRate, env);
		for (const command of late) children.start(command);
		tellLogs(late);
		await shims.startEach(added);
		for (const { name } of added) deployed.add(name);
		// Renamed into its place, so that nobody reads half of it.
		writeFileSync(`${meshFile}.new`, meshText(example, legacyPort, chaos));
		renameSync(`${meshFile}.new`, meshFile);
		say(`${new Date(context.nowMs()).toTimeString().slice(0, 8)} ${chaos.what}`);
	}
}

/** @returns once the graph shows every service, or after a while with a word about what it lacks */
async function untilAlive({ say, signal, startedMs }: Shop, ask: () => Promise<readonly string[] | undefined>): Promise<boolean> {
	for (;;) {
		const missing = await ask();
		if (missing?.length === 0) return true;
		if (performance.now() - startedMs > ALIVE_LIMIT_MS) {
			say(
				missing === undefined
					? "the graph cannot be read (a read token goes into MESHSCOPE_TOKEN)"
					: `the graph still misses what calls ${missing.join(", ")}`,
			);
			return false;
		}
		await delay(250, undefined, { signal });
	}
}

function isPythonThere({ PATH }: CliContext["env"]): Promise<boolean> {
	return new Promise((resolve) => {
		const python = spawn("python3", ["--version"], { stdio: "ignore", env: { PATH } });
		python.on("error", () => resolve(false)).on("exit", (code) => resolve(code === 0));
	});
}

function secondsSince(startedMs: number): number {
	return Number(((performance.now() - startedMs) / 1_000).toFixed(1));
}

interface ReadyLine {
	readonly line: string;
	readonly http: string;
	readonly otlpGrpc: string;
	/** Absent where the person turned it off. */
	readonly otlpHttp?: string;
	readonly control: string;
}

function readyLine(line: string): ReadyLine | undefined {
	if (!line.startsWith('{"event":"ready"')) return undefined;
	const { http, otlpGrpc, otlpHttp, control } = JSON.parse(line) as Partial<ReadyLine>;
	if (http === undefined || otlpGrpc === undefined || control === undefined)
		throw new CommandError(`the server did not bind what the demo needs: ${line}`);
	return { line, http, otlpGrpc, control, ...(otlpHttp === undefined ? {} : { otlpHttp }) };
}

/** @throws when the signal ends first */
async function until<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
	const ended = Promise.withResolvers<never>();
	const onAbort = (): void => ended.reject(new Error("the demo has ended"));
	if (signal.aborted) onAbort();
	signal.addEventListener("abort", onAbort, { once: true });
	try {
		return await Promise.race([promise, ended.promise]);
	} finally {
		signal.removeEventListener("abort", onAbort);
	}
}
