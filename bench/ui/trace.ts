/**
 * The trace page in a real browser, with a trace of 100,000 spans from the real server: first paint, collapsing, walking, heap.
 *
 * `node bench/ui/trace.ts [rounds] [spans]`; the spans are sent by OTLP over HTTP as a mesh sends them: in each call an app's and a
 * proxy's span at either end, so that the answer holds a hop for every fourth span.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CDPSession, Page } from "playwright-core";
import { findBrowser, launchBrowser } from "../../test/e2e/browser.ts";
import { buildUiIfStale } from "../../ui/build.ts";
import { textOf } from "../report.ts";
import { startServer } from "../server.ts";
import { spreadOf } from "../statistics.ts";

const TRACE_ID = "7ace000000000000000000000000beef";
const BATCH_SPANS = 5_000;
const SERVICES = 24;
/** Children of a call. */
const FAN_OUT = 6;
const MIB = 1_048_576;
/** A server that has not stored the spans by then will not. */
const STORED_WITHIN_MS = 120_000;

/** Span `i` of four in each call: the caller's app and proxy, the callee's proxy and app. Times are inside their parents'. */
function spanOf(i: number, count: number, startNs: bigint): { service: number; span: Record<string, unknown> } {
	const call = i >> 2;
	const leg = i & 3;
	const parentCall = Math.floor((call - 1) / FAN_OUT);
	const parent = leg > 0 ? i - 1 : call === 0 ? undefined : parentCall * 4 + 3;
	const callee = call % SERVICES;
	const caller = call === 0 ? SERVICES : parentCall % SERVICES;
	const from = startNs + BigInt(call * 40_000 + leg * 2_000);
	const lengthNs = call === 0 ? count * 20_000 - leg * 5_000 : 2_000_000 - leg * 5_000;
	const attributes = [
		{ key: "http.request.method", value: { stringValue: "GET" } },
		{ key: "http.response.status_code", value: { intValue: call % 97 === 96 ? "503" : "200" } },
		...(leg === 1 || leg === 2 ? [{ key: "component", value: { stringValue: "proxy" } }] : []),
		{ key: "guid:x-request-id", value: { stringValue: `${call.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000` } },
	];
	return {
		service: leg < 2 ? caller : callee,
		span: {
			traceId: TRACE_ID,
			spanId: idOf(i),
			...(parent === undefined ? {} : { parentSpanId: idOf(parent) }),
			name: `GET /resource/${call % 40}`,
			kind: leg < 2 ? 3 : 2,
			startTimeUnixNano: String(from),
			endTimeUnixNano: String(from + BigInt(lengthNs)),
			attributes,
			...(call % 97 === 96 ? { status: { code: 2 } } : {}),
		},
	};
}

function idOf(i: number): string {
	return (i + 1).toString(16).padStart(16, "0");
}

async function send(url: string, count: number, startNs: bigint): Promise<void> {
	for (let from = 0; from < count; from += BATCH_SPANS) {
		const batch = Array.from({ length: Math.min(BATCH_SPANS, count - from) }, (_, k) => spanOf(from + k, count, startNs));
		const resourceSpans = [...Map.groupBy(batch, ({ service }) => service)].map(([service, spans]) => ({
			resource: { attributes: [{ key: "service.name", value: { stringValue: `service-${service}` } }] },
			scopeSpans: [{ spans: spans.map(({ span }) => span) }],
		}));
		const response = await fetch(`${url}/v1/traces`, {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ resourceSpans }),
		});
		if (!response.ok) throw new Error(`POST /v1/traces: ${response.status} ${await response.text()}`);
	}
}

interface Answer {
	readonly ms: number;
	readonly bytes: number;
	readonly spans: number;
	readonly hops: number;
}

async function readTrace(url: string): Promise<Answer> {
	const startMs = performance.now();
	const response = await fetch(`${url}/api/v1/traces/${TRACE_ID}`);
	const text = await response.text();
	const ms = performance.now() - startMs;
	const { meshscope } = JSON.parse(text) as { meshscope?: { spanCount: number; hopCount: number } };
	return { ms, bytes: text.length, spans: meshscope?.spanCount ?? 0, hops: meshscope?.hopCount ?? 0 };
}

