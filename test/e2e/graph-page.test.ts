/** The graph in a real browser: what is drawn, by mouse and by keyboard, what the address keeps, and what axe says. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import { seriousFindings } from "./axe.ts";
import type { FixtureServer } from "./fixture-server.ts";
import { EXEMPLAR_TRACE, hostileGraph, largeGraph, shopGraph } from "./fixture-graph.ts";
import { HOSTILE } from "./fixture-traces.ts";
import { openGraph, openGraphOrTable, painted, panel, placeOfTip, sheet, tableRows, tip, until, walkTo } from "./graph-steps.ts";
import { bench, checkouts, options, serve, waitForAddress } from "./page-bench.ts";

let page: Page;
let server: FixtureServer;
beforeEach(() => {
	({ page, server } = bench);
	if (server !== undefined) server.graph = shopGraph();
});

/** Shares of the canvas in each of the given colours. */
async function pixelsOf(colours: readonly string[]): Promise<number[]> {
	return (await page.evaluate(
		`(() => {
			const canvas = document.querySelector(".graph-sheet canvas");
			const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
			const style = getComputedStyle(canvas);
			return ${JSON.stringify(colours)}.map((name) => {
				const hex = style.getPropertyValue(name).trim();
				const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
				let count = 0;
				for (let i = 0; i < data.length; i += 4) if (data[i] === r && data[i + 1] === g && data[i + 2] === b) count++;
				return count;
			});
		})()`,
	)) as number[];
}

test("edges are drawn in the colour of their health, and the table tells the same edges as text", options, async () => {
	await openGraph();
	await painted();
	for (const count of await pixelsOf(["--edge-ok", "--edge-warn", "--edge-fail"])) assert.ok(count > 20, String(count));
	await page.getByRole("link", { name: "Table", exact: true }).click();
	await tableRows().first().waitFor();
	assert.equal(await tableRows().count(), server.graph.edges.length);
	const text = await page.locator(".graph-table").innerText();
	assert.match(text, /shop\/checkout\s+pay\/payment\s+grpc\s+18\/s\s+8\.1 %/);
	assert.match(text, /mixed 99\.9996 %/, "nearly all is not all");
	assert.match(text, /pay\/fraud\s+pay\/payment\s+http\s+0\.2\/s\s+0\.0001 %/, "nearly nothing is not nothing");
	assert.match(text, /shop\/catalog\s+legacy\/inventory\s+http\s+33\/s\s+0 %[^A-Za-z]*(ms[^A-Za-z]*){3}plaintext 0 %/);
	assert.match(text, /< 0\.001\/s/);
});

test("a click on an edge opens its panel, a click beside everything closes it", options, async () => {
	await openGraph();
	await walkTo(/→/);
	const [source, target] = (await tip().innerText()).split(",")[0]!.split(" → ") as [string, string];
	const { x, y } = await placeOfTip();
	await page.mouse.move(x, y);
	await page.mouse.click(x, y);
	await panel("Edge details").getByRole("heading", { level: 2 }).waitFor();
	await waitForAddress((url) => url.searchParams.has("edge"));
	await panel("Edge details").getByText("Why this edge is here").waitFor();
	const heading = await panel("Edge details").getByRole("heading", { level: 2 }).innerText();
	assert.equal(heading, `${source} → ${target}`);
	const box = (await sheet().boundingBox())!;
	await page.mouse.click(box.x + box.width - 60, box.y + 6);
	await panel("Edge details").waitFor({ state: "detached" });
});

test("by keyboard alone: to an edge, open it, close it, and on to a node", options, async () => {
	await openGraph();
	await walkTo(/→/);
	await page.keyboard.press("Enter");
	await panel("Edge details").getByText("Why this edge is here").waitFor();
	await page.keyboard.press("Escape");
	await panel("Edge details").waitFor({ state: "detached" });
	await walkTo(/received/);
	await page.keyboard.press("Enter");
	await panel("Node details").waitFor();
	await panel("Node details").getByText("Received").waitFor();
});

