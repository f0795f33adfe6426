/** What is measured over a full store: a trace by its ID, searches that find and searches that do not, and starting up. */
import { type GeneratorResult, type KnownTrace, runGenerator } from "./processes.ts";
import { QueryClient } from "./query-client.ts";
import type { Figure } from "./report.ts";
import { type BenchContext, inDataDirectory, serverOptions, warnOfFailures } from "./scenarios.ts";
import { directoryBytes, startServer } from "./server.ts";
import { percentile } from "./statistics.ts";

/** As the API answers (api/contract/traces.ts), as far as it is checked here. */
interface SearchAnswer {
	readonly traces: readonly { readonly traceId: string; readonly spanCount: number; readonly services: readonly string[] }[];
	readonly searched: {
		readonly blocks: number;
		readonly blocksSkipped: number;
		readonly spansScanned: number;
		readonly truncated: boolean;
	};
}

interface SearchKind {
	readonly name: string;
	readonly bar: number;
	readonly count: number;
	/** The query's parameters for one of the known traces. */
	readonly ask: (known: KnownTrace) => Readonly<Record<string, string>>;
	/** Throws when the answer cannot be right. */
	readonly check: (answer: SearchAnswer, known: KnownTrace) => void;
}

export interface QuerySettings {
	readonly spans: number;
	readonly lookups: number;
	readonly searches: number;
}

const RESERVOIR = 4_000;
const GIB = 2 ** 30;
const CLOCK_SLACK_MS = 120_000;
const MIN_DURATIONS = ["2ms", "10ms", "20ms", "40ms", "80ms"];

export async function measureQueries(context: BenchContext, settings: QuerySettings): Promise<void> {
	await inDataDirectory(context, async (directory) => {
		const fromMs = Date.now() - CLOCK_SLACK_MS;
		const known = await fill(context, directory, settings.spans);
		await measureStart(context, directory, "start", 3);
		const server = await startServer(serverOptions(context, directory));
		const client = new QueryClient(server.http);
		try {
			const size = `${(known.ackedSpans / 1e6).toFixed(1)} M spans, ${(known.ackedSpans / 1e7).toFixed(2)} M traces`;
			await lookUp(context, client, known.knownTraces, settings.lookups, size);
			const range = { from: String(fromMs), to: String(Date.now() + CLOCK_SLACK_MS) };
			for (const kind of searchKinds(settings.searches)) await search(context, client, known.knownTraces, kind, range);
			context.report(one("query", "RSS after the queries", "MiB", server.rssBytes() / 2 ** 20));
		} finally {
			client.close();
			await server.stop();
		}
	});
}

/** Loads scattered traces, so that every trace arrives in several requests and its spans have to be brought together. */
async function fill(context: BenchContext, directory: string, spans: number): Promise<GeneratorResult> {
	const server = await startServer(serverOptions(context, directory));
	try {
		const load = await runGenerator({
			transport: "http",
			url: server.otlpHttp,
			connections: 10,
			inflight: 10,
			seconds: 3_600,
			spans,
			layout: "scattered",
			reservoir: RESERVOIR,
		});
		warnOfFailures(context, load);
		context.say(`loaded ${load.ackedSpans} spans at ${Math.round(load.spansPerSecond)} spans/s; waiting for the merge`);
		const merge = await server.untilMerged(context.mergeTimeoutMs);
		context.say(
			`${merge.done ? "merged" : "NOT merged"} after ${Math.round(merge.ms / 1_000)} s, ${merge.freshBlocks} fresh blocks`,
		);
		return load;
	} finally {
		await server.stop();
		context.say(`data directory: ${(directoryBytes(directory) / GIB).toFixed(2)} GiB`);
	}
}

