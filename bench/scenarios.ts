/** What is measured while data comes in: rate, processor time, memory, disk, acknowledgement; and what an idle server holds. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type GeneratorResult, YARDSTICK_MODES, runGenerator, runYardstick, startNullSink } from "./processes.ts";
import type { Figure } from "./report.ts";
import { type Server, directoryBytes, startServer } from "./server.ts";
import { slopeOf, spreadOf } from "./statistics.ts";

export interface BenchContext {
	/** Data directories are made in here, and removed after use. */
	readonly workDirectory: string;
	readonly repetitions: number;
	readonly ingestSeconds: number;
	readonly warmupSeconds: number;
	readonly yardstickSeconds: number;
	readonly mergeTimeoutMs: number;
	readonly profileDirectory?: string;
	readonly serverArgs: readonly string[];
	report(figure: Figure): void;
	say(text: string): void;
}

type TransportName = "http" | "grpc";

const MIB = 2 ** 20;
/** Enough requests under way to keep every stage of the server busy, few enough to stay within its byte budget: 12 MB. */
const CONNECTIONS: Readonly<Record<TransportName, { connections: number; inflight: number }>> = {
	http: { connections: 10, inflight: 10 },
	grpc: { connections: 4, inflight: 10 },
};

export async function inDataDirectory<T>(context: BenchContext, use: (directory: string) => Promise<T>): Promise<T> {
	const directory = mkdtempSync(join(context.workDirectory, "meshscope-bench-"));
	try {
		return await use(directory);
	} finally {
		rmSync(directory, { recursive: true, force: true });
	}
}

export function serverOptions(context: BenchContext, dataDirectory: string): Parameters<typeof startServer>[0] {
	return {
		dataDirectory,
		args: context.serverArgs,
		...(context.profileDirectory === undefined ? {} : { profileDirectory: context.profileDirectory }),
	};
}

export function endpointOf(server: Server, transport: TransportName): string {
	return transport === "http" ? server.otlpHttp : server.otlpGrpc;
}

function single(value: number): Pick<Figure, "value" | "repetitions"> {
	return { value: { median: value, min: value, max: value }, repetitions: 1 };
}

function several(values: readonly number[]): Pick<Figure, "value" | "repetitions"> {
	return { value: spreadOf(values), repetitions: values.length };
}

/** What the generator reaches when nobody looks at what it sends. */
export async function measureCeiling(context: BenchContext): Promise<void> {
	const sink = await startNullSink();
	try {
		for (const transport of ["http", "grpc"] as const) {
			const result = await runGenerator({
				transport,
				url: sink[transport],
				...CONNECTIONS[transport],
				seconds: 3,
				warmup: 1,
			});
			context.report({
				section: "ingest",
				name: `generator alone over ${transport}, against a sink that only acknowledges`,
				unit: "spans/s",
				...single(result.spansPerSecond),
				note: `${result.generateMicrosecondsPerSpan.toFixed(2)} µs a span to make, ${result.bytesPerSpan.toFixed(0)} B a span`,
			});
		}
	} finally {
		await sink.stop();
	}
}

/** protobufjs has several ways to decode the same bytes; the fastest on this machine is the yardstick. */
export async function chooseYardstick(context: BenchContext): Promise<string> {
	const best = new Map<string, number>();
	for (let round = 0; round < 2; round++) {
		for (const mode of YARDSTICK_MODES) {
			const { spansPerSecond } = await runYardstick(mode, Math.min(2, context.yardstickSeconds));
			best.set(mode, Math.max(best.get(mode) ?? 0, spansPerSecond));
		}
	}
	const ranked = [...best].sort((a, b) => b[1] - a[1]);
	context.say(`yardstick modes: ${ranked.map(([mode, rate]) => `${mode} ${Math.round(rate)}/s`).join(", ")}`);
	return ranked[0]![0];
}

interface IngestRun {
	readonly rate: number;
	readonly ratio: number;
	readonly cpuPerMillion: number;
	readonly generatorCpuPerMillion: number;
	readonly peakRssMib: number;
	readonly bytesPerSpan: number;
	readonly ackP50: number;
	readonly ackP99: number;
	readonly mergeSeconds: number;
	/** Why the run counts for nothing, if so. */
	readonly invalid: string | undefined;
}

