/** The page of a service on the real API over a canned mesh: what it says, where it leads, and that its address holds. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { beforeEach, test } from "node:test";
import type { TestContext } from "node:test";
import type { Page } from "playwright-core";
import { CANNED_NOW_MS, startCannedApi, TRACE_ID } from "../../api/canned-server.ts";
import type { CannedApi } from "../../api/canned-server.ts";
import { auditReader } from "./audit-mesh.ts";
import { seriousFindings } from "./axe.ts";
import { HOSTILE } from "./fixture-traces.ts";
import { bench, forgive, options, waitForAddress } from "./page-bench.ts";

let page: Page;
beforeEach(async () => {
	({ page } = bench);
	await page?.clock.setFixedTime(CANNED_NOW_MS);
});

async function serve(t: TestContext): Promise<{ url: string; api: CannedApi }> {
	const api = await startCannedApi(t, { uiDirectory: bench.dist, reader: auditReader });
	const url = `http://${api.address}`;
	bench.origins.push(url);
	return { url, api };
}

async function cells(title: string): Promise<readonly (readonly string[])[]> {
	const rows = page.getByRole("region", { name: `${title}, table`, exact: true }).locator("tbody tr");
	await rows.first().waitFor();
	return await Promise.all((await rows.all()).map((row) => row.locator("th, td").allInnerTexts()));
}

const CART = "/service/shop%2Fcart?from=now-1h";

test("rate, errors and percentiles stand both ways, drawn over the range under the strict policy", options, async (t) => {
	const { url } = await serve(t);
	await page.goto(url + CART);
	const received = page.getByRole("region", { name: /^Received/ });
	await received.waitFor();
	const figures = (await received.locator(".fact").allInnerTexts()).join("\n");
	assert.match(figures, /Rate\s+1\.08\/s\s+3,900 requests/);
	assert.match(figures, /Errors\s+23\.08 %\s+900 failed/);
	assert.match(figures, /mTLS\s+100 %\s+mutual TLS/);
	assert.match((await page.getByRole("region", { name: /^Sent/ }).innerText()).replaceAll("\n", " "), /0\.083\/s 300 requests/);
	const drawn = page.getByRole("img", { name: /^Received: latency from 2026-01-01 11:00:00Z.*p50 from/ });
	await drawn.locator(".recharts-line-curve").first().waitFor();
	// A night without traffic is a gap, not a line across it: each percentile is drawn in two pieces.
	assert.equal(await drawn.locator(".recharts-line-curve").count(), 3);
	for (const line of await drawn.locator(".recharts-line-curve").all())
		assert.equal((await line.getAttribute("d"))?.match(/M/g)?.length, 2);
	const dashes = await drawn
		.locator(".recharts-line-curve")
		.evaluateAll((lines) => lines.map((line) => line.getAttribute("stroke-dasharray")));
	assert.equal(new Set(dashes).size, 3, "lines differ by more than colour");
});

test("each chart has its table, with the same figures, as CSV, and with the way to what changed then", options, async (t) => {
	const { url } = await serve(t);
	await page.goto(url + CART);
	await page.getByRole("button", { name: "Received: latency as a table" }).click();
	await waitForAddress((address) => address.searchParams.get("chart-inbound-latency") === "table");
	const rows = await cells("Received: latency over time");
	assert.equal(rows.length, 60);
	assert.match(rows[0]!.join(" "), /^2026-01-01 11:00:00Z 89[\d.]* ms 12\d ms 18\d ms Compare before and after/);
	assert.match(rows[22]!.join(" "), /11:22:00Z – – –/);
	await page.reload();
	const link = page
		.getByRole("region", { name: "Received: latency over time, table" })
		.getByRole("link", { name: "Compare before and after" })
		.nth(30);
	const href = new URL((await link.getAttribute("href"))!, url);
	assert.equal(href.pathname, "/changes");
	assert.deepEqual(
		["baselineFrom", "baselineTo", "from", "to"].map((name) => href.searchParams.get(name)?.slice(11, 19)),
		["11:25:00", "11:30:00", "11:30:00", "11:35:00"],
	);
	const waiting = page.waitForEvent("download");
	await page.getByRole("button", { name: "Received: latency over time as CSV" }).click();
	const csv = (await readFile(await (await waiting).path(), "utf8")).split("\r\n");
	assert.equal(csv[0], "time,p50_ms,p95_ms,p99_ms");
	assert.match(csv[1]!, /^2026-01-01T11:00:00\.000Z,\d/);
	assert.equal(csv.length, 62);
});

test("a click into a chart names the moment and leads to before and after it", options, async (t) => {
	const { url } = await serve(t);
	await page.goto(url + CART);
	const drawn = page.getByRole("img", { name: /^Received: rate/ });
	await drawn.locator(".recharts-line-curve").first().waitFor();
	const box = (await drawn.boundingBox())!;
	await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.4);
	await page.locator(".chart-values").waitFor();
	await page.mouse.click(box.x + box.width * 0.6, box.y + box.height * 0.4);
	await page.getByText(/^At 2026-01-01 11:[23]\d:00Z:/).waitFor();
	await page.locator(".chart-picked").getByRole("link", { name: "Compare before and after" }).click();
	await waitForAddress((address) => address.pathname === "/changes" && address.searchParams.has("baselineFrom"));
});

test("edges, operations, failures, workloads, instances and identities each lead on", options, async (t) => {
	const { url } = await serve(t);
	await page.goto(url + CART);
	const [caller] = await cells("Called by");
	assert.match(caller!.join(" "), /^shop\/gateway http 1\.08\/s 23\.08 % .* mutual TLS/);
	const calls = await cells("Calls");
	assert.match(calls[0]!.join(" "), /^shop\/stock http .* one-way TLS/);
	const edge = page.getByRole("link", { name: "Edge shop/gateway to shop/cart" });
	assert.match((await edge.getAttribute("href"))!, /^\/\?edge=[0-9a-f]{16}&from=2026-01-01T11/);
	const operations = await cells("Operations");
	assert.match(operations[1]!.join(" "), /^GET \/cart\/\{id\} received 1\.08\/s 3,900 23\.08 % 12 ms 90 ms 140 ms/);
	assert.equal(operations[2]![0], HOSTILE.image);
	const failed = page.getByRole("link", { name: "23.08 %: failed traces of GET /cart/{id}" });
	assert.match((await failed.getAttribute("href"))!, /service=cart&operation=GET\+%2Fcart%2F%7Bid%7D&status=error&from=now-1h/);
	assert.match((await cells("Recent errors"))[0]!.join(" "), /^2026-01-01 12:00:00\.000Z GET \/checkout/);
	const sample = page.getByRole("region", { name: "Recent errors, table" }).getByTitle(`Trace ${TRACE_ID}`);
	assert.equal(await sample.getAttribute("href"), `/trace/${TRACE_ID}`);
	assert.match((await cells("Identities"))[0]!.join(" "), /spiffe:\/\/demo\/ns\/shop\/sa\/cart/);
	assert.match((await cells("Instances"))[0]!.join(" "), /cart-1/);
	await page.getByRole("region", { name: "Called by, table" }).getByRole("link", { name: "shop/gateway", exact: true }).click();
	await waitForAddress((address) => address.pathname === "/service/shop%2Fgateway");
	await page.getByRole("heading", { name: "shop/gateway", level: 1 }).waitFor();
	await page.goBack();
	await page.getByRole("heading", { name: "shop/cart", level: 1 }).waitFor();
});

test("range and pause are in the address, and a name finds the node", options, async (t) => {
	const { url, api } = await serve(t);
	await page.goto(`${url}/service/cart`);
	await page.getByText("Live, every 5 s").waitFor();
	// Its full name leads on above the charts; a table of identities further down, which may come first, names it too.
	await page.locator(".as-of").getByRole("link", { name: "shop/cart", exact: true }).waitFor();
	await page.getByLabel("Time", { exact: true }).selectOption("now-24h");
	await waitForAddress((address) => address.searchParams.get("from") === "now-24h");
	await page.locator("h1").click();
	await page.keyboard.press("p");
	await waitForAddress((address) => address.searchParams.get("live") === "off");
	await page.getByText("Paused").waitFor();
	await page.reload();
	await page.getByText("Paused").waitFor();
	assert.equal(await page.getByLabel("Time", { exact: true }).inputValue(), "now-24h");
	const asked = api.reader.asked.filter(({ method }) => method === "serviceTraffic").map(({ args }) => args[0]);
	assert.ok(asked.some((query) => (query as { fromMs: number }).fromMs === CANNED_NOW_MS - 86_400_000));
});

test("a service that nobody speaks of says so, and its name stays text", options, async (t) => {
	const { url } = await serve(t);
	await page.goto(`${url}/service/${encodeURIComponent(HOSTILE.script)}x`);
	await page.getByRole("heading", { name: "No call from or to this service in this range" }).waitFor();
	assert.equal(await page.locator("h1").innerText(), `${HOSTILE.script}x`);
	await page.goto(`${url}/service/${encodeURIComponent(HOSTILE.image)}`);
	await cells("Called by");
	forgive(/404/);
});

test("keys alone reach every table and way on, and nothing serious is found in either theme", options, async (t) => {
	const { url } = await serve(t);
	for (const colorScheme of ["light", "dark"] as const) {
		await page.emulateMedia({ colorScheme });
		await page.goto(url + CART);
		await page.locator(".recharts-line-curve").first().waitFor();
		await cells("Instances");
		assert.deepEqual(await seriousFindings(page), [], colorScheme);
		await page.goto(`${url + CART}&chart-inbound-rate=table`);
		await cells("Received: rate over time");
		assert.deepEqual(await seriousFindings(page), [], colorScheme);
	}
	const reached = new Set<string>();
	for (let i = 0; i < 200; i++) {
		await page.keyboard.press("Tab");
		const name = await page.evaluate(
			"document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? ''",
		);
		reached.add(String(name));
	}
	for (const name of ["Received: rate as a table", "Compare before and after", "Called by, table", "Pause"])
		assert.ok(reached.has(name), `${name} is reached; ${[...reached].slice(0, 40).join(" | ")}`);
});
