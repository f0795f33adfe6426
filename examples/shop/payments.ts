/** Payments over gRPC. One charge in fifty is declined, so that the edge has errors that are no HTTP status. */
import { Server, ServerCredentials, status } from "@grpc/grpc-js";
import type { sendUnaryData, ServerUnaryCall } from "@grpc/grpc-js";
import type { AppSettings } from "./app.ts";
import { log } from "./logs.ts";
import { PAYMENTS } from "./payments-api.ts";
import type { ChargeReply, ChargeRequest } from "./payments-api.ts";

export function start(settings: AppSettings): Server {
	const server = new Server();
	server.addService(PAYMENTS, {
		charge: (call: ServerUnaryCall<ChargeRequest, ChargeReply>, reply: sendUnaryData<ChargeReply>) => {
			const { orderId } = call.request;
			if (Math.random() < 0.02) {
				log(settings.service, "WARN", `order ${orderId}: card declined`, call.metadata.get("traceparent")[0]);
				reply({ code: status.FAILED_PRECONDITION, details: "card declined" });
			} else reply(null, { reference: `charge-${orderId}` });
		},
	});
	server.bindAsync(`127.0.0.1:${settings.port}`, ServerCredentials.createInsecure(), (error) => {
		if (error !== null) throw error;
	});
	return server;
}
