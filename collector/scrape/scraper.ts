/**
 * Scrapes targets at their intervals, and hands what they say to the pipeline like any other batch.
 *
 * The default interval is 5 s: what a request counted at a proxy waits 5 s at most, its commit some 25 ms and the topology stage's
 * flush 2 s, so that its edge shows within 10 s and one late scrape is no drama.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ScrapeTargetStatus } from "../../model/status.ts";
import type { IngestSink } from "../ingest.ts";
import { SCRAPE_TARGET } from "../topology/edge-metrics.ts";
import { fetchText, resolveHost, ScrapeError } from "./fetch-text.ts";
import type { Resolve } from "./fetch-text.ts";
import { TextParser, TooManySamplesError } from "./prometheus-text.ts";
import type { ParsedText } from "./prometheus-text.ts";
import { encodeScrape } from "./scrape-payload.ts";
import { targetName } from "./settings.ts";
import type { ScrapeTarget } from "./settings.ts";

export interface ScraperSettings {
	readonly targets: readonly ScrapeTarget[];
	/** Texts after decompression, and payloads. */
	readonly maxBytes: number;
	/** Targets that are asked at a time: each may hold a text of `maxBytes`. */
	readonly maxConcurrent: number;
	readonly sink: IngestSink;
	/** @throws when the file cannot be read */
	readonly readFile: (path: string) => string;
	readonly now: () => number;
	/** 0 to 1: spreads the targets' first scrapes over their interval. */
	readonly random: () => number;
	readonly log: (level: "info" | "warn", message: string, fields: Readonly<Record<string, unknown>>) => void;
	/** The system's resolver where it is left out. */
	readonly resolve?: Resolve;
}

export interface Scraper {
	status(): readonly ScrapeTargetStatus[];
	/** Ends what is under way; resolves when nothing is submitted any more. */
	close(): Promise<void>;
}

/** Characters of a text between two turns of the event loop: some 3 ms. */
const CHARS_A_TURN = 262_144;

export function startScraper(settings: ScraperSettings): Scraper {
	const ended = new AbortController();
	const gate = new Gate(settings.maxConcurrent);
	const runs = settings.targets.map((target) => new TargetRun(target, settings, gate, ended.signal));
	return {
		status: () => runs.map((run) => run.status()),
		async close() {
			ended.abort();
			await Promise.all(runs.map((run) => run.done));
		},
	};
}

class Gate {
	#free: number;
	readonly #waiting: (() => void)[] = [];

	constructor(size: number) {
		this.#free = size;
	}

