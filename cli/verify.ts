/** `meshscope verify`: the integrity of every window on disk, or, with `--continuous`, of what a running server acknowledges. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { OtlpTracesData } from "../model/otlp/types.ts";
import { connectApi, DEFAULT_URL, errorOfAnswer } from "./api-client.ts";
import type { ApiClient } from "./api-client.ts";
import { withDataOptions, withServerOptions } from "./command.ts";
import type { DefineCommand } from "./command.ts";
import { CommandError, EXIT_FAILURE, EXIT_OK, messageOf, UsageError } from "./context.ts";
import type { CliContext } from "./context.ts";
import { parseDurationMs } from "./settings/values.ts";
import { verifyContinuously } from "./verify/continuous.ts";
import type { ContinuousReport, Percentiles, SendOutcome } from "./verify/continuous.ts";

interface VerifyFlags {
	readonly data?: string;
	readonly config?: string;
	readonly json?: boolean;
	readonly continuous?: boolean;
	readonly url?: string;
	readonly token?: string;
	readonly otlpHttp?: string;
	readonly ingestToken?: string;
	readonly interval: string;
	readonly for: string;
	readonly deadline: string;
}

export const define: DefineCommand = (command, context, finish) => {
	withDataOptions(command)
		.option("--json", "print the report as JSON")
		.option("--continuous", "write traces to a running server and read each back")
		.option("--otlp-http <url>", "OTLP/HTTP address of the server (default: the one it tells)")
		.option("--ingest-token <token>", "ingest token of the server")
		.option("--interval <duration>", "between two traces", "1s")
		.option("--for <duration>", "how long to go on", "10m")
		.option("--deadline <duration>", "how long a trace may take to be acknowledged, and to be found", "10s");
	withServerOptions(command).addHelpText(
		"after",
		"\nExit code 1 when anything is damaged, missing, wrong or late.\n\nExamples:\n  $ meshscope verify --data ./meshscope-data\n  $ meshscope verify --continuous --for 1h\n",
	);
	command.action(async (flags: VerifyFlags) =>
		finish(flags.continuous === true ? await verifyServer(flags, context) : await verifyStore(flags, context)),
	);
};

async function verifyStore(flags: VerifyFlags, context: CliContext): Promise<number> {
	const { openScanner } = await import("./store-access.ts");
	const scanner = await openScanner(flags, context);
	try {
		const report = scanner.verify();
		if (flags.json === true) context.stdout.write(`${JSON.stringify(report)}\n`);
		else {
			for (const window of report.windows) {
				context.stdout.write(
					`${window.ok ? "ok      " : "DAMAGED "} ${window.name}  ${window.blocks} blocks  ${window.spans} spans\n`,
				);
				for (const problem of window.problems) context.stdout.write(`         ${problem}\n`);
			}
			const damaged = report.windows.filter((window) => !window.ok).length;
			context.stdout.write(`${report.windows.length} windows, ${damaged} damaged\n`);
		}
		return report.ok ? EXIT_OK : EXIT_FAILURE;
	} finally {
		scanner.close();
	}
}

async function verifyServer(flags: VerifyFlags, context: CliContext): Promise<number> {
	const intervalMs = durationFlag("--interval", flags.interval);
	const durationMs = durationFlag("--for", flags.for);
	const deadlineMs = durationFlag("--deadline", flags.deadline);
	const client = connectApi(
		flags.url ?? context.env["MESHSCOPE_URL"] ?? DEFAULT_URL,
		flags.token ?? context.env["MESHSCOPE_TOKEN"],
		deadlineMs,
	);
	const endpoint = `${await ingestUrl(flags, client)}/v1/traces`;
	const ingestToken = flags.ingestToken ?? context.env["MESHSCOPE_INGEST_TOKEN"]?.split(",")[0]?.trim();
	const stop = new AbortController();
	const interrupt = (): void => stop.abort();
	process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
	try {
		const report = await verifyContinuously({
			intervalMs,
			durationMs,
			deadlineMs,
			random: randomBytes,
			nowMs: () => performance.timeOrigin + performance.now(),
			signal: stop.signal,
			sleep: pause,
			send: (batch) => sendBatch(endpoint, ingestToken, batch, deadlineMs),
			fetchTrace: (traceId) => fetchTrace(client, traceId),
			say: (line) => context.stderr.write(`${line}\n`),
		});
		context.stdout.write(flags.json === true ? `${JSON.stringify(report)}\n` : reportText(report));
		return report.ok ? EXIT_OK : EXIT_FAILURE;
	} finally {
		process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
	}
}

/** Ends early, without an error, when the signal does. */
async function pause(ms: number, signal?: AbortSignal): Promise<void> {
	try {
		await sleep(ms, undefined, signal === undefined ? {} : { signal });
	} catch (error) {
		if (signal?.aborted !== true) throw error;
	}
}

