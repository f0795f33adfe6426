/**
 * The processes of the demo: each in a group of its own, its last words kept, started again when it dies, and ended for certain. What
 * they write is shown to nobody unless they fail.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

export interface ChildSpec {
	/** For a person: `shim of cart`. Unique. */
	readonly name: string;
	readonly command: string;
	readonly args: readonly string[];
	readonly env: Readonly<Record<string, string | undefined>>;
	/** One that cannot be started again, because others hold on to what it was. */
	readonly essential?: boolean;
	/** Called with each line of its standard output. */
	readonly onLine?: (line: string) => void;
}

export interface ChildFailure {
	readonly name: string;
	/** `code 1`, `signal SIGKILL`. */
	readonly how: string;
	readonly exitCode: number | undefined;
	readonly lastLines: readonly string[];
}

export interface Children {
	start(spec: ChildSpec): void;
	/** Writes to its standard input, now and again after each new start. */
	tell(name: string, text: string): void;
	/** Resolves when a child is gone for good that should be there. */
	readonly failed: Promise<ChildFailure>;
	/** SIGTERM to those that are chosen, SIGKILL after the grace to whatever is left of their groups. None of them is started again. */
	end(isChosen: (name: string) => boolean, graceMs: number): Promise<void>;
}

export interface ChildrenOptions {
	/** A death that is made good. */
	readonly onRestart: (failure: ChildFailure) => void;
	/** The leaders of all groups that may have members, after each change. */
	readonly onGroups: (pids: readonly number[]) => void;
	readonly nowMs: () => number;
	/** A child that dies more often than this within a minute is given up. */
	readonly maxDeathsPerMinute: number;
	readonly restartDelayMs: number;
}

interface Child {
	readonly spec: ChildSpec;
	process: ChildProcess | undefined;
	exited: Promise<void>;
	isEnding: boolean;
	deathsMs: number[];
	told: string;
}

const KEPT_LINES = 25;
const MAX_LINE_CHARS = 400;

export function superviseChildren(options: ChildrenOptions): Children {
	const children = new Map<string, Child>();
	const groups = new Set<number>();
	const failure = Promise.withResolvers<ChildFailure>();

	function launch(child: Child): void {
		const { spec } = child;
		const started = spawn(spec.command, [...spec.args], {
			stdio: ["pipe", "pipe", "pipe"],
			env: { ...spec.env },
			// A group of its own: Ctrl-C at the terminal reaches the demo alone, which then ends them in order.
			detached: true,
		});
		child.process = started;
		const lastLines: string[] = [];
		const keep = (line: string): void => {
			lastLines.push(line.slice(0, MAX_LINE_CHARS));
			if (lastLines.length > KEPT_LINES) lastLines.shift();
		};
		createInterface({ input: started.stdout }).on("line", (line) => {
			keep(line);
			spec.onLine?.(line);
		});
		createInterface({ input: started.stderr }).on("line", keep);
		// A pipe to a process that is just dying.
		started.stdin.on("error", () => undefined);
		if (child.told !== "") started.stdin.write(child.told);
		const { promise, resolve } = Promise.withResolvers<void>();
		child.exited = promise;
		let isOver = false;
		const over = (how: string, exitCode: number | undefined): void => {
			if (isOver) return;
			isOver = true;
			child.process = undefined;
			if (started.pid !== undefined) {
				signalGroup(started.pid, "SIGKILL");
				groups.delete(started.pid);
				options.onGroups([...groups]);
			}
			resolve();
			if (!child.isEnding) died(child, { name: spec.name, how, exitCode, lastLines });
		};
		started.on("error", (error) => over(error.message, undefined));
		// Not `exit`: its last words may still be on their way then. Grandchildren may hold the pipes, so it is not waited for long.
		started.on("close", (code, signal) => over(howOf(code, signal), code ?? undefined));
		started.on("exit", (code, signal) => setTimeout(() => over(howOf(code, signal), code ?? undefined), 300).unref());
		if (started.pid === undefined) return;
		groups.add(started.pid);
		options.onGroups([...groups]);
	}

	function died(child: Child, how: ChildFailure): void {
		const nowMs = options.nowMs();
		child.deathsMs = [...child.deathsMs.filter((ms) => nowMs - ms < 60_000), nowMs];
		if (child.spec.essential === true || child.deathsMs.length > options.maxDeathsPerMinute) {
			failure.resolve(how);
			return;
		}
		options.onRestart(how);
		setTimeout(() => {
			if (!child.isEnding) launch(child);
		}, options.restartDelayMs);
	}

	return {
		failed: failure.promise,
		start(spec) {
			if (children.has(spec.name)) throw new Error(`${spec.name} runs already`);
			const child: Child = { spec, process: undefined, exited: Promise.resolve(), isEnding: false, deathsMs: [], told: "" };
			children.set(spec.name, child);
			launch(child);
		},
		tell(name, text) {
			const child = children.get(name);
			if (child === undefined) throw new Error(`${name} does not run`);
			child.told += text;
			child.process?.stdin?.write(text);
		},
		async end(isChosen, graceMs) {
			const chosen = [...children.values()].filter(({ spec }) => isChosen(spec.name));
			const running = chosen.filter((child) => child.process?.pid !== undefined);
			for (const child of chosen) child.isEnding = true;
			for (const { process: leader } of running) if (leader?.pid !== undefined) signalGroup(leader.pid, "SIGTERM");
			const killing = setTimeout(() => {
				for (const { process: leader } of running) if (leader?.pid !== undefined) signalGroup(leader.pid, "SIGKILL");
			}, graceMs);
			await Promise.all(running.map((child) => child.exited));
			clearTimeout(killing);
		},
	};
}

function howOf(code: number | null, signal: NodeJS.Signals | null): string {
	return signal === null ? `code ${code}` : `signal ${signal}`;
}

function signalGroup(leaderPid: number, signal: NodeJS.Signals): void {
	try {
		process.kill(-leaderPid, signal);
	} catch {
		// Nobody is left in it.
	}
}
