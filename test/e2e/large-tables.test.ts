/** Tables of thousands of rows, in a real browser: what is drawn, what a reader is told, what keys do, and what leaves the page. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { beforeEach, test } from "node:test";
import type { TestContext } from "node:test";
import type { Locator, Page } from "playwright-core";
import { CANNED_NOW_MS, startCannedApi } from "../../api/canned-server.ts";
import { cannedSeries, endpointNamed, graphOf } from "../../model/topology/canned-series.ts";
import { endpointBook } from "../../model/topology/endpoint-book.ts";
import { mtlsReport } from "../../model/topology/mtls-report.ts";
import { auditReader } from "./audit-mesh.ts";
import { seriousFindings } from "./axe.ts";
import { bench, options, waitForAddress } from "./page-bench.ts";

let page: Page;
beforeEach(async () => {
	({ page } = bench);
	await page?.clock.setFixedTime(CANNED_NOW_MS);
});

const COUNT = 3_000;
const digits = (i: number): string => String(i).padStart(4, "0");

/** A mesh with 3,000 plaintext edges, and a name longer than the others far down. */
async function serve(t: TestContext): Promise<string> {
	const nameOf = (i: number): string => (i === 2_000 ? "shop/the-one-with-the-longest-name-of-all" : `shop/svc-${digits(i)}`);
	const series = cannedSeries(
		...Array.from({ length: COUNT }, (_, i) => ({
			...{ from: `edge/gate-${digits(i)}`, to: nameOf(i), count: COUNT - i },
			mtls: "plaintext" as const,
		})),
	);
	const graph = graphOf(series);
	const book = endpointBook(
		[...Array(COUNT).keys()].flatMap((i) => [endpointNamed(`edge/gate-${digits(i)}`), endpointNamed(nameOf(i))]),
		new Map(),
	);
	const report = mtlsReport({ series, graph, groupBy: "service", certificates: [], book });
	const api = await startCannedApi(t, {
		uiDirectory: bench.dist,
		reader: {
			...auditReader,
			graph: async (query) => ({ ...(await auditReader.graph!(query)), graph }),
			mtls: async (query) => {
				const { window } = await auditReader.mtls!(query);
				return {
					window,
					report: { ...report, plaintext: report.plaintext.map((edge) => ({ ...edge, samples: [] })), mixed: [] },
				};
			},
		},
	});
	const url = `http://${api.address.replace(/^https?:\/\//, "")}`;
	bench.origins.push(url);
	return url;
}

const region = (): Locator => page.getByRole("region", { name: "Not mutual TLS, table" });
const drawn = (): Locator => region().locator("tbody tr[data-row]");

async function firstShown(text: string): Promise<void> {
	await drawn().filter({ hasText: text }).first().waitFor();
}

test("of 3,000 rows few are drawn, all are told to readers, and keys reach the last one", options, async (t) => {
	const url = await serve(t);
	await page.goto(`${url}/mtls`);
	await firstShown("edge/gate-0000");
	assert.ok((await drawn().count()) < 100, `${await drawn().count()} rows are drawn`);
	assert.equal(await region().getByRole("table").getAttribute("aria-rowcount"), String(COUNT + 1));
	assert.equal(await region().locator("thead tr").getAttribute("aria-rowindex"), "1");
	assert.equal(await drawn().first().getAttribute("aria-rowindex"), "2");
	for (const colorScheme of ["light", "dark"] as const) {
		await page.emulateMedia({ colorScheme });
		assert.deepEqual(await seriousFindings(page), [], colorScheme);
	}

	const widths = async (): Promise<readonly number[]> =>
		await region()
			.locator("thead th")
			.evaluateAll((all) => all.map((cell) => Math.round(cell.getBoundingClientRect().width)));
	const before = await widths();
	const head = region().getByRole("button", { name: "Caller" });
	await region().focus();
	await page.keyboard.press("End");
	await firstShown("edge/gate-2999");
	assert.equal(await drawn().last().getAttribute("aria-rowindex"), String(COUNT + 1));
	assert.deepEqual(await widths(), before, "columns keep their width whatever rows are drawn");
	const [headBox, box] = await Promise.all([head.boundingBox(), region().boundingBox()]);
	assert.ok(headBox!.y >= box!.y && headBox!.y < box!.y + 30, "the head stays in sight");
	await page.keyboard.press("Home");
	await firstShown("edge/gate-0000");
	await page.keyboard.press("PageDown");
	await firstShown("edge/gate-0020");
});

