/** How a command's failure is told to a person, and which exit code it has. */
import { MeshscopeError } from "../model/errors.ts";
import { CommandError, EXIT_FAILURE, EXIT_USAGE, messageOf, UsageError } from "./context.ts";
import type { CliContext } from "./context.ts";

/** The exit code of an error, after it was told to the person. */
export function reportError(error: unknown, context: CliContext): number {
	if (error instanceof UsageError) {
		context.stderr.write(`error: ${error.message}\n`);
		return EXIT_USAGE;
	}
	if (error instanceof CommandError || error instanceof MeshscopeError) {
		context.stderr.write(`error: ${error.message}\n`);
		return EXIT_FAILURE;
	}
	const settingsFaults = error instanceof Error && error.name === "SettingsError";
	const text = error instanceof Error && !settingsFaults ? (error.stack ?? error.message) : messageOf(error);
	context.stderr.write(`${text}\n`);
	return settingsFaults ? EXIT_USAGE : EXIT_FAILURE;
}
