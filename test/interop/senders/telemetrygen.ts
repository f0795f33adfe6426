/** telemetrygen as a sender: traces, logs and metrics over gRPC or HTTP. */
import { runCommand } from "../fetch/cache.ts";

export const TELEMETRYGEN_TRACES = 4;
export const TELEMETRYGEN_CHILD_SPANS = 2;
export const TELEMETRYGEN_LOGS = 5;
export const TELEMETRYGEN_METRICS = 3;

export interface TelemetrygenOptions {
	readonly binary: string;
	readonly transport: "grpc" | "http";
	readonly serviceName: string;
	/** `host:port` */
	readonly otlpGrpc: string;
	readonly otlpHttp: string;
}

/** Rejects when a request was refused. */
export async function sendWithTelemetrygen(options: TelemetrygenOptions): Promise<void> {
	const isHttp = options.transport === "http";
	const common = [
		"--otlp-endpoint",
		isHttp ? options.otlpHttp : options.otlpGrpc,
		"--otlp-insecure",
		...(isHttp ? ["--otlp-http"] : []),
		"--service",
		options.serviceName,
		"--otlp-attributes",
		'deployment.environment="interop"',
		"--telemetry-attributes",
		'probe="yes"',
		"--rate",
		"0",
	];
	const env = { PATH: process.env["PATH"], HOME: process.env["HOME"] };
	const traces = ["--traces", String(TELEMETRYGEN_TRACES), "--child-spans", String(TELEMETRYGEN_CHILD_SPANS)];
	await runCommand(options.binary, ["traces", ...common, ...traces], env);
	await runCommand(options.binary, ["logs", ...common, "--logs", String(TELEMETRYGEN_LOGS), "--body", "probe body"], env);
	await runCommand(
		options.binary,
		["metrics", ...common, "--metrics", String(TELEMETRYGEN_METRICS), "--otlp-metric-name", "interop.gen"],
		env,
	);
}
