/** The pages that audit, on the real API over a canned mesh: what they say, what they export, and that their addresses hold. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { beforeEach, test } from "node:test";
import type { TestContext } from "node:test";
import type { Page } from "playwright-core";
import { cannedMesh } from "../../api/canned-mesh.ts";
import { CANNED_NOW_MS, startCannedApi, TRACE_ID } from "../../api/canned-server.ts";
import type { CannedApi } from "../../api/canned-server.ts";
import { auditReader } from "./audit-mesh.ts";
import { seriousFindings } from "./axe.ts";
import { HOSTILE } from "./fixture-traces.ts";
import { bench, forgive, options, waitForAddress } from "./page-bench.ts";

let page: Page;
beforeEach(async () => {
	({ page } = bench);
	// The canned answers are of one moment; what is left of a certificate is told from it.
	await page?.clock.setFixedTime(CANNED_NOW_MS);
});

async function serve(
	t: TestContext,
	overrides: Parameters<typeof startCannedApi>[1] = {},
): Promise<{ url: string; api: CannedApi }> {
	const api = await startCannedApi(t, { uiDirectory: bench.dist, reader: auditReader, ...overrides });
	const url = api.address.startsWith("http") ? api.address : `http://${api.address}`;
	bench.origins.push(url);
	return { url, api };
}

/** Cells of a table's body, row by row. */
async function cells(title: string): Promise<readonly (readonly string[])[]> {
	const rows = page.getByRole("region", { name: title, exact: true }).locator("tbody tr");
	await rows.first().waitFor();
	const all = await rows.all();
	return await Promise.all(all.map((row) => row.locator("th, td").allInnerTexts()));
}

async function saved(button: string): Promise<string> {
	const waiting = page.waitForEvent("download");
	await page.getByRole("button", { name: button, exact: true }).click();
	return await readFile(await (await waiting).path(), "utf8");
}

async function exported(button: string): Promise<string> {
	const waiting = page.waitForEvent("download");
	await page.getByRole("button", { name: button, exact: true }).click();
	const download = await waiting;
	assert.match(download.suggestedFilename(), /^meshscope-[a-z]+-[0-9TZ-]+\.(csv|json)$/);
	return await readFile(await download.path(), "utf8");
}

test("coverage is exact in each unit, and one request in a million is not rounded away", options, async (t) => {
	const { url } = await serve(t, {
		reader: {
			...auditReader,
			mtls: async (query) => {
				const answer = await auditReader.mtls!(query);
				const counts = { mutual_tls: 999_999, tls: 0, plaintext: 1, none: 0, mixed: 0, unknown: 40 };
				return { ...answer, report: { ...answer.report, requests: { counts, percent: 99.9999 } } };
			},
		},
	});
	await page.goto(`${url}/mtls`);
	await page.locator(".coverage").waitFor();
	const [requests, connections, edges] = await page.locator(".coverage .fact").allInnerTexts();
	assert.match(requests!, /Requests\s+99\.9999 % mutual TLS\s+999,999 of 1,000,000 whose encryption is known/);
	assert.match(requests!, /unknown 40/);
	assert.match(connections!, /TCP connections\s+100 % mutual TLS\s+3 of 3/);
	assert.match(edges!, /Edges\s+33\.33 % mutual TLS\s+2 of 6/);
});

