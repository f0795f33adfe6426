/**
 * Orders: five calls to other services, one of them gRPC. It forwards nothing itself: it is started with
 * `--import meshscope/propagate`, and its traces are whole.
 */
import { Client, credentials } from "@grpc/grpc-js";
import type { Server } from "node:http";
import { call, serveJson } from "./app.ts";
import type { AppSettings } from "./app.ts";
import { CHARGE_PATH, toBytes, toReply } from "./payments-api.ts";
import type { ChargeReply } from "./payments-api.ts";
import { log } from "./logs.ts";

const CHARGE_TIMEOUT_MS = 5_000;

export function start(settings: AppSettings): Server {
	const payments = new Client(settings.shim, credentials.createInsecure(), { "grpc.default_authority": "payments:50051" });
	const charge = (orderId: string): Promise<ChargeReply | undefined> =>
		new Promise((resolve, reject) => {
			const deadline = Date.now() + CHARGE_TIMEOUT_MS;
			payments.makeUnaryRequest(CHARGE_PATH, toBytes, toReply, { orderId, amount: 31 }, { deadline }, (error, reply) =>
				error === null ? resolve(reply) : reject(error),
			);
		});

	let orders = 0;
	return serveJson(settings, async (request) => {
		const orderId = String(++orders);
		const post = (service: string, path: string): ReturnType<typeof call> =>
			call(settings, service, path, { method: "POST", body: { orderId } });
		const cart = await call(settings, "cart:8080", "/carts/me");
		const [payment, shipping, invoice] = await Promise.all([
			// A declined card is the customer's affair.
			charge(orderId).catch(() => undefined),
			post("shipping:8080", "/quotes"),
			post("legacy-billing:8080", "/invoices"),
		]);
		await post("notifications:8080", "/orders");
		const order = { orderId, cart: cart.body, payment, shipping: shipping.body };
		if (shipping.status !== 200) return { status: 502, body: { ...order, error: `order ${orderId} has no courier` } };
		if (invoice.status !== 200) return { status: 502, body: { ...order, error: `order ${orderId} has no invoice` } };
		if (payment === undefined) return { status: 402, body: { ...order, error: `order ${orderId}: card declined` } };
		log(settings.service, "INFO", `order ${orderId} is on its way, ${payment.reference}`, request.headers["traceparent"]);
		return { status: 200, body: order };
	});
}
