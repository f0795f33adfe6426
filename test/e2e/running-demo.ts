/** The demo as a person starts it, as a process of a test, on ports of its own. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { MAIN } from "../interop/server.ts";

const ALIVE_LIMIT_MS = 90_000;

export interface Demo {
	readonly process: ChildProcess;
	readonly exited: Promise<unknown[]>;
	/** Its temporary files lie here, and nothing else. */
	readonly temporary: string;
	readonly said: () => string;
	/** Resolves with a line of standard output that is this event. */
	event(name: string): Promise<Readonly<Record<string, unknown>>>;
}

/** @param atEnd is given what ends the demo and removes what is left of it */
export function startDemo(atEnd: (end: () => Promise<void>) => void, flags: readonly string[] = []): Demo {
	const temporary = mkdtempSync(join(tmpdir(), "meshscope-demo-test-"));
	const anyPort = ["--http", "--otlp-grpc", "--otlp-http", "--zipkin"].flatMap((flag) => [flag, "127.0.0.1:0"]);
	const child = spawn(process.execPath, [MAIN, "demo", ...flags, ...anyPort], {
		stdio: ["ignore", "pipe", "pipe"],
		env: {
			PATH: process.env["PATH"],
			HOME: process.env["HOME"],
			TMPDIR: temporary,
			// Shared by all runs on the machine, and no file of the demo's.
			NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"),
		},
	});
	let said = "";
	const exited = once(child, "exit");
	const waiting = new Map<string, PromiseWithResolvers<Readonly<Record<string, unknown>>>>();
	const waiterFor = (name: string): PromiseWithResolvers<Readonly<Record<string, unknown>>> => {
		const waiter = waiting.get(name) ?? Promise.withResolvers<Readonly<Record<string, unknown>>>();
		waiting.set(name, waiter);
		return waiter;
	};
	child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
	createInterface({ input: child.stdout }).on("line", (line) => {
		said += `${line}\n`;
		const message = JSON.parse(line) as Readonly<Record<string, unknown>>;
		waiterFor(String(message["event"])).resolve(message);
	});
	atEnd(async () => {
		if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
		await exited;
		rmSync(temporary, { recursive: true, force: true });
	});
	return {
		process: child,
		exited,
		temporary,
		said: () => said,
		event: (name) =>
			Promise.race([
				waiterFor(name).promise,
				exited.then((how) => Promise.reject(new Error(`the demo ended (${how.join(" ")}):\n${said}`))),
				delay(ALIVE_LIMIT_MS, undefined, { ref: false }).then(() =>
					Promise.reject(new Error(`no ${name} in time:\n${said}`)),
				),
			]),
	};
}