test("each edge without mutual TLS says how much, since when, who told it, and leads to its traces", options, async (t) => {
	const { url } = await serve(t);
	await page.goto(`${url}/mtls?from=now-6h`);
	const rows = await cells("Not mutual TLS, table");
	assert.deepEqual(
		rows.map(([source, target, status]) => [source, target, status]),
		[
			["shop/checkout", "shop/legacy", "plaintext"],
			["shop/cart", "shop/stock", "one-way TLS"],
			[HOSTILE.script, HOSTILE.image, "plaintext"],
		],
	);
	const legacy = rows[0]!;
	assert.match(legacy[3]!, /1,200 http requests\s+of 1,200 known/);
	assert.match(legacy[5]!, /^2026-01-01 12:00:01Z/);
	assert.equal(legacy[7], "the caller");
	const mixed = await cells("Mixed, table");
	assert.equal(mixed.length, 1);
	assert.match(mixed[0]!.join(" "), /shop\/gateway shop\/checkout mixed 1 http request\s+of 1,000,000 known 99\.9999 %/);
	assert.match((await cells("Failed handshakes, table"))[0]!.join(" "), /shop\/gateway shop\/cart 4 3,900 requests UF 4/);
	assert.match((await cells("Not known, table"))[0]!.join(" "), /shop\/reports shop\/stock/);
	const encrypted = (await cells("Mutual TLS throughout, table")).map((row) => row.join(" ")).join("\n");
	assert.match(encrypted, /spiffe:\/\/demo\/ns\/shop\/sa\/checkout\s+spiffe:\/\/demo\/ns\/shop\/sa\/orders/);

	const sample = page.getByRole("link", { name: TRACE_ID.slice(0, 8) }).first();
	assert.equal(await sample.getAttribute("href"), `/trace/${TRACE_ID}`);
	await page.getByRole("region", { name: "Not mutual TLS, table" }).getByRole("link", { name: "More" }).first().click();
	await waitForAddress((address) => address.searchParams.get("mtls") === "plaintext");
	assert.equal(new URL(page.url()).searchParams.get("service"), "checkout");
	await page.locator(".trace-table tbody tr").first().waitFor();
});

test("coverage has a course, in which the moment plaintext began is found and led to its edges", options, async (t) => {
	const { url } = await serve(t);
	await page.goto(`${url}/mtls?from=now-1h&chart-unprotected=table`);
	await page.getByRole("img", { name: /^Coverage from 2026-01-01 11:00:00Z.*Requests from 99\.8[78] % to 100 %/ }).waitFor();
	await page.locator(".recharts-line-curve").first().waitFor();
	const rows = await cells("Requests without mutual TLS over time, table");
	assert.match(rows[29]!.join(" "), /^2026-01-01 11:29:00Z 0 1 /);
	assert.match(rows[30]!.join(" "), /^2026-01-01 11:30:00Z 20 1 /);
	const link = page
		.getByRole("region", { name: "Requests without mutual TLS over time, table" })
		.getByRole("link", { name: "Edges of this moment" })
		.nth(30);
	await link.focus();
	await page.keyboard.press("Enter");
	await waitForAddress(({ searchParams }) => searchParams.get("from") === "2026-01-01T11:30:00.000Z");
	await cells("Not mutual TLS, table");
	const began = page.getByRole("region", { name: "Not mutual TLS, table" }).locator("a:has(time)").first();
	assert.match((await began.getAttribute("href"))!, /^\/\?edge=[0-9a-f]{16}&from=2026-01-01T11%3A59%3A01/);
});

test(
	"an auditor proves one edge from the page: verdict, identities, TLS, expiry, counts, window, who says so",
	options,
	async (t) => {
		const { url } = await serve(t);
		await page.goto(`${url}/mtls?from=now-1h`);
		const encrypted = page.getByRole("region", { name: "Mutual TLS throughout, table" });
		await encrypted
			.getByRole("row", { name: /shop\/checkout shop\/orders/ })
			.getByRole("link", { name: "Proof" })
			.click();
		await waitForAddress(({ searchParams }) => searchParams.has("proof"));
		const sheet = page.getByRole("article");
		await sheet.waitFor();
		const text = (await sheet.innerText()).replaceAll(/\s+/g, " ");
		for (const told of [
			/shop\/checkout → shop\/orders/,
			/All 3 connections whose encryption is known were mutual TLS, and an end of each connection checked/,
			/Window 2026-01-01 11:00:00Z to 2026-01-01 12:00:00Z/,
			/Caller’s identity spiffe:\/\/demo\/ns\/shop\/sa\/checkout Callee’s identity spiffe:\/\/demo\/ns\/shop\/sa\/orders/,
			/TLS version 1\.3 Cipher TLS_AES_128_GCM_SHA256/,
			/Vouched for by the callee, which checked/,
			/Reported by both ends/,
			/Statements it rests on mutual TLS: From/,
		])
			assert.match(text, told);
		const kept = JSON.parse(await saved("JSON")) as { verdict: string; edge: { mtls: { ciphers: string[] } } };
		assert.deepEqual(kept.edge.mtls.ciphers, ["TLS_AES_128_GCM_SHA256"]);
		// On paper: no navigation, nothing to click, black on white in the dark theme too.
		await page.emulateMedia({ media: "print", colorScheme: "dark" });
		assert.equal(await page.locator(".top").isVisible(), false);
		assert.equal(await sheet.getByRole("button", { name: "Print" }).isVisible(), false);
		assert.equal(
			await page.evaluate("getComputedStyle(document.querySelector('.proof')).backgroundColor"),
			"rgb(255, 255, 255)",
		);
		assert.equal(await page.evaluate("getComputedStyle(document.querySelector('.proof')).color"), "rgb(0, 0, 0)");
		await page.emulateMedia({ media: "screen", colorScheme: "light" });
		await page.getByRole("link", { name: "All edges" }).click();
		const mixed = page.getByRole("region", { name: "Mixed, table" });
		await mixed.getByRole("link", { name: "Proof" }).click();
		await page.getByText("Encrypted in part").waitFor();
		await page.getByText("1 of 1,000,000 requests whose encryption is known were not mutual TLS").waitFor();
		for (const colorScheme of ["light", "dark"] as const) {
			await page.emulateMedia({ colorScheme });
			assert.deepEqual(await seriousFindings(page), []);
		}
	},
);

