/**
 * `npm run bench`: ingest, memory, disk, acknowledgement, lookup, search, graph and start, in one run, each figure beside its
 * bar. Owns the order of the scenarios and the file that the results go to.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { measureGraphQueries, measureVisibility } from "./graph-scenario.ts";
import { describeMachine } from "./machine.ts";
import { measureLargeStart, measureQueries } from "./queries.ts";
import { type Figure, isMet, markdownOf, textOf } from "./report.ts";
import {
	type BenchContext,
	chooseYardstick,
	measureAck,
	measureCeiling,
	measureIdle,
	measureIngest,
	measureSoak,
	warmUp,
} from "./scenarios.ts";

const HELP = `node bench/run.ts [options]

  --quick             short runs, 1 M spans; nothing is written unless --out is given
  --only LIST         of ceiling, ingest, ack, idle, query, graph (all of them by default)
  --spans N           spans to query over, e.g. 10M
  --reps N            repetitions of the ingest and ack scenarios
  --seconds N         length of each of them
  --soak DURATION     also full load for that long, e.g. 10m: is memory flat?
  --start-bytes SIZE  also start on that much data, e.g. 10GB
  --dir DIR           where the data directories are made (default: the system's temporary directory)
  --profile DIR       leave the server's CPU profiles there; node bench/profile.ts DIR sums them up
  --server-args "…"   passed on to serve
  --out FILE          where the results go (default: bench/RESULTS.md)
`;

const SCENARIOS = ["ceiling", "ingest", "ack", "idle", "query", "graph"] as const;

async function main(): Promise<void> {
	const { values } = parseArgs({
		options: {
			help: { type: "boolean", default: false },
			quick: { type: "boolean", default: false },
			only: { type: "string", default: SCENARIOS.join(",") },
			spans: { type: "string" },
			reps: { type: "string" },
			seconds: { type: "string" },
			soak: { type: "string" },
			"start-bytes": { type: "string" },
			dir: { type: "string", default: tmpdir() },
			profile: { type: "string" },
			"server-args": { type: "string", default: "" },
			out: { type: "string" },
		},
	});
	if (values.help) {
		console.log(HELP);
		return;
	}
	const wanted = new Set(values.only.split(","));
	for (const name of wanted) {
		if (!SCENARIOS.some((scenario) => scenario === name))
			throw new Error(`--only: no scenario ${name}; there are ${SCENARIOS.join(", ")}`);
	}
	mkdirSync(values.dir, { recursive: true });
	const figures: Figure[] = [];
	const failures: string[] = [];
	const context: BenchContext = {
		workDirectory: values.dir,
		repetitions: Number(values.reps ?? (values.quick ? 1 : 3)),
		ingestSeconds: Number(values.seconds ?? (values.quick ? 5 : 20)),
		warmupSeconds: values.quick ? 2 : 3,
		yardstickSeconds: values.quick ? 2 : 5,
		mergeTimeoutMs: 600_000,
		...(values.profile === undefined ? {} : { profileDirectory: values.profile }),
		serverArgs: values["server-args"].split(" ").filter((part) => part !== ""),
		report: (figure) => {
			figures.push(figure);
			console.log(textOf(figure));
		},
		say: (text) => console.log(`  · ${text}`),
	};
	const machine = await describeMachine(values.dir, new Date());
	for (const [name, value] of machine.lines) console.log(`${name}: ${value}`);
	if (values.profile !== undefined) console.log("profiling: its own cost is in every figure, so nothing is written");

	const spans = sizeOf(values.spans ?? (values.quick ? "1M" : "10M"));
	await warmUp(context);
	const attempt = async (name: string, scenario: () => Promise<void>): Promise<void> => {
		try {
			await scenario();
		} catch (error) {
			// The other scenarios are worth their time; the run as a whole still fails.
			failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
			console.log(`  · ${failures.at(-1)}`);
		}
	};
	if (wanted.has("ceiling")) await attempt("ceiling", () => measureCeiling(context));
	if (wanted.has("ingest")) await attempt("ingest", async () => measureIngest(context, await chooseYardstick(context)));
	if (wanted.has("ack")) await attempt("ack", () => measureAck(context));
	if (wanted.has("idle")) await attempt("idle", () => measureIdle(context));
	if (wanted.has("query")) {
		const counts = values.quick ? { lookups: 500, searches: 50 } : { lookups: 2_000, searches: 200 };
		await attempt("query", () => measureQueries(context, { spans, ...counts }));
	}
	if (wanted.has("graph")) {
		await attempt("graph", () => measureGraphQueries(context));
		await attempt("visibility", () => measureVisibility(context));
	}
	const { soak, "start-bytes": startBytes } = values;
	if (soak !== undefined) await attempt("soak", () => measureSoak(context, secondsOf(soak)));
	if (startBytes !== undefined) await attempt("start", () => measureLargeStart(context, sizeOf(startBytes)));

	const settings = [
		`${context.repetitions} repetitions of ${context.ingestSeconds} s after ${context.warmupSeconds} s of warm-up`,
		...(values["server-args"] === "" ? [] : [`serve ${values["server-args"]}`]),
	];
	const out =
		values.out ??
		(values.quick || values.profile !== undefined ? undefined : fileURLToPath(new URL("RESULTS.md", import.meta.url)));
	// Results with holes would replace results without.
	if (out !== undefined && failures.length === 0) writeFileSync(out, markdownOf(machine, figures, settings));
	const missed = figures.filter((figure) => isMet(figure) === false);
	const barred = figures.filter((figure) => isMet(figure) !== undefined);
	console.log(`\n${barred.length - missed.length} of ${barred.length} bars met`);
	for (const figure of missed) console.log(textOf(figure));
	if (failures.length === 0) return;
	console.log(`\nnot measured:\n${failures.join("\n")}`);
	process.exitCode = 1;
}

/** `10M`, `10GB`, `250k`: powers of ten. */
function sizeOf(text: string): number {
	const match = /^(\d+(?:\.\d+)?)\s*([kMG]?)B?$/.exec(text);
	if (match === null) throw new Error(`not a number or size: ${text}`);
	return Number(match[1]) * { "": 1, k: 1e3, M: 1e6, G: 1e9 }[match[2]! as "" | "k" | "M" | "G"];
}

function secondsOf(text: string): number {
	const match = /^(\d+)(s|m|h)$/.exec(text);
	if (match === null) throw new Error(`not a duration like 10m: ${text}`);
	return Number(match[1]) * { s: 1, m: 60, h: 3_600 }[match[2]! as "s" | "m" | "h"];
}

await main();
