/**
 * Runs one or several apps of the shop in this process: `node run.ts '{"cart": {"port": 18001, "shim": "127.0.0.1:18002", …}}'`.
 * Ends with the one who started it: when its standard input does. Lines from there: `logs http://127.0.0.1:4318` names a collector for log
 * records; `begin` starts what has `--wait` behind it.
 */
import { createInterface } from "node:readline";
import type { AppSettings } from "./app.ts";
import { sendLogsTo } from "./logs.ts";

interface App {
	start(settings: AppSettings): unknown;
}

const APPS: Readonly<Record<string, () => Promise<App>>> = {
	cart: () => import("./cart.ts"),
	catalogue: () => import("./catalogue.ts"),
	checkout: () => import("./checkout.ts"),
	inventory: () => import("./inventory.ts"),
	"legacy-billing": () => import("./legacy-billing.ts"),
	notifications: () => import("./notifications.ts"),
	payments: () => import("./payments.ts"),
	reporting: () => import("./reporting.ts"),
	reviews: () => import("./reviews.ts"),
	shipping: () => import("./shipping.ts"),
	store: () => import("./store.ts"),
	storefront: () => import("./storefront.ts"),
	visitors: () => import("./visitors.ts"),
};

/** Keys are names of apps, with `@` and anything behind it where one runs twice: `reviews@v2`. */
const wanted = JSON.parse(process.argv[2] ?? "{}") as Readonly<Record<string, Partial<AppSettings>>>;
process.stdin.on("end", () => process.exit(0)).on("error", () => process.exit(0));
const begin = Promise.withResolvers<void>();
if (process.argv[3] !== "--wait") begin.resolve();
createInterface({ input: process.stdin }).on("line", (line) => {
	const [word, value = ""] = line.split(" ");
	if (word === "begin") begin.resolve();
	else if (word === "logs") sendLogsTo(value);
});

const starts: (() => unknown)[] = [];
for (const [key, given] of Object.entries(wanted)) {
	const name = key.split("@")[0] ?? "";
	const load = APPS[name];
	if (load === undefined) throw new Error(`no app ${name}; there are ${Object.keys(APPS).join(", ")}`);
	const app = await load();
	starts.push(() => app.start({ service: name, port: 0, shim: "", store: "", version: "v1", requestRate: 30, ...given }));
}
await begin.promise;
for (const start of starts) start();