/** From the navigation until rows are painted, by the page's clock. */
async function firstPaintMs(page: Page, url: string): Promise<number> {
	await page.goto(url, { waitUntil: "commit" });
	return (await page.evaluate(
		`new Promise((resolve) => {
			const look = () => {
				if (document.querySelector(".span-row") === null) return requestAnimationFrame(look);
				requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
			};
			look();
		})`,
	)) as number;
}

/** From an action, as an expression, until the frame after it is painted. */
async function paintedAfterMs(page: Page, action: string): Promise<number> {
	return (await page.evaluate(
		`new Promise((resolve) => {
			const start = performance.now();
			${action};
			requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)));
		})`,
	)) as number;
}

function clickOn(text: string): string {
	return `[...document.querySelectorAll(".waterfall-tools button")].find((b) => b.textContent.trim() === "${text}").click()`;
}

function press(key: string): string {
	return `document.querySelector("[role=treegrid]").dispatchEvent(new KeyboardEvent("keydown", { key: "${key}", bubbles: true, cancelable: true }))`;
}

async function heapMib(session: CDPSession): Promise<number> {
	const { metrics } = await session.send("Performance.getMetrics");
	return (metrics.find(({ name }) => name === "JSHeapUsedSize")?.value ?? Number.NaN) / MIB;
}

const rounds = Number(process.argv[2] ?? "5");
const count = Number(process.argv[3] ?? "100000");
const found = await findBrowser();
if (found.kind === "none") throw new Error(found.reason);
await buildUiIfStale();
const dataDirectory = mkdtempSync(join(tmpdir(), "meshscope-trace-ui-"));
const server = await startServer({ dataDirectory });
const browser = await launchBrowser(found.executable);
try {
	const startNs = BigInt(Date.now() - 60_000) * 1_000_000n;
	await send(server.otlpHttp, count, startNs);
	const deadlineMs = performance.now() + STORED_WITHIN_MS;
	let answer = await readTrace(server.http);
	for (; answer.spans < count && performance.now() < deadlineMs; answer = await readTrace(server.http)) await sleep(500);
	if (answer.spans !== count) throw new Error(`${answer.spans} of ${count} spans came back`);
	const measured = new Map<string, number[]>();
	const record = (name: string, value: number): void => void measured.set(name, [...(measured.get(name) ?? []), value]);
	for (let round = 0; round < rounds; round++) {
		record("answer of the server", (await readTrace(server.http)).ms);
		const context = await browser.newContext({ viewport: { width: 1_280, height: 800 } });
		const page = await context.newPage();
		const session = await context.newCDPSession(page);
		await session.send("Performance.enable");
		record("first paint, from navigation", await firstPaintMs(page, `${server.http}/trace/${TRACE_ID}`));
		record("heap after first paint", await heapMib(session));
		await session.send("HeapProfiler.collectGarbage");
		record("heap at rest", await heapMib(session));
		await page.locator("[role=treegrid]").focus();
		// The first of each runs code that the browser has not compiled yet; it counts.
		record("collapse all", await paintedAfterMs(page, clickOn("Collapse all")));
		record("expand all", await paintedAfterMs(page, clickOn("Expand all")));
		record("collapse the root", await paintedAfterMs(page, press("ArrowLeft")));
		record("expand the root", await paintedAfterMs(page, press("ArrowRight")));
		record("go to the last row", await paintedAfterMs(page, press("End")));
		record("zoom in", await paintedAfterMs(page, press("w")));
		await context.close();
	}
	const report = { section: "trace ui", repetitions: rounds };
	const bars: Readonly<Record<string, number>> = {
		"first paint, from navigation": 2_000,
		"collapse all": 100,
		"expand all": 100,
		"collapse the root": 100,
		"expand the root": 100,
		"heap after first paint": 500,
		"heap at rest": 500,
	};
	for (const [name, values] of measured) {
		const atMost = bars[name];
		console.log(
			textOf({
				...report,
				...{ name, unit: name.startsWith("heap") ? "MiB" : "ms", value: spreadOf(values) },
				...(atMost === undefined ? {} : { bar: { atMost } }),
				...(name === "answer of the server"
					? { note: `${answer.spans} spans, ${answer.hops} hops, ${(answer.bytes / MIB).toFixed(0)} MiB` }
					: {}),
			}),
		);
	}
} finally {
	await browser.close();
	await server.stop();
	rmSync(dataDirectory, { recursive: true, force: true });
}
