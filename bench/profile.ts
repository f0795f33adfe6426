/**
 * Sums up the CPU profiles that `--profile DIR` left: one a thread, the functions with most time of their own first.
 * `node bench/profile.ts DIR [rows]`
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

interface CpuProfile {
	readonly nodes: readonly {
		readonly id: number;
		readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
	}[];
	readonly samples: readonly number[];
	readonly timeDeltas: readonly number[];
}

const IDLE = new Set(["(idle)", "(program)", "(root)"]);

function summarise(path: string, rows: number): void {
	const profile = JSON.parse(readFileSync(path, "utf8")) as CpuProfile;
	const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
	const selfMs = new Map<string, number>();
	let busyMs = 0;
	for (let i = 0; i < profile.samples.length; i++) {
		const frame = frames.get(profile.samples[i]!);
		const ms = (profile.timeDeltas[i] ?? 0) / 1_000;
		if (frame === undefined || frame.functionName === "(idle)") continue;
		if (!IDLE.has(frame.functionName)) busyMs += ms;
		const file = frame.url.split("/").slice(-2).join("/");
		const name = `${frame.functionName || "(anonymous)"} ${file}${file === "" ? "" : `:${frame.lineNumber + 1}`}`;
		selfMs.set(name, (selfMs.get(name) ?? 0) + ms);
	}
	console.log(`\n${path}: ${(busyMs / 1_000).toFixed(2)} s busy`);
	const ranked = [...selfMs].sort((a, b) => b[1] - a[1]).slice(0, rows);
	for (const [name, ms] of ranked)
		console.log(`${(ms / 1_000).toFixed(2).padStart(8)} s ${((ms / busyMs) * 100).toFixed(1).padStart(5)} %  ${name}`);
}

const [directory = ".", rows = "25"] = process.argv.slice(2);
for (const name of readdirSync(directory)) {
	if (name.endsWith(".cpuprofile")) summarise(join(directory, name), Number(rows));
}
