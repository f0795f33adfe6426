/** `meshscope serve`: declares the flags from the table of settings; everything heavy is loaded when it runs. */
import type { DefineCommand } from "./command.ts";
import { collect } from "./command.ts";
import { EXIT_OK } from "./context.ts";
import { startOverWithAllocator, thisProgram } from "./serve/allocator.ts";
import { kebabNames } from "./settings/flag-names.ts";
import { OPTIONS } from "./settings/options.ts";
import { helpOf } from "./settings/reference.ts";

const HELP = `
Settings rise from the file (meshscope.yaml, or --config) over MESHSCOPE_* variables to flags.

Examples:
  $ meshscope serve
  $ meshscope serve --data /var/lib/meshscope --retention 30d --max-disk 200GB
  $ meshscope serve --otlp-grpc 0.0.0.0:4317 --ingest-token-file /etc/meshscope/tokens
`;

export const define: DefineCommand = (command, context, finish) => {
	command.option("--config <FILE>", "settings file (default ./meshscope.yaml when it is there)");
	for (const spec of OPTIONS) {
		const [flags, description] = helpOf(spec);
		if (spec.repeatable) command.option(flags, description, collect);
		else command.option(flags, description);
	}
	command
		.option("--print-settings", "show what is in effect and where it comes from, secrets masked, and end")
		// Unknown flags are left to the settings, which report them together with every other fault.
		.allowUnknownOption()
		.argument("[unexpected...]")
		.usage("[options]")
		.addHelpText("after", HELP);
	command.action(async (leftover: readonly string[], values: Readonly<Record<string, unknown>>) => {
		if (values["printSettings"] !== true) startOverWithAllocator(thisProgram(), context.env);
		const { loadSettings } = await import("./settings.ts");
		const loaded = loadSettings({ flags: kebabNames(values), leftover, env: context.env, readFile: context.readFile });
		if (values["printSettings"] === true) {
			context.stdout.write(loaded.print());
			finish(EXIT_OK);
			return;
		}
		const { serve } = await import("./serve.ts");
		finish(await serve(loaded.settings, context));
	});
};
