/**
 * What a command is given of the world outside, so that a test can give it another one, and the exit codes all commands share.
 */
import { readFileSync } from "node:fs";

export const EXIT_OK = 0;
/** The command ran and found a failure, or could not do its work. */
export const EXIT_FAILURE = 1;
/** The command line or the settings are wrong. */
export const EXIT_USAGE = 2;

export interface TextSink {
	write(text: string): unknown;
	readonly isTTY?: boolean;
	/** Width of the terminal. */
	readonly columns?: number;
}

export interface CliContext {
	readonly env: Readonly<Record<string, string | undefined>>;
	readonly stdout: TextSink;
	readonly stderr: TextSink;
	readonly stdinIsTty: boolean;
	readonly nowMs: () => number;
	/** @throws when the file cannot be read */
	readonly readFile: (path: string) => string;
}

/** A mistake on the command line; ends the command with {@link EXIT_USAGE}. */
export class UsageError extends Error {
	override readonly name = "UsageError";
}

/** A failure with a message for a person; ends the command with {@link EXIT_FAILURE}. */
export class CommandError extends Error {
	override readonly name = "CommandError";
}

export function processContext(): CliContext {
	return {
		env: process.env,
		stdout: process.stdout,
		stderr: process.stderr,
		stdinIsTty: process.stdin.isTTY === true,
		nowMs: Date.now,
		readFile: (path) => readFileSync(path, "utf8"),
	};
}

/** Colour only for a person at a terminal who has not refused it (https://no-color.org). */
export function wantsColour(context: CliContext): boolean {
	const refused = (context.env["NO_COLOR"] ?? "") !== "" || context.env["TERM"] === "dumb";
	return context.stdout.isTTY === true && !refused;
}

export function messageOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}
