/** The way of the first span through the real server, in a process of its own, onto the page of a real browser. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import { startServer } from "../interop/server.ts";
import { hexId } from "./fixture-traces.ts";
import { bench, nowNs, options, rows, spanRows } from "./page-bench.ts";

let page: Page;
beforeEach(() => {
	({ page } = bench);
});

test("a trace sent to the running server appears in the open list by itself, and opens with its spans", options, async (t) => {
	const dataDirectory = await mkdtemp(join(tmpdir(), "meshscope-e2e-"));
	t.after(() => rm(dataDirectory, { recursive: true, force: true }));
	const server = await startServer({ dataDirectory });
	t.after(() => server.kill());
	const url = `http://${server.addresses.http}`;
	bench.origins.push(url);
	await page.goto(`${url}/traces`);
	await page.getByText("Waiting for the first span.").waitFor();
	// Gone with a reload, unlike what the page writes into its address.
	await page.evaluate("window.neverReloaded = true");

	const traceId = hexId(7, 32);
	const startNs = nowNs();
	const names = ["GET /basket", "SELECT basket", "render basket"];
	const spans = names.map((name, i) => ({
		traceId,
		spanId: hexId(i + 1, 16),
		...(i === 0 ? {} : { parentSpanId: hexId(1, 16) }),
		name,
		kind: i === 0 ? 2 : 1,
		startTimeUnixNano: String(startNs + BigInt(i) * 1_000_000n),
		endTimeUnixNano: String(startNs + BigInt(i === 0 ? 20 : i + 5) * 1_000_000n),
	}));
	const resource = { attributes: [{ key: "service.name", value: { stringValue: "storefront" } }] };
	const sent = await fetch(`http://${server.addresses.otlpHttp}/v1/traces`, {
		method: "POST",
		headers: { "content-type": "application/json" },
		body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans }] }] }),
	});
	assert.equal(sent.status, 200, await sent.text());

	await rows().first().getByText("GET /basket").waitFor();
	assert.equal(await rows().count(), 1);
	assert.match(await rows().first().innerText(), /storefront/);
	await rows().first().getByRole("link").click();
	await spanRows().nth(2).waitFor();
	assert.deepEqual(await spanRows().locator(".span-operation").allInnerTexts(), names);
	assert.equal(await page.evaluate("window.neverReloaded"), true);
	await page.goto("about:blank");
	await server.stop();
});
