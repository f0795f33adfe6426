/** The palette in a real browser, worked by keys alone: where it leads, what it does, and that no name in it is more than text. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Locator, Page } from "playwright-core";
import { seriousFindings } from "./axe.ts";
import type { FixtureServer } from "./fixture-server.ts";
import { hostileGraph, largeGraph, shopGraph } from "./fixture-graph.ts";
import { HOSTILE } from "./fixture-traces.ts";
import { bench, checkouts, forgive, options, serve, waitForAddress } from "./page-bench.ts";

let page: Page;
let server: FixtureServer;
beforeEach(() => {
	({ page, server } = bench);
	if (server !== undefined) server.graph = shopGraph();
});

const box = (): Locator => page.getByRole("combobox", { name: "Go to or do" });
const found = (): Locator => page.getByRole("listbox", { name: "Found" }).getByRole("option");
const chosen = (): Locator => page.locator('.palette [role="option"][aria-selected="true"]');

async function openPalette(path: string, text: string, first: RegExp): Promise<void> {
	if (path !== "") await page.goto(server.url + path);
	await page.getByRole("heading", { level: 1 }).first().waitFor();
	await page.keyboard.press("Control+k");
	await page.locator(".palette input:focus").waitFor();
	await page.keyboard.type(text);
	await chosen().filter({ hasText: first }).waitFor();
}

test("keys alone lead to a page, a service, an edge, a namespace, the traces of a service and a trace", options, async () => {
	serve(...checkouts(2));
	const traceId = server.traces[0]!.traceId;
	const edge = server.graph.edges.find(({ source, target }) => source === "shop/frontend" && target === "shop/cart")!;
	for (const [text, first, path, search] of [
		["change", /^Changes/, "/changes", ""],
		["cart", /^shop\/cart/, "/service/shop%2Fcart", ""],
		["frontend cart", /^shop\/frontend → shop\/cart/, "/", `?edge=${edge.id}`],
		["pay", /^pay/, "/", "?find=namespace+%3D+%22pay%22"],
		["traces cart", /^Traces of cart/, "/traces", "?service=cart"],
		[`00-${traceId}-0000000000000001-01`, /./, `/trace/${traceId}`, ""],
	] as const) {
		await openPalette("/status", text, first);
		await page.keyboard.press("Enter");
		await waitForAddress((url) => url.pathname === path && url.search === search);
		await page.getByRole("dialog").waitFor({ state: "hidden" });
		assert.equal(await page.evaluate("document.activeElement?.id"), "page", "reading goes on in the page");
	}
	forgive(/404/);
});

test("arrows choose, Escape closes and gives the focus back, and a text box does not keep the key", options, async () => {
	serve(...checkouts(2));
	await page.goto(`${server.url}/traces?from=now-1h`);
	await page.getByLabel("Operation").focus();
	await page.keyboard.press("Control+k");
	await page.locator(".palette input:focus").waitFor();
	await page.keyboard.type("shop");
	await found().nth(4).waitFor();
	const first = await chosen().innerText();
	await page.keyboard.press("ArrowUp");
	assert.notEqual(await chosen().innerText(), first, "from the first to the last");
	await page.keyboard.press("ArrowDown");
	assert.equal(await chosen().innerText(), first);
	assert.equal(await box().getAttribute("aria-activedescendant"), await chosen().getAttribute("id"));
	await page.keyboard.press("Escape");
	await page.getByRole("dialog").waitFor({ state: "hidden" });
	assert.equal(await page.getByLabel("Operation").evaluate((input) => input === input.ownerDocument.activeElement), true);
});

test("it opens again in the moment in which it closes", options, async () => {
	await openPalette("/traces", "dark", /^Theme: dark/);
	// The page has drawn what the first key does, and the browser has yet to tell that the dialog closed.
	await page.evaluate(`(async () => {
		const press = (target, key, ctrlKey) =>
			target.dispatchEvent(new KeyboardEvent("keydown", { key, ctrlKey, bubbles: true, cancelable: true }));
		press(document.activeElement, "Enter", false);
		for (let i = 0; i < 8; i++) await undefined;
		press(document.body, "k", true);
	})()`);
	await page.locator('html[data-theme="dark"]').waitFor();
	await box().waitFor();
	await page.keyboard.press("Escape");
	await page.getByRole("dialog").waitFor({ state: "hidden" });
	await openPalette("", "light", /^Theme: light/);
});

test("it pauses, sets the range, changes the theme, copies the link and shows the keys", options, async () => {
	serve(...checkouts(2));
	await openPalette("/traces", "pause", /^Pause/);
	await page.keyboard.press("Enter");
	await page.getByText("Paused", { exact: true }).waitFor();
	await openPalette("", "resume", /^Resume/);
	await page.keyboard.press("Enter");
	await page.getByText("Live, every 2 s").waitFor();
	await openPalette("", "6 hours", /^Last 6 hours/);
	await page.keyboard.press("Enter");
	await waitForAddress((url) => url.search === "?from=now-6h");
	await openPalette("", "dark", /^Theme: dark/);
	await page.keyboard.press("Enter");
	await page.locator('html[data-theme="dark"]').waitFor();
	await openPalette("", "copy link", /^Copy the link/);
	await page.keyboard.press("Enter");
	await page.getByRole("dialog").waitFor({ state: "hidden" });
	assert.equal(await page.evaluate("navigator.clipboard.readText()"), `${server.url}/traces?from=now-6h`);
	await openPalette("", "help", /^Show the keys/);
	await page.keyboard.press("Enter");
	await page.getByRole("dialog", { name: "Keys" }).getByText("next and previous failed span").waitFor();
});

test("with 1,000 services and 3,000 edges few rows are drawn, all are counted, and each letter narrows", options, async () => {
	server.graph = largeGraph(1_000);
	const { source, target } = server.graph.edges[2_999]!;
	await openPalette("/status", source.split("/").at(-1)!, new RegExp(`^${source}`));
	assert.ok((await found().count()) <= 41);
	await page.keyboard.press("Control+a");
	await page.keyboard.type("s");
	await page.getByText(/^The first 40 of [\d,]+\. Type on to narrow\.$/).waitFor();
	await page.keyboard.press("Control+a");
	await page.keyboard.type(`${source} ${target}`);
	await chosen()
		.filter({ hasText: `${source} → ${target}` })
		.waitFor();
	await page.keyboard.type(" nowhere");
	await page.getByText("Nothing is called that.").waitFor();
});

test("names that try to be markup are text, and nobody is kept out in either theme", options, async () => {
	serve(...checkouts(1));
	server.graph = hostileGraph();
	for (const colorScheme of ["light", "dark"] as const) {
		await page.emulateMedia({ colorScheme });
		await openPalette("/status", "hacked", /hacked/);
		assert.ok((await found().allInnerTexts()).some((text) => text.includes(HOSTILE.script)));
		assert.equal(await page.locator(".palette script, .palette img").count(), 0);
		assert.deepEqual(await seriousFindings(page), [], colorScheme);
	}
});

test("what of the mesh cannot be read is said, and pages are found all the same", options, async () => {
	await page.goto(`${server.url}/setup`);
	await page.getByRole("heading", { level: 1 }).waitFor();
	server.failing = { code: "overloaded", message: "the reader pool is full" };
	await openPalette("", "traces", /^Traces/);
	await page.getByText("Services and edges could not be read: the reader pool is full").waitFor();
	server.failing = undefined;
	forgive(/503/);
});