async function lookUp(
	context: BenchContext,
	client: QueryClient,
	known: readonly KnownTrace[],
	count: number,
	size: string,
): Promise<void> {
	const times: number[] = [];
	let wrong = 0;
	for (let i = 0; i < count; i++) {
		const trace = pick(known);
		const answer = await client.get(`/api/v1/traces/${trace.traceId}`);
		const body = answer.status === 200 ? (JSON.parse(answer.body) as { meshscope: { spanCount: number } }) : undefined;
		if (body?.meshscope.spanCount !== trace.spanCount) wrong++;
		times.push(answer.ms);
	}
	times.sort((a, b) => a - b);
	const invalid = wrong === 0 ? {} : { invalid: `${wrong} of ${count} answers wrong` };
	context.report(one("query", "trace by ID, p50", "ms", percentile(times, 0.5), { note: `${count} of ${size}`, ...invalid }));
	context.report(one("query", "trace by ID, p99", "ms", percentile(times, 0.99), { bar: { atMost: 15 }, ...invalid }));
	const absent: number[] = [];
	for (let i = 0; i < Math.min(count, 500); i++) {
		const id = Array.from({ length: 32 }, () => Math.floor(Math.random() * 16).toString(16)).join("");
		const answer = await client.get(`/api/v1/traces/${id}`);
		if (answer.status !== 404) context.say(`an unknown trace ID was answered with ${answer.status}`);
		absent.push(answer.ms);
	}
	absent.sort((a, b) => a - b);
	context.report(
		one("query", "trace by an ID that does not exist, p99", "ms", percentile(absent, 0.99), { bar: { atMost: 15 } }),
	);
}

function searchKinds(count: number): readonly SearchKind[] {
	const found = (answer: SearchAnswer): void => {
		if (answer.traces.length === 0) throw new Error("nothing found");
	};
	const nothing = (answer: SearchAnswer): void => {
		if (answer.traces.length > 0) throw new Error("found what does not exist");
		if (answer.searched.truncated) throw new Error("gave up before the end of the range");
	};
	const attribute = (key: string, value: (known: KnownTrace) => string) => (known: KnownTrace) => ({
		attr: `${key}=${value(known)}`,
	});
	return [
		{
			name: "service + operation + minimum duration",
			bar: 60,
			count,
			ask: ({ service, operation }) => ({ service, operation, minDuration: pick(MIN_DURATIONS) }),
			check: (answer, known) => {
				if (answer.traces.some((trace) => !trace.services.includes(known.service)))
					throw new Error("a trace without the service");
			},
		},
		{ name: "common attribute (http.method=GET)", bar: 400, count, ask: () => ({ attr: "http.method=GET" }), check: found },
		{
			name: "attribute of 1 % of spans (http.status_code=503)",
			bar: 400,
			count,
			ask: () => ({ attr: "http.status_code=503" }),
			check: found,
		},
		{
			name: "rare attribute (node_id of a pod)",
			bar: 400,
			count,
			ask: attribute("node_id", (known) => known.nodeId),
			check: found,
		},
		{
			name: "unique attribute (guid:x-request-id)",
			bar: 400,
			count,
			ask: attribute("guid:x-request-id", (known) => known.requestId),
			check: (answer, known) => {
				if (answer.traces.length !== 1 || answer.traces[0]!.traceId !== known.traceId)
					throw new Error("not the one trace");
				if (answer.traces[0]!.spanCount !== known.spanCount) throw new Error("not the whole trace");
			},
		},
		{
			name: "no match: an attribute that never occurs",
			bar: 400,
			count,
			ask: () => ({ attr: `tenant=${Math.random()}` }),
			check: nothing,
		},
		{
			name: "no match: a known key with a value that never occurs",
			bar: 400,
			count,
			ask: () => ({ attr: `http.url=http://nowhere/${Math.random()}` }),
			check: nothing,
		},
		{
			name: "no match: a service, longer than a day",
			bar: 400,
			count,
			ask: ({ service }) => ({ service, minDuration: "24h" }),
			check: nothing,
		},
		{
			name: "no match: an unknown service",
			bar: 400,
			count,
			ask: () => ({ service: `nobody-${Math.random()}` }),
			check: nothing,
		},
	];
}

