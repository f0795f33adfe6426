#!/usr/bin/env node
/**
 * The entry of the command line. A command's module is loaded only when that command is called, so `--help` and `trace` do not wait
 * for a server's worth of packages.
 */
import { readFileSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { Command, CommanderError } from "commander";
import { EXIT_OK, EXIT_USAGE, processContext } from "./cli/context.ts";
import type { DefineCommand } from "./cli/command.ts";
import type { CliContext } from "./cli/context.ts";
import { reportError } from "./cli/report-error.ts";

// Compiled modules are kept in the system's cache: a start is a third quicker, and no thread needs the compiler in its memory
// (25 MB each). The variable is how threads hear of it.
const { directory: compileCache } = enableCompileCache();
if (compileCache !== undefined) process.env["NODE_COMPILE_CACHE"] = compileCache;

interface CommandEntry {
	readonly name: string;
	readonly summary: string;
	readonly load: () => Promise<{ readonly define: DefineCommand }>;
}

const COMMANDS: readonly CommandEntry[] = [
	{ name: "serve", summary: "receive telemetry, keep it, answer queries", load: () => import("./cli/serve-command.ts") },
	{
		name: "control",
		summary: "run a mesh's control plane alone; make join tokens, rotate its root",
		load: () => import("./cli/control.ts"),
	},
	{ name: "proxy", summary: "stand beside a service: mTLS, policy and telemetry for it", load: () => import("./cli/proxy.ts") },
	{ name: "demo", summary: "run a mesh of small services on this machine, and watch it", load: () => import("./cli/demo.ts") },
	{ name: "trace", summary: "show one trace as a waterfall", load: () => import("./cli/trace.ts") },
	{ name: "graph", summary: "show who calls whom", load: () => import("./cli/graph.ts") },
	{ name: "edges", summary: "list the edges of the graph, with latency and mTLS", load: () => import("./cli/edges.ts") },
	{ name: "sql", summary: "ask read-only SQL over spans, logs and metric points", load: () => import("./cli/sql.ts") },
	{
		name: "verify",
		summary: "check the store's integrity, or a running server continuously",
		load: () => import("./cli/verify.ts"),
	},
	{ name: "backup", summary: "copy the store into an empty directory", load: () => import("./cli/backup.ts") },
	{ name: "bench", summary: "measure this machine", load: () => import("./cli/bench.ts") },
];

async function run(argv: readonly string[], context: CliContext): Promise<number> {
	let exitCode = EXIT_OK;
	const program = new Command("meshscope")
		.description("The observability backend for service meshes that one person starts with one command.")
		.version(versionOf(), "-V, --version")
		.helpCommand(false)
		.enablePositionalOptions()
		.addHelpText("after", "\nExample:\n  $ meshscope serve --data ./meshscope-data\n\nEach command has its own --help.");
	const called = COMMANDS.find((entry) => entry.name === argv[0]);
	for (const entry of COMMANDS) {
		const command = program.command(entry.name).description(entry.summary);
		if (entry === called) (await entry.load()).define(command, context, (code) => (exitCode = code));
	}
	for (const command of [program, ...program.commands]) command.exitOverride();
	if (argv.length === 0) {
		program.outputHelp();
		return EXIT_OK;
	}
	await program.parseAsync([...argv], { from: "user" });
	return exitCode;
}

function versionOf(): string {
	const manifest: unknown = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));
	return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "unknown";
}

// A reader that goes away early (`| head`) is not a failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
	if (error.code === "EPIPE") process.exit(EXIT_OK);
	throw error;
});
const context = processContext();
try {
	process.exitCode = await run(process.argv.slice(2), context);
} catch (error) {
	// Commander has printed its own message; help and version end here too, with 0.
	if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
	else process.exitCode = reportError(error, context);
}
