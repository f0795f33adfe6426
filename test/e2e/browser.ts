/**
 * The browser of the page tests: the system's Chromium where there is one, else the one inside `@sparticuz/chromium`, which needs
 * nothing but `npm ci` on Linux.
 */
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";

const SYSTEM_BROWSERS: readonly string[] = [
	"/usr/bin/chromium",
	"/usr/bin/chromium-browser",
	"/usr/bin/google-chrome",
	"/usr/bin/google-chrome-stable",
	"/snap/bin/chromium",
	"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	"/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** Nothing that a browser does by itself may reach another host: a test counts the page's requests. */
const FLAGS: readonly string[] = [
	"--headless",
	"--no-sandbox",
	"--disable-gpu",
	"--disable-quic",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
];

export type BrowserFound =
	| { readonly kind: "found"; readonly executable: string }
	| { readonly kind: "none"; readonly reason: string };

export async function findBrowser(env: NodeJS.ProcessEnv = process.env): Promise<BrowserFound> {
	const chosen = env.MESHSCOPE_TEST_BROWSER;
	if (chosen !== undefined) {
		if (existsSync(chosen)) return { kind: "found", executable: chosen };
		return { kind: "none", reason: `MESHSCOPE_TEST_BROWSER names ${chosen}, which does not exist` };
	}
	const system = SYSTEM_BROWSERS.find((path) => existsSync(path));
	if (system !== undefined) return { kind: "found", executable: system };
	if (process.platform !== "linux") return { kind: "none", reason: "no Chromium or Chrome is installed" };
	try {
		const { default: packaged } = await import("@sparticuz/chromium");
		packaged.setGraphicsMode = false;
		return { kind: "found", executable: await packaged.executablePath() };
	} catch (error) {
		return { kind: "none", reason: `no Chromium is installed, and the packaged one does not unpack: ${String(error)}` };
	}
}

/** Launches with an empty profile of its own, which Playwright makes and removes. */
export async function launchBrowser(executable: string): Promise<Browser> {
	return await chromium.launch({ executablePath: executable, headless: true, args: [...FLAGS] });
}