test("the row that has the focus stays while the table scrolls, and Tab goes on from it", options, async (t) => {
	const url = await serve(t);
	await page.goto(`${url}/mtls`);
	await firstShown("edge/gate-0000");
	const links = drawn().first().locator("a, button");
	const linksARow = await links.count();
	const link = links.first();
	await link.focus();
	const href = await link.getAttribute("href");
	await region().evaluate((box) => (box.scrollTop = box.scrollHeight));
	await firstShown("edge/gate-2999");
	assert.equal(await page.evaluate("document.activeElement?.getAttribute('href')"), href);
	// Past what was drawn around the row while the window was elsewhere.
	for (let i = 0; i < 14 * linksARow; i++) await page.keyboard.press("Tab");
	const row = await page.evaluate("document.activeElement?.closest('tr')?.getAttribute('aria-rowindex')");
	assert.ok(Number(row) > 12 && Number(row) < 20, `fourteen rows of links on, the focus is in row ${String(row)}`);
});

test("filter and order are in the address, and the exports hold what they leave, drawn or not", options, async (t) => {
	const url = await serve(t);
	await page.goto(`${url}/mtls`);
	await firstShown("edge/gate-0000");
	await page.getByLabel("Filter Not mutual TLS").pressSequentially("PLAINTEXT gate-20");
	await waitForAddress((address) => address.searchParams.get("filter-plaintext") === "PLAINTEXT gate-20");
	await page.getByRole("heading", { name: "Not mutual TLS 100 of 3,000" }).waitFor();
	await region().getByRole("button", { name: "Callee" }).click();
	await waitForAddress((address) => address.searchParams.get("sort-plaintext") === "target");
	await page.reload();
	await page.getByRole("heading", { name: "Not mutual TLS 100 of 3,000" }).waitFor();
	await region().locator("tbody tr").filter({ hasText: "gate-2001" }).waitFor();
	assert.match(await region().locator("tbody tr").last().innerText(), /gate-2000\s+shop\/the-one-with-the-longest/);
	const exported = async (button: string): Promise<string> => {
		const waiting = page.waitForEvent("download");
		await page.getByRole("button", { name: button, exact: true }).click();
		return await readFile(await (await waiting).path(), "utf8");
	};
	const csv = (await exported("Not mutual TLS as CSV")).trim().split("\r\n");
	assert.equal(csv.length, 101);
	assert.match(csv[1]!, /^edge\/gate-2001,shop\/svc-2001,/);
	assert.equal((JSON.parse(await exported("Not mutual TLS as JSON")) as unknown[]).length, 100);

	await page.getByLabel("Filter Not mutual TLS").fill("nowhere");
	await page.getByText("No row holds every word of the filter.").waitFor();
	await page.getByRole("button", { name: "Clear it" }).click();
	await page.getByRole("heading", { name: "Not mutual TLS 3,000" }).waitFor();
});

test("printed, a table has all its rows", options, async (t) => {
	const url = await serve(t);
	await page.goto(`${url}/mtls?filter-plaintext=gate-1`);
	await page.getByRole("heading", { name: "Not mutual TLS 1,000 of 3,000" }).waitFor();
	assert.ok((await region().locator("tbody tr").count()) < 100);
	await page.evaluate("window.dispatchEvent(new Event('beforeprint'))");
	assert.equal(await region().locator("tbody tr").count(), 1_000);
	await page.evaluate("window.dispatchEvent(new Event('afterprint'))");
	await drawn().first().waitFor();
});
