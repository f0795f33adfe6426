/**
 * The processes of a benchmark run: how each is started, what it prints when it is done, and that it is gone afterwards.
 * Children print one JSON line on stdout; this module owns them and stops them by their process id.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A trace whose spans were all acknowledged, and what a search for it can ask. */
export interface KnownTrace {
	readonly traceId: string;
	/** Its `guid:x-request-id`, on every span of it and no other. */
	readonly requestId: string;
	readonly spanCount: number;
	/** The callee of its last hop, and the operation called. */
	readonly service: string;
	readonly operation: string;
	readonly nodeId: string;
}

export interface GeneratorResult {
	readonly ackedSpans: number;
	readonly ackedRequests: number;
	/** After the warm-up. */
	readonly measuredSpans: number;
	readonly measuredSeconds: number;
	readonly spansPerSecond: number;
	readonly retries: number;
	readonly failedRequests: number;
	readonly reasons: Readonly<Record<string, number>>;
	readonly ackMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
	/** Open loop: by how much the generator itself ran late, at most. */
	readonly maxScheduleLagMs: number;
	readonly cpuSeconds: number;
	readonly bytesPerSpan: number;
	readonly generateMicrosecondsPerSpan: number;
	readonly knownTraces: readonly KnownTrace[];
}

export interface YardstickResult {
	readonly mode: string;
	readonly spansPerSecond: number;
	readonly bytesPerSpan: number;
}

/** `long`: 64-bit fields as exact Long objects, else as numbers. `array`: input as Uint8Array, else as Buffer. */
export const YARDSTICK_MODES = ["long+buffer", "long+array", "number+buffer", "number+array"] as const;

export interface GeneratorOptions {
	readonly transport: "http" | "grpc";
	readonly url: string;
	readonly connections: number;
	readonly inflight: number;
	readonly seconds: number;
	readonly warmup?: number;
	readonly spans?: number;
	readonly rate?: number;
	readonly layout?: "mixed" | "scattered";
	readonly spansPerRequest?: number;
	readonly reservoir?: number;
}

export async function runGenerator(options: GeneratorOptions): Promise<GeneratorResult> {
	const { spansPerRequest, ...rest } = options;
	const named = { ...rest, ...(spansPerRequest === undefined ? {} : { "spans-per-request": spansPerRequest }) };
	return (await runToEnd(
		"generator.ts",
		Object.entries(named).flatMap(([name, value]) => [`--${name}`, String(value)]),
	)) as GeneratorResult;
}

export async function runYardstick(mode: string, seconds: number): Promise<YardstickResult> {
	return (await runToEnd("yardstick.ts", ["--mode", mode, "--seconds", String(seconds)])) as YardstickResult;
}

export interface NullSink {
	readonly http: string;
	readonly grpc: string;
	stop(): Promise<void>;
}

export async function startNullSink(): Promise<NullSink> {
	const child = startModule("null-sink.ts", []);
	const { http, grpc } = (await firstJsonLine(child, 10_000)) as { http: string; grpc: string };
	return { http, grpc, stop: () => stopChild(child, 5_000).then(() => undefined) };
}

/** The first line of stdout that is a JSON object; lines before it are passed over. Rejects when the process ends first. */
export function firstJsonLine(child: ChildProcess, timeoutMs: number): Promise<unknown> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => reject(new Error(`no JSON line within ${timeoutMs} ms`)), timeoutMs);
		child.once("close", (code, signal) => reject(new Error(`ended with ${signal ?? code} before its JSON line`)));
		child.once("error", reject);
		const lines = createInterface({ input: child.stdout! });
		lines.on("line", (line) => {
			if (!line.startsWith("{")) return;
			clearTimeout(timer);
			resolve(JSON.parse(line));
			// Stays attached, so that a full pipe never blocks the child.
		});
	});
}

/** SIGTERM, and SIGKILL after the grace period. Returns how long it took to end. */
export async function stopChild(child: ChildProcess, graceMs: number): Promise<{ ms: number; killed: boolean }> {
	const start = performance.now();
	if (child.exitCode !== null || child.signalCode !== null) return { ms: 0, killed: false };
	const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
	let killed = false;
	const timer = setTimeout(() => {
		killed = true;
		child.kill("SIGKILL");
	}, graceMs);
	child.kill("SIGTERM");
	await ended;
	clearTimeout(timer);
	return { ms: performance.now() - start, killed };
}

function startModule(name: string, args: readonly string[]): ChildProcess {
	const path = fileURLToPath(new URL(name, import.meta.url));
	return spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "inherit"] });
}

async function runToEnd(name: string, args: readonly string[]): Promise<unknown> {
	const child = startModule(name, args);
	const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
	const result = await firstJsonLine(child, 3_600_000);
	await ended;
	return result;
}
