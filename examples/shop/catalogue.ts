/** The catalogue, for machines without Python: what python/catalogue.py is, in Node. */
import type { Server } from "node:http";
import { call, serveJson, traceHeaders } from "./app.ts";
import type { AppSettings } from "./app.ts";

const PRODUCTS = [
	{ id: "1", name: "Teapot", price: 24 },
	{ id: "2", name: "Kettle", price: 39 },
	{ id: "3", name: "Cup", price: 7 },
];

export function start(settings: AppSettings): Server {
	let asked = 0;
	let stock: unknown;
	return serveJson(settings, async (request) => {
		const id = request.url?.split("/")[2];
		if (id !== undefined) return { status: 200, body: PRODUCTS.find((product) => product.id === id) ?? {} };
		if (asked++ % 4 === 0) {
			stock = (await call(settings, "inventory:8080", "/stock", { headers: traceHeaders(request.headers) })).body;
		}
		return { status: 200, body: { version: settings.version, products: PRODUCTS, stock } };
	});
}
