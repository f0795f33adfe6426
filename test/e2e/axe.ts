/** What axe-core says of a page as it stands: findings that keep somebody out. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

interface AxeViolation {
	readonly id: string;
	readonly impact: "minor" | "moderate" | "serious" | "critical" | null;
	readonly help: string;
	readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary?: string }[];
}

const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Serious and critical ones, one line each: rule, element, what fails. Evaluated, since the page's policy refuses a script tag. */
export async function seriousFindings(page: Page): Promise<readonly string[]> {
	await page.evaluate(`${source};undefined`);
	const violations = (await page.evaluate("axe.run(document).then((result) => result.violations)")) as readonly AxeViolation[];
	return violations
		.filter(({ impact }) => impact === "serious" || impact === "critical")
		.flatMap(({ id, nodes }) => nodes.map((node) => `${id} ${node.target.join(" ")}: ${node.failureSummary ?? ""}`));
}
