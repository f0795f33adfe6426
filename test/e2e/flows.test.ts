/** What people come for, done on the real demo in a real browser: one demo for all of them, in which a mistake is made meanwhile. */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { Locator, Page } from "playwright-core";
import { graphAnswer } from "../../api/contract/topology.ts";
import { askUntil, getJson, searchTraces } from "../interop/api.ts";
import { bench, options as pageOptions, spanRows, waitForAddress } from "./page-bench.ts";
import { startDemo } from "./running-demo.ts";
import type { Demo } from "./running-demo.ts";

const options = { ...pageOptions, timeout: 120_000 };
/** The mesh is calm for this long, then reviews turns plaintext for as long again. */
const CHAOS_SECONDS = 24;
const PLAINTEXT_BEGINS = "storefront → reviews goes plaintext";

let demo: Demo;
let endDemo: (() => Promise<void>) | undefined;
let http: string;
let url: string;
let page: Page;

before(async () => {
	if (options.skip !== false) return;
	demo = startDemo((end) => (endDemo = end), ["--no-python", "--chaos", String(CHAOS_SECONDS)]);
	({ http } = (await demo.event("ready")) as { readonly http: string });
	url = `http://${http}`;
	await demo.event("alive");
	await askUntil(
		async () => graphAnswer.parse(await getJson(http, "/api/v1/graph?from=now-5m")),
		({ edges }) => edges.some(({ target, errors }) => target === "shop/shipping" && errors > 0),
		60_000,
	);
});

after(() => endDemo?.());

beforeEach(() => {
	({ page } = bench);
	// A shop of thirteen services, a server and a browser share what the machine has.
	page?.setDefaultTimeout(40_000);
	bench.origins?.push(url);
});

const sheet = (): Locator => page.getByRole("application", { name: /Service graph/ });
const tip = (): Locator => page.locator(".graph-tip");
const edgePanel = (): Locator => page.getByRole("complementary", { name: "Edge details" });
const tableOf = (title: string): Locator => page.getByRole("region", { name: `${title}, table`, exact: true });

/** Where the page is red, a few places of many: what a person's eye falls on. */
async function redPlaces(): Promise<readonly { readonly x: number; readonly y: number }[]> {
	const png = (await page.screenshot()).toString("base64");
	return (await page.evaluate(`(async () => {
		const image = new Image();
		image.src = "data:image/png;base64,${png}";
		await image.decode();
		const canvas = document.createElement("canvas");
		[canvas.width, canvas.height] = [image.width, image.height];
		const context = canvas.getContext("2d");
		context.drawImage(image, 0, 0);
		const { data, width } = context.getImageData(0, 0, image.width, image.height);
		const found = [];
		for (let at = 0; at < data.length; at += 4)
			if (data[at] > 150 && data[at + 1] < 90 && data[at + 2] < 90) found.push({ x: (at / 4) % width, y: Math.floor(at / 4 / width) });
		return found.filter((_, i) => i % Math.ceil(found.length / 80) === 0);
	})()`)) as { x: number; y: number }[];
}

/** Points at red places until one tells of `text`. */
async function pointAtRed(text: RegExp): Promise<void> {
	const told = new Set<string>();
	const deadlineMs = performance.now() + 40_000;
	while (performance.now() < deadlineMs)
		for (const { x, y } of await redPlaces()) {
			await page.mouse.move(x, y);
			const tips = await tip().allInnerTexts();
			if (tips.some((one) => text.test(one))) return;
			for (const one of tips) told.add(one);
		}
	assert.fail(`nothing red tells of ${String(text)}, but of ${[...told].join(" | ")}`);
}

/** The page is not live: it is read again until it tells of `what`. */
async function readAgainUntil(what: Locator): Promise<void> {
	const deadlineMs = performance.now() + 45_000;
	while ((await what.count()) === 0) {
		if (performance.now() > deadlineMs) assert.fail(await page.locator("main").innerText());
		await page.waitForTimeout(1_000);
		await page.reload();
		await page.locator(".data-table tbody tr").first().waitFor();
	}
}

test("from a red edge to a trace that shows it in three clicks", options, async () => {
	await page.goto(`${url}/?from=now-5m`);
	await sheet().waitFor();
	await pointAtRed(/checkout → .*shipping/);
	await page.mouse.down();
	await page.mouse.up();
	await edgePanel()
		.getByRole("heading", { name: /checkout → .*shipping/ })
		.waitFor();
	await edgePanel().getByRole("link", { name: "Failed" }).click();
	await waitForAddress((address) => address.pathname === "/traces");
	await page.locator(".root-link").first().click({ timeout: 40_000 });
	await waitForAddress((address) => address.pathname.startsWith("/trace/"));
	await spanRows().filter({ hasText: "shipping" }).first().waitFor();
});

