/** Log records in the waterfall: where they stand, where they lead, and back. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import type { LogEntry } from "../../api/contract/logs.ts";
import { seriousFindings } from "./axe.ts";
import type { FixtureServer } from "./fixture-server.ts";
import type { FixtureTrace } from "./fixture-traces.ts";
import { checkoutTrace, HOSTILE } from "./fixture-traces.ts";
import { bench, nowNs, options, serve, waitForAddress } from "./page-bench.ts";

let page: Page;
let server: FixtureServer;
let trace: FixtureTrace;
beforeEach(() => {
	({ page, server } = bench);
	if (page === undefined) return;
	trace = checkoutTrace(4, nowNs());
	serve(trace);
});

/** Of a span of the trace, at a share of its duration. */
function say(span: number, share: number, severityNumber: number, body: string): LogEntry {
	const { service, spanId, startNs, durationNs } = trace.spans[span]!;
	const log: LogEntry = {
		timeUnixNano: String(startNs + (durationNs * BigInt(Math.round(share * 100))) / 100n),
		observedTimeUnixNano: "0",
		service,
		severityNumber,
		severityText: "",
		traceId: trace.traceId,
		spanId,
		body,
		attributes: {},
		resource: {},
		scope: "",
	};
	server.logs.push(log);
	return log;
}

async function open(query = ""): Promise<void> {
	await page.goto(`${server.url}/trace/${trace.traceId}?${query}`);
	await page.locator(".log-mark").first().waitFor();
}

function rowOf(name: string): ReturnType<Page["locator"]> {
	return page.locator(".span-row", { hasText: name });
}

test("a record is marked at its span's row and at its time, by a shape of its gravity", options, async () => {
	say(0, 0.25, 9, "taken");
	say(0, 0.75, 13, "slow stock");
	say(8, 0.5, 17, "card refused");
	await open();
	assert.equal(await page.locator(".log-mark").count(), 3);
	const mark = rowOf("ingress POST /charges").getByRole("button", { name: /^error at .*: card refused$/ });
	const box = (await mark.boundingBox())!;
	const bar = (await rowOf("ingress POST /charges").locator(".span-bar").boundingBox())!;
	assert.ok(Math.abs(box.x + box.width / 2 - (bar.x + bar.width / 2)) < 2, "in the middle of its span");
	const shapes = await page.locator(".log-mark path").evaluateAll((paths) => paths.map((path) => path.getAttribute("d")));
	assert.equal(new Set(shapes).size, 3, "each gravity has a shape");
	assert.match((await rowOf("POST /checkout").first().locator(".span-time").getAttribute("aria-label")) ?? "", /2 log records/);
});

test("a mark leads to its record in the details, by an address, and from there to all logs and back", options, async () => {
	say(8, 0.2, 9, "asked the bank");
	const refused = say(8, 0.8, 17, "card refused");
	await open();
	await page.getByRole("button", { name: /card refused$/ }).click();
	await waitForAddress(
		(url) => url.searchParams.get("span") === refused.spanId && url.searchParams.get("log") === refused.timeUnixNano,
	);
	const chosen = page.locator(".detail .log-table tr[aria-current=true]");
	await chosen.getByText("card refused").waitFor();
	assert.equal(await chosen.count(), 1);
	await page.reload();
	await chosen.getByText("card refused").waitFor();

	await chosen.getByRole("link").click();
	await waitForAddress((url) => url.searchParams.get("tab") === "logs");
	await page.locator(".trace-logs tr[aria-current=true]").getByText("card refused").waitFor();
	await page.locator(".trace-logs tr", { hasText: "asked the bank" }).getByRole("link").click();
	await waitForAddress((url) => !url.searchParams.has("tab") && url.searchParams.get("span") === refused.spanId);
	await chosen.getByText("asked the bank").waitFor();
	await page.goBack();
	await page.locator(".trace-logs tr[aria-current=true]").getByText("card refused").waitFor();
});

test("l and L go from span to span that has records, and Enter shows them", options, async () => {
	say(3, 0.5, 9, "three items");
	say(6, 0.5, 13, "slow query");
	await open();
	const grid = page.getByRole("treegrid");
	const current = page.locator(".span-row[aria-selected=true]");
	await grid.focus();
	await page.keyboard.press("l");
	await current.getByText("reserve items").waitFor();
	await page.keyboard.press("l");
	await current.getByText("SELECT stock").waitFor();
	await page.keyboard.press("Shift+L");
	await current.getByText("reserve items").waitFor();
	await page.keyboard.press("Enter");
	await page.locator(".detail .log-table").getByText("three items").waitFor();
	await page.keyboard.press("Escape");
	await waitForAddress((url) => !url.searchParams.has("span") && !url.searchParams.has("log"));
});

test("marks that would cover each other are one, and apart when zoomed to their span", options, async () => {
	for (const share of [0.4, 0.45, 0.5]) say(6, share, share === 0.45 ? 17 : 9, `at ${share}`);
	await open();
	const marks = rowOf("SELECT stock").locator(".log-mark");
	assert.equal(await marks.count(), 1);
	assert.match((await marks.first().getAttribute("aria-label")) ?? "", /^error at .*at 0.45 \(and 2 more here\)$/);
	await rowOf("SELECT stock").locator(".span-length").click();
	await page.getByRole("treegrid").press("f");
	await marks.nth(2).waitFor();
});

test("what a record says is text in its mark, and a record of no span of the trace has none", options, async () => {
	say(2, 0.5, 17, HOSTILE.image);
	server.logs.push({ ...say(3, 0.5, 9, "kept"), spanId: "", body: "of the trace alone" });
	await open();
	assert.equal(await page.locator(".log-mark").count(), 2);
	assert.ok(await page.getByRole("button", { name: `: ${HOSTILE.image}` }).isVisible());
	await page.getByRole("link", { name: "Logs (3)" }).click();
	await page.locator(".trace-logs tr", { hasText: "of the trace alone" }).getByText("none").waitFor();
});

for (const theme of ["light", "dark"] as const) {
	test(`marks, and logs with their spans, have no serious finding in the ${theme} theme`, options, async () => {
		for (const [span, severity] of [
			[2, 9],
			[3, 13],
			[8, 17],
		] as const)
			say(span, 0.5, severity, "said");
		await page.emulateMedia({ colorScheme: theme });
		await open();
		await page.locator(".log-mark-error").click();
		await page.locator(".detail .log-table").waitFor();
		assert.deepEqual(await seriousFindings(page), []);
		await page.getByRole("link", { name: "Logs (3)" }).click();
		await page.locator(".trace-logs").waitFor();
		assert.deepEqual(await seriousFindings(page), []);
	});
}
