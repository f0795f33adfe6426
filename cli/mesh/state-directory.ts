import { join } from "node:path";

/** Where a control plane's state lies in a data directory. */
export function controlStateDirectory(dataDirectory: string): string {
	return join(dataDirectory, "control");
}
