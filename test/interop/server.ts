/**
 * The real server in a process of its own, as a person starts it. The one who starts it owns the data directory, and ends it with
 * `stop` (a drain, exit code 0) or `kill` (what a power cut does to a process).
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";

export const MAIN = path.resolve(import.meta.dirname, "../../main.ts");

export interface ServerAddresses {
	readonly http: string;
	readonly otlpGrpc: string;
	readonly otlpHttp: string;
	readonly zipkin: string;
}

export interface RunningServer {
	/** `host:port` each. */
	readonly addresses: ServerAddresses;
	readonly pid: number;
	/** From the start of the process to its ready line. */
	readonly readyMs: number;
	/** The end of what the process wrote to standard error. */
	said(): string;
	/** Undefined while it runs; else how it ended, as `code 137` or `signal SIGKILL`. */
	ended(): string | undefined;
	/** Resolves when the process has ended by itself or by a signal. */
	readonly exited: Promise<string>;
	/** SIGTERM; rejects unless the server ends with 0 in time. */
	stop(): Promise<void>;
	/** SIGKILL. */
	kill(): Promise<void>;
}

export interface ServerOptions {
	readonly dataDirectory: string;
	/** Further flags of `serve`. */
	readonly flags?: readonly string[];
	readonly env?: Readonly<Record<string, string>>;
	/** Run before the server by the same shell, for limits such as `ulimit -f`. */
	readonly shellPrefix?: string;
	readonly readyTimeoutMs?: number;
}

const SAID_CHARACTERS = 16_000;

/** Rejects, with what the server said, when it ends or takes too long before it is ready. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
	const anyPort = ["--http", "--otlp-grpc", "--otlp-http", "--zipkin"].flatMap((flag) => [flag, "127.0.0.1:0"]);
	const args = [MAIN, "serve", "--data", options.dataDirectory, ...anyPort, ...(options.flags ?? [])];
	const startedMs = performance.now();
	const [command, commandArgs] =
		options.shellPrefix === undefined
			? [process.execPath, args]
			: ["/bin/bash", ["-c", `${options.shellPrefix}; exec "$0" "$@"`, process.execPath, ...args]];
	const child = spawn(command, commandArgs, {
		stdio: ["ignore", "pipe", "pipe"],
		// Settings of the machine's own telemetry, and of a server run by hand, must not reach this one.
		env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...options.env },
	});
	let said = "";
	child.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-SAID_CHARACTERS)));
	let ended: string | undefined;
	const exited = new Promise<string>((resolve, reject) => {
		child.once("error", reject);
		child.once("exit", (code, signal) => {
			ended = signal === null ? `code ${code}` : `signal ${signal}`;
			resolve(ended);
		});
	});
	const addresses = await new Promise<ServerAddresses>((resolve, reject) => {
		const timer = setTimeout(() => {
			child.kill("SIGKILL");
			reject(new Error(`the server was not ready in time:\n${said}`));
		}, options.readyTimeoutMs ?? 30_000);
		createInterface({ input: child.stdout }).on("line", (line) => {
			const ready = readyLine(line);
			if (ready === undefined) said = `${said}${line}\n`.slice(-SAID_CHARACTERS);
			else {
				clearTimeout(timer);
				resolve(ready);
			}
		});
		exited
			.then((how) => {
				clearTimeout(timer);
				reject(new Error(`the server ended (${how}) before it was ready:\n${said}`));
			})
			.catch(reject);
	});
	const readyMs = performance.now() - startedMs;
	return {
		addresses,
		pid: child.pid!,
		readyMs,
		said: () => said,
		ended: () => ended,
		exited,
		async stop() {
			if (ended === undefined) child.kill("SIGTERM");
			const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
			const how = await exited;
			clearTimeout(timer);
			if (how !== "code 0") throw new Error(`the server ended with ${how} instead of code 0 after SIGTERM:\n${said}`);
		},
		async kill() {
			if (ended !== undefined) return;
			const gone = once(child, "exit");
			child.kill("SIGKILL");
			await gone;
		},
	};
}

function readyLine(line: string): ServerAddresses | undefined {
	if (!line.startsWith("{")) return undefined;
	const message = JSON.parse(line) as { readonly event?: string } & Readonly<Record<keyof ServerAddresses, string>>;
	if (message.event !== "ready") return undefined;
	const { http, otlpGrpc, otlpHttp, zipkin } = message;
	return { http: hostPort(http), otlpGrpc: hostPort(otlpGrpc), otlpHttp: hostPort(otlpHttp), zipkin: hostPort(zipkin) };
}

/** The ready line may hold a URL or a bare address. */
function hostPort(address: string): string {
	return address.replace(/^[a-z]+:\/\//, "").replace(/\/.*$/, "");
}