test("certificates stand by their end, and those near it or past it are marked", options, async (t) => {
	const { url } = await serve(t);
	await page.goto(`${url}/mtls`);
	const rows = await cells("Certificates in use, table");
	assert.deepEqual(
		rows.map(([principal]) => principal?.split("/").at(-1)),
		["orders", "cart", "checkout"],
	);
	assert.match(rows[0]![1]!, /expired, 1h ago/);
	assert.match(rows[1]![1]!, /expires soon, in 15m/);
	assert.match(rows[2]![1]!, /in 20h/);
	assert.doesNotMatch(rows[2]![1]!, /soon/);
	assert.match((await cells("Identities, table"))[0]!.join(" "), /spiffe:\/\/demo\/ns\/shop\/sa\//);
});

test("a table is exported whole and in its order, and no name in it becomes a formula", options, async (t) => {
	const { url } = await serve(t);
	await page.goto(`${url}/mtls?sort-plaintext=unprotected`);
	await cells("Not mutual TLS, table");
	const csv = (await exported("Not mutual TLS as CSV")).split("\r\n");
	assert.match(csv[0]!, /^source,target,protocol,status,unprotected,percent,samples,firstSeen,lastSeen,reporter,mutual_tls,/);
	assert.equal(csv.length, 5);
	assert.match(csv[1]!, /^<script>window\.hacked=1<\/script>,"<img src=x onerror=""window\.hacked=2"">",http,plaintext,7,0,/);
	assert.match(
		csv[3]!,
		/^shop\/checkout,shop\/legacy,http,plaintext,1200,0,4bf92f3577b34da6a3ce929d0e0e4736,2026-01-01T12:00:01\.000Z,/,
	);
	const json = JSON.parse(await exported("Not mutual TLS as JSON")) as {
		edge: { target: string };
		told: { reporter: string };
	}[];
	assert.deepEqual(
		json.map(({ edge }) => edge.target),
		[HOSTILE.image, "shop/stock", "shop/legacy"],
	);
	assert.equal(json[2]!.told.reporter, "source");
});

test("range, order and kind are in the address: reload, back and a shared link show the same", options, async (t) => {
	const { url, api } = await serve(t);
	await page.goto(`${url}/mtls?from=now-6h`);
	await cells("Not mutual TLS, table");
	assert.equal(await page.getByLabel("Time", { exact: true }).inputValue(), "now-6h");
	const head = page.getByRole("region", { name: "Not mutual TLS, table" }).getByRole("button", { name: "Callee" });
	await head.focus();
	await page.keyboard.press("Enter");
	await waitForAddress((address) => address.searchParams.get("sort-plaintext") === "target");
	await page.reload();
	assert.deepEqual(
		(await cells("Not mutual TLS, table")).map(([, target]) => target),
		[HOSTILE.image, "shop/legacy", "shop/stock"],
	);
	await page.getByLabel("Time", { exact: true }).selectOption("now-24h");
	await waitForAddress((address) => address.searchParams.get("from") === "now-24h");
	await page.goBack();
	await waitForAddress((address) => address.searchParams.get("from") === "now-6h");
	assert.equal(await page.getByLabel("Time", { exact: true }).inputValue(), "now-6h");
	const asked = api.reader.asked.filter(({ method }) => method === "mtls").map(({ args }) => args[0]) as { fromMs: number }[];
	assert.ok(asked.some(({ fromMs }) => fromMs === CANNED_NOW_MS - 6 * 3_600_000));

	await page.goto(`${url}/changes`);
	await page.getByRole("link", { name: /^New/ }).click();
	await waitForAddress((address) => address.searchParams.get("kind") === "new");
	await page.reload();
	assert.equal((await cells("New, table")).length, 1);
	await page.goBack();
	assert.ok((await cells("Changed edges, table")).length > 1);
	await page.getByLabel("Baseline from").fill("now-2d");
	await page.keyboard.press("Enter");
	await waitForAddress((address) => address.searchParams.get("baselineFrom") === "now-2d");
	await page.reload();
	assert.equal(await page.getByLabel("Baseline from").inputValue(), "now-2d");
	assert.equal(await page.getByLabel("Compare").locator("option:checked").innerText(), "As typed");
});

test("each line of the drawing is reached by arrows, and leads to its edge in its window", options, async (t) => {
	const { url } = await serve(t);
	await page.goto(`${url}/changes`);
	const lines = page.getByRole("group", { name: "Changed edges, also listed below" }).getByRole("link");
	await lines.first().waitFor();
	const focused = async (): Promise<string> =>
		(await page.evaluate("document.activeElement.getAttribute('aria-label')")) as string;
	const names = await lines.evaluateAll((all) => all.map((line) => line.getAttribute("aria-label")));
	await page.getByRole("navigation", { name: "Kinds of change" }).getByRole("link").last().focus();
	await page.keyboard.press("Tab");
	assert.equal(await focused(), names[0], "the drawing is the next stop");
	await page.keyboard.press("ArrowDown");
	assert.equal(await focused(), names[1]);
	await page.keyboard.press("End");
	assert.equal(await focused(), names.at(-1));
	await page.keyboard.press("ArrowDown");
	await page.keyboard.press("Home");
	await page.keyboard.press("ArrowUp");
	assert.equal(await focused(), names[0]);
	await page.keyboard.press("Enter");
	await waitForAddress((address) => address.pathname === "/" && /^[0-9a-f]{16}$/.test(address.searchParams.get("edge") ?? ""));
	await page.goBack();
	await lines.first().waitFor();
	await lines.first().focus();
	await page.keyboard.press("Tab");
	assert.ok(!names.includes(await focused()), "it is one stop");
});

test("changes say from what to what, ranked, and lead to the traces of the edge", options, async (t) => {
	const { url } = await serve(t);
	await page.goto(`${url}/changes`);
	const rows = await cells("Changed edges, table");
	const changed = new Map(rows.map(([, source, target, , what]) => [`${source}>${target}`, what!]));
	assert.match(
		changed.get("shop/gateway>shop/checkout")!,
		/Encryption lost encryption mutual TLS →[^]*mixed, 99\.9999 % mutual TLS/,
	);
	assert.match(changed.get("shop/gateway>shop/cart")!, /Failing errors 0 % \(0 of 4,000\) →[^]*23\.08 % \(900 of 3,900\)/);
	assert.match(changed.get("shop/gateway>shop/cart")!, /Slower p95 1[12][.\d]* ms →[^]*(89|9\d)[.\d]* ms/);
	assert.match(changed.get("shop/cart>shop/stock")!, /New nothing →[^]*300 requests, 5 req\/s, one-way TLS/);
	assert.match(changed.get("shop/gateway>shop/retired")!, /Gone 500 requests.*→[^]*nothing/);
	assert.deepEqual(
		rows.map(([rank]) => rank),
		rows.map((_, i) => String(i + 1)),
	);
	const sides = await page.locator(".sides .fact").allInnerTexts();
	assert.match(sides[0]!, /Before\s+15m\s+2026-01-01 11:30:00Z to 2026-01-01 11:45:00Z/);
	assert.match(sides[1]!, /After\s+15m\s+2026-01-01 11:45:00Z to 2026-01-01 12:00:00Z/);
	const cart = page.getByRole("row", { name: /shop\/gateway shop\/cart/ });
	assert.match(
		(await cart.getByRole("link", { name: "Edge" }).getAttribute("href"))!,
		/^\/\?edge=[0-9a-f]{16}&from=2026-01-01T11%3A45%3A00\.000Z&to=2026-01-01T12%3A00%3A00\.000Z$/,
	);
	await cart.getByRole("button", { name: "Samples" }).click();
	assert.equal(await cart.getByRole("link", { name: TRACE_ID.slice(0, 8) }).getAttribute("href"), `/trace/${TRACE_ID}`);
	assert.match((await cart.getByRole("link", { name: "More" }).getAttribute("href"))!, /service=gateway&status=error/);
	const csv = await exported("Changed edges as CSV");
	assert.match(csv, /Encryption lost: mutual TLS → mixed, 99\.9999 % mutual TLS/);
	assert.equal((JSON.parse(await exported("Changed edges as JSON")) as unknown[]).length, rows.length);
});

test(
	"two windows stand side by side: their totals, each edge in both, a drawing, and the course between them",
	options,
	async (t) => {
		const { url, api } = await serve(t);
		await page.goto(`${url}/changes`);
		await page.getByLabel("Compare").selectOption({ label: "Last 15 min with the same of yesterday" });
		await waitForAddress(({ searchParams }) => searchParams.get("baselineFrom") === "now-24h15m");
		const side = (name: string) => page.locator(".sides .fact").filter({ hasText: name });
		await side("Before")
			.getByText(/2025-12-31 11:45:00Z to 2025-12-31 12:00:00Z/)
			.waitFor();
		await side("After").getByText("9 nodes, 7 edges").waitFor();
		await side("Before").getByText("10 nodes, 7 edges").waitFor();
		assert.match(
			(await side("Before").innerText()).replaceAll(/\s+/g, " "),
			/Rate 16\.7k req\/s Errors 0 % Mutual TLS 99\.8\d %/,
		);
		const rows = await cells("Changed edges, table");
		const [, , , , , before, after] = rows.find(([, source, target]) => source === "shop/gateway" && target === "shop/cart")!;
		assert.match(before!, /0 % failed\s+1\d[.\d]* ms\s+mutual TLS/);
		assert.match(after!, /23\.08 % failed\s+(89|9\d)[.\d]* ms\s+mutual TLS/);
		assert.equal(rows.find(([, , target]) => target === "shop/retired")![6], "not there");
		const drawing = page.getByRole("group", { name: "Changed edges, also listed below" });
		assert.equal(await drawing.getByRole("link", { name: /^shop\/cart → shop\/stock: new/ }).count(), 1);
		assert.equal(await drawing.locator(".change-line").count(), rows.length);
		const signs = await drawing.locator(".change-line > text").allTextContents();
		assert.equal(new Set(signs).size, rows.length, "what happened is told by more than colour");
		await page.getByRole("img", { name: /^Whole mesh: errors/ }).waitFor();
		const asked = api.reader.asked.filter(({ method }) => method === "graph").map(({ args }) => args[0]) as {
			fromMs: number;
		}[];
		assert.ok(asked.some(({ fromMs }) => fromMs === CANNED_NOW_MS - 24 * 3_600_000 - 900_000));
		await page.getByRole("button", { name: "Whole mesh: rate as a table" }).click();
		const moment = page
			.getByRole("region", { name: "Whole mesh: rate over time, table" })
			.getByRole("link", { name: /Compare/ });
		await moment.nth(10).click();
		await waitForAddress(({ searchParams }) => searchParams.get("baselineFrom")?.startsWith("20") === true);
		await page.getByLabel("Compare").locator("option:checked").filter({ hasText: "As typed" }).waitFor({ state: "attached" });
	},
);

test("the mesh shows members, policy versions, refusals with their place, and certificates", options, async (t) => {
	const { url } = await serve(t, { mesh: cannedMesh(CANNED_NOW_MS) });
	await page.goto(`${url}/mesh`);
	const proxies = await cells("Proxies, table");
	assert.match(proxies[0]!.join(" "), /cart-1 in sync 4 /);
	assert.match(proxies[1]!.join(" "), /cart-2 refused version 4 3\s+4 is in force not connected/);
	const rejected = await cells("Rejected policies, table");
	assert.deepEqual(
		rejected.map(([place, , by]) => [place, by]),
		[
			["mesh.yaml:12:7", "the control plane"],
			["mesh.yaml:12:7", "cart-2"],
		],
	);
	assert.match(rejected[0]![1]!, /must be a duration such as 10s\s+DestinationRule shop\/cart: spec\.trafficPolicy/);
	assert.match((await cells("Services, table"))[0]!.join(" "), /cart shop 1 of 2 80\/http/);
	assert.match((await cells("Instances, table"))[1]!.join(" "), /GET \/healthz answered 503 lost/);
	assert.match((await cells("Certificates, table"))[0]!.join(" "), /cart-1 2026-01-02 11:00:00Z\s+in 23h/);
	await page.getByText("PeerAuthentication", { exact: true }).click();
	await page.getByText('"mode": "STRICT"').waitFor();
	assert.match(await exported("Rejected policies as CSV"), /mesh\.yaml:12:7,must be a duration such as 10s,/);
});

test("without a control plane the mesh page says how to start one, and does not ask for a mesh", options, async (t) => {
	const { url, api } = await serve(t, { mesh: undefined });
	await page.goto(`${url}/mesh`);
	await page.getByText("meshscope serve --mesh mesh.yaml").waitFor();
	assert.deepEqual(
		api.lines.filter(({ fields }) => JSON.stringify(fields).includes("/api/v1/mesh")),
		[],
	);
});

test("nothing seen and a refused range each say what to do", options, async (t) => {
	const nothing = { nodes: [], edges: [] };
	const { url } = await serve(t, {
		reader: {
			...auditReader,
			graph: async (query) => ({ ...(await auditReader.graph!(query)), graph: nothing }),
			mtls: async (query) => {
				const { window, report } = await auditReader.mtls!(query);
				return { window, report: { ...report, plaintext: [], mixed: [], identities: [], certificates: [] } };
			},
		},
	});
	await page.goto(`${url}/mtls`);
	await page.getByRole("heading", { name: "No call between services in this range" }).waitFor();
	await page.goto(`${url}/changes`);
	await page.getByText("Nothing: in both windows the same edges carry the same").waitFor();
	for (const path of ["/mtls?from=yesterday", "/changes?baselineFrom=yesterday"]) {
		await page.goto(url + path);
		await page.getByRole("alert").getByText("invalid_argument").waitFor();
	}
	forgive(/400/);
});

test("a page whose code cannot be read says so, and a reload shows it", options, async (t) => {
	const { url } = await serve(t);
	await page.goto(`${url}/setup`);
	await page.getByRole("heading", { name: "Setup" }).waitFor();
	await page.route(/audit-pages-.*\.js$/, (route) => route.abort());
	await page.getByRole("link", { name: "mTLS", exact: true }).click();
	await page.getByText("The code of this page could not be read").waitFor();
	await page.unroute(/audit-pages-.*\.js$/);
	await page.getByRole("button", { name: "Reload" }).click();
	await cells("Not mutual TLS, table");
	forgive(/ERR_FAILED/);
});

test("nobody is kept out in either theme, nothing overflows, and the keys lead to each page", options, async (t) => {
	const { url } = await serve(t);
	for (const colorScheme of ["light", "dark"] as const) {
		await page.emulateMedia({ colorScheme });
		for (const [path, ready] of [
			["/mtls", "Certificates in use, table"],
			["/changes", "Changed edges, table"],
			["/mesh", "Rejected policies, table"],
		] as const) {
			await page.goto(url + path);
			await cells(ready);
			assert.deepEqual(await seriousFindings(page), [], `${path} ${colorScheme}`);
			for (const width of [400, 1_280]) {
				await page.setViewportSize({ width, height: 800 });
				const overflow = await page.evaluate(
					"document.documentElement.scrollWidth - document.documentElement.clientWidth",
				);
				assert.equal(overflow, 0, `${path} at ${width} pixels is wider than the window`);
			}
			const directory = process.env.MESHSCOPE_TEST_SCREENSHOTS;
			if (directory !== undefined)
				await page.screenshot({ path: `${directory}/${path.slice(1)}-${colorScheme}.png`, fullPage: true });
		}
	}
	for (const [key, title] of [
		["m", "mTLS"],
		["c", "Changes"],
		["e", "Mesh"],
	] as const) {
		await page.keyboard.press("g");
		await page.keyboard.press(key);
		await page.getByRole("heading", { level: 1, name: title }).waitFor();
	}
});
