/**
 * The server under measurement: `node main.ts serve` in a process of its own over a data directory of its own, watched from outside
 * through /proc, so that nothing it says about itself is taken for granted.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { ServerStatus } from "../model/status.ts";
import { firstJsonLine, stopChild } from "./processes.ts";

export interface ServerOptions {
	readonly dataDirectory: string;
	/** Where V8 leaves a CPU profile of each thread when the process ends. */
	readonly profileDirectory?: string;
	/** Passed on to `serve`. */
	readonly args?: readonly string[];
}

export interface MemorySample {
	readonly atMs: number;
	readonly rssBytes: number;
}

export interface Server {
	readonly http: string;
	readonly otlpHttp: string;
	readonly otlpGrpc: string;
	/** From spawning the process to its ready line. */
	readonly readyMs: number;
	/** User and system time of all threads so far. */
	cpuSeconds(): number;
	rssBytes(): number;
	/** The most the process ever held, by the kernel's own account. */
	peakRssBytes(): number;
	/** Samples since the start, four a second. */
	readonly memory: readonly MemorySample[];
	status(): Promise<ServerStatus>;
	/** Waits until background merging has nothing left to do. */
	untilMerged(timeoutMs: number): Promise<MergeWait>;
	stop(): Promise<{ ms: number; killed: boolean }>;
}

export interface MergeWait {
	readonly ms: number;
	readonly done: boolean;
	readonly freshBlocks: number;
}

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const START_TIMEOUT_MS = 60_000;
/** A drain may take 10 s by contract; a profile takes longer to write. */
const STOP_GRACE_MS = 30_000;
const SAMPLE_MS = 250;
/** USER_HZ: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
/** The newest blocks may stay fresh by design, until there are enough of them. */
const FEW_FRESH_BLOCKS = 16;
/** Merged is when neither block count nor processor time moves any more. */
const QUIET_MS = 3_000;
const QUIET_CPU_SHARE = 0.1;

export async function startServer(options: ServerOptions): Promise<Server> {
	const profile = options.profileDirectory === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${options.profileDirectory}`];
	const anyPort = "127.0.0.1:0";
	const serve = ["serve", "--data", options.dataDirectory, "--log-level", "warn", "--self-telemetry", "off"];
	const ports = ["--http", anyPort, "--otlp-grpc", anyPort, "--otlp-http", anyPort, "--zipkin", "off"];
	const startedAt = performance.now();
	const child = spawn(process.execPath, [...profile, MAIN, ...serve, ...ports, ...(options.args ?? [])], {
		stdio: ["ignore", "pipe", "inherit"],
		env: withoutSettings(process.env),
	});
	const killOnExit = (): boolean => child.kill("SIGKILL");
	process.once("exit", killOnExit);
	let ready: Record<string, unknown>;
	try {
		ready = (await firstJsonLine(child, START_TIMEOUT_MS)) as Record<string, unknown>;
		if (ready["event"] !== "ready") throw new Error(`not a ready line: ${JSON.stringify(ready)}`);
	} catch (error) {
		await stopChild(child, STOP_GRACE_MS);
		throw error;
	}
	const readyMs = performance.now() - startedAt;
	const pid = child.pid!;
	const memory: MemorySample[] = [];
	const sampler = setInterval(() => {
		if (child.exitCode === null)
			memory.push({ atMs: performance.now() - startedAt, rssBytes: procKilobytes(pid, "VmRSS") * 1024 });
	}, SAMPLE_MS);
	const http = urlOf(ready["http"]);
	const status = async (): Promise<ServerStatus> => {
		const response = await fetch(`${http}/api/v1/status`);
		if (!response.ok) throw new Error(`GET /api/v1/status: ${response.status} ${await response.text()}`);
		return (await response.json()) as ServerStatus;
	};
	const cpuSeconds = (): number => processCpuSeconds(pid);
	return {
		http,
		otlpHttp: urlOf(ready["otlpHttp"]),
		otlpGrpc: urlOf(ready["otlpGrpc"]),
		readyMs,
		cpuSeconds,
		rssBytes: () => procKilobytes(pid, "VmRSS") * 1024,
		peakRssBytes: () => procKilobytes(pid, "VmHWM") * 1024,
		memory,
		status,
		untilMerged: (timeoutMs) => untilMerged(status, cpuSeconds, timeoutMs),
		stop: async () => {
			clearInterval(sampler);
			process.removeListener("exit", killOnExit);
			return stopServer(child);
		},
	};
}

/** A server measured with somebody's own settings would be another server. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
	return Object.fromEntries(
		Object.entries(env).filter(([name]) => !name.startsWith("MESHSCOPE_") && !name.startsWith("OTEL_")),
	);
}

async function stopServer(child: ChildProcess): Promise<{ ms: number; killed: boolean }> {
	const ended = await stopChild(child, STOP_GRACE_MS);
	if (!ended.killed && child.exitCode !== 0) throw new Error(`the server ended with ${child.signalCode ?? child.exitCode}`);
	return ended;
}

async function untilMerged(status: () => Promise<ServerStatus>, cpuSeconds: () => number, timeoutMs: number): Promise<MergeWait> {
	const start = performance.now();
	for (;;) {
		const before = (await status()).store.freshBlocks;
		const cpuBefore = cpuSeconds();
		await sleep(QUIET_MS);
		const freshBlocks = (await status()).store.freshBlocks;
		const cpuShare = (cpuSeconds() - cpuBefore) / (QUIET_MS / 1_000);
		const ms = performance.now() - start;
		if (freshBlocks <= FEW_FRESH_BLOCKS && freshBlocks === before && cpuShare < QUIET_CPU_SHARE)
			return { ms, done: true, freshBlocks };
		if (ms > timeoutMs) return { ms, done: false, freshBlocks };
	}
}

function urlOf(address: unknown): string {
	const text = String(address);
	return text.includes("://") ? text : `http://${text}`;
}

function procKilobytes(pid: number, field: string): number {
	const match = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"));
	return match === null ? Number.NaN : Number(match[1]);
}

/** Fields 14 and 15 of /proc/PID/stat; the name in field 2 may hold spaces, so counting starts behind its parenthesis. */
function processCpuSeconds(pid: number): number {
	const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
	const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
	return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Blocks in use by every file under a directory: what `du` says, not what the store says. */
export function directoryBytes(directory: string): number {
	let bytes = 0;
	for (const entry of readdirSync(directory, { withFileTypes: true })) {
		const path = join(directory, entry.name);
		if (entry.isDirectory()) bytes += directoryBytes(path);
		else bytes += statSync(path).blocks * 512;
	}
	return bytes;
}
