/**
 * Makes one build of the UI: `node ui/bundle.ts DIRECTORY`. A program of its own, since the bundler leaves some 300 MB in the process
 * that it ran in, and a server runs for months.
 */
import { fileURLToPath } from "node:url";
import { build } from "vite";

const outDir = process.argv[2];
if (outDir === undefined) throw new Error("usage: node ui/bundle.ts DIRECTORY");
try {
	await build({ configFile: fileURLToPath(new URL("vite.config.ts", import.meta.url)), logLevel: "error", build: { outDir } });
} catch (error) {
	// The bundler's message says it all; Node's own print of an error adds frames of the bundler.
	process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
	process.exitCode = 1;
}
