/** What axe-core says of a page as it stands: findings that keep somebody out. */
import axe from "axe-core";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright-core";

/** Serious and critical ones, one line each: rule, element, what fails. Evaluated, since the page's policy refuses a script tag. */
export async function seriousFindings(page: Page): Promise<readonly string[]> {
	await page.evaluate(`${axe.source};undefined`);
	const found = (await page.evaluate("axe.run(document).then(({ violations }) => violations)")) as AxeResults["violations"];
	return found
		.filter(({ impact }) => impact === "serious" || impact === "critical")
		.flatMap(({ id, nodes }) => nodes.map((node) => `${id} ${node.target.join(" ")}: ${node.failureSummary ?? ""}`));
}
