/** The proxy's own program, once its settings are known: see lean-process.ts. */
import { processContext } from "../context.ts";
import { reportError } from "../report-error.ts";
import { takeSettings } from "./lean-process.ts";
import { runProxy } from "./run.ts";

const context = processContext();
try {
	const settings = takeSettings(process.env);
	if ("workloads" in settings) {
		const { runNodeProxy } = await import("./run-node.ts");
		process.exitCode = await runNodeProxy(settings, context);
	} else {
		process.exitCode = await runProxy(settings, context);
	}
} catch (error) {
	process.exitCode = reportError(error, context);
}
