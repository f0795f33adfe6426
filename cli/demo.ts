/** `meshscope demo`: declares its flags; what it does is in demo/. */
import type { DefineCommand } from "./command.ts";
import { UsageError } from "./context.ts";

const HELP = `
A shop of thirteen small services on this machine, each behind its own shim, under load, with the server that watches them. Takes
every flag of \`serve\` besides; without --data everything is removed at the end.

Examples:
  $ meshscope demo
  $ meshscope demo --chaos --data ./demo-data
`;

/** The demo has one of its own, or its shims cannot do with it. */
const REFUSED = [
	"--mesh",
	"--control",
	"--trust-domain",
	"--ingest-token",
	"--ingest-token-file",
	"--tls-cert",
	"--tls-key",
	"--tls-client-ca",
];
const DEFAULT_CHAOS_S = 60;

export const define: DefineCommand = (command, context, finish) => {
	command
		.option("--chaos [seconds]", `change something every so many seconds (${DEFAULT_CHAOS_S}), for history and diff`)
		.option("--data <dir>", "data directory to keep (default: a temporary one)")
		.option("--rate <n>", "requests a second from visitors", "30")
		.option("--no-python", "run every service in Node, though python3 is there")
		.option("--node-proxy", "one proxy process for all services instead of one beside each")
		.allowUnknownOption()
		.argument("[serve-flags...]")
		.usage("[options] [flags of serve]")
		.addHelpText("after", HELP);
	command.action(async (serverFlags: readonly string[], flags: Flags) => {
		const refused = serverFlags.map((flag) => flag.split("=")[0]!).find((name) => REFUSED.includes(name));
		if (refused !== undefined) throw new UsageError(`${refused} is not for the demo, whose shims bring their own`);
		const { runDemo } = await import("./demo/run-demo.ts");
		finish(
			await runDemo(
				{
					dataDirectory: flags.data,
					serverFlags,
					chaosEveryMs: chaosMs(flags.chaos),
					requestRate: number("--rate", flags.rate, 1, 1_000),
					python: flags.python,
					nodeProxy: flags.nodeProxy === true,
				},
				context,
			),
		);
	});
};

interface Flags {
	readonly chaos?: string | true;
	readonly data?: string;
	readonly rate: string;
	readonly python: boolean;
	readonly nodeProxy?: true;
}

function chaosMs(chaos: Flags["chaos"]): number | undefined {
	if (chaos === undefined) return undefined;
	return 1_000 * (chaos === true ? DEFAULT_CHAOS_S : number("--chaos", chaos, 2, 86_400));
}

function number(flag: string, text: string, least: number, most: number): number {
	const value = Number(text);
	if (Number.isFinite(value) && value >= least && value <= most) return value;
	throw new UsageError(`${flag} ${text} is no number from ${least} to ${most}`);
}
