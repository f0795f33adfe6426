/** `meshscope trace ID`: one trace from the running server, or from the data directory when none runs, as a waterfall or OTLP JSON. */
import { parseTraceId } from "../model/ids.ts";
import type { TraceId } from "../model/ids.ts";
import type { TracesData } from "../ui/base/otlp.ts";
import { MTLS_STATUSES } from "../model/topology/series.ts";
import { NO_HOPS, noTraceMessage, withSummary } from "../api/trace-answer.ts";
import { connectApi, DEFAULT_URL, errorOfAnswer, messageOfAnswer, NoServerError } from "./api-client.ts";
import { withDataOptions, withServerOptions } from "./command.ts";
import type { DefineCommand } from "./command.ts";
import { CommandError, EXIT_FAILURE, EXIT_OK, messageOf, UsageError, wantsColour } from "./context.ts";
import type { CliContext } from "./context.ts";
import { type HopOfSpans, waterfallLines } from "./terminal/waterfall.ts";

interface TraceFlags {
	readonly json?: boolean;
	readonly url?: string;
	readonly token?: string;
	readonly data?: string;
	readonly config?: string;
}

/** Where output is no terminal. */
const DEFAULT_COLUMNS = 120;

export const define: DefineCommand = (command, context, finish) => {
	command.argument("<id>", "trace ID, hex of either case, with or without leading zeros").option("--json", "print OTLP JSON");
	withDataOptions(withServerOptions(command)).addHelpText(
		"after",
		"\nAsks the running server; without one, or with --data, reads the data directory.\nCalls between workloads say how they were secured: mTLS, TLS, plain, mixed.\n\nTo find traces by it, ask the server: GET /api/v1/traces?mtls=plaintext (mutual_tls, tls, plaintext, none, mixed, unknown),\nor /api/v1/traces?edge=ID for those of one edge, with an ID that /api/v1/graph tells.\n\nExample:\n  $ meshscope trace 4bf92f3577b34da6a3ce929d0e0e4736\n",
	);
	command.action(async (id: string, flags: TraceFlags) => finish(await showTrace(id, flags, context)));
};

async function showTrace(idText: string, flags: TraceFlags, context: CliContext): Promise<number> {
	const traceId = parseTraceId(idText);
	if (traceId === undefined)
		throw new UsageError(`${JSON.stringify(idText)} is not a trace ID: up to 32 hex digits, not all zero`);
	const { text, why } = await findTrace(traceId, flags, context);
	if (text === undefined) {
		context.stderr.write(`${why}\n`);
		return EXIT_FAILURE;
	}
	if (flags.json === true) {
		context.stdout.write(`${text}\n`);
		return EXIT_OK;
	}
	const columns = context.stdout.columns ?? DEFAULT_COLUMNS;
	const trace = parseTrace(text);
	const lines = waterfallLines(trace, { traceId, columns, colour: wantsColour(context), hops: hopsOf(trace) });
	context.stdout.write(`${lines.join("\n")}\n`);
	const damaged = damagedWindowsOf(trace);
	if (damaged.length > 0)
		context.stderr.write(
			`more spans of the trace may lie in windows that cannot be read: ${damaged.join(", ")}; \`meshscope verify\` says why\n`,
		);
	return EXIT_OK;
}

/** The trace as OTLP JSON text with its summary, or why there is none. */
type Found = { readonly text: string; readonly why?: never } | { readonly text?: never; readonly why: string };

async function findTrace(traceId: TraceId, flags: TraceFlags, context: CliContext): Promise<Found> {
	const url = flags.url ?? context.env["MESHSCOPE_URL"];
	if (url === undefined && flags.data !== undefined) return readTrace(traceId, flags, context);
	const client = connectApi(url ?? DEFAULT_URL, flags.token ?? context.env["MESHSCOPE_TOKEN"]);
	try {
		const answer = await client.get(`/api/v1/traces/${traceId}`);
		if (answer.status === 200) return { text: answer.text };
		if (answer.status === 404)
			return { why: messageOfAnswer(answer) ?? `no trace ${traceId}; check the ID, and whether --url is a meshscope` };
		throw new CommandError(errorOfAnswer(answer));
	} catch (error) {
		// A server that was named must answer; the usual one may be down, and its data still there.
		if (url !== undefined || !(error instanceof NoServerError)) throw error;
		return readTrace(traceId, flags, context).catch((reason: unknown) => {
			throw new CommandError(`${error.message}, and ${messageOf(reason)}`);
		});
	}
}

/** As the server would answer. */
async function readTrace(traceId: TraceId, flags: TraceFlags, context: CliContext): Promise<Found> {
	const { openReader } = await import("./store-access.ts");
	const reader = await openReader(flags, context);
	try {
		const { trace, damagedWindows } = await reader.trace(traceId, "json");
		if (trace === undefined) return { why: noTraceMessage(traceId, damagedWindows) };
		const { body, summary, hops = NO_HOPS } = trace;
		return { text: Buffer.concat(withSummary(body, summary, hops, damagedWindows)).toString() };
	} finally {
		await reader.close();
	}
}

/** What can be drawn of the answer's hops, read by hand: loading a schema takes longer than all the rest. */
function hopsOf(trace: object): readonly HopOfSpans[] {
	const told = fieldOf(fieldOf(trace, "meshscope"), "hops");
	if (!Array.isArray(told)) return [];
	return told.flatMap((hop: unknown): HopOfSpans[] => {
		const status = MTLS_STATUSES.find((known) => known === fieldOf(fieldOf(hop, "mtls"), "status"));
		const idOf = (role: keyof HopOfSpans["spans"]): string | undefined => {
			const id = fieldOf(fieldOf(hop, "spans"), role);
			return typeof id === "string" ? id : undefined;
		};
		const spans = { source: idOf("source"), destination: idOf("destination"), waypoint: idOf("waypoint") };
		return status === undefined ? [] : [{ mtls: { status }, spans }];
	});
}

/** Windows that the answer is without. */
function damagedWindowsOf(trace: object): readonly string[] {
	const told = fieldOf(fieldOf(trace, "meshscope"), "damagedWindows");
	return Array.isArray(told) ? told.filter((name) => typeof name === "string") : [];
}

function fieldOf(value: unknown, name: string): unknown {
	return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function parseTrace(text: string): TracesData {
	const body: unknown = JSON.parse(text);
	// The layout takes every field as absent when it is not what OTLP says.
	if (typeof body === "object" && body !== null) return body;
	throw new CommandError("the server's answer is no trace");
}
