/**
 * What every page test stands on: a browser, a page and a server of canned answers under the real policy headers. Imported, it sets
 * them up before each test of the file, and asserts after each what every page must hold: no console error, no request to another
 * host, nothing of a sender run as markup.
 */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach } from "node:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { buildUiIfStale } from "../../ui/build.ts";
import { findBrowser, launchBrowser } from "./browser.ts";
import { startFixtureServer } from "./fixture-server.ts";
import type { FixtureServer } from "./fixture-server.ts";
import { checkoutTrace } from "./fixture-traces.ts";
import type { FixtureTrace } from "./fixture-traces.ts";

const found = await findBrowser();
if (found.kind === "none" && process.env.CI === "true") throw new Error(`page tests must run in CI: ${found.reason}`);
const skip = found.kind === "none" ? found.reason : false;
/** Of every page test. */
export const options = { skip, timeout: 60_000 };

export const SECOND = 1_000_000_000n;

export interface PageBench {
	/** The built UI. */
	dist: string;
	server: FixtureServer;
	page: Page;
	/** Servers a page may ask; whatever else is asked for is foreign. */
	origins: string[];
}

/** That of the running test: filled before each. */
export const bench = {} as PageBench;

let browser: Browser;
let context: BrowserContext;
let faults: string[];

before(async () => {
	if (found.kind === "none") return;
	bench.dist = await buildUiIfStale();
	browser = await launchBrowser(found.executable);
});

after(async () => {
	await browser?.close();
});

beforeEach(async () => {
	if (found.kind === "none") return;
	const server = await startFixtureServer(bench.dist);
	faults = [];
	const origins = [server.url];
	context = await browser.newContext({ viewport: { width: 1_280, height: 800 } });
	await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: server.url });
	const page = await context.newPage();
	Object.assign(bench, { server, page, origins });
	page.setDefaultTimeout(10_000);
	page.on("console", (message) => {
		if (message.type() === "error" || message.type() === "warning") faults.push(`console: ${message.text()}`);
	});
	page.on("pageerror", (error) => faults.push(`page error: ${error.message}`));
	page.on("dialog", (dialog) => {
		faults.push(`dialog: ${dialog.message()}`);
		void dialog.dismiss();
	});
	page.on("request", (request) => {
		if (!origins.some((origin) => request.url().startsWith(`${origin}/`))) faults.push(`foreign request: ${request.url()}`);
	});
});

afterEach(async () => {
	if (found.kind === "none") return;
	const hacked = await bench.page.evaluate("window.hacked");
	await context.close();
	await bench.server.close();
	assert.equal(hacked, undefined, "a sender's text ran as code");
	assert.deepEqual(faults, []);
});

/** For faults that a test is about: the browser itself reports every refusal. */
export function forgive(pattern: RegExp): void {
	faults = faults.filter((fault) => !pattern.test(fault));
}

export function nowNs(): bigint {
	return BigInt(Date.now()) * 1_000_000n;
}

export function serve(...traces: readonly FixtureTrace[]): void {
	bench.server.traces.push(...traces);
}

/** `count` checkouts, a second apart, the last one now. */
export function checkouts(count: number): FixtureTrace[] {
	return Array.from({ length: count }, (_, i) => checkoutTrace(i, nowNs() - BigInt(count - i) * SECOND));
}

export function rows(): ReturnType<Page["locator"]> {
	return bench.page.locator(".trace-table tbody tr");
}

export function spanRows(): ReturnType<Page["locator"]> {
	return bench.page.locator(".span-row");
}

/** Not `waitForFunction`: that evaluates inside the page, which its policy forbids. */
export async function waitForRows(test: (count: number) => boolean): Promise<void> {
	const deadlineMs = performance.now() + 10_000;
	while (!test(await rows().count())) {
		if (performance.now() > deadlineMs) assert.fail(`still ${await rows().count()} rows`);
		await bench.page.waitForTimeout(50);
	}
}

export async function waitForAddress(test: (url: URL) => boolean): Promise<void> {
	await bench.page.waitForURL((url) => test(url));
}

export async function openTrace(trace: FixtureTrace, query = ""): Promise<void> {
	serve(trace);
	await bench.page.goto(`${bench.server.url}/trace/${trace.traceId}${query}`);
	await spanRows().first().waitFor();
}
