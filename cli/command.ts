/** The seam between main.ts and the commands, and the option declarations that several commands share. */
import type { Command } from "commander";
import type { CliContext } from "./context.ts";

/** Declares options and arguments on `command`, and what it does; the action hands its exit code to `finish`. */
export type DefineCommand = (command: Command, context: CliContext, finish: (exitCode: number) => void) => void;

/** Adds the options by which a data directory is found. */
export function withDataOptions(command: Command): Command {
	return command
		.option("--data <dir>", "data directory (default ./meshscope-data, or that of the settings file)")
		.option("--config <file>", "settings file that names the data directory");
}

/** Adds the options by which a running server is found. */
export function withServerOptions(command: Command): Command {
	return command
		.option("--url <url>", "address of the server (default http://127.0.0.1:4300, or MESHSCOPE_URL)")
		.option("--token <token>", "read token of the server (or MESHSCOPE_TOKEN)");
}

/** For repeatable options. */
export function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
	return [...(previous ?? []), value];
}
