import { findBrowser, launchBrowser } from "./browser.ts";
import { startFixtureServer } from "./fixture-server.ts";
import { largeGraph, shopGraph } from "./fixture-graph.ts";
import { buildUiIfStale } from "../../ui/build.ts";
const [query = "", name = "a", theme = "light", width = "1280", action = "", large = ""] = process.argv.slice(2);
const found = await findBrowser();
if (found.kind === "none") throw new Error();
const browser = await launchBrowser(found.executable);
const server = await startFixtureServer(await buildUiIfStale());
server.graph = large === "large" ? largeGraph(1000) : shopGraph();
const page = await (
	await browser.newContext({ viewport: { width: Number(width), height: 800 }, colorScheme: theme as "light" })
).newPage();
page.on("console", (m) => console.log("console", m.type(), m.text()));
page.on("pageerror", (m) => console.log("pageerror", m.message));
await page.goto(`${server.url}/${query}`);
await page.waitForTimeout(large === "" ? 1200 : 4000);
if (action !== "") await new Function("page", "server", `return (async () => { ${action} })()`)(page, server);
await page.screenshot({ path: `/tmp/shot-${name}.png` });
console.log(page.url());
await browser.close();
await server.close();