/** Where the server takes OTLP over HTTP, as it says itself unless a flag does. */
async function ingestUrl(flags: VerifyFlags, client: ApiClient): Promise<string> {
	if (flags.otlpHttp !== undefined) return withScheme(flags.otlpHttp);
	const answer = await client.get("/api/v1/status");
	if (answer.status !== 200) throw new CommandError(`the server does not tell its OTLP address: ${errorOfAnswer(answer)}`);
	const status: unknown = JSON.parse(answer.text);
	const addresses = typeof status === "object" && status !== null && "addresses" in status ? status.addresses : undefined;
	const address =
		typeof addresses === "object" && addresses !== null && "otlpHttp" in addresses ? addresses.otlpHttp : undefined;
	if (typeof address !== "string")
		throw new CommandError("the server takes no OTLP over HTTP; name another address with --otlp-http");
	return withScheme(address);
}

function withScheme(address: string): string {
	return (address.includes("://") ? address : `http://${address}`).replace(/\/+$/, "");
}

async function sendBatch(
	endpoint: string,
	token: string | undefined,
	batch: OtlpTracesData,
	timeoutMs: number,
): Promise<SendOutcome> {
	const headers: Record<string, string> = { "content-type": "application/json" };
	if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
	try {
		const response = await fetch(endpoint, {
			method: "POST",
			headers,
			body: JSON.stringify(batch),
			signal: AbortSignal.timeout(timeoutMs),
		});
		const text = await response.text();
		// OTLP 1.11, "Partial Success": records were left out, and must not be sent again.
		if (response.status === 200)
			return /"rejectedSpans":\s*"?[1-9]/.test(text) ? { kind: "refused", reason: text } : { kind: "acknowledged" };
		const reason = `HTTP ${response.status}`;
		// OTLP 1.11, "Retryable Response Codes".
		if (![429, 502, 503, 504].includes(response.status)) return { kind: "refused", reason: `${reason} ${text}`.trim() };
		const seconds = Number(response.headers.get("retry-after") ?? "1");
		return { kind: "retry", reason, afterMs: Number.isFinite(seconds) ? seconds * 1_000 : 1_000 };
	} catch (error) {
		return {
			kind: "retry",
			reason: messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error),
			afterMs: 500,
		};
	}
}

async function fetchTrace(client: ApiClient, traceId: string): Promise<OtlpTracesData | undefined> {
	const answer = await client.get(`/api/v1/traces/${traceId}`);
	if (answer.status === 404) return undefined;
	if (answer.status !== 200) throw new CommandError(errorOfAnswer(answer));
	const body: unknown = JSON.parse(answer.text);
	if (typeof body !== "object" || body === null) throw new CommandError("the answer is no trace");
	return body;
}

function reportText(report: ContinuousReport): string {
	const line = (name: string, p: Percentiles): string =>
		`${name}  p50 ${p.p50.toFixed(1)} ms   p90 ${p.p90.toFixed(1)} ms   p99 ${p.p99.toFixed(1)} ms   max ${p.max.toFixed(1)} ms\n`;
	return (
		`${report.ok ? "ok" : "FAILED"}: ${report.written} written, ${report.matched} matched, ${report.missing.length} missing, ` +
		`${report.wrong.length} wrong, ${report.late.length} late, ${report.unacknowledged.length} not acknowledged, ${report.retries} retries\n` +
		line("acknowledged", report.acknowledgeMs) +
		line("read back   ", report.readBackMs)
	);
}

function durationFlag(name: string, text: string): number {
	const parsed = parseDurationMs(text);
	if (!parsed.ok) throw new UsageError(`${name}: ${parsed.problem}`);
	if (parsed.value <= 0) throw new UsageError(`${name}: must be more than nothing`);
	return parsed.value;
}
