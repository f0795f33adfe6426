/** `meshscope bench`: runs bench/run.ts in a process of its own, so that nothing of the command line is measured with it. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { DefineCommand } from "./command.ts";
import { EXIT_FAILURE } from "./context.ts";

export const define: DefineCommand = (command, _context, finish) => {
	command
		.argument("[options...]", "options of the benchmark; `meshscope bench -- --help` lists them")
		.allowUnknownOption()
		.addHelpText("after", "\nExamples:\n  $ meshscope bench --quick\n  $ meshscope bench --only ingest,ack\n");
	command.action(async (options: readonly string[]) => finish(await runBench(options)));
};

function runBench(options: readonly string[]): Promise<number> {
	const script = fileURLToPath(new URL("../bench/run.ts", import.meta.url));
	return new Promise((resolve, reject) => {
		const child = spawn(process.execPath, [script, ...options], { stdio: "inherit" });
		child.once("error", reject);
		// A signal from the terminal reaches the whole group; the benchmark stops its servers and ends by itself.
		child.once("exit", (code) => resolve(code ?? EXIT_FAILURE));
	});
}
