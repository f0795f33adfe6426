/** Load from several senders at once until told to stop; every batch and its outcome goes into the ledger. */
import type { ServerAddresses } from "../interop/server.ts";
import { makeTemplate } from "./batches.ts";
import type { Batch, BatchTemplate } from "./batches.ts";
import { enter } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import { grpcSender, httpSender } from "./sending.ts";
import type { Outcome, Sender } from "./sending.ts";

export interface Load {
	/** Lets what is in flight end (or fail), and resolves when nothing is. */
	stop(): Promise<void>;
	readonly outcomes: { acked: number; refused: number; unknown: number; maxAckMs: number };
}

export interface Stream {
	readonly template: BatchTemplate;
	readonly over: "http" | "grpc";
}

/** Small batches of spans and logs, and one stream of large ones so that commits differ in size and merging has work. */
export function mixedStreams(): Stream[] {
	const small = makeTemplate({ signal: "traces", traces: 4, recordsPerTrace: 5, serviceName: "chaos-small" });
	const large = makeTemplate({ signal: "traces", traces: 6, recordsPerTrace: 60, serviceName: "chaos-large" });
	const logs = makeTemplate({ signal: "logs", traces: 3, recordsPerTrace: 2, serviceName: "chaos-logs" });
	return [
		{ template: small, over: "http" },
		{ template: small, over: "grpc" },
		{ template: large, over: "http" },
		{ template: logs, over: "grpc" },
	];
}

/** One request at a time a stream, `pauseMs` after each answer. */
export function startLoad(addresses: ServerAddresses, ledger: Ledger, streams: readonly Stream[], pauseMs: number): Load {
	const stopping = new AbortController();
	const outcomes = { acked: 0, refused: 0, unknown: 0, maxAckMs: 0 };
	const running = streams.map(async ({ template, over }) => {
		const sender = over === "http" ? httpSender(addresses.otlpHttp) : grpcSender(addresses.otlpGrpc);
		try {
			while (!stopping.signal.aborted) {
				const batch = template.make(Date.now());
				const outcome = await sender.send(batch);
				enter(ledger, batch, outcome);
				outcomes[outcome.kind]++;
				if (outcome.kind === "acked") outcomes.maxAckMs = Math.max(outcomes.maxAckMs, outcome.ackMs);
				// A dead server refuses connections at once; asking it in a tight loop would only burn a core.
				if (outcome.kind === "unknown") return;
				await new Promise((resolve) => setTimeout(resolve, pauseMs));
			}
		} finally {
			sender.close();
		}
	});
	return {
		outcomes,
		async stop() {
			stopping.abort();
			await Promise.all(running);
		},
	};
}

export interface Delivery {
	readonly attempts: number;
	readonly outcome: Outcome;
}

/** What an exporter with a persistent queue does: the same bytes again until they are acknowledged, or refused for good. */
export async function deliver(sender: Sender, batch: Batch, timeoutMs: number, pauseMs: number): Promise<Delivery> {
	const deadlineMs = performance.now() + timeoutMs;
	for (let attempts = 1; ; attempts++) {
		const outcome = await sender.send(batch);
		const isFinal = outcome.kind === "acked" || (outcome.kind === "refused" && !outcome.retryable);
		if (isFinal || performance.now() > deadlineMs) return { attempts, outcome };
		await new Promise((resolve) => setTimeout(resolve, pauseMs));
	}
}