test("the sheet moves by keyboard, by wheel and by two fingers", options, async () => {
	await openGraph();
	await walkTo(/→/);
	const start = await placeOfTip();
	await page.keyboard.press("Shift+ArrowLeft");
	await until(async () => (await placeOfTip()).x === start.x + 80, "the sheet to move");
	await page.keyboard.press("+");
	await until(async () => (await placeOfTip()).x !== start.x + 80, "the sheet to grow");
	const box = (await sheet().boundingBox())!;
	await page.mouse.move(box.x + 4, box.y + 4);
	await page.keyboard.press("0");
	const fitted = await placeOfTip();
	await page.keyboard.down("Control");
	await page.mouse.wheel(0, -40);
	await page.keyboard.up("Control");
	await until(async () => (await placeOfTip()).x !== fitted.x, "a pinch of the trackpad to zoom");
	await sheet().focus();
	await page.keyboard.press("0");
	await walkTo(/→/);
	const before = await placeOfTip();
	const middle = { x: box.x + 400, y: box.y + 300 };
	const touch = await page.context().newCDPSession(page);
	const fingers = (gap: number) => [-1, 1].map((side) => ({ x: middle.x + side * gap, y: middle.y }));
	await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: fingers(40) });
	for (const gap of [50, 60, 80])
		await touch.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: fingers(gap) });
	await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
	await until(async () => {
		const after = await placeOfTip();
		return (
			Math.abs(after.x - middle.x - 2 * (before.x - middle.x)) < 4 &&
			Math.abs(after.y - middle.y - 2 * (before.y - middle.y)) < 4
		);
	}, "what lay under the fingers to stay there");
	assert.equal(await page.locator(".graph-panel").count(), 0, "two fingers are no click");
});

test("the panel proves encryption, tells errors by code and flag, and leads from a bar to a trace", options, async () => {
	const failing = server.graph.edges.find(({ target }) => target === "pay/payment")!;
	await openGraph(`?edge=${failing.id}`);
	const details = panel("Edge details");
	await details.getByText("Why this edge is here").waitFor();
	const text = await details.innerText();
	for (const part of [
		"8.1 %",
		"503",
		"UF upstream connection failed",
		"The two ends disagree",
		"100 % mutual TLS",
		"spiffe://demo.mesh/ns/shop/sa/checkout",
		"spiffe://demo.mesh/ns/pay/sa/payment",
		"1.3",
		"TLS_AES_128_GCM_SHA256",
		"in 20h",
		"“10.0.0.12” was taken for pay/payment.",
	])
		assert.ok(text.includes(part), part);
	await details.locator(".recharts-line-curve").nth(2).waitFor();
	await details.getByRole("button", { name: "Percentiles as a table" }).click();
	await waitForAddress((url) => url.searchParams.get("chart-edge-latency") === "table");
	const course = details.getByRole("region", { name: "Percentiles over time, table" });
	assert.equal(await course.locator("tbody tr").count(), 15);
	const moment = await course.getByRole("link", { name: "Traces of this moment" }).first().getAttribute("href");
	assert.match(moment!, /^\/traces\?edge=[0-9a-f]{16}&from=/);
	await details.locator(".histogram-bar-traced").first().click();
	assert.equal(await details.locator(`a[href="/trace/${EXEMPLAR_TRACE}"]`).count(), 1);
	const { searchParams } = new URL(
		(await details.getByRole("link", { name: "Find their traces" }).getAttribute("href"))!,
		server.url,
	);
	assert.deepEqual(
		[searchParams.get("edge"), searchParams.get("side"), searchParams.get("from")],
		[failing.id, "source", "now-15m"],
	);
	const [least, most] = ["minDuration", "maxDuration"].map((name) =>
		Number(/^(\d+\.\d{1,6})ms$/.exec(searchParams.get(name)!)![1]),
	);
	assert.ok(least! < most! && most! < 1_000, searchParams.toString());
	await details.getByRole("link", { name: "Failed" }).click();
	await waitForAddress((url) => url.pathname === "/traces" && url.searchParams.get("status") === "error");
	assert.equal(new URL(page.url()).searchParams.get("edge"), failing.id);
	await page.goBack();
	await details.getByText(/ between the means: network and proxies$/).waitFor();
});

