/** Calls on the trace page: the spans of apps and proxies as one row, tries, locks. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import { seriousFindings } from "./axe.ts";
import { meshTrace, spanId } from "./fixture-calls.ts";
import { checkoutTrace, HOSTILE } from "./fixture-traces.ts";
import { bench, forgive, nowNs, openTrace, options, spanRows, waitForAddress } from "./page-bench.ts";

let page: Page;
beforeEach(() => {
	({ page } = bench);
});

async function waitForSpanRows(count: number): Promise<void> {
	const deadlineMs = performance.now() + 10_000;
	while ((await spanRows().count()) !== count) {
		if (performance.now() > deadlineMs) assert.fail(`${await spanRows().count()} rows instead of ${count}`);
		await page.waitForTimeout(50);
	}
}

function row(text: string): ReturnType<Page["locator"]> {
	return spanRows().filter({ hasText: text });
}

test("the spans of a call are one row that tells both ends, its lock and its tries", options, async () => {
	await openTrace(meshTrace(nowNs()));
	await waitForSpanRows(5);
	const cart = await row("add to the cart").innerText();
	assert.match(cart, /gateway\s*→\s*cart/);
	assert.match(cart, /mutual TLS/);
	assert.match(cart, /4 spans/);
	assert.match(await row("→ pay").innerText(), /plaintext[\s\S]*3 attempts, 2 failed/);
	assert.equal(await row("→ pay").locator(".call-part-failed").count(), 2);
	assert.match(
		(await row("add to the cart").locator(".span-time").getAttribute("aria-label"))!,
		/app 22 ms, proxies and network 14 ms/,
	);
	assert.equal(await row("SELECT stock").getAttribute("aria-level"), "3");
});

test("one call is unfolded by its button or by o, all by the address", options, async () => {
	await openTrace(meshTrace(nowNs()));
	await waitForSpanRows(5);
	await row("add to the cart").locator(".call-fold").click();
	await waitForSpanRows(8);
	await row("POST cart").locator(".call-fold").click();
	await waitForSpanRows(5);
	await page.locator(".waterfall-scroll").focus();
	await page.keyboard.press("ArrowDown");
	await page.keyboard.press("o");
	await waitForSpanRows(8);
	await page.keyboard.press("O");
	await waitForAddress((url) => url.searchParams.get("fold") === "off");
	await waitForSpanRows(13);
	const fold = page.getByRole("button", { name: "Fold calls" });
	assert.equal(await fold.getAttribute("aria-pressed"), "false");
	await page.reload();
	await waitForSpanRows(13);
	await fold.click();
	await waitForAddress((url) => !url.searchParams.has("fold"));
	await waitForSpanRows(5);
	await page.goBack();
	await waitForSpanRows(13);
});

test(
	"every span of a folded call is reached: by its address, by search, and from the details of any other",
	options,
	async () => {
		const trace = meshTrace(nowNs());
		await openTrace(trace, `?span=${spanId(3)}`);
		const details = page.getByRole("complementary", { name: "Span details" });
		await details.getByRole("heading", { name: "ingress cart" }).waitFor();
		assert.match(await page.locator(".span-current").innerText(), /→ cart/);
		const spans = details.getByRole("list", { name: "Spans of the call" }).getByRole("button");
		assert.equal(await spans.count(), 4);
		await spans.filter({ hasText: "egress cart" }).click();
		await details.getByRole("heading", { name: "egress cart" }).waitFor();
		await waitForAddress((url) => url.searchParams.get("span") === spanId(2));
		await page.getByLabel("Find spans by any text").fill(spanId(7));
		await page.getByText("1 match, Enter for the next").waitFor();
		await page.keyboard.press("Enter");
		await waitForAddress((url) => url.searchParams.get("span") === spanId(7));
		assert.match(await page.locator(".span-current").innerText(), /→ pay/);
		assert.equal(await page.locator(".span-dimmed").count(), 4);
	},
);

test("the lock of a call leads to its edge in the graph", options, async () => {
	await openTrace(meshTrace(nowNs()));
	await row("add to the cart").click();
	const details = page.getByRole("complementary", { name: "Span details" });
	const href = await details.getByRole("link", { name: "The edge at that time" }).getAttribute("href");
	assert.equal(await row("add to the cart").locator(".call-lock").getAttribute("href"), href);
	await row("add to the cart").locator(".call-lock").click();
	await waitForAddress(
		(url) => url.pathname === "/" && url.searchParams.get("edge") === "a".repeat(16) && url.searchParams.has("from"),
	);
	await page.getByRole("heading", { level: 1 }).first().waitFor();
	// The graph of this server has no edges.
	forgive(/404/);
});

test("keys move over folded rows: to a call's children, up to its caller, and it collapses as one", options, async () => {
	await openTrace(meshTrace(nowNs()));
	await waitForSpanRows(5);
	await page.locator(".waterfall-scroll").focus();
	const current = page.locator(".span-current");
	await page.keyboard.press("ArrowDown");
	await current.filter({ hasText: "→ cart" }).waitFor();
	await page.keyboard.press("ArrowRight");
	await current.filter({ hasText: "SELECT stock" }).waitFor();
	await page.keyboard.press("ArrowLeft");
	await current.filter({ hasText: "→ cart" }).waitFor();
	await page.keyboard.press("ArrowLeft");
	await waitForSpanRows(4);
	assert.match(await current.innerText(), /\+1/);
	await page.keyboard.press("End");
	await current.filter({ hasText: HOSTILE.image }).waitFor();
	await page.getByRole("button", { name: "Collapse all" }).click();
	await waitForSpanRows(1);
	assert.match(await row("POST /checkout").innerText(), /\+12/);
});

test("a trace of which no proxy tells offers no folding", options, async () => {
	await openTrace(checkoutTrace(1, nowNs()));
	await waitForSpanRows(9);
	assert.equal(await page.getByRole("button", { name: "Fold calls" }).count(), 0);
});

for (const theme of ["light", "dark"] as const) {
	test(`folded and unfolded calls have no serious finding in the ${theme} theme`, options, async () => {
		await page.emulateMedia({ colorScheme: theme });
		const trace = meshTrace(nowNs());
		await openTrace(trace, `?span=${spanId(10)}`);
		await page.getByRole("list", { name: "Spans of the call" }).waitFor();
		assert.deepEqual(await seriousFindings(page), []);
		await page.goto(`${bench.server.url}/trace/${trace.traceId}?fold=off`);
		await waitForSpanRows(13);
		assert.deepEqual(await seriousFindings(page), []);
	});
}
