/** Nobody dares to touch it: it has no shim, so what is sent to it is plaintext, and the graph says so. */
import type { Server } from "node:http";
import { serveJson } from "./app.ts";
import type { AppSettings } from "./app.ts";

export function start(settings: AppSettings): Server {
	let invoices = 1_000;
	return serveJson(settings, () => ({ status: 200, body: { invoice: ++invoices } }));
}
