/** The `meshscope` command as processes that a test starts and ends. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "./rig.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const START_LIMIT_MS = 40_000;
/** Variables of the test run are none of the command's, which refuses those that it does not know. */
const ENV = { PATH: process.env["PATH"], HOME: process.env["HOME"] };

export interface Command {
	readonly child: ChildProcess;
	readonly ready: Readonly<Record<string, unknown>>;
	stderr(): string;
	readonly exited: Promise<number | null>;
	/** SIGTERM, and the exit code. */
	end(): Promise<number | null>;
}

export async function meshscope(t: TestContext, args: readonly string[]): Promise<Command> {
	const child = spawn(process.execPath, [MAIN, ...args, ...silence(args)], { stdio: ["ignore", "pipe", "pipe"], env: ENV });
	let stdout = "";
	let stderr = "";
	child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
	child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
	const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
	t.after(async () => {
		child.kill("SIGKILL");
		await exited;
	});
	const line = await until(
		() => (stdout.includes("\n") ? stdout : child.exitCode === null ? undefined : `exit ${child.exitCode}\n`),
		`${args[0]} to be ready`,
		START_LIMIT_MS,
	).catch((error: unknown) => assert.fail(`${String(error)}: ${stderr}`));
	if (line.startsWith("exit")) assert.fail(`${line}${stderr}`);
	return {
		child,
		ready: JSON.parse(line.slice(0, line.indexOf("\n"))) as Record<string, unknown>,
		stderr: () => stderr,
		exited,
		end() {
			child.kill("SIGTERM");
			return exited;
		},
	};
}

/** A proxy that is not told of a collector would send to one that may run on this machine. */
function silence(args: readonly string[]): readonly string[] {
	return args[0] === "proxy" && !args.includes("--otlp") ? ["--otlp", "off"] : [];
}

/** Output of a command that ends by itself. */
export function run(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
	const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"], env: ENV });
	let stdout = "";
	let stderr = "";
	child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
	child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
	return new Promise((resolve) => child.once("close", (code) => resolve({ code, stdout, stderr })));
}
