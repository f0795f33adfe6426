/** What the tests of the graph page do again and again: open it, walk it by keys, find things on the sheet. */
import assert from "node:assert/strict";
import type { Locator } from "playwright-core";
import { bench } from "./page-bench.ts";

export const sheet = (): Locator => bench.page.getByRole("application", { name: /Service graph/ });
export const tip = (): Locator => bench.page.locator(".graph-tip");
export const panel = (name: "Edge details" | "Node details"): Locator => bench.page.getByRole("complementary", { name });
export const tableRows = (): Locator => bench.page.locator(".graph-table tbody tr");

export async function openGraph(query = ""): Promise<void> {
	await bench.page.goto(`${bench.server.url}/${query}`);
	await bench.page.locator(".graph-wait").waitFor({ state: "detached" });
	await sheet().waitFor();
}

export async function openGraphOrTable(query: string): Promise<void> {
	await bench.page.goto(`${bench.server.url}/${query}`);
	await (query.includes("table") ? tableRows().first() : sheet()).waitFor();
	if (query.includes("edge=")) await bench.page.getByText("Why this edge is here").waitFor();
}

/** Presses arrow keys, as a person would who looks for it, until the tip tells of `text`. */
export async function walkTo(text: RegExp): Promise<void> {
	await sheet().focus();
	for (const key of [..."→↓↓→↑→↓→→↑→↓↓←↓→"].map((arrow) => ARROWS[arrow]!)) {
		await bench.page.keyboard.press(key);
		if (text.test(await tip().innerText())) return;
	}
	assert.fail(`no key leads to ${String(text)}; the last tip is ${await tip().innerText()}`);
}

const ARROWS: Readonly<Record<string, string>> = { "→": "ArrowRight", "←": "ArrowLeft", "↑": "ArrowUp", "↓": "ArrowDown" };

/** Where on the page the thing lies that the tip tells of. */
export async function placeOfTip(): Promise<{ x: number; y: number }> {
	const box = (await sheet().boundingBox())!;
	return { x: box.x + Number(await tip().getAttribute("data-x")), y: box.y + Number(await tip().getAttribute("data-y")) };
}

/** Whole: a large graph is drawn by a worker. */
export async function painted(): Promise<void> {
	await bench.page.locator(".graph-sheet canvas[data-painted=all]").waitFor();
}

/** The address changes first; what follows from it comes with the next render. */
export async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
	for (let i = 0; i < 100; i++) {
		if (await isSo()) return;
		await bench.page.waitForTimeout(50);
	}
	assert.fail(`waited in vain for ${what}`);
}
