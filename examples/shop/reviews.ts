/**
 * Reviews. It calls the catalogue and forwards nothing: the honest gap. Edges, rates and mTLS of its calls are known all the same,
 * but in the traces of the shop it is the end, and its own calls begin traces of their own.
 */
import type { Server } from "node:http";
import { call, serveJson } from "./app.ts";
import type { AppSettings } from "./app.ts";

export function start(settings: AppSettings): Server {
	return serveJson(settings, async (request) => {
		const id = request.url?.split("/")[2] ?? "1";
		const product = await call(settings, "catalogue:8080", `/products/${id}`);
		const stars = settings.version === "v1" ? {} : { stars: 4 };
		return { status: 200, body: [{ product: product.body, text: "It pours.", version: settings.version, ...stars }] };
	});
}
