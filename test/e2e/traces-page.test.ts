/** The traces page's chart, what differs in a part of it, and the list below, in a real browser. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import { seriousFindings } from "./axe.ts";
import type { FixtureServer } from "./fixture-server.ts";
import { checkoutTrace, hostileTrace } from "./fixture-traces.ts";
import { bench, checkouts, forgive, nowNs, options, rows, SECOND, serve, waitForAddress, waitForRows } from "./page-bench.ts";

let page: Page;
let server: FixtureServer;
beforeEach(() => {
	({ page, server } = bench);
});

const plot = () => page.locator(".duration-plot");

async function open(query = ""): Promise<void> {
	await page.goto(`${server.url}/traces${query}`);
	await plot().locator("svg path").first().waitFor();
}

/** Drags over a part of the plot, given in shares of its width and height. */
async function drag(fromX: number, fromY: number, toX: number, toY: number): Promise<void> {
	await plot().scrollIntoViewIfNeeded();
	const box = await plot().boundingBox();
	assert.ok(box !== null);
	const at = (x: number, y: number): [number, number] => [box.x + 63 + x * (box.width - 64), box.y + 7 + y * (box.height - 28)];
	await page.mouse.move(...at(fromX, fromY));
	await page.mouse.down();
	await page.mouse.move(...at((fromX + toX) / 2, (fromY + toY) / 2));
	await page.mouse.move(...at(toX, toY));
	await page.mouse.up();
}

test("requests are drawn as dots, errors by shape too, and the table says the same", options, async () => {
	serve(...checkouts(10));
	await open();
	await page.getByText("10 requests, 2 errors").waitFor();
	assert.equal(((await plot().locator(".duration-error").getAttribute("d")) ?? "").split("z").length - 1, 2);
	await page.getByLabel("Count").selectOption("all");
	await waitForAddress((url) => url.searchParams.get("spans") === "all");
	await page.getByText("90 matching spans").waitFor();
	await page.getByLabel("Count").selectOption("root");
	await page.getByRole("button", { name: "Table", exact: true }).click();
	await waitForAddress((url) => url.searchParams.get("chart") === "table");
	const table = page.getByRole("region", { name: "Spans by start and duration, table" });
	await table.locator("tbody tr").first().waitFor();
	const counts = await table.locator("tbody tr td:nth-child(4)").allInnerTexts();
	assert.equal(
		counts.reduce((sum, text) => sum + Number(text), 0),
		10,
	);
});

test("many spans are a heatmap", options, async () => {
	serve(...Array.from({ length: 1_100 }, (_, i) => checkoutTrace(i, nowNs() - (BigInt(i) * SECOND) / 4n)));
	await open();
	await page.getByText(/1,1\d\d requests|1,100 requests/).waitFor();
	await plot().locator(".duration-cell").first().waitFor();
	assert.ok((await plot().locator(".duration-cell").count()) <= 5);
	await page.getByText("few to many").waitFor();
});

test(
	"a part that is dragged over narrows the list, stands in the address, and Escape brings everything back",
	options,
	async () => {
		serve(...checkouts(20));
		await open();
		await waitForRows((count) => count === 20);
		await drag(0, 0, 1, 0.4);
		await waitForAddress((url) => url.searchParams.has("brush") && url.searchParams.get("was") === "now-15m");
		await waitForRows((count) => count > 0 && count < 20);
		const narrowed = await rows().count();
		const call = server.calls.findLast((one) => one.startsWith("/api/v1/traces?"))!;
		for (const part of ["minDuration=", "maxDuration=", "root=true"]) assert.ok(call.includes(part), call);
		const told = await page.locator("#durations-told").innerText();
		assert.match(told, /: \d+ spans?, \d+ with errors$/);

		await page.reload();
		await waitForRows((count) => count === narrowed);
		await page.goBack();
		await waitForRows((count) => count === 20);
		await page.goForward();
		await waitForRows((count) => count === narrowed);
		await plot().focus();
		await page.keyboard.press("Escape");
		await waitForAddress((url) => !url.searchParams.has("brush") && url.searchParams.get("from") === "now-15m");
		await waitForRows((count) => count === 20);
	},
);

test("a drag that is over before the page was drawn again selects all that it covered", options, async () => {
	serve(...checkouts(20));
	await open();
	await waitForRows((count) => count === 20);
	// A pointer that is known, so that it can be captured.
	const box = await plot().boundingBox();
	await page.mouse.move(box!.x + 70, box!.y + 10);
	await page.evaluate(`(() => {
		const plot = document.querySelector(".duration-plot");
		const { left, top, right, bottom } = plot.getBoundingClientRect();
		const send = (type, clientX, clientY) =>
			plot.dispatchEvent(new PointerEvent(type, { pointerId: 1, button: 0, clientX, clientY, bubbles: true }));
		send("pointerdown", left + 64, top + 8);
		send("pointermove", left + 80, top + 20);
		send("pointermove", right - 2, bottom - 24);
		send("pointerup", right - 2, bottom - 24);
	})()`);
	await waitForAddress((url) => url.searchParams.has("brush"));
	await page.getByText(/^Selected: .*: 20 spans, \d with errors$/).waitFor({ state: "attached" });
});

