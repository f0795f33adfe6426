/** `telemetrygen`, the OpenTelemetry collector's own load generator, built from the Go module proxy where Go is present. */
import path from "node:path";
import { cachedFolder, commandWorks, runCommand } from "./cache.ts";

export const TELEMETRYGEN_VERSION = "0.161.0";

const MODULE = "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen";

/** Path of the binary; undefined when this machine has no Go. */
export async function fetchTelemetrygen(): Promise<string | undefined> {
	if (!(await commandWorks("go", ["version"]))) return undefined;
	const folder = await cachedFolder(`telemetrygen-${TELEMETRYGEN_VERSION}`, async (draft) => {
		await runCommand("go", ["install", `${MODULE}@v${TELEMETRYGEN_VERSION}`], { ...process.env, GOBIN: draft, GOFLAGS: "" });
	});
	return path.join(folder, "telemetrygen");
}
