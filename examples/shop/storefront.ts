/** The shop's page: what it shows comes from four other services. It forwards trace context by hand. */
import type { Server } from "node:http";
import { call, serveJson, traceHeaders } from "./app.ts";
import type { AppSettings } from "./app.ts";

export function start(settings: AppSettings): Server {
	return serveJson(settings, async (request, body) => {
		const headers = traceHeaders(request.headers);
		if (request.method === "POST") return call(settings, "checkout:8080", "/orders", { method: "POST", headers, body });
		const [catalogue, cart, reviews] = await Promise.all([
			call(settings, "catalogue:8080", "/products", { headers }),
			call(settings, "cart:8080", "/carts/me", { headers }),
			call(settings, "reviews:8080", "/reviews/1", { headers }),
		]);
		// A page without reviews is a page; one without products is none.
		const status = catalogue.status === 200 ? 200 : 502;
		return {
			status,
			body: { products: catalogue.body, cart: cart.body, reviews: reviews.status === 200 ? reviews.body : [] },
		};
	});
}
