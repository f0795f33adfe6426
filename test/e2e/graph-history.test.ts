/** The scrubber above the graph: the past is dragged, moved by keys and played, and stands in the address. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Locator, Page } from "playwright-core";
import { seriousFindings } from "./axe.ts";
import type { FixtureServer } from "./fixture-server.ts";
import { shopGraph } from "./fixture-graph.ts";
import { openGraph, openGraphOrTable, placeOfTip, tip, until, walkTo } from "./graph-steps.ts";
import { bench, options, waitForAddress } from "./page-bench.ts";

let page: Page;
let server: FixtureServer;
beforeEach(() => {
	({ page, server } = bench);
	if (server !== undefined) server.graph = shopGraph();
});

const MINUTE_MS = 60_000;

const slider = (): Locator => page.getByRole("slider", { name: "Window of time that the graph shows" });

function shownWindow(): { fromMs: number; lengthMs: number } {
	const { searchParams } = new URL(page.url());
	const fromMs = Date.parse(searchParams.get("from") ?? "");
	return { fromMs, lengthMs: Date.parse(searchParams.get("to") ?? "") - fromMs };
}

const isPast = (url: URL): boolean => url.searchParams.has("to");

test("by keyboard the window moves by steps, by its length and to where data begins, and back to live", options, async () => {
	await openGraph();
	await slider().focus();
	await page.keyboard.press("PageDown");
	await waitForAddress(isPast);
	const first = shownWindow();
	assert.equal(first.lengthMs, 15 * MINUTE_MS);
	assert.ok(Math.abs(first.fromMs - (Date.now() - 30 * MINUTE_MS)) <= 2 * MINUTE_MS);
	await until(
		() => server.calls.some((call) => call.startsWith("/api/v1/graph?from=20") && call.includes("&to=20")),
		"its graph",
	);
	await page.keyboard.press("ArrowRight");
	await until(() => shownWindow().fromMs === first.fromMs + MINUTE_MS, "a step");
	await page.keyboard.press("Shift+ArrowRight");
	await until(() => shownWindow().lengthMs === 16 * MINUTE_MS, "a longer window");
	await page.keyboard.press("Home");
	await until(() => Math.abs(shownWindow().fromMs - (Date.now() - 40 * MINUTE_MS)) <= MINUTE_MS, "where data begins");
	const saysAs = async (pattern: RegExp): Promise<boolean> =>
		pattern.test((await slider().getAttribute("aria-valuetext")) ?? "");
	await until(() => saysAs(/\d\d:\d\d to \d\d:\d\d$/), "the window in words");
	await page.getByText("Fixed range").waitFor();
	await page.keyboard.press("End");
	await waitForAddress((url) => url.searchParams.get("from") === "now-16m" && !isPast(url));
	await until(() => saysAs(/, live$/), "the word live");
});

test("the window is dragged and stretched by mouse; back undoes a drag at once, a reload keeps it", options, async () => {
	await openGraph("?history=1h");
	const track = (await page.locator(".scrubber-track").boundingBox())!;
	const box = (await slider().boundingBox())!;
	const y = box.y + box.height / 2;
	await page.mouse.move(box.x + box.width / 2, y);
	await page.mouse.down();
	await page.mouse.move(box.x + box.width / 2 - track.width / 4, y, { steps: 8 });
	await page.mouse.up();
	await waitForAddress(isPast);
	const dragged = shownWindow();
	assert.equal(dragged.lengthMs, 15 * MINUTE_MS);
	assert.ok(Math.abs(dragged.fromMs - (Date.now() - 30 * MINUTE_MS)) <= 3 * MINUTE_MS, new Date(dragged.fromMs).toISOString());
	await page.reload();
	await until(async () => (await slider().count()) === 1, "the scrubber");
	assert.deepEqual(shownWindow(), dragged);
	const now = (await slider().boundingBox())!;
	await page.mouse.move(now.x + 1, y);
	await page.mouse.down();
	await page.mouse.move(now.x + 1 - track.width / 12, y, { steps: 4 });
	await page.mouse.up();
	await until(() => Math.abs(shownWindow().lengthMs - 20 * MINUTE_MS) <= MINUTE_MS, "an earlier start");
	await page.goBack();
	await until(() => shownWindow().lengthMs === 15 * MINUTE_MS, "the window before");
	await page.goBack();
	await waitForAddress((url) => !isPast(url));
});

test("a play goes through history step by step with every node in its place, until it is paused", options, async () => {
	await openGraph();
	await walkTo(/→/);
	const place = await placeOfTip();
	const told = (await tip().innerText()).split(",")[0];
	await page.getByRole("button", { name: "Play the history" }).click();
	await waitForAddress((url) => url.searchParams.get("play") === "1" && isPast(url));
	await page.getByLabel("Speed of the play").selectOption("4");
	const start = shownWindow().fromMs;
	await until(() => shownWindow().fromMs >= start + 3 * MINUTE_MS, "three steps");
	assert.deepEqual(await placeOfTip(), place);
	assert.equal((await tip().innerText()).split(",")[0], told);
	await page.getByRole("button", { name: "Pause the play" }).click();
	await waitForAddress((url) => !url.searchParams.has("play"));
	const paused = shownWindow();
	await page.waitForTimeout(800);
	assert.deepEqual(shownWindow(), paused);
	await page.getByRole("button", { name: "Back to live" }).click();
	await waitForAddress((url) => !isPast(url));
});

test("a play that comes to the present goes on live", options, async () => {
	const from = (ago: number) => `${new Date(Date.now() - ago * MINUTE_MS).toISOString().slice(0, 19)}Z`;
	await openGraph(`?history=1h&from=${from(18)}&to=${from(3)}&play=4`);
	await waitForAddress((url) => !isPast(url) && !url.searchParams.has("play"));
	assert.match(new URL(page.url()).searchParams.get("from")!, /^now-/);
});

test("what the chart draws is a table too, says where data begins, and can be hidden", options, async () => {
	await openGraphOrTable("?view=table");
	await page.getByText(/^data begins \d\d:\d\d$/).waitFor();
	assert.equal(await page.getByRole("img", { name: /errors up to 8\.\d+ %, something in 1\d of 4\d steps known/ }).count(), 1);
	await page.getByRole("button", { name: "As a table" }).click();
	const rows = page.getByRole("dialog", { name: "History in steps of 1m" }).locator("tbody tr");
	assert.ok((await rows.count()) >= 40);
	assert.match(await rows.last().innerText(), /\s5 %$|\s4\.99\d* %$|\s5\.0\d* %$/);
	await page.keyboard.press("Escape");
	await page.getByRole("button", { name: "Hide the history" }).click();
	await slider().waitFor({ state: "detached" });
	await page.getByRole("button", { name: "History", exact: true }).click();
	await slider().waitFor();
	await page.getByLabel("History", { exact: true }).selectOption("7d");
	await until(() => server.calls.includes("/api/v1/graph/history?from=now-7d"), "a week");
});

for (const theme of ["light", "dark"] as const) {
	test(`axe has no serious or critical finding with the past shown: ${theme}`, options, async () => {
		await page.emulateMedia({ colorScheme: theme });
		await openGraph("?history=24h");
		await slider().press("PageDown");
		await waitForAddress(isPast);
		assert.deepEqual(await seriousFindings(page), []);
		await page.getByRole("button", { name: "As a table" }).click();
		assert.deepEqual(await seriousFindings(page), []);
	});
}