test("what was chosen is in the address: it survives a reload, and back undoes it", options, async () => {
	await openGraph();
	await page.getByLabel("Edge label").selectOption("p95");
	await page.getByLabel("Time", { exact: true }).selectOption("now-6h");
	await page.getByLabel("Group by").selectOption("namespace");
	await waitForAddress((url) => url.search === "?label=p95&from=now-6h&groupBy=namespace");
	await until(() => server.calls.includes("/api/v1/graph?from=now-6h&groupBy=namespace"), "the graph of that range");
	await page.reload();
	await sheet().waitFor();
	assert.equal(await page.getByLabel("Edge label").inputValue(), "p95");
	assert.equal(await page.getByLabel("Time", { exact: true }).inputValue(), "now-6h");
	await page.goBack();
	await waitForAddress((url) => !url.searchParams.has("groupBy"));
	await until(async () => (await page.getByLabel("Group by").inputValue()) === "service", "the choice before it");
});

test("find lights up, hide takes away, and a mistake is shown at its character", options, async () => {
	await openGraphOrTable("?view=table");
	const find = page.getByLabel("Find", { exact: true });
	await find.fill("edge p95 > 200ms and mtls < 100");
	await find.press("Enter");
	await waitForAddress((url) => url.searchParams.has("find"));
	await page.getByText("1 found").waitFor();
	assert.equal(await page.locator(".graph-row-found").count(), 1);
	const hide = page.getByLabel("Hide", { exact: true });
	await hide.fill("kind = external or kind = database");
	await hide.press("Enter");
	await page.getByText("6 hidden").waitFor();
	assert.equal(await tableRows().count(), server.graph.edges.length - 3);
	await hide.fill("kind = external or p96 > 1");
	assert.match(await page.locator(".graph-problem").innerText(), /Character 20: "p96" is no field/);
	await hide.press("Enter");
	assert.equal(await tableRows().count(), server.graph.edges.length - 3, "what is wrong is not applied");
	await page.getByRole("button", { name: "How to find" }).click();
	const card = page.getByRole("dialog", { name: "Find and hide" });
	await card.getByRole("button", { name: "node kind = external or kind = database" }).click();
	await waitForAddress((url) => url.searchParams.get("find") === "node kind = external or kind = database");
	await card.waitFor({ state: "hidden" });
	assert.equal(await find.inputValue(), "node kind = external or kind = database");
});

test("the find box completes fields, operators and names, by keyboard and by mouse", options, async () => {
	await openGraphOrTable("?view=table");
	const find = page.getByLabel("Find", { exact: true });
	const list = page.getByRole("listbox");
	await find.focus();
	await page.keyboard.type("names");
	await list.getByRole("option", { name: "namespace" }).waitFor();
	await page.keyboard.press("ArrowDown");
	assert.equal(
		await list.getByRole("option", { selected: true }).innerText(),
		"namespace\nof a node; of an edge, of either end",
	);
	const active = await find.getAttribute("aria-activedescendant");
	assert.equal(await list.getByRole("option", { selected: true }).getAttribute("id"), active);
	await page.keyboard.press("Tab");
	await page.keyboard.press("ArrowDown");
	await page.keyboard.press("Enter");
	assert.equal(await find.inputValue(), "namespace = ");
	await list.getByRole("option", { name: "legacy" }).click();
	assert.equal(await find.inputValue(), "namespace = legacy ");
	assert.equal(await page.locator(".graph-problem").count(), 0, "what is still being written is not wrong");
	await page.keyboard.type("and ta");
	await list.getByRole("option", { name: "target" }).click();
	await page.keyboard.type('~ 10.0" ');
	await page.locator(".graph-problem").waitFor();
	for (let i = 0; i < 2; i++) await page.keyboard.press("Backspace");
	await page.keyboard.press("Enter");
	await waitForAddress((url) => url.searchParams.get("find") === "namespace = legacy and target ~ 10.0");
	await page.getByText("1 found").waitFor();
	await list.waitFor({ state: "hidden" });
	await page.keyboard.type(" ");
	await list.waitFor();
	await page.keyboard.press("Escape");
	await list.waitFor({ state: "hidden" });
	await page.keyboard.press("Escape");
	assert.equal(await find.inputValue(), "namespace = legacy and target ~ 10.0");
	await find.click();
	await find.fill("");
	assert.deepEqual(await seriousFindings(page), []);
});

