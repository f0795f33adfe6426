/** What the trace page has beside the waterfall: the minimap, the flame graph, and the comparison with another trace. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import { seriousFindings } from "./axe.ts";
import type { FixtureServer } from "./fixture-server.ts";
import type { FixtureTrace } from "./fixture-traces.ts";
import { checkoutTrace } from "./fixture-traces.ts";
import { bench, nowNs, options, SECOND, serve, waitForAddress } from "./page-bench.ts";

let page: Page;
let server: FixtureServer;
beforeEach(() => {
	({ page, server } = bench);
});

async function open(trace: FixtureTrace, query: string): Promise<void> {
	serve(trace);
	await page.goto(`${server.url}/trace/${trace.traceId}?${query}`);
}

function tableRows(name: string): ReturnType<Page["locator"]> {
	return page.locator(`section[aria-labelledby="${name}-title"] tbody tr`);
}

/** The same checkout later: one call is slower, one is gone, and one bears a name that would be markup. */
function laterCheckout(trace: FixtureTrace): FixtureTrace {
	const last = trace.spans.at(-1)!;
	return {
		traceId: "0af7651916cd43dd8448eb211c80319c",
		spans: [
			...trace.spans.slice(0, -2).map((span, i) => (i === 0 ? { ...span, durationNs: span.durationNs * 3n } : span)),
			{ ...last, name: "<img src=x onerror=window.hacked=1>" },
		],
	};
}

test("the minimap shows another part by a drag, by its ends' keys, and the whole by a double click", options, async () => {
	const trace = checkoutTrace(4, nowNs());
	await open(trace, "");
	const box = (await page.locator(".minimap").boundingBox())!;
	const at = (share: number): number => box.x + box.width * share;
	const middle = box.y + box.height / 2;
	await page.mouse.move(at(0.25), middle);
	await page.mouse.down();
	await page.mouse.move(at(0.5), middle, { steps: 4 });
	await page.mouse.up();
	const shares = (url: URL): number[] => {
		const durationNs = Number(trace.spans[0]!.durationNs);
		return (url.searchParams.get("zoom") ?? "").split("-").map((ns) => Math.round((100 * Number(ns)) / durationNs));
	};
	await waitForAddress((url) => shares(url).join() === "25,50");
	await page.getByRole("slider", { name: "End of the part shown" }).focus();
	for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowRight");
	await waitForAddress((url) => shares(url).join() === "25,55");
	await page.mouse.move(at(0.4), middle);
	await page.mouse.down();
	await page.mouse.move(at(0.5), middle, { steps: 4 });
	await page.mouse.up();
	await waitForAddress((url) => shares(url).join() === "35,65");
	await page.mouse.dblclick(at(0.9), middle);
	await waitForAddress((url) => !url.searchParams.has("zoom"));
});

test("the flame graph is zoomed by keys, says what is chosen, and has its figures as a table", options, async () => {
	const trace = checkoutTrace(4, nowNs());
	await open(trace, "tab=flame");
	await page.locator(".flame-box").focus();
	await page.keyboard.press("ArrowDown");
	const status = page.locator(".flame-head [role=status]");
	await status.getByText(trace.spans[0]!.name).waitFor();
	await page.keyboard.press("ArrowDown");
	await status.getByText(trace.spans[1]!.name).waitFor();
	await page.keyboard.press("Enter");
	await waitForAddress((url) => url.searchParams.get("frame") === trace.spans[1]!.spanId);
	await page.getByRole("button", { name: "Whole trace" }).click();
	await waitForAddress((url) => !url.searchParams.has("frame"));
	const operations = new Set(trace.spans.map((span) => `${span.service} ${span.name}`));
	assert.equal(await tableRows("time").count(), operations.size);
	const painted = await page.evaluate(
		`[...document.querySelector(".flame-canvas").getContext("2d").getImageData(0, 0, 40, 10).data].some((value) => value !== 0)`,
	);
	assert.ok(painted, "something is drawn");
	await page.goBack();
	await waitForAddress((url) => url.searchParams.get("frame") === trace.spans[1]!.spanId);
});

test("two traces are compared call by call, by an address, and exchanged", options, async () => {
	const before = checkoutTrace(4, nowNs() - 60n * SECOND);
	const after = laterCheckout(before);
	serve(before);
	await open(after, `with=${before.traceId}`);
	const rows = tableRows("trace-changes");
	await rows.first().waitFor();
	assert.match(await rows.first().innerText(), new RegExp(`slower[\\s\\S]*${before.spans[0]!.name.replaceAll(/[/?]/g, ".")}`));
	assert.equal(await rows.filter({ hasText: "gone" }).count(), 2);
	assert.equal(await rows.filter({ hasText: "<img" }).count(), 1);
	assert.match(
		await page.locator(".compare-summary").innerText(),
		/longer here\. 8 spans here, 9 spans there\. Calls: 1 new, 2 gone/,
	);
	await page.getByRole("link", { name: "Exchange the two" }).click();
	await waitForAddress((url) => url.pathname.endsWith(before.traceId) && url.searchParams.get("with") === after.traceId);
	await rows.filter({ hasText: "faster" }).first().waitFor();
});

test("the other trace is chosen by its ID, and a wrong one is told before it is asked for", options, async () => {
	const [one, other] = [checkoutTrace(4, nowNs()), checkoutTrace(5, nowNs())];
	serve(other);
	await open(one, "tab=compare");
	const box = page.getByLabel("Compare with the trace");
	await box.fill("4bf9-xyz");
	await page.getByText("A trace ID is up to 32 hex digits").waitFor();
	assert.ok(await page.getByRole("button", { name: "Compare", exact: true }).isDisabled());
	await box.fill(other.traceId);
	await page.keyboard.press("Enter");
	await waitForAddress((url) => url.searchParams.get("with") === other.traceId);
	await tableRows("trace-changes").first().waitFor();
});

for (const theme of ["light", "dark"] as const) {
	test(`flame graph and comparison have no serious finding in the ${theme} theme`, options, async () => {
		const trace = checkoutTrace(4, nowNs());
		serve(laterCheckout(trace));
		await page.emulateMedia({ colorScheme: theme });
		await open(trace, "tab=flame");
		await tableRows("time").first().waitFor();
		assert.deepEqual(await seriousFindings(page), []);
		await page.goto(`${server.url}/trace/${trace.traceId}?with=0af7651916cd43dd8448eb211c80319c`);
		await tableRows("trace-changes").first().waitFor();
		assert.deepEqual(await seriousFindings(page), []);
	});
}
