/**
 * The checks that need no test to run: types, lint, format, dead code. test/run.ts counts each as one test;
 * `node test/run-checks.ts [name…]` runs them alone.
 *
 * Each tool is started from node_modules by the Node that runs this file, so that PATH decides nothing.
 */
import { spawn } from "node:child_process";
import { existsSync, globSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";

export interface Check {
	readonly name: string;
	/** Name of the program in node_modules/.bin, and its arguments. */
	readonly program: string;
	readonly args: readonly string[];
}

export interface CheckResult {
	readonly ok: boolean;
	readonly output: string;
	readonly durationMs: number;
}

/** Every tsconfig of the tree gets a type check of its own, so that a new one cannot be forgotten. */
export function staticChecks(root: string): readonly Check[] {
	const configs = globSync("{.,*}/tsconfig*.json", { cwd: root, exclude: (name) => name === "node_modules" }).toSorted();
	if (configs.length === 0) throw new Error(`no tsconfig.json under ${root}`);
	return [
		...configs.map((config) => ({
			name: `types (${config})`,
			program: "tsc",
			args: ["--noEmit", "--pretty", "false", "-p", config],
		})),
		{ name: "lint", program: "oxlint", args: ["--deny-warnings"] },
		{ name: "format", program: "oxfmt", args: ["--check"] },
		{ name: "dead code", program: "knip", args: ["--no-progress"] },
	];
}

/** Resolves with the outcome whatever the tool does; a tool that is not there is a failure that says so. */
export function runCheck(root: string, check: Check, signal?: AbortSignal): Promise<CheckResult> {
	const started = performance.now();
	const program = join(root, "node_modules/.bin", check.program);
	if (!existsSync(program))
		return Promise.resolve({ ok: false, output: `${check.program} is missing: run npm ci`, durationMs: 0 });
	const { promise, resolve } = Promise.withResolvers<CheckResult>();
	const child = spawn(...command(program, check.args), {
		cwd: root,
		stdio: ["ignore", "pipe", "pipe"],
		...(signal && { signal }),
	});
	let output = "";
	const finish = (ok: boolean): void => resolve({ ok, output: output.trim(), durationMs: performance.now() - started });
	child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
	child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
	child.on("error", (error) => {
		output += String(error);
		finish(false);
	});
	child.on("close", (code) => finish(code === 0));
	return promise;
}

function command(program: string, args: readonly string[]): [string, string[]] {
	const file = realpathSync(program);
	const isScript = readFileSync(file).subarray(0, 2).toString("latin1") === "#!";
	return isScript ? [process.execPath, [file, ...args]] : [file, [...args]];
}

if (import.meta.main) {
	const root = join(import.meta.dirname, "..");
	const wanted = process.argv.slice(2);
	for (const check of staticChecks(root)) {
		if (wanted.length > 0 && !wanted.some((name) => check.name.startsWith(name))) continue;
		const result = await runCheck(root, check);
		console.log(`${result.ok ? "ok" : "FAILED"} ${check.name} (${(result.durationMs / 1000).toFixed(1)} s)`);
		if (!result.ok) {
			console.log(result.output);
			process.exitCode = 1;
		}
	}
}
