/** The one method of payments that both its server and its client know. Messages are JSON, so that no code is generated. */
import type { ServiceDefinition } from "@grpc/grpc-js";

export interface ChargeRequest {
	readonly orderId: string;
	readonly amount: number;
}

export interface ChargeReply {
	readonly reference: string;
}

export const CHARGE_PATH = "/shop.Payments/Charge";

export function toBytes(value: unknown): Buffer {
	return Buffer.from(JSON.stringify(value));
}

export function toRequest(bytes: Buffer): ChargeRequest {
	return JSON.parse(bytes.toString()) as ChargeRequest;
}

export function toReply(bytes: Buffer): ChargeReply {
	return JSON.parse(bytes.toString()) as ChargeReply;
}

export const PAYMENTS: ServiceDefinition = {
	charge: {
		path: CHARGE_PATH,
		requestStream: false,
		responseStream: false,
		requestSerialize: toBytes,
		requestDeserialize: toRequest,
		responseSerialize: toBytes,
		responseDeserialize: toReply,
	},
};