test("a refresh moves no node, a pause stops it", options, async () => {
	await openGraph();
	await walkTo(/→/);
	const before = await placeOfTip();
	const told = (await tip().innerText()).split(",")[0]!;
	server.graph = shopGraph([{ source: "shop/newcomer", target: "shop/cart" }]);
	await page.getByText(`${server.graph.nodes.length} nodes`).waitFor();
	assert.equal((await tip().innerText()).split(",")[0], told);
	assert.deepEqual(await placeOfTip(), before);
	await page.getByRole("button", { name: "Pause" }).click();
	await page.getByText("Paused", { exact: true }).waitFor();
	const calls = server.calls.filter((call) => call.startsWith("/api/v1/graph")).length;
	await page.waitForTimeout(5_600);
	assert.equal(server.calls.filter((call) => call.startsWith("/api/v1/graph")).length, calls);
});

test("names of senders are text on the sheet, in the table and in the panel", options, async () => {
	server.graph = hostileGraph();
	const hostile = server.graph.edges.at(-1)!;
	await openGraph(`?edge=${hostile.id}`);
	await panel("Edge details").getByText("Why this edge is here").waitFor();
	assert.ok((await panel("Edge details").innerText()).includes(HOSTILE.script));
	await page.getByRole("link", { name: "Table", exact: true }).click();
	await tableRows().first().waitFor();
	assert.ok((await page.locator(".graph-table").innerText()).includes(HOSTILE.image));
	assert.equal(await page.locator("main script, main img").count(), 0);
});

test("the table sorts, and saves what it shows", options, async () => {
	await openGraphOrTable("?view=table");
	await page.getByRole("columnheader", { name: "p95" }).getByRole("link").click();
	await waitForAddress((url) => url.searchParams.get("sort") === "-p95");
	const header = page.getByRole("columnheader", { name: "p95" });
	await until(async () => (await header.getAttribute("aria-sort")) === "descending", "the order");
	assert.match(await tableRows().first().innerText(), /unknown:10\.0\.0\.7/);
	const download = page.waitForEvent("download");
	await page.getByRole("button", { name: "CSV" }).click();
	const lines = (await readFile((await (await download).path())!, "utf8")).trimEnd().split("\r\n");
	assert.equal(lines.length, server.graph.edges.length + 1);
	assert.match(lines[0]!, /^id,source,target,protocol,/);
	assert.ok(
		lines.some((line) => line.includes(",mixed,99.9996,")),
		"every digit",
	);
});

test("before anything has arrived the home page is the setup; an empty range says so", options, async () => {
	server.graph = { ...server.graph, nodes: [], edges: [] };
	await page.goto(server.url);
	await page.getByText("Waiting for the first span.").waitFor();
	serve(...checkouts(1));
	await page.getByText("No traffic in this range").waitFor();
	server.graph = shopGraph();
	await sheet().waitFor();
});

test("a graph of 1,000 nodes and 3,000 edges is placed, drawn and panned", options, async () => {
	server.graph = largeGraph(1_000);
	await openGraph();
	await painted();
	const [ok] = await pixelsOf(["--edge-ok"]);
	assert.ok(ok! > 500, String(ok));
	const box = (await sheet().boundingBox())!;
	await page.mouse.move(box.x + 300, box.y + 200);
	await page.mouse.down();
	await page.mouse.move(box.x + 380, box.y + 260, { steps: 5 });
	await page.mouse.up();
	assert.equal(await page.locator(".graph-panel").count(), 0, "a drag is no click");
	await sheet().focus();
	await page.keyboard.press("ArrowRight");
	await tip().waitFor();
});

test("the graph and its panel fit a narrow window", options, async () => {
	await page.setViewportSize({ width: 400, height: 800 });
	for (const query of ["", `?edge=${server.graph.edges[4]!.id}`, "?view=table"]) {
		await openGraphOrTable(query);
		assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1, query);
		const overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
		assert.equal(overflow, 0, `${query} is wider than the window`);
	}
});

for (const theme of ["light", "dark"] as const) {
	test(`axe has no serious or critical finding: ${theme}`, options, async () => {
		await page.emulateMedia({ colorScheme: theme });
		const edge = server.graph.edges[4]!;
		for (const query of ["", `?edge=${edge.id}`, "?node=shop%2Fcheckout", `?view=table&edge=${edge.id}&find=rate+%3E+5`]) {
			await openGraphOrTable(query);
			assert.deepEqual(await seriousFindings(page), [], query);
		}
	});
}
