/**
 * A sidecar stands beside every instance of every service, so its memory is paid many times. Reading the command line takes packages
 * that the running proxy never needs again; once the settings are known the process starts over as one that loads the proxy alone,
 * from compiled modules, with a small young generation. Same process id, same streams.
 *
 * Measured idle, Node 24: 104 to 130 MB in one go, 76 MB with this and its like (docs/adr/0016-a-lean-process.md).
 */
import { fileURLToPath } from "node:url";
import { exposeCollector } from "../../store/block/garbage.ts";
import type { CliContext } from "../context.ts";
import type { NodeSettings } from "./node-settings.ts";
import type { ProxyRunSettings } from "./settings.ts";

/** Plain data: it goes through JSON. */
export type LeanSettings =
	| { readonly kind: "workload"; readonly settings: ProxyRunSettings }
	| { readonly kind: "node"; readonly settings: NodeSettings };

/** How the settings reach the process that it becomes. */
export const SETTINGS_VARIABLE = "MESHSCOPE_PROXY_SETTINGS";

/**
 * Half of V8's new space, in MB. Requests leave little behind, so a small one costs no more processor time; the default of 16 lets
 * garbage of 48 MB gather under load.
 */
const SEMI_SPACE_MB = 2;

/** Linux takes 128 KiB in one variable, and ends a process that asks for more. A node proxy of so many workloads is not small anyway. */
const MAX_SETTINGS_CHARS = 100_000;

/** Does not return where the system can replace a process's program; where it cannot, the caller goes on as it is. */
export function becomeLean(settings: LeanSettings, env: Readonly<Record<string, string | undefined>>): void {
	// Windows has no such call, and a debugger would lose its process.
	if (
		typeof process.execve !== "function" ||
		process.platform === "win32" ||
		process.execArgv.some((arg) => arg.startsWith("--inspect"))
	)
		return;
	const text = JSON.stringify(settings);
	if (text.length > MAX_SETTINGS_CHARS) return;
	const program = fileURLToPath(new URL("main.ts", import.meta.url));
	const variables = Object.entries({ ...env, [SETTINGS_VARIABLE]: text });
	process.execve(
		process.execPath,
		[process.execPath, ...process.execArgv, `--max-semi-space-size=${SEMI_SPACE_MB}`, program],
		Object.fromEntries(variables.filter((pair): pair is [string, string] => pair[1] !== undefined)),
	);
}

/** Of a process that was started by {@link becomeLean}; they are taken out of the environment. */
export function takeSettings(env: NodeJS.ProcessEnv): LeanSettings {
	const text = env[SETTINGS_VARIABLE];
	if (text === undefined) throw new Error("this program is started by `meshscope proxy`");
	delete env[SETTINGS_VARIABLE];
	// Written by the same version of this program a moment ago.
	return JSON.parse(text) as LeanSettings;
}

/** Resolves with the exit code once the proxy has ended. */
export async function runSettings(run: LeanSettings, context: CliContext): Promise<number> {
	if (run.kind === "node") return (await import("./run-node.ts")).runNodeProxy(run.settings, context);
	return (await import("./run.ts")).runProxy(run.settings, context);
}

/** What loading the modules left behind is returned to the system: 8 of 80 MB. */
export function releaseStartupMemory(): void {
	exposeCollector()({ type: "major", execution: "sync", flavor: "last-resort" });
}