test("a selection is made, moved and extended by keyboard alone", options, async () => {
	serve(...checkouts(20));
	await open();
	await waitForRows((count) => count === 20);
	await page.getByLabel("Count").focus();
	for (let i = 0; i < 3; i++) await page.keyboard.press("Tab");
	assert.match(String(await page.evaluate("document.activeElement.className")), /duration-plot/);
	await page.keyboard.press("ArrowUp");
	await waitForAddress((url) => url.searchParams.has("brush"));
	const first = new URL(page.url()).searchParams.get("brush");
	await page.keyboard.press("ArrowDown");
	await page.keyboard.press("Shift+ArrowUp");
	await waitForAddress((url) => url.searchParams.get("brush") !== first);
	await page.getByText(/^Selected: .* spans?, \d+ with errors$/).waitFor({ state: "attached" });
	await page.keyboard.press("Escape");
	await waitForAddress((url) => !url.searchParams.has("brush"));
});

test("hostile names and both themes leave nothing serious to axe", options, async () => {
	serve(...checkouts(12), hostileTrace(nowNs() - SECOND));
	for (const colorScheme of ["light", "dark"] as const) {
		await page.emulateMedia({ colorScheme });
		await open();
		await waitForRows((count) => count === 13);
		assert.deepEqual(await seriousFindings(page), [], colorScheme);
	}
});

test("what differs in a selection is ranked with counts on both sides, and a click searches for it", options, async () => {
	serve(...checkouts(40));
	await open();
	await page.getByRole("button", { name: "What differs in errors?" }).click();
	await waitForAddress((url) => url.searchParams.get("compare") === "errors");
	const table = page.getByRole("region", { name: "What differs, table" });
	await table.locator("tbody tr").first().waitFor();
	const first = await table.locator("tbody tr").allInnerTexts();
	assert.ok(
		first.some((text) => /response_flags UF,URX\s+anywhere\s+100 %\s+8 of 8\s+0 %\s+0 of 32/.test(text)),
		first.join("\n"),
	);
	await page.getByText(/Compared 8 selected traces with 32 others/).waitFor();
	await table.getByRole("link", { name: "response_flags UF,URX" }).click();
	await waitForAddress((url) => url.searchParams.get("attr") === "response_flags=UF,URX" && !url.searchParams.has("compare"));
	await waitForRows((count) => count === 8);
	await page.goBack();
	await table.locator("tbody tr").first().waitFor();

	await drag(0, 0, 1, 0.3);
	await waitForAddress((url) => url.searchParams.has("brush"));
	await page.getByText(/Compared \d+ selected traces? with \d+ others/).waitFor();
	const call = server.calls.findLast((one) => one.startsWith("/api/v1/traces/differences"))!;
	for (const part of ["selectFrom=", "selectTo=", "selectMinDuration=", "root=true"]) assert.ok(call.includes(part), call);
});

test("two traces are chosen and compared, and the list is saved as CSV and JSON, hostile names as text", options, async () => {
	const traces = [...checkouts(3), hostileTrace(nowNs() - SECOND)];
	serve(...traces);
	await open();
	await waitForRows((count) => count === 4);
	await page.getByLabel(`Compare ${traces[0]!.traceId}`).check();
	await page.getByText("Choose another trace to compare with.").waitFor();
	await page.getByLabel(`Compare ${traces[2]!.traceId}`).check();
	const link = page.getByRole("link", { name: "Compare the two" });
	assert.equal(await link.getAttribute("href"), `/trace/${traces[0]!.traceId}?with=${traces[2]!.traceId}`);
	await page.getByRole("button", { name: "Choose none" }).click();
	await waitForAddress((url) => !url.searchParams.has("pick"));
	for (const [format, pattern] of [
		["CSV", /^\uFEFF?"?traceId"?,.*\r?\n/],
		["JSON", /^\[\n/],
	] as const) {
		const waiting = page.waitForEvent("download");
		await page.getByRole("button", { name: `Traces as ${format}` }).click();
		const text = await readFile(await (await waiting).path(), "utf8");
		assert.match(text, pattern);
		for (const { traceId } of traces) assert.ok(text.includes(traceId), format);
	}
});

test("a search that finds nothing offers to leave out each filter", options, async () => {
	serve(...checkouts(5));
	await page.goto(`${server.url}/traces?service=gateway&attr=${encodeURIComponent("k=<b>nothing</b>")}`);
	await page.getByText("No trace in this range meets every filter").waitFor();
	await page.getByRole("link", { name: "Without gateway" }).waitFor();
	await page.getByRole("link", { name: "Without k=<b>nothing</b>" }).click();
	await waitForAddress((url) => !url.searchParams.has("attr") && url.searchParams.get("service") === "gateway");
	await waitForRows((count) => count === 5);
	await page.getByLabel("Attribute", { exact: true }).fill("http.response.status_code=int:x");
	await page.keyboard.press("Enter");
	await page.getByText("int: takes a whole number").waitFor();
	await page.getByLabel("Attribute", { exact: true }).fill("http.response.status_code=int:503");
	await page.keyboard.press("Enter");
	await waitForAddress((url) => url.searchParams.get("attr") === "http.response.status_code=int:503");
});

test("an edge of the graph in the address narrows the search and names itself", options, async () => {
	serve(...checkouts(3));
	await open("?edge=6faeb2e1ed26185d&side=source");
	await page.getByText("Edge of the graph, as the caller measured").waitFor();
	assert.ok(
		server.calls.some((call) => call.startsWith("/api/v1/traces?") && call.includes("edge=6faeb2e1ed26185d&side=source")),
	);
	await page.getByRole("button", { name: "Remove the edge" }).click();
	await waitForAddress((url) => !url.searchParams.has("edge") && !url.searchParams.has("side"));
	forgive(/404/);
});