export async function measureIngest(context: BenchContext, yardstickMode: string): Promise<void> {
	const runs: Record<TransportName, IngestRun[]> = { http: [], grpc: [] };
	const yards: number[] = [];
	const yard = async (): Promise<number> => {
		const { spansPerSecond } = await runYardstick(yardstickMode, context.yardstickSeconds);
		yards.push(spansPerSecond);
		return spansPerSecond;
	};
	let before = await yard();
	for (let repetition = 0; repetition < context.repetitions; repetition++) {
		for (const transport of ["http", "grpc"] as const) {
			const measured = await ingestOnce(context, transport);
			const after = await yard();
			const ratio = measured.rate / ((before + after) / 2);
			before = after;
			runs[transport].push({ ...measured, ratio });
			context.say(
				`ingest ${transport} ${repetition + 1}/${context.repetitions}: ${Math.round(measured.rate)} spans/s, ` +
					`${ratio.toFixed(2)} × yardstick, ${measured.cpuPerMillion.toFixed(2)} CPU-s/M, ${measured.peakRssMib.toFixed(0)} MiB`,
			);
		}
	}
	reportIngest(context, runs, yards, yardstickMode);
}

function reportIngest(context: BenchContext, runs: Record<TransportName, IngestRun[]>, yards: number[], mode: string): void {
	const section = "ingest";
	context.report({ section, name: `yardstick: protobufjs decode, one thread (${mode})`, unit: "spans/s", ...several(yards) });
	for (const transport of ["http", "grpc"] as const) {
		const of = (key: Exclude<keyof IngestRun, "invalid">): Pick<Figure, "value" | "repetitions"> =>
			several(runs[transport].map((run) => run[key]));
		const faults = new Set(runs[transport].map((run) => run.invalid).filter((fault) => fault !== undefined));
		const invalid = faults.size === 0 ? {} : { invalid: [...faults].join("; ") };
		const figure = (
			name: string,
			unit: string,
			key: Exclude<keyof IngestRun, "invalid">,
			extra: Partial<Figure> = {},
		): void => context.report({ section, name: `${transport}: ${name}`, unit, ...of(key), ...invalid, ...extra });
		figure("acknowledged spans a second", "spans/s", "rate");
		figure("ratio to the yardstick", "×", "ratio", { bar: { atLeast: transport === "http" ? 1 : 0.8 } });
		figure("server CPU-seconds a million spans, merging included", "CPU-s", "cpuPerMillion", { bar: { atMost: 4.5 } });
		figure("generator CPU-seconds a million spans", "CPU-s", "generatorCpuPerMillion");
		figure("peak RSS", "MiB", "peakRssMib", { bar: { atMost: 400 } });
		figure("bytes on disk a span, merged, stopped, all indexes", "B", "bytesPerSpan", { bar: { atMost: 60 } });
		figure("ack p50 at full load", "ms", "ackP50");
		figure("ack p99 at full load", "ms", "ackP99");
		figure("merging after the load ended", "s", "mergeSeconds");
	}
}

async function ingestOnce(context: BenchContext, transport: TransportName): Promise<Omit<IngestRun, "ratio">> {
	return inDataDirectory(context, async (directory) => {
		const emptyBytes = await emptyStoreBytes(context, directory);
		const server = await startServer(serverOptions(context, directory));
		let load: GeneratorResult;
		let cpuSeconds: number;
		let merge: Awaited<ReturnType<Server["untilMerged"]>>;
		let peakRssBytes: number;
		let stored: number;
		try {
			const cpuAtStart = server.cpuSeconds();
			load = await runGenerator({
				transport,
				url: endpointOf(server, transport),
				...CONNECTIONS[transport],
				seconds: context.ingestSeconds,
				warmup: context.warmupSeconds,
			});
			warnOfFailures(context, load);
			const loadEnd = server.cpuSeconds();
			merge = await server.untilMerged(context.mergeTimeoutMs);
			if (!merge.done) context.say(`not merged after ${Math.round(merge.ms / 1_000)} s: ${merge.freshBlocks} fresh blocks`);
			cpuSeconds = server.cpuSeconds() - cpuAtStart;
			peakRssBytes = server.peakRssBytes();
			stored = (await server.status()).store.spans;
			context.say(
				`${transport}: ${(loadEnd - cpuAtStart).toFixed(1)} CPU-s under load, ${cpuSeconds.toFixed(1)} with merging`,
			);
		} finally {
			await server.stop();
		}
		const millions = load.ackedSpans / 1e6;
		return {
			rate: load.spansPerSecond,
			cpuPerMillion: cpuSeconds / millions,
			generatorCpuPerMillion: load.cpuSeconds / millions,
			peakRssMib: peakRssBytes / MIB,
			bytesPerSpan: (directoryBytes(directory) - emptyBytes) / load.ackedSpans,
			ackP50: load.ackMs.p50,
			ackP99: load.ackMs.p99,
			mergeSeconds: merge.ms / 1_000,
			invalid: faultOf(load, stored),
		};
	});
}

/** Each acknowledged span is stored, and stored once. */
function faultOf(load: GeneratorResult, stored: number): string | undefined {
	if (stored !== load.ackedSpans) return `${load.ackedSpans} spans acknowledged, ${stored} stored`;
	return load.failedRequests > 0 ? `${load.failedRequests} requests failed` : undefined;
}

