/** Runs python_sdk.py with the fetched SDK. */
import path from "node:path";
import { runCommand } from "../fetch/cache.ts";
import { fetchPythonSdk } from "../fetch/python.ts";
import type { Compression } from "./js-sdk.ts";
import type { Sent } from "./load.ts";

export const PYTHON_PROTOCOLS = ["grpc", "http/protobuf"] as const;

/** Rejects, with what Python said, when an exporter did not succeed. */
export async function sendWithPythonSdk(options: {
	readonly protocol: (typeof PYTHON_PROTOCOLS)[number];
	readonly compression: Compression;
	readonly serviceName: string;
	readonly otlpGrpc: string;
	readonly otlpHttp: string;
	readonly baseTimeNs: bigint;
}): Promise<Sent> {
	const sdk = await fetchPythonSdk();
	const url = `http://${options.protocol === "grpc" ? options.otlpGrpc : options.otlpHttp}`;
	const printed = await runCommand(
		sdk.python,
		[path.join(import.meta.dirname, "python_sdk.py"), options.protocol, options.serviceName, url, String(options.baseTimeNs)],
		// Settings of the machine's own telemetry must not reach the sender. This SDK's gRPC exporter refuses the value "none".
		{
			PATH: process.env["PATH"],
			HOME: process.env["HOME"],
			PYTHONPATH: sdk.folder,
			PYTHONDONTWRITEBYTECODE: "1",
			...(options.compression === "none" ? {} : { OTEL_EXPORTER_OTLP_COMPRESSION: options.compression }),
		},
	);
	return JSON.parse(printed) as Sent;
}
