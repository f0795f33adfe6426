/** The pages in a real browser, against canned answers, and on the real API; the trace page has a file of its own. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";
import type { Page } from "playwright-core";
import { startCannedApi } from "../../api/canned-server.ts";
import { buildUiIfStale } from "../../ui/build.ts";
import type { FixtureServer } from "./fixture-server.ts";
import { checkoutTrace, hexId, HOSTILE, hostileTrace } from "./fixture-traces.ts";
import {
	bench,
	checkouts,
	forgive,
	nowNs,
	options,
	rows,
	SECOND,
	serve,
	spanRows,
	waitForAddress,
	waitForRows,
} from "./page-bench.ts";

let page: Page;
let server: FixtureServer;
beforeEach(() => {
	({ page, server } = bench);
});

test("the list shows each trace's root, duration, spans, errors and services, newest first", options, async () => {
	serve(...checkouts(5));
	await page.goto(`${server.url}/traces`);
	await rows().nth(4).waitFor();
	const newest = await rows().first().innerText();
	for (const part of ["gateway", "POST /checkout", "ms", "9", "3", "checkout", "inventory"])
		assert.ok(newest.includes(part), part);
	const links = await page.locator(".root-link").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
	assert.deepEqual(links, server.traces.map((trace) => `/trace/${trace.traceId}`).toReversed());
	assert.match(await page.locator(".searched").innerText(), /5 traces.*3 of 40 blocks read, 37 skipped, 61,200 spans compared/);
});

test("a new trace appears by itself, and not while paused", options, async () => {
	serve(...checkouts(2));
	await page.goto(`${server.url}/traces`);
	await rows().nth(1).waitFor();
	serve(checkoutTrace(50, nowNs()));
	await rows().nth(2).waitFor();
	assert.ok(((await rows().first().getAttribute("class")) ?? "").includes("fresh"), "an arrival is lit up");

	await page.keyboard.press("p");
	await page.getByText("Paused", { exact: true }).waitFor();
	const callsBefore = server.calls.filter((call) => call.startsWith("/api/v1/traces")).length;
	serve(checkoutTrace(51, nowNs()));
	await page.waitForTimeout(2_600);
	assert.equal(await rows().count(), 3);
	assert.equal(server.calls.filter((call) => call.startsWith("/api/v1/traces")).length, callsBefore);

	await page.getByRole("button", { name: "Resume" }).click();
	await rows().nth(3).waitFor();
});

test("before the first span the page is the setup, and it becomes the list when one arrives", options, async () => {
	await page.goto(`${server.url}/traces`);
	await page.getByText("Waiting for the first span.").waitFor();
	for (const [tab, text] of [
		["Envoy", 'address: "127.0.0.1", port_value: 14317'],
		["Istio", "extensionProviders"],
		["OpenTelemetry SDK", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:14317"],
		["Collector", 'endpoint: "127.0.0.1:14317"'],
		["One span by hand", "http://127.0.0.1:14318/v1/traces"],
	] as const) {
		await page.getByRole("tab", { name: tab, exact: true }).click();
		assert.ok((await page.locator(".snippet pre").innerText()).includes(text), tab);
	}
	await page.getByRole("button", { name: "Copy the snippet" }).click();
	await page.getByText("Copied").waitFor();
	assert.match(String(await page.evaluate("navigator.clipboard.readText()")), /^curl -i http:\/\/127\.0\.0\.1:14318/);
	serve(checkoutTrace(1, nowNs()));
	await page.getByText("The first spans have arrived").waitFor();
	await rows().first().waitFor();
});

test("the setup page turns green on arrival", options, async () => {
	await page.goto(`${server.url}/setup`);
	await page.getByText("Waiting for the first span.").waitFor();
	serve(checkoutTrace(1, nowNs()));
	await page.locator(".notice-good").getByText("Spans arrive.").waitFor();
});

test("search by service and status reaches the API, and back and forward keep the state", options, async () => {
	serve(...checkouts(5), hostileTrace(nowNs() - SECOND));
	await page.goto(`${server.url}/traces`);
	await rows().nth(5).waitFor();
	await page.getByLabel("Service", { exact: true }).selectOption("payment");
	await waitForAddress((url) => url.searchParams.get("service") === "payment");
	await waitForRows((count) => count === 5);
	await page.getByLabel("Status").selectOption("error");
	await waitForAddress((url) => url.searchParams.get("status") === "error");
	await waitForRows((count) => count === 1);
	assert.ok(server.calls.some((call) => call.includes("service=payment") && call.includes("status=error")));

	await page.locator(".root-link").first().click();
	await spanRows().first().waitFor();
	await page.goBack();
	await waitForRows((count) => count === 1);
	assert.equal(await page.getByLabel("Service", { exact: true }).inputValue(), "payment");
	await page.goBack();
	await waitForRows((count) => count === 5);
	assert.equal(await page.getByLabel("Status").inputValue(), "");
	await page.goForward();
	await waitForRows((count) => count === 1);
	await page.reload();
	await rows().first().waitFor();
	assert.equal(await page.getByLabel("Status").inputValue(), "error");
});

test("operation, durations, attributes and range are filters of the address", options, async () => {
	serve(...checkouts(5));
	await page.goto(`${server.url}/traces`);
	await rows().nth(4).waitFor();
	await page.getByLabel("Operation").fill("SELECT stock");
	await page.getByLabel("Operation").press("Enter");
	await waitForAddress((url) => url.searchParams.get("operation") === "SELECT stock");
	await page.getByLabel("Min duration").fill("5");
	await page.getByText("Write a number and a unit").waitFor();
	await page.getByLabel("Min duration").fill("1ms");
	await page.getByLabel("Min duration").press("Enter");
	await waitForAddress((url) => url.searchParams.get("minDuration") === "1ms");
	await page.getByLabel("Attribute", { exact: true }).fill("http.response.status_code=503");
	await page.getByLabel("Attribute", { exact: true }).press("Enter");
	await waitForAddress((url) => url.searchParams.get("attr") === "http.response.status_code=503");
	await page.getByLabel("Time").selectOption("now-1h");
	await waitForAddress((url) => url.searchParams.get("from") === "now-1h");
	await waitForRows((count) => count === 1);
	await page.getByRole("button", { name: "Remove http.response.status_code=503" }).click();
	await waitForAddress((url) => !url.searchParams.has("attr"));
	await waitForRows((count) => count > 1);
});

test("a search without a match says what to do", options, async () => {
	serve(...checkouts(2));
	await page.goto(`${server.url}/traces?service=nobody`);
	await page.getByText("No trace in this range meets every filter").waitFor();
	await page.getByRole("link", { name: "Clear the filters" }).click();
	await rows().nth(1).waitFor();
});

test("the ID box opens a trace from any page, and takes a traceparent", options, async () => {
	const trace = checkoutTrace(3, nowNs());
	serve(trace);
	await page.goto(`${server.url}/status`);
	await page.getByRole("heading", { name: "Windows" }).waitFor();
	await page.keyboard.press("/");
	await page.keyboard.type(trace.traceId.toUpperCase());
	await page.keyboard.press("Enter");
	await waitForAddress((url) => url.pathname === `/trace/${trace.traceId}`);
	await spanRows().first().waitFor();

	await page.keyboard.press("/");
	await page.keyboard.type("not an id");
	await page.keyboard.press("Enter");
	await page.getByText("A trace ID is up to 32 hex digits").waitFor();
	await page.getByLabel("Go to trace ID").fill(`traceparent: 00-${trace.traceId}-${trace.spans[0]!.spanId}-01`);
	await page.keyboard.press("Enter");
	await spanRows().first().waitFor();
});

test("an unknown ID is answered with code, message and what to do", options, async () => {
	await page.goto(`${server.url}/trace/${hexId(404, 32)}`);
	const alert = page.getByRole("alert");
	await alert.waitFor();
	assert.match(
		await alert.innerText(),
		/There is no trace of this ID here\.\s+not_found[\s\S]*no trace[\s\S]*Check the ID and the retention/,
	);
	forgive(/404/);
});

test("a refusal is shown with its code and goes away by itself", options, async () => {
	serve(...checkouts(2));
	await page.goto(`${server.url}/traces`);
	await rows().nth(1).waitFor();
	server.failing = { code: "overloaded", message: "the reader pool is full" };
	await page.getByRole("alert").getByText("overloaded").waitFor();
	await page.getByText("the reader pool is full").waitFor();
	assert.equal(await rows().count(), 2, "what was read stays");
	server.failing = undefined;
	await page.getByRole("alert").waitFor({ state: "detached" });
	forgive(/503/);
});

test("a server with a read token asks for it, and takes it into no address", options, async () => {
	server.token = "let-me-in";
	const trace = checkoutTrace(3, nowNs());
	serve(trace);
	await page.goto(`${server.url}/trace/${trace.traceId}`);
	await page.getByLabel("Read token").fill("wrong");
	await page.keyboard.press("Enter");
	await page.getByText("Refused: the token is not known here").waitFor();
	await page.getByLabel("Read token").fill("let-me-in");
	await page.keyboard.press("Enter");
	await spanRows().first().waitFor();
	await page.reload();
	await spanRows().first().waitFor();
	const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "JSON" }).click()]);
	assert.equal(download.suggestedFilename(), `trace-${trace.traceId}.json`);
	const stream = await download.createReadStream();
	assert.equal((await stream.toArray()).join("").includes(trace.spans[3]!.spanId), true);
	assert.ok(!server.calls.some((call) => call.includes("let-me-in")));
	forgive(/401/);
});

test("keys lead to every page and to every trace of the list", options, async () => {
	serve(...checkouts(3));
	await page.goto(`${server.url}/status`);
	await page.getByRole("heading", { name: "Windows" }).waitFor();
	await page.keyboard.press("g");
	await page.keyboard.press("u");
	await page.getByRole("heading", { name: "Setup" }).waitFor();
	await page.keyboard.press("g");
	await page.keyboard.press("t");
	await rows().nth(2).waitFor();
	await page.keyboard.press("j");
	await page.keyboard.press("j");
	await page.keyboard.press("Enter");
	await waitForAddress((url) => url.pathname === `/trace/${server.traces[1]!.traceId}`);
	await page.keyboard.press("?");
	await page.getByRole("dialog").getByText("next and previous failed span").waitFor();
	await page.keyboard.press("Escape");
	await page.getByRole("dialog").waitFor({ state: "hidden" });
});

test("names, keys and values of senders are text, wherever they are shown", options, async () => {
	const trace = hostileTrace(nowNs() - SECOND);
	serve(trace, ...checkouts(1));
	server.logs.push({
		timeUnixNano: String(nowNs()),
		observedTimeUnixNano: "0",
		service: HOSTILE.script,
		severityNumber: 9,
		severityText: HOSTILE.image,
		traceId: trace.traceId,
		spanId: "",
		body: HOSTILE.breakout,
		attributes: {},
		resource: {},
		scope: "",
	});
	await page.goto(`${server.url}/traces`);
	await page.locator(".root-name").getByText(HOSTILE.script, { exact: true }).waitFor();
	await page.getByLabel("Service", { exact: true }).selectOption(HOSTILE.image);
	await waitForRows((count) => count === 1);
	await page.locator(".root-link").first().click();
	await spanRows().first().click();
	const detail = page.getByRole("complementary", { name: "Span details" });
	const text = await detail.innerText();
	for (const hostile of [HOSTILE.script, HOSTILE.image, HOSTILE.breakout, HOSTILE.link, HOSTILE.template, "__proto__"]) {
		assert.ok(text.includes(hostile), hostile);
	}
	assert.ok(text.includes("user<U+202E>fdp.exe"), "a direction mark is written out");
	assert.ok(!text.includes("x".repeat(2_000)), "a long value is cut");
	await detail.getByText("all 200,000 characters").click();
	await page.getByRole("link", { name: "Logs (1)" }).click();
	await page.locator(".trace-logs").getByText(HOSTILE.breakout, { exact: true }).waitFor();
	assert.equal(await page.locator("main script, main img, main [onload], main [onerror]").count(), 0);
	const links = await page
		.locator("a")
		.evaluateAll((all) => all.map((link) => (link as unknown as { protocol: string }).protocol));
	assert.ok(
		links.every((protocol) => protocol === "http:"),
		links.join(" "),
	);
});

test("the theme is the system's until it is chosen, and the choice stays", options, async () => {
	serve(...checkouts(1));
	const ground = (): Promise<unknown> => page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
	const light = "rgb(246, 247, 249)";
	const dark = "rgb(15, 20, 27)";
	await page.emulateMedia({ colorScheme: "dark" });
	await page.goto(`${server.url}/traces`);
	await rows().first().waitFor();
	assert.equal(await ground(), dark);
	await page.emulateMedia({ colorScheme: "light" });
	assert.equal(await ground(), light);
	await page.emulateMedia({ colorScheme: "dark" });
	await page.getByRole("button", { name: "Theme: system. Change to light." }).click();
	assert.equal(await ground(), light);
	await page.reload();
	await rows().first().waitFor();
	assert.equal(await ground(), light);
	await page.getByRole("button", { name: "Theme: light. Change to dark." }).click();
	await page.getByRole("button", { name: "Theme: dark. Change to system." }).click();
	await page.emulateMedia({ colorScheme: "light" });
	assert.equal(await ground(), light);
});

test("status shows rates, losses with their reasons, and damaged windows", options, async () => {
	serve(...checkouts(3));
	await page.goto(`${server.url}/status`);
	await page.getByRole("heading", { name: "Windows" }).waitFor();
	const text = await page.locator("main").innerText();
	for (const part of [
		"12.5k spans/s",
		"overloaded",
		"malformed_payload",
		"invalid_span_id",
		"block 17: checksum differs",
		"3.24 MiB",
		"7d",
		"3m 12s behind",
		"implausible_time",
	]) {
		assert.ok(text.includes(part), part);
	}
});

test("the tables of the status page are sorted by key, told in the address, and exported as they stand", options, async () => {
	serve(...checkouts(3));
	await page.goto(`${server.url}/status`);
	const windows = page.getByRole("region", { name: /^Windows \d/ });
	const names = async (): Promise<readonly string[]> => await windows.locator("tbody th").allInnerTexts();
	await windows.getByRole("button", { name: "CSV" }).waitFor();
	assert.deepEqual(await names(), ["w-3", "w-2", "w-1"]);
	await windows.getByRole("button", { name: "Spans" }).press("Enter");
	await waitForAddress((url) => url.searchParams.get("sort-windows") === "-spans");
	assert.deepEqual(await names(), ["w-2", "w-3", "w-1"]);
	const saved = async (button: string): Promise<string> => {
		const waiting = page.waitForEvent("download");
		await windows.getByRole("button", { name: button }).press("Enter");
		return await readFile(await (await waiting).path(), "utf8");
	};
	const [head, first] = (await saved("CSV")).trim().split(/\r?\n/);
	assert.equal(head, "name,from,to,state,bytes,spans,logs,metricPoints");
	assert.match(first!, /^w-2,\d{4}-.*Z,\d{4}-.*Z,sealed,4194304,71200,812,0$/);
	assert.deepEqual(
		(JSON.parse(await saved("JSON")) as { name: string }[]).map(({ name }) => name),
		["w-2", "w-3", "w-1"],
	);
	for (const title of [/^Received since start \d/, /^Refused and dropped \d/])
		assert.equal(
			await page.getByRole("region", { name: title }).getByRole("button", { name: "JSON" }).count(),
			1,
			String(title),
		);
});

test("the pages work on the real API, under its own headers, with its token", options, async (t) => {
	const api = await startCannedApi(t, { uiDirectory: bench.dist, readTokens: ["let-me-in"] });
	const url = api.address.startsWith("http") ? api.address : `http://${api.address}`;
	bench.origins.push(url);
	await page.goto(`${url}/traces?from=now-6h`);
	await page.getByLabel("Read token").fill("let-me-in");
	await page.keyboard.press("Enter");
	await rows().first().getByText("GET /checkout").waitFor();
	await page.getByText("1 window could not be read").waitFor();
	await rows().first().getByRole("link").click();
	await page.getByRole("heading", { name: "gateway GET /checkout" }).waitFor();
	await page.getByRole("link", { name: /^Logs/ }).click();
	await page.locator(".trace-logs").getByText("GET /checkout 200").waitFor();
	await page.reload();
	await page.locator(".trace-logs").getByText("GET /checkout 200").waitFor();
	await page.keyboard.press("g");
	await page.keyboard.press("s");
	await page.getByRole("heading", { name: "Windows" }).waitFor();
	await page.goto(`${url}/traces?minDuration=5`);
	await page.getByRole("alert").getByText("invalid_argument").waitFor();
	forgive(/40[01]/);
});

test("everything that can be worked has a name, and every page one heading and no overflow", options, async () => {
	serve(...checkouts(3));
	const trace = server.traces[0]!;
	for (const [path, ready] of [
		["/traces", ".trace-table"],
		["/traces?from=now-2h&attr=a%3Db&service=nobody", ".empty"],
		[`/trace/${trace.traceId}?span=${trace.spans[3]!.spanId}`, ".detail"],
		[`/trace/${trace.traceId}?tab=logs`, ".trace-tabs"],
		["/setup", ".snippet"],
		["/status", ".facts"],
	] as const) {
		for (const width of [1_280, 400]) {
			await page.setViewportSize({ width, height: 800 });
			await page.goto(server.url + path);
			await page.locator(ready).waitFor();
			assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1, path);
			const tree = await page.locator("body").ariaSnapshot();
			const nameless = tree
				.split("\n")
				.filter((line) => /^\s*- (button|textbox|combobox|searchbox|link|tab|table|treegrid|meter)(:|$| \[)/.test(line));
			assert.deepEqual(nameless, [], path);
			const overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
			assert.equal(overflow, 0, `${path} at ${width} pixels is wider than the window`);
		}
	}
});

test("the first load is at most 160 kB compressed, all pages 500 kB, and nothing is inline", { timeout: 60_000 }, async () => {
	const directory = await buildUiIfStale();
	const files = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
	const html = await readFile(join(directory, "index.html"), "utf8");
	assert.doesNotMatch(html, /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|https?:\/\//);
	// Scripts, their static imports (as preloads), styles and the icon; what is not named there waits until a page asks for it.
	const named = new Set([...html.matchAll(/\s(?:src|href)="\/([^"]+)"/g)].map(([, path]) => path));
	let firstBytes = 0;
	let allBytes = 0;
	for (const file of files) {
		const path = join(file.parentPath, file.name);
		const bytes = gzipSync(await readFile(path)).length;
		allBytes += bytes;
		if (file.name === "index.html" || named.delete(relative(directory, path))) firstBytes += bytes;
	}
	assert.deepEqual([...named], [], "files that are named and not there");
	assert.ok(firstBytes > 50_000 && firstBytes <= 160_000, `${firstBytes} bytes`);
	assert.ok(allBytes <= 500_000, `${allBytes} bytes in all`);
});
