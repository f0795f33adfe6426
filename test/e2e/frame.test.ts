/** The frame around every page, in a real browser: what it does when a page fails. */
import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import { startCannedApi } from "../../api/canned-server.ts";
import type { GraphAnswer } from "../../api/contract/topology.ts";
import type { StatusAnswer } from "../../api/contract/status.ts";
import { seriousFindings } from "./axe.ts";
import { shopGraph } from "./fixture-graph.ts";
import type { FixtureServer } from "./fixture-server.ts";
import { bench, checkouts, forgive, options, rows, serve, waitForAddress } from "./page-bench.ts";

let page: Page;
let server: FixtureServer;
beforeEach(() => {
	({ page, server } = bench);
});

test("a page that throws says what happened, the others go on, and it works again when its cause is gone", options, async () => {
	serve(...checkouts(2));
	// Not what the contract says: stands for any fault of a view.
	server.graph = { ...shopGraph(), nodes: undefined } as unknown as GraphAnswer;
	await page.goto(`${server.url}/?from=now-1h`);
	await page.getByRole("heading", { level: 1, name: "This page stopped" }).waitFor();
	assert.match(await page.getByRole("alert").innerText(), /A fault of meshscope's page, not of your mesh[^]*TypeError/);
	for (const colorScheme of ["light", "dark"] as const) {
		await page.emulateMedia({ colorScheme });
		assert.deepEqual(await seriousFindings(page), []);
	}
	await page.getByRole("button", { name: "Copy a report of the fault" }).click();
	await page.getByText("Copied").waitFor();
	assert.match(String(await page.evaluate("navigator.clipboard.readText()")), /^meshscope page \/\?from=now-1h\n[^]*TypeError/);
	assert.equal(await page.getByRole("link", { name: "Open it without its settings" }).getAttribute("href"), "/");

	await page.getByRole("link", { name: "Traces", exact: true }).click();
	await rows().nth(1).waitFor();
	await page.goBack();
	await page.getByRole("heading", { level: 1, name: "This page stopped" }).waitFor();
	server.graph = shopGraph();
	await page.getByRole("button", { name: "Try again" }).click();
	await page.getByRole("application", { name: /Service graph/ }).waitFor();
	forgive(/TypeError|error occurred in/);
});

test("what fails in the bar at the top takes no page with it", options, async () => {
	serve(...checkouts(2));
	server.status = { ingest: undefined } as unknown as Partial<StatusAnswer>;
	await page.goto(`${server.url}/setup`);
	await page.getByRole("navigation", { name: "Pages" }).waitFor();
	await page.getByRole("heading", { level: 1 }).waitFor();
	await page.getByLabel("Go to trace ID").fill(server.traces[0]!.traceId);
	await page.keyboard.press("Enter");
	await page.locator(".span-row").first().waitFor();
	forgive(/TypeError|error occurred in/);
});

test("after an upgrade of the server, a page whose code is gone asks for a reload, and the others work", options, async (t) => {
	const directory = await mkdtemp(join(tmpdir(), "meshscope-ui-"));
	t.after(() => rm(directory, { recursive: true, force: true }));
	await cp(bench.dist, directory, { recursive: true });
	const api = await startCannedApi(t, { uiDirectory: directory });
	const url = `http://${api.address.replace(/^https?:\/\//, "")}`;
	bench.origins.push(url);
	await page.goto(`${url}/setup`);
	await page.getByRole("heading", { level: 1, name: "Setup" }).waitFor();
	// The new build has other names.
	const chunk = (await readdir(join(directory, "assets"))).find((name) => name.startsWith("audit-pages-"))!;
	await rm(join(directory, "assets", chunk));
	await page.getByRole("link", { name: "Changes", exact: true }).click();
	await page.getByText("The code of this page could not be read").waitFor();
	await page.getByRole("link", { name: "Graph", exact: true }).click();
	await page.locator(".graph-toolbar").waitFor();
	await page.getByRole("link", { name: "Changes", exact: true }).click();
	await cp(join(bench.dist, "assets", chunk), join(directory, "assets", chunk));
	await page.getByRole("button", { name: "Reload" }).click();
	await page.getByText("Changed edges").waitFor();
	await waitForAddress((address) => address.pathname === "/changes");
	forgive(/404|Failed to load/);
});
