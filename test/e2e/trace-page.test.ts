/** The trace page in a real browser: the waterfall, by mouse and by keyboard, and the details of a span. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import type { LogEntry } from "../../api/contract/logs.ts";
import { seriousFindings } from "./axe.ts";
import type { FixtureServer } from "./fixture-server.ts";
import { checkoutTrace, hexId, hostileTrace, largeTrace } from "./fixture-traces.ts";
import { bench, nowNs, openTrace, options, SECOND, serve, spanRows, waitForAddress } from "./page-bench.ts";

let page: Page;
let server: FixtureServer;
beforeEach(() => {
	({ page, server } = bench);
});

test("the waterfall shows every span in tree order, with its duration and place in time", options, async () => {
	const trace = checkoutTrace(4, nowNs());
	await openTrace(trace);
	const names = await spanRows().locator(".span-operation").allInnerTexts();
	assert.deepEqual(
		names,
		trace.spans.map((span) => span.name),
	);
	const levels = await spanRows().evaluateAll((all) => all.map((row) => Number(row.getAttribute("aria-level"))));
	assert.deepEqual(levels, [1, 2, 3, 4, 5, 6, 7, 4, 5]);
	assert.equal(await page.locator(".span-bar-failed").count(), 3);
	assert.match(
		await page.locator(".trace-facts").innerText(),
		new RegExp(`${trace.traceId}[\\s\\S]*Spans\\s+9\\s+Errors\\s+3\\s+Services\\s+4`),
	);
	const bars = await page.locator(".span-bar").evaluateAll((all) => all.map((bar) => bar.getBoundingClientRect().left));
	assert.deepEqual(
		bars.slice(0, 7),
		bars.slice(0, 7).toSorted((a, b) => a - b),
		"each nested call starts after its caller",
	);
});

test("a span's details hold attributes, events, links, resource, status and logs", options, async () => {
	const trace = checkoutTrace(4, nowNs());
	const span = trace.spans[8]!;
	const log: LogEntry = {
		timeUnixNano: String(span.startNs),
		observedTimeUnixNano: String(span.startNs),
		service: span.service,
		severityNumber: 17,
		severityText: "",
		traceId: trace.traceId,
		spanId: span.spanId,
		body: "POST /charges 503 UF",
		attributes: {},
		resource: {},
		scope: "",
	};
	server.logs.push(log);
	await openTrace(trace);
	await spanRows().nth(8).click();
	const detail = page.getByRole("complementary", { name: "Span details" });
	const text = await detail.innerText();
	for (const part of [
		"payment",
		"ingress POST /charges",
		"server",
		"upstream connect error",
		"response_flags",
		"UF,URX",
		span.spanId,
	]) {
		assert.ok(text.includes(part), part);
	}
	await detail.getByText("POST /charges 503 UF").waitFor();
	await detail.getByText("Resource (2)").click();
	await detail.getByText("k8s.namespace.name").waitFor();
	await waitForAddress((url) => url.searchParams.get("span") === span.spanId);
	assert.equal(
		await detail.locator(".events").getByRole("link").getAttribute("href"),
		`/trace/${hexId(5, 32)}?span=${hexId(80, 16)}`,
	);

	await page.reload();
	await detail.waitFor();
	assert.ok((await detail.innerText()).includes("ingress POST /charges"), "the address opens the span again");
	await page.getByRole("link", { name: "Logs (1)" }).click();
	await page.locator(".trace-logs").getByText("POST /charges 503 UF").waitFor();
	const download = await page
		.getByRole("link", { name: "JSON" })
		.evaluate((link) => [link.getAttribute("href"), link.getAttribute("download")]);
	assert.deepEqual(download, [`/api/v1/traces/${trace.traceId}`, `trace-${trace.traceId}.json`]);
	await page.getByRole("button", { name: "Copy the trace ID" }).click();
	await page.getByText("Copied").waitFor();
	assert.equal(await page.evaluate("navigator.clipboard.readText()"), trace.traceId);
});

test("the waterfall is worked by keyboard alone", options, async () => {
	await openTrace(checkoutTrace(4, nowNs()));
	const grid = page.getByRole("treegrid");
	const current = async (): Promise<string> => (await page.locator(".span-current .span-operation").innerText()).trim();
	await grid.focus();
	await page.keyboard.press("ArrowDown");
	await page.keyboard.press("ArrowDown");
	assert.equal(await current(), "ingress POST /orders");
	assert.equal(await grid.getAttribute("aria-activedescendant"), "span-row-2");
	await page.keyboard.press("ArrowLeft");
	assert.equal(await spanRows().count(), 3, "left collapses");
	assert.equal(await page.locator(".span-current").getAttribute("aria-expanded"), "false");
	await page.keyboard.press("ArrowRight");
	assert.equal(await spanRows().count(), 9, "right expands");
	await page.keyboard.press("ArrowRight");
	assert.equal(await current(), "reserve items");
	await page.keyboard.press("ArrowLeft");
	await page.keyboard.press("ArrowLeft");
	assert.equal(await current(), "ingress POST /orders", "left of a closed row goes to its parent");
	await page.keyboard.press("e");
	assert.equal(await current(), "egress payment", "e goes to the next failed span");
	await page.keyboard.press("End");
	assert.equal(await current(), "ingress POST /charges");
	await page.keyboard.press("Enter");
	await page.getByRole("complementary", { name: "Span details" }).waitFor();
	await page.keyboard.press("Escape");
	await page.getByRole("complementary", { name: "Span details" }).waitFor({ state: "detached" });
	const widthBefore = (await page.locator(".span-current .span-bar").boundingBox())!.width;
	await page.keyboard.press("f");
	const widthAfter = (await page.locator(".span-current .span-bar").boundingBox())!.width;
	assert.ok(widthAfter > widthBefore * 1.5, "f zooms to the span");
	await page.keyboard.press("f");
	assert.equal((await page.locator(".span-current .span-bar").boundingBox())!.width, widthBefore);
});

test("20,000 spans are drawn row by row, fast", options, async (t) => {
	const trace = largeTrace(20_000, nowNs() - 60n * SECOND);
	serve(trace);
	const startedMs = performance.now();
	await page.goto(`${server.url}/trace/${trace.traceId}`);
	await spanRows().first().waitFor();
	const firstPaintMs = performance.now() - startedMs;
	assert.ok((await spanRows().count()) < 120, "only rows on screen exist");
	assert.equal(await page.getByRole("treegrid").getAttribute("aria-rowcount"), "20001");
	await page.getByRole("treegrid").focus();
	await page.keyboard.press("End");
	await page.locator('.span-current[data-row="19999"]').waitFor();
	const collapseMs = Number(
		await page.evaluate(`new Promise((resolve) => {
			const button = [...document.querySelectorAll(".waterfall-tools button")].find((b) => b.textContent === "Collapse all");
			const start = performance.now();
			button.click();
			requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)));
		})`),
	);
	assert.equal(await spanRows().count(), 1);
	await page.getByLabel("Find spans by any text").fill("step 12345");
	await page.getByText("1 match").waitFor();
	await page.keyboard.press("Enter");
	await page.locator(".span-current").getByText("step 12345").waitFor();
	t.diagnostic(`first paint ${firstPaintMs.toFixed(0)} ms, collapse all ${collapseMs.toFixed(0)} ms`);
	assert.ok(firstPaintMs < 5_000, `first paint took ${firstPaintMs.toFixed(0)} ms`);
	assert.ok(collapseMs < 500, `collapsing took ${collapseMs.toFixed(0)} ms`);
});

test("the critical path is drawn on the bars and told by operation, and the choice is in the address", options, async () => {
	const trace = checkoutTrace(1, nowNs());
	await openTrace(trace);
	assert.equal(await page.locator(".path-piece").count(), 0);
	await page.getByRole("button", { name: "Critical path" }).click();
	await waitForAddress((url) => url.searchParams.get("path") === "on");
	await page.locator(".path-piece").first().waitFor();
	assert.equal(await page.getByRole("button", { name: "Critical path" }).getAttribute("aria-pressed"), "true");
	await page.reload();
	await page.locator(".path-piece").first().waitFor();

	await page.getByRole("link", { name: "Where the time went" }).click();
	const table = page.getByRole("region", { name: "Where the time went, table" });
	await table.waitFor();
	const shares = await table.locator("tbody tr td:nth-child(4)").allInnerTexts();
	const sum = shares.reduce((total, text) => total + Number.parseFloat(text), 0);
	assert.ok(shares.length === 9 && Math.abs(sum - 100) < 0.5, `the shares add up to ${sum} %`);
	for (const theme of ["light", "dark"] as const) {
		await page.emulateMedia({ colorScheme: theme });
		assert.deepEqual(await seriousFindings(page), []);
	}
	await table.getByRole("link", { name: "ingress POST /charges" }).click();
	await page.getByRole("complementary", { name: "Span details" }).getByText("ingress POST /charges").waitFor();
	await page.goBack();
	await table.waitFor();
});

test("] and [ go to the next and previous failed span, or match while something is searched for", options, async () => {
	await openTrace(checkoutTrace(4, nowNs()));
	const current = async (): Promise<string> => (await page.locator(".span-current .span-operation").innerText()).trim();
	const grid = page.getByRole("treegrid");
	await grid.focus();
	await page.keyboard.press("]");
	assert.equal(await current(), "egress payment");
	await page.keyboard.press("[");
	assert.equal(await current(), "POST /checkout");
	await page.getByLabel("Find spans by any text").fill("SELECT");
	await page.getByText("1 match").waitFor();
	await grid.focus();
	await page.keyboard.press("]");
	assert.equal(await current(), "SELECT stock");
});

test("hostile names in the table of times are text", options, async () => {
	const trace = hostileTrace(nowNs());
	await openTrace(trace, "?path=on");
	await page.getByRole("link", { name: "Where the time went" }).click();
	await page
		.getByRole("region", { name: "Where the time went, table" })
		.getByText("<script>window.hacked=1</script>")
		.waitFor();
});

test("the zoom is in the address, and a link opens it", options, async () => {
	await openTrace(checkoutTrace(1, nowNs()));
	await page.getByRole("treegrid").focus();
	await page.keyboard.press("w");
	await waitForAddress((url) => /^\d+-\d+$/.test(url.searchParams.get("zoom") ?? ""));
	const width = (await page.locator(".span-bar").nth(3).boundingBox())!.width;
	await page.reload();
	await spanRows().first().waitFor();
	assert.equal(Math.round((await page.locator(".span-bar").nth(3).boundingBox())!.width), Math.round(width));
	await page.getByRole("button", { name: "Reset the zoom" }).click();
	await waitForAddress((url) => !url.searchParams.has("zoom"));
});

test("a trace that may lack spans names the windows that could not be read, and where to learn why", options, async () => {
	await openTrace({ ...checkoutTrace(1, nowNs()), damagedWindows: ["20260101T0000-0001"] });
	const notice = page.getByRole("status").filter({ hasText: "1 window could not be read" });
	assert.match(await notice.innerText(), /20260101T0000-0001\. More spans of this trace may lie in there\./);
	await notice.getByRole("link", { name: "Status" }).click();
	await waitForAddress((url) => url.pathname === "/status");
});
