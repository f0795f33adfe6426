/** How much each chaos test does: the CI column of the figures table by default, the long-run column with MESHSCOPE_LONG=1. */
import type { TestContext } from "node:test";

const isLongRun = process.env["MESHSCOPE_LONG"] === "1";

function figure(inCi: number, longRun: number): number {
	return isLongRun ? longRun : inCi;
}

export const FIGURES = {
	crashCycles: figure(25, 500),
	topologyCycles: figure(5, 200),
	failpointRounds: figure(3, 50),
	tornWalCases: figure(500, 10_000),
	fullDiskRounds: figure(3, 100),
	overloadSeconds: figure(30, 120),
	networkResets: figure(60, 1_000),
	stressSeconds: figure(15, 600),
	/** 0: not in this run. `MESHSCOPE_SOAK_SECONDS` makes a shorter one. */
	soakSeconds: Number(process.env["MESHSCOPE_SOAK_SECONDS"] ?? figure(0, 7_200)),
} as const;

/** Start of the process to its ready line, on data that a crash left. */
export const READY_BAR_MS = 2_000;

/** One line of figures among the run's output, as a diagnostic of the test. */
export function printFigures(context: TestContext, name: string, figures: Readonly<Record<string, number | string>>): void {
	const text = Object.entries(figures).map(
		([key, value]) => `${key} ${typeof value === "number" ? Math.round(value * 10) / 10 : value}`,
	);
	context.diagnostic(`${name}: ${text.join(", ")}`);
}
