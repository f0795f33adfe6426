/** What `graph` and `edges` share: their options, how they ask the server, and asking again and again. */
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { GROUPINGS } from "../model/topology/endpoint.ts";
import { graphAnswer, type GraphAnswer } from "../api/contract/topology.ts";
import { connectApi, DEFAULT_URL, errorOfAnswer, NoServerError } from "./api-client.ts";
import { withServerOptions } from "./command.ts";
import { CommandError, EXIT_OK, UsageError, wantsColour } from "./context.ts";
import type { CliContext } from "./context.ts";
import type { GraphTextOptions } from "./terminal/graph-text.ts";

export interface GraphFlags {
	readonly from?: string;
	readonly to?: string;
	readonly groupBy?: string;
	readonly json?: boolean;
	/** True without a number. */
	readonly watch?: string | true;
	readonly url?: string;
	readonly token?: string;
}

const DEFAULT_WATCH_SECONDS = 2;
/** Clears the screen and goes to its first place. */
const CLEAR = "\u001b[2J\u001b[H";

export function withGraphOptions(command: Command): Command {
	return withServerOptions(
		command
			.option("--from <time>", "start: RFC 3339, epoch milliseconds, or relative (default now-1h)")
			.option("--to <time>", "end; written as --from (default now)")
			.option("--group-by <level>", `what a node is: ${GROUPINGS.join(", ")} (default service)`)
			.option("--json", "print the server's answer")
			.option("--watch [seconds]", `ask again every so many seconds (default ${DEFAULT_WATCH_SECONDS}), until interrupted`),
	);
}

/** @param lines draws an answer */
export async function showGraph(
	flags: GraphFlags,
	context: CliContext,
	lines: (answer: GraphAnswer, options: GraphTextOptions) => readonly string[],
): Promise<number> {
	const everyMs = watchMs(flags.watch);
	const client = connectApi(
		flags.url ?? context.env["MESHSCOPE_URL"] ?? DEFAULT_URL,
		flags.token ?? context.env["MESHSCOPE_TOKEN"],
	);
	const path = `/api/v1/graph${searchOf(flags)}`;
	const options = { columns: context.stdout.columns, colour: wantsColour(context) };
	const once = async (): Promise<string> => {
		const answer = await client.get(path);
		if (answer.status !== 200) throw new CommandError(errorOfAnswer(answer));
		if (flags.json === true) return `${answer.text}\n`;
		return `${lines(parseGraph(answer.text), options).join("\n")}\n`;
	};
	if (everyMs === undefined) {
		context.stdout.write(await once());
		return EXIT_OK;
	}
	const clear = context.stdout.isTTY === true && flags.json !== true ? CLEAR : "";
	for (let asked = 0; ; asked++) {
		try {
			const text = await once();
			context.stdout.write(clear + text);
		} catch (error) {
			// A server that is being started again is waited for, one that never answered is a mistake.
			if (asked === 0 || !(error instanceof NoServerError)) throw error;
			context.stderr.write(`${error.message}\n`);
		}
		await delay(everyMs);
	}
}

function watchMs(watch: GraphFlags["watch"]): number | undefined {
	if (watch === undefined) return undefined;
	if (watch === true) return DEFAULT_WATCH_SECONDS * 1_000;
	const seconds = Number(watch);
	if (Number.isFinite(seconds) && seconds >= 0.1 && seconds <= 86_400) return seconds * 1_000;
	throw new UsageError(`--watch ${watch} is no number of seconds from 0.1 to 86400`);
}

function searchOf({ from, to, groupBy }: GraphFlags): string {
	const search = new URLSearchParams();
	if (from !== undefined) search.set("from", from);
	if (to !== undefined) search.set("to", to);
	if (groupBy !== undefined) search.set("groupBy", groupBy);
	return search.size === 0 ? "" : `?${search}`;
}

function parseGraph(text: string): GraphAnswer {
	let body: unknown;
	try {
		body = JSON.parse(text);
	} catch {
		throw new CommandError("the server's answer is no graph");
	}
	const parsed = graphAnswer.safeParse(body);
	if (!parsed.success) throw new CommandError("the server's answer is no graph that this version reads");
	return parsed.data;
}
