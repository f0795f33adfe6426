/** The control plane as a process of its own: settings in, one ready line out, and an end on SIGTERM. */
import { CommandError, EXIT_OK } from "../context.ts";
import type { CliContext } from "../context.ts";
import { bindFailure } from "../serve/bind-failure.ts";
import { endSignal } from "../serve/end-signal.ts";
import { createLog } from "../serve/log.ts";
import { kebabNames } from "../settings/flag-names.ts";
import { loadSettings } from "../settings.ts";
import { runControlPlane } from "./running-control-plane.ts";
import { controlStateDirectory } from "./state-directory.ts";
import { startStatusServer } from "./status-server.ts";

/** Resolves with the exit code once it has ended. */
export async function runControl(flags: Readonly<Record<string, unknown>>, context: CliContext): Promise<number> {
	const { settings } = loadSettings({
		flags: kebabNames(flags),
		leftover: [],
		env: context.env,
		readFile: context.readFile,
	});
	if (settings.mesh === undefined)
		throw new CommandError("--mesh: name the mesh.yaml to distribute, or the directory that holds such files");
	const log = createLog(settings.logLevel, context.stderr);
	const ending = endSignal(log);
	try {
		const control = await runControlPlane(settings.mesh, controlStateDirectory(settings.dataDirectory), context.nowMs, log);
		const status = await startStatusServer(settings, control, context.nowMs, log).catch(async (error: unknown) => {
			await control.close();
			throw error;
		});
		context.stdout.write(`${JSON.stringify({ event: "ready", http: status.address, control: control.address })}\n`);
		log.info({ signal: await ending }, "ending");
		await Promise.all([status.close(), control.close()]);
		return EXIT_OK;
	} catch (error) {
		throw bindFailure(error, settings);
	}
}
