import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { superviseChildren } from "./children.ts";
import type { ChildFailure, Children, ChildSpec } from "./children.ts";
import { hireUndertaker } from "./undertaker.ts";

interface Bench {
	readonly children: Children;
	readonly restarts: ChildFailure[];
	groups: readonly number[];
	nowMs: number;
}

function bench(t: TestContext): Bench {
	const state: Omit<Bench, "children"> = { restarts: [], groups: [], nowMs: 0 };
	const children = superviseChildren({
		onRestart: (failure) => state.restarts.push(failure),
		onGroups: (pids) => (state.groups = pids),
		nowMs: () => state.nowMs,
		maxDeathsPerMinute: 2,
		restartDelayMs: 1,
	});
	t.after(() => children.end(() => true, 0));
	return Object.assign(state, { children });
}

function shell(name: string, script: string, more: Partial<ChildSpec> = {}): ChildSpec {
	return { name, command: "/bin/sh", args: ["-c", script], env: { PATH: process.env["PATH"] }, ...more };
}

function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch {
		return false;
	}
}

async function until(isRight: () => boolean): Promise<void> {
	for (let tries = 0; !isRight(); tries++) {
		assert.ok(tries < 500, "not in time");
		await delay(20);
	}
}

test("a child that dies is started again, and given up when it dies too often within a minute", async (t) => {
	const at = bench(t);
	at.children.start(shell("moody", "echo line 1; echo why >&2; exit 3"));
	const failure = await at.children.failed;
	assert.deepEqual(
		{ ...failure, lastLines: [...failure.lastLines].toSorted() },
		{
			...{ name: "moody", how: "code 3", exitCode: 3 },
			lastLines: ["line 1", "why"],
		},
	);
	assert.equal(at.restarts.length, 2);
	assert.deepEqual(at.groups, []);
});

test("what a child was told it is told again when it is started again", async (t) => {
	const at = bench(t);
	const heard: string[] = [];
	at.children.start(shell("listener", "read line; echo $line; exit 1", { onLine: (line) => heard.push(line) }));
	at.children.tell("listener", "go\n");
	await at.children.failed;
	assert.deepEqual(heard, ["go", "go", "go"]);
});

test("deaths of long ago are forgiven", async (t) => {
	const at = bench(t);
	const starts: number[] = [];
	at.children.start(
		shell("mortal", "echo up; exit 1", {
			onLine: () => {
				starts.push(at.nowMs);
				at.nowMs += 40_000;
			},
		}),
	);
	let isGivenUp = false;
	void at.children.failed.then(() => (isGivenUp = true));
	await until(() => starts.length > 5);
	assert.equal(isGivenUp, false);
});

test("an essential child is not started again, and a program that is not there is a failure with its name", async (t) => {
	const at = bench(t);
	at.children.start(shell("pillar", "kill -9 $$", { essential: true }));
	assert.equal((await at.children.failed).how, "signal SIGKILL");
	const other = bench(t);
	other.children.start({ name: "nobody", command: "/no/such/program", args: [], env: {}, essential: true });
	assert.match((await other.children.failed).how, /ENOENT/);
});

test("a child that will not go is killed after the grace, with its own children", async (t) => {
	const at = bench(t);
	const pids: number[] = [];
	const script = "trap '' TERM; sleep 60 & echo $!; echo $$; while :; do sleep 1; done";
	at.children.start(shell("stubborn", script, { onLine: (line) => pids.push(Number(line)) }));
	await until(() => pids.length === 2);
	assert.deepEqual(at.groups, [pids[1]]);
	await at.children.end(() => true, 50);
	await until(() => !pids.some(isAlive));
	assert.deepEqual(at.groups, []);
	assert.deepEqual(at.restarts, []);
});

test("those that are not chosen go on", async (t) => {
	const at = bench(t);
	at.children.start(shell("first", "sleep 60"));
	at.children.start(shell("second", "sleep 60"));
	const [first, second] = at.groups;
	await at.children.end((name) => name === "first", 1_000);
	assert.deepEqual(at.groups, [second]);
	await until(() => !isAlive(first!));
	assert.ok(isAlive(second!));
});

test("when the demo is killed, the undertaker ends its children and removes its directory", async (t) => {
	const directory = mkdtempSync(join(tmpdir(), "meshscope-undertaker-"));
	t.after(() => rmSync(directory, { recursive: true, force: true }));
	writeFileSync(join(directory, "file"), "x");
	const modules = ["children.ts", "undertaker.ts"].map((name) => JSON.stringify(join(import.meta.dirname, name)));
	const script = `
		const { superviseChildren } = await import(${modules[0]});
		const { hireUndertaker } = await import(${modules[1]});
		const undertaker = hireUndertaker(${JSON.stringify(directory)});
		const children = superviseChildren({
			onRestart: () => {}, onGroups: (pids) => undertaker.tell(pids), nowMs: () => 0, maxDeathsPerMinute: 1, restartDelayMs: 1,
		});
		const spec = (name, script) => ({ name, command: "/bin/sh", args: ["-c", script], env: process.env, onLine: console.log });
		children.start(spec("a", "echo $$; sleep 60"));
		children.start(spec("b", "trap '' TERM; echo $$; while :; do sleep 1; done"));
	`;
	const demo = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
	const pids: number[] = [];
	demo.stdout.on("data", (chunk: Buffer) => pids.push(...chunk.toString().trim().split("\n").map(Number)));
	await until(() => pids.length === 2);
	assert.ok(pids.every(isAlive));
	demo.kill("SIGKILL");
	await once(demo, "exit");
	await until(() => !pids.some(isAlive) && !existsSync(directory));
});

test("after an orderly end the undertaker only removes the directory", async () => {
	const directory = mkdtempSync(join(tmpdir(), "meshscope-undertaker-"));
	const undertaker = hireUndertaker(directory);
	const bystander = spawn("/bin/sh", ["-c", "sleep 60"], { detached: true, stdio: "ignore" });
	undertaker.tell([bystander.pid!]);
	undertaker.tell([]);
	await undertaker.bury();
	assert.equal(existsSync(directory), false);
	assert.ok(isAlive(bystander.pid!));
	process.kill(-bystander.pid!, "SIGKILL");
});
