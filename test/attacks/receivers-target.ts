/**
 * The process that the receivers' attacks run against: receivers with default limits (but short timeouts) before a sink that holds
 * at most 128 MiB and takes 5 ms a batch, or as long as it is told. Reports its memory and what it saw over IPC.
 */
import { startReceivers } from "../../collector/receivers/receivers.ts";
import type { ReceiverAddresses, ReceiverSettings } from "../../collector/receivers/settings.ts";
import type { IngestSink } from "../../collector/ingest.ts";

export interface TargetReport {
	readonly rssBytes: number;
	/** Highest since the last report, sampled every 10 ms. */
	readonly maxRssBytes: number;
	readonly heldBytes: number;
	readonly maxHeldBytes: number;
	readonly acceptedBatches: number;
	readonly refusals: Readonly<Record<string, number>>;
	readonly logLines: readonly string[];
	readonly uncaught: readonly string[];
}

export type FromTarget =
	| { readonly kind: "ready"; readonly addresses: ReceiverAddresses }
	| ({ readonly kind: "report" } & TargetReport);

const BUDGET_BYTES = 128 * 1024 * 1024;

let heldBytes = 0;
let maxHeldBytes = 0;
let acceptedBatches = 0;
let maxRssBytes = 0;
const refusals: Record<string, number> = {};
const logLines: string[] = [];
const uncaught: string[] = [];

function take(bytes: number): boolean {
	if (heldBytes + bytes > BUDGET_BYTES) return false;
	heldBytes += bytes;
	maxHeldBytes = Math.max(maxHeldBytes, heldBytes);
	return true;
}

const sink: IngestSink = {
	async submit({ bytes }) {
		const size = bytes.length;
		heldBytes += size;
		await new Promise((resolve) => setTimeout(resolve, takeMs));
		heldBytes -= size;
		// As the pipeline, which hands the memory to another thread.
		bytes.buffer.transfer(0);
		acceptedBatches++;
		return { kind: "accepted", rejected: 0, errorMessage: "" };
	},
	reserve: take,
	release(bytes) {
		heldBytes -= bytes;
	},
	countRefused(_signal, code) {
		refusals[code] = (refusals[code] ?? 0) + 1;
	},
};

function send(message: FromTarget): void {
	process.send?.(message);
}

process.on("uncaughtException", (error) => uncaught.push(String(error.stack)));
process.on("unhandledRejection", (reason) => uncaught.push(String(reason)));
setInterval(() => (maxRssBytes = Math.max(maxRssBytes, process.memoryUsage.rss())), 10);

process.on("message", () => {
	send({
		kind: "report",
		rssBytes: process.memoryUsage.rss(),
		maxRssBytes,
		heldBytes,
		maxHeldBytes,
		acceptedBatches,
		refusals,
		logLines,
		uncaught,
	});
	maxRssBytes = 0;
});
process.on("disconnect", () => process.exit(0));

const takeMs = Number(process.argv[3] ?? 5);
const settings = JSON.parse(process.argv[2] ?? "{}") as ReceiverSettings;
const anyPort = { host: "127.0.0.1", port: 0 };
const { addresses } = await startReceivers(
	{ otlpGrpc: anyPort, otlpHttp: anyPort, zipkin: anyPort, ...settings },
	sink,
	(level, message, fields) => {
		if (logLines.length < 10_000) logLines.push(`${level} ${message} ${Object.values(fields ?? {}).join(" ")}`);
	},
);
send({ kind: "ready", addresses });