	async run<T>(work: () => Promise<T>): Promise<T> {
		if (this.#free > 0) this.#free--;
		else await new Promise<void>((resolve) => this.#waiting.push(resolve));
		try {
			return await work();
		} finally {
			const next = this.#waiting.shift();
			if (next === undefined) this.#free++;
			else next();
		}
	}
}

type Counts = { -readonly [K in keyof ScrapeTargetStatus]: ScrapeTargetStatus[K] };

class TargetRun {
	readonly #target: ScrapeTarget;
	readonly #settings: ScraperSettings;
	readonly #gate: Gate;
	readonly #ended: AbortSignal;
	readonly #status: Counts;
	/** Resolves when the run has ended. */
	readonly done: Promise<void>;

	constructor(target: ScrapeTarget, settings: ScraperSettings, gate: Gate, ended: AbortSignal) {
		this.#target = target;
		this.#settings = settings;
		this.#gate = gate;
		this.#ended = ended;
		this.#status = {
			target: targetName(target.url),
			intervalMs: target.intervalMs,
			up: false,
			scrapes: 0,
			failures: 0,
			samples: 0,
			invalidLines: 0,
			durationMs: 0,
		};
		this.done = this.#run();
	}

	status(): ScrapeTargetStatus {
		return { ...this.#status };
	}

	async #run(): Promise<void> {
		const { intervalMs } = this.#target;
		let waitMs = this.#settings.random() * intervalMs;
		while (await pause(waitMs, this.#ended)) {
			const startedMs = performance.now();
			await this.#gate.run(() => this.#scrape());
			// Scrapes keep to their beat; one that took longer than the interval leaves out what it missed.
			waitMs = intervalMs - ((performance.now() - startedMs) % intervalMs);
		}
	}

	async #scrape(): Promise<void> {
		if (this.#ended.aborted) return;
		const { now } = this.#settings;
		const timeMs = now();
		const before = this.#status.scrapes === 0 ? undefined : this.#status.up;
		let error: string | undefined;
		try {
			await this.#ingest(timeMs);
		} catch (failure) {
			if (this.#ended.aborted) return;
			error = messageOf(failure);
		}
		const status = this.#status;
		status.scrapes++;
		status.up = error === undefined;
		status.lastScrapeMs = timeMs;
		status.durationMs = now() - timeMs;
		if (error === undefined) delete status.error;
		else [status.error, status.failures, status.samples] = [error, status.failures + 1, 0];
		// Told when it changes, not every few seconds.
		if (before !== status.up && (before !== undefined || error !== undefined)) {
			const fields = { target: status.target, ...(error === undefined ? {} : { reason: error }) };
			this.#settings.log(
				error === undefined ? "info" : "warn",
				error === undefined ? "target answers again" : "target cannot be scraped",
				fields,
			);
		}
	}

	async #ingest(timeMs: number): Promise<void> {
		const { maxBytes, sink, resolve = resolveHost } = this.#settings;
		const target = this.#target;
		const { text, isOpenMetrics } = await fetchText({ ...target, ...this.#credentials() }, maxBytes, resolve, this.#ended);
		const parsed = await this.#parse(text, isOpenMetrics);
		const attributes = { ...target.attributes, [SCRAPE_TARGET]: this.#status.target };
		const bytes = await encodeScrape(parsed, { attributes, timeMs });
		this.#status.samples = parsed.samples;
		// The sink transfers the bytes away.
		const size = bytes.length;
		if (size > maxBytes) throw new ScrapeError(`its samples make ${size} bytes; ${maxBytes} are the most`);
		if (!sink.reserve(size)) {
			sink.countRefused("metrics", "overloaded");
			throw new ScrapeError("the ingest queue is full");
		}
		// The sink accounts for the batch from the call on.
		const submitted = sink.submit({ signal: "metrics", encoding: "otlp-protobuf", bytes, self: false });
		sink.release(size);
		const outcome = await submitted;
		if (outcome.kind === "refused") throw new ScrapeError(`not stored: ${outcome.message}`);
	}

	#credentials(): { readonly bearerToken: string | undefined; readonly tls: Parameters<typeof fetchText>[0]["tls"] } {
		const { bearerTokenFile, tlsCaFile, tlsCertFile, tlsKeyFile, tlsServerName } = this.#target;
		const read = (path: string | undefined): string | undefined => {
			if (path === undefined) return undefined;
			try {
				return this.#settings.readFile(path);
			} catch {
				throw new ScrapeError(`${path} cannot be read`);
			}
		};
		const bearerToken = read(bearerTokenFile)?.trim();
		// Anything else would be a header of its own.
		if (bearerToken !== undefined && !/^[\x21-\x7e]+$/.test(bearerToken))
			throw new ScrapeError(`${bearerTokenFile} holds no token`);
		return {
			bearerToken,
			tls: { ca: read(tlsCaFile), cert: read(tlsCertFile), key: read(tlsKeyFile), serverName: tlsServerName },
		};
	}

	async #parse(text: string, isOpenMetrics: boolean): Promise<ParsedText> {
		const parser = new TextParser(text, isOpenMetrics);
		while (parser.step(CHARS_A_TURN)) await nextTurn();
		const parsed = parser.result();
		const { invalidLines, problems } = parsed;
		if (invalidLines > 0 && this.#status.invalidLines === 0)
			this.#settings.log("warn", "a target's text has lines that cannot be read", {
				target: this.#status.target,
				problems,
			});
		this.#status.invalidLines += invalidLines;
		if (isOpenMetrics && !parsed.complete && invalidLines === 0)
			throw new ScrapeError("the text was cut off before its # EOF");
		return parsed;
	}
}

function messageOf(failure: unknown): string {
	if (failure instanceof ScrapeError || failure instanceof TooManySamplesError) return failure.message;
	return failure instanceof Error ? failure.message : String(failure);
}

/** True when the time is over, false when the signal came first. */
function pause(ms: number, ended: AbortSignal): Promise<boolean> {
	if (ended.aborted) return Promise.resolve(false);
	return new Promise((resolve) => {
		const onEnd = (): void => {
			clearTimeout(timer);
			resolve(false);
		};
		const timer = setTimeout(() => {
			ended.removeEventListener("abort", onEnd);
			resolve(true);
		}, ms);
		ended.addEventListener("abort", onEnd, { once: true });
	});
}
