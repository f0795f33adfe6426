/** `meshscope backup DIR`: a consistent copy of everything acknowledged so far, taken beside a running server. */
import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { withDataOptions } from "./command.ts";
import type { DefineCommand } from "./command.ts";
import { EXIT_OK, UsageError } from "./context.ts";
import type { CliContext } from "./context.ts";

interface BackupFlags {
	readonly data?: string;
	readonly config?: string;
	readonly json?: boolean;
}

export const define: DefineCommand = (command, context, finish) => {
	command
		.argument("<dir>", "target: an empty directory, or one that is not there yet")
		.option("--json", "print the report as JSON");
	withDataOptions(command).addHelpText(
		"after",
		"\nThe copy is a data directory itself.\n\nExample:\n  $ meshscope backup /backups/today\n  $ meshscope verify --data /backups/today\n",
	);
	command.action(async (target: string, flags: BackupFlags) => finish(await backup(resolve(target), flags, context)));
};

async function backup(target: string, flags: BackupFlags, context: CliContext): Promise<number> {
	if (!isEmptyOrAbsent(target))
		throw new UsageError(`${target} is not an empty directory; a backup never writes over anything`);
	const { backupStore } = await import("./store-access.ts");
	const report = await backupStore(flags, target, context);
	const text =
		flags.json === true
			? JSON.stringify({ directory: target, ...report })
			: `${target}: ${report.files} files, ${report.bytes} bytes`;
	context.stdout.write(`${text}\n`);
	return EXIT_OK;
}

function isEmptyOrAbsent(directory: string): boolean {
	try {
		return readdirSync(directory).length === 0;
	} catch (error) {
		if (error instanceof Error && "code" in error && error.code === "ENOENT") return true;
		return false;
	}
}
