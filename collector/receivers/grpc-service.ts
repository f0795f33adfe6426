/**
 * What a gRPC service is to the server: a name and methods. The server knows framing, compression, limits and statuses; a service
 * knows messages. Unary, server-streaming and client-streaming methods are all a `MessageTaker`; `unary` wraps the common case.
 */
import { MeshscopeError } from "../../model/errors.ts";
import type { Signal } from "../../store/store.ts";
import type { Reservation } from "./payload-buffer.ts";
import type { Refusal } from "./settings.ts";

/** A request message, decompressed. Who takes it releases its reservation. */
export interface GrpcMessage {
	/** Sole view of its ArrayBuffer. */
	readonly bytes: Uint8Array<ArrayBuffer>;
	readonly reservation: Reservation;
}

/** One call, from a service's side. Calls after the end of the stream do nothing. */
export interface GrpcCall {
	/** Marked by the sender as meshscope's own telemetry. */
	readonly self: boolean;
	send(message: Uint8Array): void;
	/** Ends the call with status OK. */
	finish(): void;
	/** Ends the call with an error that the service or the sink decided; not counted as a refusal of the receiver. */
	fail(refusal: Refusal): void;
	/** As `fail`, once the messages that arrived whole were taken; nothing more is read. */
	failWhenTaken(refusal: Refusal): void;
}

export interface MessageTaker {
	/** The server reads on once it resolves; a rejection ends the call as a refusal of the receiver. */
	message(message: GrpcMessage): void | Promise<void>;
	/** The client has sent everything, and every message was taken. */
	end(): void | Promise<void>;
	/** The call is over, whoever ended it. */
	closed?(): void;
}

export interface GrpcMethod {
	/** What refusals of this method are counted as; absent for what is not telemetry. */
	readonly signal?: Signal;
	/** False for methods that need no token. */
	readonly authenticated: boolean;
	/** True for calls that last as long as the client likes: the request timeout holds for each of its messages alone. */
	readonly longLived: boolean;
	open(call: GrpcCall): MessageTaker;
}

export interface GrpcService {
	/** Fully qualified, as in the path. */
	readonly name: string;
	readonly methods: Readonly<Record<string, GrpcMethod>>;
	/** The server drains: calls without an end of their own have to come to one. */
	drain?(): void;
}

/** A method that takes exactly one message; `handle` answers through the call. */
export function unary(
	options: { readonly signal?: Signal; readonly authenticated: boolean },
	handle: (message: GrpcMessage, call: GrpcCall) => void | Promise<void>,
): GrpcMethod {
	return {
		...options,
		longLived: false,
		open(call) {
			let only: GrpcMessage | undefined;
			return {
				message(message) {
					if (only !== undefined) {
						message.reservation.release();
						throw new MeshscopeError("malformed_payload", "A unary call carries exactly one message, not several.");
					}
					only = message;
				},
				end() {
					if (only === undefined)
						throw new MeshscopeError("malformed_payload", "A unary call carries exactly one message, not none.");
					return handle(only, call);
				},
				closed() {
					only?.reservation.release();
				},
			};
		},
	};
}