/** The first start after a change builds the page; no figure may hold that. */
export async function warmUp(context: BenchContext): Promise<void> {
	await inDataDirectory(context, (directory) => emptyStoreBytes(context, directory));
}

/** What lies in a data directory before there is data: the reserve file, empty catalogues. Not counted as bytes of spans. */
async function emptyStoreBytes(context: BenchContext, directory: string): Promise<number> {
	const server = await startServer({ dataDirectory: directory, args: context.serverArgs });
	await server.stop();
	return directoryBytes(directory);
}

export function warnOfFailures(context: BenchContext, load: GeneratorResult): void {
	if (load.failedRequests > 0 || load.retries > 0) {
		context.say(`${load.failedRequests} requests failed, ${load.retries} were sent again: ${JSON.stringify(load.reasons)}`);
	}
}

/** Small batches over many connections at a given rate, as proxies send them. */
export async function measureAck(context: BenchContext): Promise<void> {
	for (const transport of ["http", "grpc"] as const) {
		const p50: number[] = [];
		const p99: number[] = [];
		const cpu: number[] = [];
		for (let repetition = 0; repetition < context.repetitions; repetition++) {
			await inDataDirectory(context, async (directory) => {
				const server = await startServer(serverOptions(context, directory));
				try {
					const cpuBefore = server.cpuSeconds();
					const load = await runGenerator({
						transport,
						url: endpointOf(server, transport),
						connections: 100,
						inflight: 0,
						rate: 10_000,
						spansPerRequest: 50,
						layout: "scattered",
						seconds: context.ingestSeconds,
						warmup: context.warmupSeconds,
					});
					warnOfFailures(context, load);
					p50.push(load.ackMs.p50);
					p99.push(load.ackMs.p99);
					cpu.push(((server.cpuSeconds() - cpuBefore) / (context.ingestSeconds + context.warmupSeconds)) * 100);
				} finally {
					await server.stop();
				}
			});
		}
		const note = "100 connections, batches of 50 spans, from the moment a request was due";
		context.report({ section: "ack", name: `${transport}: ack p50 at 10k spans/s`, unit: "ms", ...several(p50) });
		context.report({
			section: "ack",
			name: `${transport}: ack p99 at 10k spans/s`,
			unit: "ms",
			...several(p99),
			bar: { atMost: 100 },
			note,
		});
		context.report({ section: "ack", name: `${transport}: server CPU at 10k spans/s`, unit: "% of a core", ...several(cpu) });
	}
}

export async function measureIdle(context: BenchContext): Promise<void> {
	await inDataDirectory(context, async (directory) => {
		const server = await startServer(serverOptions(context, directory));
		try {
			await sleep(15_000);
			const idle = server.rssBytes();
			const cpuBefore = server.cpuSeconds();
			await sleep(5_000);
			const cpuShare = ((server.cpuSeconds() - cpuBefore) / 5) * 100;
			context.report({
				section: "memory",
				name: "RSS of an idle server, 15 s after start",
				unit: "MiB",
				...single(idle / MIB),
				bar: { atMost: 150 },
			});
			context.report({ section: "memory", name: "CPU of an idle server", unit: "% of a core", ...single(cpuShare) });
			context.report({ section: "start", name: "ready on an empty directory", unit: "ms", ...single(server.readyMs) });
		} finally {
			await server.stop();
		}
	});
}

/** Full load for long: memory must not climb. The first quarter is left out of the slope, for caches to fill. */
export async function measureSoak(context: BenchContext, seconds: number): Promise<void> {
	await inDataDirectory(context, async (directory) => {
		const server = await startServer(serverOptions(context, directory));
		try {
			const load = await runGenerator({
				transport: "http",
				url: server.otlpHttp,
				...CONNECTIONS.http,
				seconds,
				warmup: context.warmupSeconds,
			});
			warnOfFailures(context, load);
			const from = server.memory.length >> 2;
			const points = server.memory.slice(from).map(({ atMs, rssBytes }) => ({ x: atMs / 60_000, y: rssBytes / MIB }));
			const rss = points.map((point) => point.y);
			const note = `${Math.round(seconds / 60)} minutes over HTTP, ${(load.ackedSpans / 1e6).toFixed(0)} M spans`;
			const section = "memory";
			context.report({
				section,
				name: "soak: acknowledged spans a second",
				unit: "spans/s",
				...single(load.spansPerSecond),
				note,
			});
			context.report({ section, name: "soak: RSS after the first quarter", unit: "MiB", ...several(rss) });
			context.report({
				section,
				name: "soak: peak RSS",
				unit: "MiB",
				...single(server.peakRssBytes() / MIB),
				bar: { atMost: 400 },
			});
			context.report({
				section,
				name: "soak: slope of RSS",
				unit: "MiB/min",
				...single(slopeOf(points)),
				bar: { atMost: 1 },
			});
		} finally {
			await server.stop();
		}
	});
}
