/**
 * The graph page in a real browser, with a mesh of 1,000 nodes and 3,000 edges: how soon it can be used, and how many frames a second
 * it draws while somebody pans and zooms, at rest of the server and while it refreshes.
 *
 * `node bench/ui/graph.ts [rounds]`; the answers are canned, so that the page alone is measured.
 */
import type { Page } from "playwright-core";
import { findBrowser, launchBrowser } from "../../test/e2e/browser.ts";
import { startFixtureServer } from "../../test/e2e/fixture-server.ts";
import { largeGraph } from "../../test/e2e/fixture-graph.ts";
import { buildUiIfStale } from "../../ui/build.ts";
import { textOf } from "../report.ts";
import { percentile, spreadOf } from "../statistics.ts";

const NODES = 1_000;
const USABLE_BAR_MS = 2_000;
const FRAMES_BAR = 50;
const MEASURED_MS = 3_000;

interface Frames {
	readonly perSecond: number;
	/** Between two frames, ms. */
	readonly p95: number;
	readonly longest: number;
}

/** What is done in each frame, as the body of a function of the frame's number. */
const PAN = `sheet.dispatchEvent(new PointerEvent("pointermove", {
	bubbles: true, pointerId: 1, clientX: middle.x + 260 * Math.sin(i / 31), clientY: middle.y + 170 * Math.sin(i / 23),
}));`;
const ZOOM = `sheet.dispatchEvent(new WheelEvent("wheel", {
	bubbles: true, cancelable: true, clientX: middle.x + 40, clientY: middle.y - 30, deltaY: Math.sin(i / 25) > 0 ? -14 : 14,
}));`;

async function framesWhile(page: Page, action: string, durationMs = MEASURED_MS): Promise<Frames> {
	const deltas = (await page.evaluate(
		`new Promise((resolve) => {
			const sheet = document.querySelector(".graph-sheet");
			const box = sheet.getBoundingClientRect();
			const middle = { x: box.left + box.width / 2, y: box.top + box.height / 2 };
			const deltas = [];
			const start = performance.now();
			let last = start;
			let i = 0;
			const frame = () => {
				const now = performance.now();
				if (i > 0) deltas.push(now - last);
				last = now;
				i++;
				if (now - start > ${durationMs}) return resolve(deltas);
				${action}
				requestAnimationFrame(frame);
			};
			requestAnimationFrame(frame);
		})`,
	)) as number[];
	const sorted = deltas.toSorted((a, b) => a - b);
	const total = deltas.reduce((sum, delta) => sum + delta, 0);
	return { perSecond: (1_000 * deltas.length) / total, p95: percentile(sorted, 0.95), longest: sorted.at(-1) ?? Number.NaN };
}

async function panning(page: Page): Promise<Frames> {
	const { x, y } = await middleOf(page);
	await page.mouse.move(x, y);
	await page.mouse.down();
	const frames = await framesWhile(page, PAN);
	await page.mouse.up();
	return frames;
}

async function middleOf(page: Page): Promise<{ x: number; y: number }> {
	const box = (await page.locator(".graph-sheet").boundingBox())!;
	return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

/** From the navigation until nodes are placed and something is painted. */
async function usableMs(page: Page, url: string): Promise<number> {
	await page.goto(url, { waitUntil: "commit" });
	return (await page.evaluate(
		`new Promise((resolve) => {
			const look = () => {
				const canvas = document.querySelector(".graph-sheet canvas");
				if (canvas?.dataset.painted === undefined) return requestAnimationFrame(look);
				requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())));
			};
			look();
		})`,
	)) as number;
}

const rounds = Number(process.argv[2] ?? "5");
const found = await findBrowser();
if (found.kind === "none") throw new Error(found.reason);
const browser = await launchBrowser(found.executable);
const server = await startFixtureServer(await buildUiIfStale());
try {
	server.graph = largeGraph(NODES);
	const usable: number[] = [];
	const frames = new Map<string, Frames[]>();
	const record = (name: string, measured: Frames): void => void frames.set(name, [...(frames.get(name) ?? []), measured]);
	for (let round = 0; round < rounds; round++) {
		const context = await browser.newContext({ viewport: { width: 1_280, height: 800 } });
		const page = await context.newPage();
		usable.push(await usableMs(page, `${server.url}/?live=off`));
		await page.waitForTimeout(500);
		record("resting, for comparison", await framesWhile(page, "", 1_000));
		record("panning the whole graph", await panning(page));
		record("zooming in and out", await framesWhile(page, ZOOM));
		await page.locator(".graph-sheet").focus();
		await page.keyboard.press("0");
		for (let i = 0; i < 9; i++) await page.keyboard.press("+");
		await page.waitForTimeout(500);
		record("panning with names and badges", await panning(page));
		await page.goto(server.url);
		await page.locator(".graph-wait").waitFor({ state: "detached" });
		await page.waitForTimeout(3_500);
		record("panning while it refreshes", await panning(page));
		await context.close();
	}
	const report = { section: "graph ui", repetitions: rounds };
	console.log(
		textOf({
			...report,
			name: "usable, from navigation",
			unit: "ms",
			value: spreadOf(usable),
			bar: { atMost: USABLE_BAR_MS },
		}),
	);
	for (const [name, measured] of frames) {
		const of = (read: (each: Frames) => number): number => spreadOf(measured.map(read)).median;
		console.log(
			textOf({
				...report,
				...{ name, unit: "frames/s", value: spreadOf(measured.map(({ perSecond }) => perSecond)) },
				...(name.startsWith("resting") ? {} : { bar: { atLeast: FRAMES_BAR } }),
				note: `frame p95 ${of(({ p95 }) => p95).toFixed(1)} ms, longest ${of(({ longest }) => longest).toFixed(0)} ms`,
			}),
		);
	}
} finally {
	await browser.close();
	await server.close();
}
