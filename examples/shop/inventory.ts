/** The slow dependency, for machines without Python: what python/inventory.py is, in Node. */
import type { Server } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { serveJson } from "./app.ts";
import type { AppSettings } from "./app.ts";

export function start(settings: AppSettings): Server {
	return serveJson(settings, async () => {
		await delay(120 + 180 * Math.random() ** 2);
		return { status: 200, body: { 1: 12, 2: 3, 3: 140 } };
	});
}
