/** What a figure was measured on: without it no figure means anything. */
import { execFileSync } from "node:child_process";
import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { percentile } from "./statistics.ts";

export interface Machine {
	readonly lines: readonly (readonly [string, string])[];
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SYNCS = 200;
const BACKGROUND_MS = 3_000;
const NOISY_SHARE = 0.1;

/** @param directory where the data will lie */
export async function describeMachine(directory: string, date: Date): Promise<Machine> {
	const cores = cpus();
	const busy = await measureBackground();
	const sync = measureSync(directory);
	return {
		lines: [
			["processor", `${cores.length} × ${cores[0]?.model.trim() ?? "unknown"}`],
			[
				"busy before the start",
				`${(busy * 100).toFixed(0)} %${busy > NOISY_SHARE ? ": other work takes part in every figure below" : ""}`,
			],
			["memory", `${(totalmem() / 2 ** 30).toFixed(1)} GiB`],
			["kernel", `${type()} ${release()}`],
			["file system of the data", fileSystemOf(directory)],
			["fdatasync of 4 KiB", `p50 ${sync.p50.toFixed(2)} ms, p99 ${sync.p99.toFixed(2)} ms`],
			["Node", process.version],
			["SQLite", sqliteVersion()],
			["protobufjs", packageVersion("protobufjs")],
			["meshscope", `${packageVersion("..")}, commit ${commit()}`],
			["date", date.toISOString()],
		],
	};
}

/** Share of the processors' time that others use, the host's share included. */
async function measureBackground(): Promise<number> {
	const before = processorTicks();
	await sleep(BACKGROUND_MS);
	const after = processorTicks();
	return 1 - (after.idle - before.idle) / (after.total - before.total);
}

/** First line of /proc/stat: user nice system idle iowait irq softirq steal, and guest times that user already holds. */
function processorTicks(): { idle: number; total: number } {
	const ticks = readFileSync("/proc/stat", "utf8").split("\n")[0]!.trim().split(/\s+/).slice(1, 9).map(Number);
	return { idle: ticks[3]! + ticks[4]!, total: ticks.reduce((sum, value) => sum + value, 0) };
}

/** What a commit waits for at least: an append and its way to the disk. */
function measureSync(directory: string): { p50: number; p99: number } {
	const path = join(directory, "sync-probe");
	const file = openSync(path, "w");
	const page = new Uint8Array(4096);
	const times: number[] = [];
	for (let i = 0; i < SYNCS; i++) {
		const start = performance.now();
		writeSync(file, page);
		fdatasyncSync(file);
		times.push(performance.now() - start);
	}
	closeSync(file);
	rmSync(path);
	times.sort((a, b) => a - b);
	return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}

/** The type of the longest mount point that holds the directory. */
function fileSystemOf(directory: string): string {
	const path = `${resolve(directory)}/`;
	let best = { point: "", type: "unknown" };
	for (const line of readFileSync("/proc/mounts", "utf8").split("\n")) {
		const [, point, fileSystem] = line.split(" ");
		if (point === undefined || fileSystem === undefined) continue;
		if (path.startsWith(point.endsWith("/") ? point : `${point}/`) && point.length >= best.point.length)
			best = { point, type: fileSystem };
	}
	return best.type;
}

function sqliteVersion(): string {
	const database = new Database(":memory:");
	const version = String(database.prepare("SELECT sqlite_version()").pluck().get());
	database.close();
	return version;
}

function packageVersion(name: string): string {
	const manifest: unknown = JSON.parse(readFileSync(join(ROOT, "node_modules", name, "package.json"), "utf8"));
	return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "unknown";
}

function commit(): string {
	const git = (...args: string[]): string =>
		execFileSync("git", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
	try {
		const dirty = git("status", "--porcelain", "--untracked-files=no") === "" ? "" : " with local changes";
		return `${git("rev-parse", "--short", "HEAD")}${dirty}`;
	} catch {
		return "unknown (not a git checkout)";
	}
}
