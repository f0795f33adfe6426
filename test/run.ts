/**
 * The one way to run the tests: static checks first, then every *.test.ts in a process of its own.
 *
 *   node test/run.ts [--unit] [--long] [filter…]
 *
 * Quick files run two at a time, then heavy ones, then alone those that load the machine. Each file has a time limit, for its open handles too. The last
 * line is `N passed, N failed, N skipped`; a skip without a reason, a file without a test and an empty run are failures.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { run } from "node:test";
import { inspect } from "node:util";
import { runCheck, staticChecks } from "./run-checks.ts";
import { findTestFiles, parseRunArguments, planRun, takes } from "./run-plan.ts";
import type { TestFile } from "./run-plan.ts";

/** The whole run ends in time for CI's 20 minutes, with what it then knows. */
const RUN_LIMIT_MS = 19 * 60_000;
const KEPT_OUTPUT_CHARS = 16_000;

interface Tally {
	passed: number;
	failed: number;
	skipped: number;
}

const root = join(import.meta.dirname, "..");
const options = parseRunArguments(process.argv.slice(2), process.env);
const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];
const skips: string[] = [];
const started = performance.now();
const deadline = options.long ? new AbortController().signal : AbortSignal.timeout(RUN_LIMIT_MS);
if (options.long) process.env["MESHSCOPE_LONG"] = "1";

const checks = options.unitOnly ? [] : staticChecks(root).filter((check) => takes(options.filters, check.name));
const plan = planRun(findTestFiles(root), options);
if (plan.length === 0 && checks.length === 0) fail("run", "no test file and no check matches: nothing was tested");

for (const check of checks) {
	const result = await runCheck(root, check, deadline);
	report(result.ok, check.name, result.durationMs);
	if (result.ok) tally.passed++;
	else fail(check.name, result.output);
}

const width = Math.max(1, Math.min(4, availableParallelism()));
for (const company of ["any", "heavy", "none"] as const) {
	const files = plan.filter((file) => file.company === company);
	await Promise.all(Array.from({ length: company === "none" ? 1 : width }, () => drain(files)));
}

for (const skip of skips) console.log(`skipped: ${skip}`);
if (failures.length > 0) console.log(`\n${failures.join("\n\n")}\n`);
console.log(`${plan.length} files and ${checks.length} checks in ${((performance.now() - started) / 1000).toFixed(1)} s`);
process.exitCode = tally.failed > 0 ? 1 : 0;
process.stdout.write(`${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped\n`);

/** Workers of a pool share one list: each takes the next file. */
async function drain(files: TestFile[]): Promise<void> {
	for (let file = files.shift(); file !== undefined; file = files.shift()) await runFile(file);
}

async function runFile(file: TestFile): Promise<void> {
	const path = join(root, file.path);
	const fileStarted = performance.now();
	const signal = AbortSignal.any([deadline, AbortSignal.timeout(file.timeoutMs)]);
	let output = "";
	let failed = 0;
	const figures: string[] = [];
	const events = run({ files: [path], cwd: root, concurrency: 1, isolation: "process", signal });
	for await (const event of events) {
		switch (event.type) {
			case "test:stdout":
			case "test:stderr":
				output = (output + event.data.message).slice(-KEPT_OUTPUT_CHARS);
				break;
			case "test:diagnostic":
				if (event.data.file !== undefined) figures.push(event.data.message);
				break;
			case "test:pass":
				if (event.data.details.type === "suite") break;
				if (event.data.name === path) {
					failed++;
					fail(file.path, "the file declares no test");
				} else if (event.data.skip !== undefined) {
					const reason = typeof event.data.skip === "string" ? event.data.skip.trim() : "";
					if (reason === "") {
						failed++;
						fail(`${file.path}: ${event.data.name}`, "skipped without a reason");
					} else {
						tally.skipped++;
						skips.push(`${file.path}: ${event.data.name}: ${reason}`);
					}
				} else if (event.data.todo !== undefined) {
					failed++;
					fail(`${file.path}: ${event.data.name}`, "marked as todo: finish it or remove it");
				} else {
					tally.passed++;
				}
				break;
			case "test:fail": {
				const { error, type } = event.data.details;
				// A suite fails because a test in it did, which has been counted; one that fails by itself is counted.
				if (type === "suite" && error.failureType === "subtestsFailed") break;
				failed++;
				const name = event.data.name === path ? file.path : `${file.path}: ${event.data.name}`;
				const reason = signal.aborted ? abortReason(file) : inspect(error.cause ?? error, { depth: 6 });
				fail(name, error.failureType === "subtestsFailed" ? error.message : reason);
				break;
			}
		}
	}
	if (signal.aborted && failed === 0) {
		failed++;
		fail(file.path, abortReason(file));
	}
	if (failed > 0 && output.trim() !== "") failures.push(`--- output of ${file.path}\n${output.trimEnd()}`);
	report(failed === 0, file.path, performance.now() - fileStarted);
	for (const figure of figures) console.log(`       ${figure}`);
}

function abortReason(file: TestFile): string {
	if (deadline.aborted) return `the whole run reached its limit of ${RUN_LIMIT_MS / 60_000} min`;
	return `not done after ${file.timeoutMs / 1000} s: a test that hangs, or a handle left open`;
}

function fail(name: string, reason: string): void {
	tally.failed++;
	failures.push(`--- ${name}\n${reason}`);
}

function report(ok: boolean, name: string, durationMs: number): void {
	console.log(`${ok ? "ok    " : "FAILED"} ${name} (${(durationMs / 1000).toFixed(1)} s)`);
}
