/** The proxy's own program, once its settings are known: see lean-process.ts. */
import { processContext } from "../context.ts";
import { reportError } from "../report-error.ts";
import { runSettings, takeSettings } from "./lean-process.ts";

const context = processContext();
try {
	process.exitCode = await runSettings(takeSettings(process.env), context);
} catch (error) {
	process.exitCode = reportError(error, context);
}
