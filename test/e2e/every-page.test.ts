/** What holds for every page, from one table: nobody is kept out in either theme, keys suffice, and its address is all of its state. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { TestContext } from "node:test";
import type { Page } from "playwright-core";
import { cannedMesh } from "../../api/canned-mesh.ts";
import { CANNED_NOW_MS, startCannedApi, TRACE_ID } from "../../api/canned-server.ts";
import { auditReader } from "./audit-mesh.ts";
import { seriousFindings } from "./axe.ts";
import { bench, options as pageOptions, waitForAddress } from "./page-bench.ts";

const options = { ...pageOptions, timeout: 120_000 };

/** Each with settings in its address, and what stands there once it is read. */
const PAGES: readonly { readonly path: string; readonly ready: string }[] = [
	{ path: "/?from=now-6h&label=p95", ready: ".graph-sheet canvas" },
	{ path: "/?from=now-6h&view=table&sort=-errors", ready: ".graph-table tbody tr" },
	{ path: "/traces?from=now-6h&status=error", ready: ".trace-table tbody tr" },
	{ path: `/trace/${TRACE_ID}`, ready: ".trace-facts" },
	{ path: `/service/${encodeURIComponent("shop/checkout")}?from=now-6h`, ready: "main .card" },
	{ path: "/mtls?from=now-6h&sort-plaintext=target", ready: ".coverage" },
	{ path: "/changes?from=now-1h", ready: ".data-table tbody tr" },
	{ path: "/mesh?sort-proxies=id", ready: ".data-table tbody tr" },
	{ path: "/status", ready: ".facts" },
	{ path: "/setup?with=shim", ready: ".snippet pre" },
];

let page: Page;
beforeEach(async () => {
	({ page } = bench);
	await page?.clock.setFixedTime(CANNED_NOW_MS);
});

async function serve(t: TestContext): Promise<string> {
	const api = await startCannedApi(t, { uiDirectory: bench.dist, reader: auditReader, mesh: cannedMesh(CANNED_NOW_MS) });
	const url = `http://${api.address.replace(/^https?:\/\//, "")}`;
	bench.origins.push(url);
	return url;
}

/** What the page says, once it says the same twice. */
async function settled(on: Page, ready: string): Promise<string> {
	await on.locator(ready).first().waitFor();
	let before = "";
	for (let tries = 0; tries < 80; tries++) {
		const text = `${await on.title()}\n${await on.locator("main").innerText()}`;
		if (text === before && !/Reading|Drawing…/.test(text)) return text;
		before = text;
		await on.waitForTimeout(150);
	}
	return before;
}

test("no page has a serious finding in either theme, and each has one heading and fits a narrow window", options, async (t) => {
	const url = await serve(t);
	for (const { path, ready } of PAGES)
		for (const colorScheme of ["light", "dark"] as const) {
			await page.emulateMedia({ colorScheme });
			await page.setViewportSize({ width: 1_000, height: 800 });
			await page.goto(url + path);
			await settled(page, ready);
			assert.deepEqual(await seriousFindings(page), [], `${path} ${colorScheme}`);
			assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1, path);
			const overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
			assert.equal(overflow, 0, `${path} is wider than the window`);
		}
});

test("by keys alone: past the bar into each page, every stop is seen, and none holds the focus", options, async (t) => {
	const url = await serve(t);
	for (const { path, ready } of PAGES) {
		await page.goto(url + path);
		await settled(page, ready);
		await page.keyboard.press("Tab");
		assert.equal(await page.evaluate("document.activeElement?.textContent"), "Skip to content", path);
		await page.keyboard.press("Enter");
		const stops = new Set<string>();
		for (let i = 0; i < 30; i++) {
			await page.keyboard.press("Tab");
			const stop = (await page.evaluate(STOP)) as { name: string; isSeen: boolean; isInPage: boolean };
			// After the last one the browser's own bar has the focus.
			if (stop.name === "BODY") break;
			assert.ok(stop.isSeen, `${path}: the focus is not seen on ${stop.name}`);
			stops.add(stop.name);
			if (i === 0) assert.ok(stop.isInPage, `${path}: the first stop after the skip is ${stop.name}`);
		}
		assert.ok(stops.size >= 3, `${path}: only ${[...stops].join(", ")}`);
	}
});

/** The element in focus: what it is, and whether a person sees that it is the one. */
const STOP = `(() => {
	const at = document.activeElement;
	const box = at.getBoundingClientRect();
	const style = getComputedStyle(at);
	return {
		name: at.tagName === "BODY" ? "BODY" : at.tagName + " " + (at.getAttribute("aria-label") ?? at.textContent.slice(0, 40) ?? "") + " " + Math.round(box.x) + "," + Math.round(box.y + scrollY),
		isSeen: box.width > 0 && box.height > 0 && style.outlineStyle !== "none",
		isInPage: at.closest("main") !== null,
	};
})()`;

test("a copied address shows the same to somebody else, and back and forward return to it", options, async (t) => {
	const url = await serve(t);
	const seen = new Map<string, string>();
	for (const { path, ready } of PAGES) {
		await page.goto(url + path);
		const text = await settled(page, ready);
		assert.equal(new URL(page.url()).pathname + new URL(page.url()).search, path, "the address stays as it was given");
		seen.set(path, text);
		const context = await page.context().browser()!.newContext({ viewport: page.viewportSize() });
		const other = await context.newPage();
		await other.clock.setFixedTime(CANNED_NOW_MS);
		await other.goto(page.url());
		assert.equal(await settled(other, ready), text, path);
		await context.close();
	}
	for (const { path, ready } of PAGES.toReversed().slice(1)) {
		await page.goBack();
		await waitForAddress((address) => address.pathname + address.search === path);
		assert.equal(await settled(page, ready), seen.get(path), `back to ${path}`);
	}
	await page.goForward();
	const { path, ready } = PAGES[1]!;
	await waitForAddress((address) => address.pathname + address.search === path);
	assert.equal(await settled(page, ready), seen.get(path), `forward to ${path}`);
});
