/** Namespaces that are folded into one node: by mouse, by key and by address, with the right sums and nothing made up. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import { seriousFindings } from "./axe.ts";
import type { FixtureServer } from "./fixture-server.ts";
import { shopGraph } from "./fixture-graph.ts";
import { openGraph, openGraphOrTable, panel, placeOfTip, sheet, tableRows, tip, until, walkTo } from "./graph-steps.ts";
import { bench, options, waitForAddress } from "./page-bench.ts";

let page: Page;
let server: FixtureServer;
beforeEach(() => {
	({ page, server } = bench);
	if (server !== undefined) server.graph = shopGraph();
});

const isFolded = (name: string) => (url: URL) => url.searchParams.get("collapsed") === name;

test("a double click on a hull folds it, one on its node unfolds it, and nothing else moves", options, async () => {
	await openGraph();
	await walkTo(/^edge\/gateway, /);
	const gateway = await placeOfTip();
	await walkTo(/^shop\/frontend, /);
	const inside = await placeOfTip();
	// Beside the node, within its hull.
	await page.mouse.dblclick(inside.x - 20, inside.y - 45);
	await waitForAddress(isFolded("shop"));
	await panel("Node details").getByText("Folded into this node").waitFor();
	await page.getByText("10 nodes").waitFor();
	await panel("Node details").getByRole("button", { name: "Close the details" }).click();
	await panel("Node details").waitFor({ state: "detached" });
	await walkTo(/^edge\/gateway, /);
	assert.deepEqual(await placeOfTip(), gateway);
	await walkTo(/^shop\/\*, namespace/);
	const folded = await placeOfTip();
	await page.mouse.dblclick(folded.x, folded.y);
	await waitForAddress((url) => !url.searchParams.has("collapsed"));
	await page.getByText("15 nodes").waitFor();
	await page.goBack();
	await until(() => isFolded("shop")(new URL(page.url())), "the fold to come back");
});

test("by keyboard: c folds the namespace of a node and unfolds it; the panel has a button for it", options, async () => {
	await openGraph();
	await walkTo(/^shop\/frontend, /);
	await page.keyboard.press("c");
	await waitForAddress(isFolded("shop"));
	await panel("Node details").getByRole("button", { name: "Unfold" }).waitFor();
	await sheet().focus();
	await page.keyboard.press("c");
	await waitForAddress((url) => !url.searchParams.has("collapsed"));
	await openGraph("?node=shop%2Fcart");
	await panel("Node details").getByRole("button", { name: "Fold namespace shop into one node" }).click();
	await waitForAddress(isFolded("shop"));
	await page.getByRole("button", { name: "Unfold all" }).click();
	await waitForAddress((url) => !url.searchParams.has("collapsed") && !url.searchParams.has("node"));
});

test("an edge of a folded namespace has the sums of its edges, no percentiles, and leads to each of them", options, async () => {
	await openGraphOrTable("?view=table&collapsed=pay,shop&sort=source");
	// Until the graph by namespace answers otherwise, edges between folded namespaces are sums too.
	const text = await page.locator(".graph-table").innerText();
	assert.match(text, /shop\/\*\s+pay\/\*\s+grpc\s+18\/s\s+8\.1 %/, "one edge stays as it is");
	assert.match(text, /shop\/\*\s+shop\/\*\s+http\s+363\/s\s+0\.1\d* %\s+–\s+–\s+–\s+mixed \d\d\.\d+ %/);
	assert.equal((await page.getByTitle("Percentiles of several edges cannot be added up.").count()) % 3, 0);
	await tableRows()
		.filter({ hasText: /^shop\/\*\s*shop\/\*/ })
		.getByRole("link")
		.click();
	const details = panel("Edge details");
	await details.getByText("Added up of").waitFor();
	assert.match(await details.innerText(), /The sums of 7 edges\. Percentiles of several edges cannot be added up\./);
	assert.deepEqual(await seriousFindings(page), []);
	await details.getByRole("button", { name: /shop\/frontend → shop\/catalog/ }).click();
	await details.getByText("Why this edge is here").waitFor();
	await page.goBack();
	await details.getByText("Added up of").waitFor();
});

test("edges between folded namespaces are those of the graph by namespace, with its percentiles", options, async () => {
	const { nodes, edges } = server.graph;
	const whole = { ...edges[1]!, id: "00000000000000aa", source: "shop", target: "shop" };
	server.graphByNamespace = { ...server.graph, nodes, edges: [whole] };
	await openGraphOrTable("?view=table&collapsed=shop");
	await until(
		async () =>
			/shop\/\*\s+shop\/\*\s+http\s+64\/s\s+0 %\s+7\.33 ms\s+22 ms/.test(await page.locator(".graph-table").innerText()),
		"its figures",
	);
	await tip().waitFor({ state: "detached" });
});
