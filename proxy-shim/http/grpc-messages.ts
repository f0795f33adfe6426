/** What the data path itself does with gRPC over HTTP/2: it counts messages, and answers calls in gRPC's own way. */
import { GRPC_DEADLINE_EXCEEDED, GRPC_INTERNAL, GRPC_UNAVAILABLE } from "../resilience/grpc.ts";

const GRPC_UNKNOWN = 2;
const GRPC_PERMISSION_DENIED = 7;
const GRPC_UNIMPLEMENTED = 12;
const GRPC_UNAUTHENTICATED = 16;

/** The status of a call that a proxy answers (http-grpc-status-mapping.md of grpc/grpc); a timeout is told as what it is. */
export function grpcStatusOf(httpStatus: number): number {
	switch (httpStatus) {
		case 400:
			return GRPC_INTERNAL;
		case 401:
			return GRPC_UNAUTHENTICATED;
		case 403:
			return GRPC_PERMISSION_DENIED;
		case 404:
			return GRPC_UNIMPLEMENTED;
		case 504:
			return GRPC_DEADLINE_EXCEEDED;
		case 429:
		case 502:
		case 503:
			return GRPC_UNAVAILABLE;
		default:
			return GRPC_UNKNOWN;
	}
}

/** Undefined for anything but a number. */
export function parseGrpcStatus(text: string | undefined): number | undefined {
	return text !== undefined && /^\d{1,3}$/.test(text) ? Number(text) : undefined;
}

/** For `grpc-message`: percent-encoded UTF-8, printable ASCII as it is. */
export function encodeGrpcMessage(message: string): string {
	return message.replaceAll(/[^ -$&-~]+/gu, (text) => encodeURIComponent(text));
}

const PREFIX_BYTES = 5;

/** Counts length-prefixed messages as their bytes go by, however they are cut into chunks. Keeps nothing of them. */
export class MessageCounter {
	count = 0;
	/** Of the prefix under way. */
	#prefixBytes = 0;
	#length = 0;
	#left = 0;

	add(chunk: Uint8Array): void {
		let at = 0;
		while (at < chunk.length) {
			if (this.#left > 0) {
				const step = Math.min(this.#left, chunk.length - at);
				this.#left -= step;
				at += step;
				continue;
			}
			// The first byte of the prefix tells of compression, the other four are the length.
			if (this.#prefixBytes > 0) this.#length = this.#length * 256 + chunk[at]!;
			this.#prefixBytes++;
			at++;
			if (this.#prefixBytes === PREFIX_BYTES) {
				this.count++;
				this.#left = this.#length;
				this.#length = 0;
				this.#prefixBytes = 0;
			}
		}
	}
}