test("an untold person finds the flaky service and the plaintext edge", options, async () => {
	await page.goto(`${url}/?from=now-5m`);
	await page.getByRole("link", { name: "Table", exact: true }).click();
	const errors = page.locator(".graph-table").getByRole("link", { name: /^Errors/ });
	await errors.click();
	await page.locator('.graph-table th[aria-sort="descending"]').filter({ hasText: "Errors" }).waitFor();
	const worst = (await page.locator(".graph-table tbody tr").allInnerTexts()).slice(0, 3);
	assert.ok(
		worst.some((text) => /shop\/checkout\s+shop\/shipping/.test(text)),
		worst.join("\n"),
	);
	await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "mTLS" }).click();
	await tableOf("Not mutual TLS")
		.locator("tbody tr")
		.filter({ hasText: /shop\/checkout\s*shop\/legacy-billing\s*plaintext/ })
		.waitFor();
});

test(
	"that an edge is encrypted is proved: exact share, both identities, version, cipher, certificate, and who vouches",
	options,
	async () => {
		const graph = graphAnswer.parse(await getJson(http, "/api/v1/graph?from=now-5m"));
		const edge = graph.edges.find(({ source, target }) => source === "shop/storefront" && target === "shop/cart")!;
		await page.goto(`${url}/?from=now-5m&edge=${edge.id}`);
		await edgePanel().getByText("Why this edge is here").waitFor();
		const told = await edgePanel().innerText();
		for (const part of [
			"100 % mutual TLS",
			"spiffe://cluster.local/ns/shop/sa/storefront",
			"spiffe://cluster.local/ns/shop/sa/cart",
			"TLS_",
			"the callee, which checked the caller's certificate",
		])
			assert.ok(told.includes(part), `${part} in:\n${told}`);
		assert.match(told, /TLS version\s+1\.3/);
		assert.match(told, /Certificate ends\s+\d{4}-\d\d-\d\d [^\n]+\(in 2\dh/);
	},
);

test("a pasted ID opens its trace, by the box and by the palette", options, async () => {
	const [trace] = await searchTraces(http, { service: "checkout", from: "now-5m", limit: "1" });
	await page.goto(`${url}/status`);
	await page.getByRole("heading", { level: 1 }).waitFor();
	await page.keyboard.press("/");
	await page.keyboard.insertText(`traceparent: 00-${trace!.traceId}-00f067aa0ba902b7-01`);
	await page.keyboard.press("Enter");
	await waitForAddress((address) => address.pathname === `/trace/${trace!.traceId}`);
	await spanRows().first().waitFor();
	await page.goto(`${url}/mtls`);
	await page.getByRole("heading", { level: 1 }).waitFor();
	await page.keyboard.press("Control+k");
	await page.getByRole("combobox", { name: "Go to or do" }).waitFor();
	await page.keyboard.insertText(trace!.traceId);
	await page.locator('.palette [role="option"][aria-selected="true"]').filter({ hasText: trace!.traceId }).waitFor();
	await page.keyboard.press("Enter");
	await waitForAddress((address) => address.pathname === `/trace/${trace!.traceId}`);
	await spanRows().first().waitFor();
});

test("when plaintext began is told to the second, with traces that show it, and what else changed then", options, async () => {
	const announced = await askUntil(
		async () => demo.said().includes(PLAINTEXT_BEGINS),
		(isSaid) => isSaid,
		60_000,
	);
	assert.ok(announced, demo.said());
	const [, clock] = new RegExp(`(\\d\\d:\\d\\d:\\d\\d) ${PLAINTEXT_BEGINS}`).exec(demo.said())!;
	await page.goto(`${url}/mtls?from=now-5m`);
	const row = tableOf("Mixed")
		.locator("tbody tr")
		.filter({ hasText: /shop\/storefront\s*shop\/reviews/ });
	await readAgainUntil(row);
	const [beganText] = await row.locator("time").evaluateAll((all) => all.map((time) => time.getAttribute("datetime")));
	const beganMs = Date.parse(beganText!);
	// In the demo's zone, which is this process's.
	const saidMs = new Date(`${new Date(beganMs).toDateString()} ${clock}`).getTime();
	assert.ok(Math.abs(beganMs - saidMs) < 8_000, `${beganText} is told for ${clock}`);
	await row
		.getByRole("link", { name: /^[0-9a-f]{8}$/ })
		.first()
		.click();
	await spanRows().filter({ hasText: "reviews" }).first().waitFor();

	// Before and after that moment, as long as there is something on both sides.
	const at = (shiftMs: number): string => new Date(beganMs + shiftMs).toISOString();
	await page.goto(`${url}/changes`);
	for (const [label, moment] of [
		["From", at(0)],
		["To", at(22_000)],
		["Baseline from", at(-40_000)],
		["Baseline to", at(-12_000)],
	] as const) {
		const field = page.getByLabel(label, { exact: true });
		await field.fill(moment);
		await field.press("Enter");
	}
	await waitForAddress(({ searchParams }) => searchParams.get("baselineTo") === at(-12_000));
	const change = page
		.getByRole("row")
		.filter({ hasText: /shop\/storefront\s*shop\/reviews/ })
		.filter({ hasText: "Encryption lost" });
	await readAgainUntil(change);
	assert.match(await change.innerText(), /mutual TLS →[^]*(plaintext|mixed)/);
});
