/** The graph as a file and on paper: what is saved says what was seen, whatever senders call themselves. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import { seriousFindings } from "./axe.ts";
import type { FixtureServer } from "./fixture-server.ts";
import { hostileGraph, largeGraph, shopGraph } from "./fixture-graph.ts";
import { HOSTILE } from "./fixture-traces.ts";
import { openGraph, openGraphOrTable, painted } from "./graph-steps.ts";
import { bench, options } from "./page-bench.ts";

let page: Page;
let server: FixtureServer;
beforeEach(() => {
	({ page, server } = bench);
	if (server !== undefined) server.graph = shopGraph();
});

async function saved(kind: "SVG" | "PNG" | "CSV" | "JSON"): Promise<{ name: string; content: Buffer }> {
	// A picture of a large graph takes a while without help of a graphics card.
	const download = page.waitForEvent("download", { timeout: 45_000 });
	await page.locator(".graph-export").getByRole("button", { name: kind }).click();
	const file = await download;
	return { name: file.suggestedFilename(), content: await readFile(await file.path()) };
}

/** What a reader of XML finds in it. */
async function parsed(svg: string): Promise<{ error: string; texts: string[]; paths: number; foreign: number; title: string }> {
	return (await page.evaluate(
		`(() => {
			const file = new DOMParser().parseFromString(${JSON.stringify(svg)}, "image/svg+xml");
			return {
				error: file.querySelector("parsererror")?.textContent ?? "",
				texts: [...file.querySelectorAll("text")].map((each) => each.textContent),
				paths: file.querySelectorAll("path").length,
				foreign: file.querySelectorAll("script, image, foreignObject, [href]").length,
				title: file.querySelector("title").textContent,
			};
		})()`,
	)) as Awaited<ReturnType<typeof parsed>>;
}

test("SVG holds every node, the labels of edges, the legend and the time it is of", options, async () => {
	await openGraph("?label=p95&hide=kind+%3D+external");
	await page.locator(".graph-export summary").click();
	const { name, content } = await saved("SVG");
	assert.match(name, /^graph-\d{4}-\d\d-\d\dT\d{6}\.svg$/);
	const { error, texts, paths, foreign, title } = await parsed(content.toString("utf8"));
	assert.deepEqual([error, foreign], ["", 0]);
	for (const text of ["frontend", "postgresql/catalog", "shop", "320 ms", "mutual TLS", "gateway", "no errors"])
		assert.ok(texts.includes(text), text);
	assert.ok(!texts.includes("bank.example"), "what is hidden stays so");
	assert.ok(texts.some((text) => text.includes("by service, 14 nodes, 16 edges, edges show p95, hidden: kind = external")));
	assert.match(title, /^Service graph, \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ to /);
	assert.ok(paths > 60, String(paths));
});

test("names that try to be markup are text in the file", options, async () => {
	server.graph = hostileGraph();
	await openGraph();
	await page.locator(".graph-export summary").click();
	const svg = (await saved("SVG")).content.toString("utf8");
	const { error, texts, foreign } = await parsed(svg);
	assert.deepEqual([error, foreign], ["", 0]);
	assert.ok(
		texts.some((text) => HOSTILE.script.startsWith(text.slice(0, 8)) && text.startsWith("<")),
		texts.join("|"),
	);
});

test("PNG is a picture of all of it, twice as fine as the screen", options, async () => {
	await openGraph();
	await page.locator(".graph-export summary").click();
	const { name, content } = await saved("PNG");
	assert.match(name, /\.png$/);
	assert.equal(content.subarray(1, 4).toString("latin1"), "PNG");
	const [width, height] = [content.readUInt32BE(16), content.readUInt32BE(20)];
	assert.ok(width >= 1_400 && height >= 800, `${width} × ${height}`);
	assert.ok(content.length > 30_000, String(content.length));
});

test("a large graph is saved whole, and CSV and JSON are there without the table", options, async () => {
	server.graph = largeGraph(1_000);
	await openGraph("?live=off");
	await painted();
	await page.locator(".graph-export summary").click();
	const png = (await saved("PNG")).content;
	assert.ok(png.readUInt32BE(16) * png.readUInt32BE(20) <= 25_000_000);
	const csv = (await saved("CSV")).content.toString("utf8").trimEnd().split("\r\n");
	assert.equal(csv.length, server.graph.edges.length + 1);
	const json = JSON.parse((await saved("JSON")).content.toString("utf8")) as { window: unknown; nodes: unknown[] };
	assert.deepEqual([json.window, json.nodes.length], [server.graph.window, 1_000]);
	assert.deepEqual(await seriousFindings(page), []);
});

test("on paper there is the graph, its panel and the table, and nothing to press", options, async () => {
	await openGraphOrTable(`?edge=${server.graph.edges[4]!.id}`);
	await painted();
	await page.emulateMedia({ media: "print" });
	for (const selector of [".top", ".graph-toolbar", ".graph-zoom", ".graph-export", ".scrubber-play"])
		assert.equal(await page.locator(selector).isVisible(), false, selector);
	for (const selector of [".graph-sheet canvas", ".graph-panel h2", ".scrubber-track"])
		assert.equal(await page.locator(selector).isVisible(), true, selector);
	const theme = (event: string) =>
		page.evaluate(`(dispatchEvent(new Event("${event}")), document.documentElement.dataset.theme ?? "system")`);
	assert.deepEqual([await theme("beforeprint"), await theme("afterprint")], ["light", "system"], "paper is light");
	const pdf = await page.pdf();
	assert.equal(pdf.subarray(0, 4).toString("latin1"), "%PDF");
	await page.emulateMedia({ media: "screen" });
	await openGraphOrTable("?view=table");
	await page.emulateMedia({ media: "print" });
	assert.equal(await page.locator(".graph-table").isVisible(), true);
	assert.equal(await page.locator(".graph-downloads").isVisible(), false);
});
