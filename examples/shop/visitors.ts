/**
 * Those who visit the shop: an open loop, so that a slow shop is not asked less often. Most look at the page, some order, and one
 * stays connected by WebSocket and goes and comes again.
 */
import { randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { call } from "./app.ts";
import type { AppSettings } from "./app.ts";

const ORDER_SHARE = 0.15;
const STAY_MS = 4_000;
const TICK_MS = 20;
/** A shop that hangs must not fill this process: beyond it, visitors turn away at the door. */
const MAX_WAITING = 200;

export function start(settings: AppSettings): void {
	let waiting = 0;
	let owed = 0;
	let lastMs = performance.now();
	setInterval(() => {
		const nowMs = performance.now();
		owed = Math.min(settings.requestRate, owed + ((nowMs - lastMs) / 1_000) * settings.requestRate);
		lastMs = nowMs;
		for (; owed >= 1; owed--) {
			if (waiting >= MAX_WAITING) continue;
			waiting++;
			const isOrder = Math.random() < ORDER_SHARE;
			const visit = isOrder
				? call(settings, "storefront:8080", "/orders", { method: "POST", body: {} })
				: call(settings, "storefront:8080", "/");
			// What fails is seen in the graph.
			void visit.catch(() => undefined).finally(() => waiting--);
		}
	}, TICK_MS);
	stayConnected(settings);
}

/** Node's own WebSocket names its peer by the address it connects to; here that is the shim, and the service is in the Host header. */
function stayConnected(settings: AppSettings): void {
	const [host, port] = settings.shim.split(":");
	const again = (): void => void setTimeout(() => stayConnected(settings), 500);
	const request = httpRequest({
		host,
		port,
		path: "/orders",
		headers: {
			host: "notifications:8080",
			connection: "Upgrade",
			upgrade: "websocket",
			"sec-websocket-version": "13",
			"sec-websocket-key": randomBytes(16).toString("base64"),
		},
	});
	request.on("error", again);
	request.on("response", (response) => response.resume().on("close", again));
	request.on("upgrade", (_, socket) => {
		socket.resume();
		socket.on("error", () => socket.destroy());
		socket.on("close", again);
		setTimeout(() => socket.end(closeFrame()), STAY_MS);
	});
	request.end();
}

/** Masked, as every frame of a client is; its payload is empty. */
function closeFrame(): Buffer {
	return Buffer.concat([Buffer.from([0x88, 0x80]), randomBytes(4)]);
}