async function search(
	context: BenchContext,
	client: QueryClient,
	known: readonly KnownTrace[],
	kind: SearchKind,
	range: Readonly<Record<string, string>>,
): Promise<void> {
	const times: number[] = [];
	const faults = new Map<string, number>();
	let scanned = 0;
	let blocks = 0;
	let skipped = 0;
	let hits = 0;
	for (let i = 0; i < kind.count; i++) {
		const trace = pick(known);
		const answer = await client.get(
			`/api/v1/traces?${new URLSearchParams({ ...kind.ask(trace), ...range, limit: "20" }).toString()}`,
		);
		times.push(answer.ms);
		try {
			if (answer.status !== 200) throw new Error(`HTTP ${answer.status}: ${answer.body.slice(0, 200)}`);
			const body = JSON.parse(answer.body) as SearchAnswer;
			scanned += body.searched.spansScanned;
			blocks += body.searched.blocks;
			skipped += body.searched.blocksSkipped;
			hits += body.traces.length;
			kind.check(body, trace);
		} catch (error) {
			const message = error instanceof Error ? error.message : String(error);
			faults.set(message, (faults.get(message) ?? 0) + 1);
		}
	}
	times.sort((a, b) => a - b);
	for (const [message, count] of faults)
		context.say(`search by ${kind.name}: ${count} of ${kind.count} answers wrong: ${message}`);
	const per = (total: number): string => (total / kind.count).toFixed(0);
	const looked = `${per(hits)} found, ${per(scanned)} spans scanned, ${per(skipped)} of ${per(blocks)} blocks skipped on average`;
	const wrong = [...faults.values()].reduce((sum, count) => sum + count, 0);
	const invalid = wrong === 0 ? {} : { invalid: `${wrong} of ${kind.count} answers wrong` };
	context.report(one("query", `search, ${kind.name}, p50`, "ms", percentile(times, 0.5), { note: looked, ...invalid }));
	context.report(
		one("query", `search, ${kind.name}, p95`, "ms", percentile(times, 0.95), { bar: { atMost: kind.bar }, ...invalid }),
	);
}

/** From the process's start to its ready line, over data that is there. */
async function measureStart(context: BenchContext, directory: string, section: string, times: number): Promise<void> {
	const readyMs: number[] = [];
	for (let i = 0; i < times; i++) {
		const server = await startServer({ dataDirectory: directory, args: context.serverArgs });
		readyMs.push(server.readyMs);
		await server.stop();
	}
	readyMs.sort((a, b) => a - b);
	context.report({
		section,
		name: `ready on ${(directoryBytes(directory) / GIB).toFixed(2)} GiB of data`,
		unit: "ms",
		value: { median: percentile(readyMs, 0.5), min: readyMs[0]!, max: readyMs.at(-1)! },
		repetitions: times,
		bar: { atMost: 2_000 },
	});
}

/** Loads until the directory holds this many bytes, then starts on it. Takes as long as it takes to send some 200 M spans. */
export async function measureLargeStart(settings: BenchContext, bytes: number): Promise<void> {
	// Retention would take away what the scenario needs.
	const context = { ...settings, serverArgs: ["--max-disk", "1000GB", ...settings.serverArgs] };
	await inDataDirectory(context, async (directory) => {
		while (directoryBytes(directory) < bytes) await fill(context, directory, 20_000_000);
		await measureStart(context, directory, "start", 3);
	});
}

function pick<T>(items: readonly T[]): T {
	return items[Math.floor(Math.random() * items.length)]!;
}

function one(section: string, name: string, unit: string, value: number, extra: Partial<Figure> = {}): Figure {
	return { section, name, unit, value: { median: value, min: value, max: value }, repetitions: 1, ...extra };
}
