/**
 * `meshscope control`: the control plane of the own mesh by itself, and the two things that a person asks of one: a join token for a
 * proxy, and a new root. Settings, files and names are those of `serve --mesh`.
 */
import { existsSync } from "node:fs";
import { MeshscopeError } from "../model/errors.ts";
import type { DefineCommand } from "./command.ts";
import { collect, withDataOptions } from "./command.ts";
import { CommandError, EXIT_OK, UsageError } from "./context.ts";
import type { CliContext } from "./context.ts";
import { OPTIONS } from "./settings/options.ts";
import { helpOf } from "./settings/reference.ts";

/** Of the server's settings, those that mean something here. */
const SETTINGS: readonly string[] = [
	"mesh",
	"control",
	"trust-domain",
	"cert-ttl",
	"data",
	"http",
	"read-token",
	"read-token-file",
	"insecure-bind",
	"allow-host",
	"log-level",
];

const HELP = `
The mesh is also told under /api/v1/mesh of --http. State (root keys, tokens, versions) lies in DIR/control of --data DIR.

Examples:
  $ meshscope control --mesh mesh.yaml
  $ meshscope control token --identity spiffe://cluster.local/ns/shop/sa/cart
  $ meshscope control rotate-root
`;

interface TokenFlags {
	readonly identity: string;
	readonly service?: readonly string[];
	readonly ttl?: string;
	readonly data?: string;
	readonly config?: string;
}

export const define: DefineCommand = (command, context, finish) => {
	command.option("--config <FILE>", "settings file (default ./meshscope.yaml when it is there)");
	for (const spec of OPTIONS.filter(({ name }) => SETTINGS.includes(name))) {
		const [flags, description] = helpOf(spec);
		if (spec.repeatable) command.option(flags, description, collect);
		else command.option(flags, description);
	}
	command.usage("[options]").addHelpText("after", HELP).exitOverride();
	command.action(async (flags: Readonly<Record<string, unknown>>) => {
		const { runControl } = await import("./mesh/control-process.ts");
		finish(await runControl(flags, context));
	});

	const token = command
		.command("token")
		.description("print a token with which one proxy joins the mesh, once")
		.requiredOption("--identity <ID>", "SPIFFE ID that the proxy gets, like spiffe://cluster.local/ns/shop/sa/cart")
		.option(
			"--service <NAME>",
			"service it may answer for beside the one named like its service account; repeatable",
			collect,
		)
		.option("--ttl <DURATION>", "how long the token can be used (default 10m, at most 7d)");
	withDataOptions(token).exitOverride();
	token.addHelpText(
		"after",
		"\nExample:\n  $ meshscope control token --identity spiffe://cluster.local/ns/shop/sa/cart --ttl 1h\n",
	);
	token.action(async (flags: TokenFlags) => finish(await printToken(flags, context)));

	const rotate = command
		.command("rotate-root")
		.description("bring in a new root; the old one goes when its last certificate has expired");
	withDataOptions(rotate).exitOverride();
	rotate.addHelpText("after", "\nExample:\n  $ meshscope control rotate-root --data /var/lib/meshscope\n");
	rotate.action(async (flags: Pick<TokenFlags, "data" | "config">) => finish(await requestRotation(flags, context)));
};

async function printToken(flags: TokenFlags, context: CliContext): Promise<number> {
	const { parseDurationMs } = await import("./settings/values.ts");
	const { createJoinToken } = await import("./mesh/join-token.ts");
	const ttl = flags.ttl === undefined ? undefined : parseDurationMs(flags.ttl);
	if (ttl?.ok === false) throw new UsageError(`--ttl: ${ttl.problem}`);
	const request = {
		identity: flags.identity,
		services: flags.service ?? [],
		...(ttl === undefined ? {} : { ttlMs: ttl.value }),
	};
	try {
		context.stdout.write(`${createJoinToken(await stateDirectory(flags, context), request, context.nowMs())}\n`);
	} catch (error) {
		// Told as every other mistake in a flag.
		if (error instanceof MeshscopeError && error.code === "invalid_argument") throw new UsageError(`--${error.message}`);
		throw error;
	}
	return EXIT_OK;
}

/** A file in the state: a control plane that runs takes it within a second, one that does not at its next start. */
async function requestRotation(flags: Pick<TokenFlags, "data" | "config">, context: CliContext): Promise<number> {
	const { openStateFolder } = await import("./mesh/state-folder.ts");
	const { ROTATION_REQUEST } = await import("../control-plane/rotation-request.ts");
	const directory = await stateDirectory(flags, context);
	if (!existsSync(directory))
		throw new CommandError(`no control plane has run with the state ${directory}; name its data directory with --data`);
	openStateFolder(directory).write(ROTATION_REQUEST, new Date(context.nowMs()).toISOString());
	context.stdout.write(`asked for in ${directory}; /api/v1/mesh shows the roots\n`);
	return EXIT_OK;
}

async function stateDirectory(flags: Pick<TokenFlags, "data" | "config">, context: CliContext): Promise<string> {
	const { loadDataDirectory } = await import("./settings.ts");
	const { controlStateDirectory } = await import("./mesh/state-directory.ts");
	const given = Object.fromEntries(
		Object.entries({ data: flags.data, config: flags.config }).filter(([, value]) => value !== undefined),
	);
	return controlStateDirectory(loadDataDirectory({ flags: given, leftover: [], env: context.env, readFile: context.readFile }));
}
