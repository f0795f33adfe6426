/**
 * Envoy's gRPC access log service (envoy/service/accesslog/v3/als.proto): a stream of messages that is never answered.
 *
 * The first message alone says who sends; that is kept with the call and put before each message, which then goes to the pipeline as a
 * batch of logs. Envoy repeats nothing: a message that is refused ends the stream, so that Envoy opens another one and counts the loss.
 */
import { MeshscopeError } from "../../model/errors.ts";
import { WireError } from "../../model/protobuf/reader.ts";
import { NO_IDENTITY, alsPayload } from "../decode/envoy-als-identity.ts";
import type { AlsIdentity, AlsPayload } from "../decode/envoy-als-identity.ts";
import type { GrpcCall, GrpcMethod, GrpcService } from "./grpc-service.ts";
import { deliver, overloaded } from "./ingress.ts";
import type { Ingress } from "./ingress.ts";
import { freeMemory } from "./payload-buffer.ts";

export function accessLogService(ingress: Ingress): GrpcService {
	const calls = new Set<GrpcCall>();

	const streamAccessLogs: GrpcMethod = {
		signal: "logs",
		authenticated: true,
		longLived: true,
		open(call) {
			calls.add(call);
			let identity: AlsIdentity = NO_IDENTITY;
			return {
				async message({ bytes, reservation }) {
					const payload = payloadOf(bytes, identity);
					identity = payload.identity;
					if (payload.bytes.length === identity.length) {
						reservation.release();
						return;
					}
					// For the moment of copying there are two; not to wait for the collector matters with messages of many megabytes.
					if (!reservation.growTo(bytes.length + payload.bytes.length)) throw overloaded(ingress.limits);
					freeMemory(bytes);
					reservation.shrinkTo(payload.bytes.length);
					const outcome = await deliver(
						ingress,
						{ signal: "logs", encoding: "envoy-als", bytes: payload.bytes, self: call.self },
						reservation,
					);
					if (outcome.kind === "refused") call.fail(outcome);
				},
				end() {
					// StreamAccessLogsResponse has no fields.
					call.send(new Uint8Array(0));
					call.finish();
				},
				closed() {
					calls.delete(call);
				},
			};
		},
	};

	return {
		name: "envoy.service.accesslog.v3.AccessLogService",
		methods: { StreamAccessLogs: streamAccessLogs },
		drain() {
			for (const call of calls) {
				call.failWhenTaken({ code: "shutting_down", message: "The server is shutting down." });
			}
		},
	};
}

function payloadOf(message: Uint8Array, identity: AlsIdentity): AlsPayload {
	try {
		return alsPayload(message, identity);
	} catch (error) {
		if (!(error instanceof WireError)) throw error;
		throw new MeshscopeError("malformed_payload", `StreamAccessLogsMessage: ${error.message}`);
	}
}
