/**
 * Pictures of every page of a running server, in both themes, for the README: `npm run screenshots -- http://127.0.0.1:4300`. Best of
 * `meshscope demo --chaos` that has run for some minutes. Written to docs/screenshots as WebP of at most 150 kB each.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { graphAnswer } from "../../api/contract/topology.ts";
import { findBrowser, launchBrowser } from "../../test/e2e/browser.ts";
import { getJson, searchTraces } from "../../test/interop/api.ts";

const MAX_BYTES = 150_000;
const DIRECTORY = join(import.meta.dirname, "../../docs/screenshots");

interface Picture {
	readonly name: string;
	readonly path: string;
	/** What stands there once the page is read. */
	readonly ready: string;
}

async function picturesOf(http: string): Promise<readonly Picture[]> {
	const graph = graphAnswer.parse(await getJson(http, "/api/v1/graph?from=now-15m"));
	const worst = graph.edges.toSorted((a, b) => b.errors - a.errors)[0];
	const service = graph.nodes.toSorted((a, b) => b.sentRequests - a.sentRequests)[0];
	const traces = await searchTraces(http, { from: "now-15m", limit: "200" });
	const trace = traces.toSorted((a, b) => b.spanCount - a.spanCount)[0];
	if (worst === undefined || service === undefined || trace === undefined) throw new Error(`${http} has seen no traffic yet`);
	return [
		{ name: "graph", path: "/", ready: ".graph-sheet canvas" },
		{ name: "edge", path: `/?edge=${worst.id}`, ready: ".graph-panel .panel-facts" },
		{ name: "service", path: `/service/${encodeURIComponent(service.id)}`, ready: "main .card" },
		{ name: "traces", path: "/traces", ready: ".trace-table tbody tr" },
		{ name: "trace", path: `/trace/${trace.traceId}`, ready: ".span-row" },
		{ name: "mtls", path: "/mtls", ready: ".coverage" },
		{ name: "changes", path: "/changes?from=now-2m&baselineFrom=now-4m&baselineTo=now-2m", ready: ".data-table tbody tr" },
		{ name: "mesh", path: "/mesh", ready: ".data-table tbody tr" },
		{ name: "status", path: "/status", ready: ".facts" },
		{ name: "setup", path: "/setup", ready: ".snippet pre" },
	];
}

/** Playwright writes no WebP: the browser itself does, of the bytes of a PNG. */
async function asWebp(page: Page, png: Buffer): Promise<Buffer> {
	// As text: what runs in the browser is not checked against Node's types.
	const dataUrl = (await page.evaluate(`(async () => {
		const image = new Image();
		image.src = "data:image/png;base64,${png.toString("base64")}";
		await image.decode();
		const canvas = document.createElement("canvas");
		[canvas.width, canvas.height] = [image.width, image.height];
		canvas.getContext("2d").drawImage(image, 0, 0);
		return canvas.toDataURL("image/webp", 0.86);
	})()`)) as string;
	return Buffer.from(dataUrl.slice(dataUrl.indexOf(",") + 1), "base64");
}

const http = (process.argv[2] ?? "http://127.0.0.1:4300").replace(/^https?:\/\//, "").replace(/\/$/, "");
const found = await findBrowser();
if (found.kind === "none") throw new Error(found.reason);
const browser = await launchBrowser(found.executable);
try {
	await mkdir(DIRECTORY, { recursive: true });
	const pictures = await picturesOf(http);
	const canvas = await browser.newPage();
	for (const colorScheme of ["light", "dark"] as const) {
		const page = await browser.newPage({ viewport: { width: 1_280, height: 800 }, colorScheme });
		page.setDefaultTimeout(60_000);
		for (const { name, path, ready } of pictures) {
			await page.goto(`http://${http}${path}`);
			await page.locator(ready).first().waitFor();
			for (const unfinished of ["Drawing…", "Reading"])
				await page.getByText(unfinished).first().waitFor({ state: "detached" });
			// Charts are drawn and the graph has come to rest.
			await page.waitForTimeout(2_500);
			const webp = await asWebp(canvas, await page.screenshot());
			if (webp.length > MAX_BYTES)
				throw new Error(`${name}-${colorScheme} has ${webp.length} bytes, more than ${MAX_BYTES}`);
			await writeFile(join(DIRECTORY, `${name}-${colorScheme}.webp`), webp);
			console.log(`${name}-${colorScheme}.webp ${(webp.length / 1_000).toFixed(0)} kB`);
		}
		await page.close();
	}
} finally {
	await browser.close();
}
