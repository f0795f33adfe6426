/**
 * grpc.health.v1.Health (grpc/grpc-proto grpc/health/v1/health.proto): Check, Watch and List over the services of the table.
 *
 * Needs no token: orchestrators' probes carry none, and it says only whether the process takes work.
 */
import { MeshscopeError } from "../../model/errors.ts";
import type { GrpcCall, GrpcMessage, GrpcMethod, GrpcService } from "./grpc-service.ts";
import { unary } from "./grpc-service.ts";
import { printable } from "./ingress.ts";
import { bytesField, concat, enumField, readString, stringField } from "./wire.ts";

const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;

/** @param serviceNames what is served beside health itself */
export function healthService(serviceNames: readonly string[], draining: () => boolean): GrpcService {
	const name = "grpc.health.v1.Health";
	// "" stands for the server as a whole.
	const known = new Set(["", ...serviceNames, name]);
	const watchers = new Set<GrpcCall>();
	const current = (): number => (draining() ? NOT_SERVING : SERVING);
	const statusOf = (service: string): number => (known.has(service) ? current() : SERVICE_UNKNOWN);
	const response = (status: number): Uint8Array => enumField(1, status);

	const watch: GrpcMethod = {
		authenticated: false,
		longLived: true,
		open(call) {
			return {
				message(message) {
					call.send(response(statusOf(requestedService(message))));
					watchers.add(call);
				},
				// Half-closed by the client after its one request; the answers go on.
				end() {},
				closed() {
					watchers.delete(call);
				},
			};
		},
	};

	return {
		name,
		methods: {
			Check: unary({ authenticated: false }, (message, call) => {
				const service = requestedService(message);
				if (!known.has(service)) throw new MeshscopeError("not_found", `There is no service ${printable(service)}.`);
				call.send(response(current()));
				call.finish();
			}),
			Watch: watch,
			List: unary({ authenticated: false }, (message, call) => {
				message.reservation.release();
				const entries = [...known].map((service) =>
					bytesField(1, concat([stringField(1, service), bytesField(2, response(current()))])),
				);
				call.send(concat(entries));
				call.finish();
			}),
		},
		drain() {
			for (const call of watchers) {
				call.send(response(NOT_SERVING));
				call.fail({ code: "shutting_down", message: "The server is shutting down." });
			}
		},
	};
}

/** HealthCheckRequest.service. */
function requestedService({ bytes, reservation }: GrpcMessage): string {
	reservation.release();
	const service = readString(bytes, 1);
	if (service === undefined) throw new MeshscopeError("malformed_payload", "The HealthCheckRequest is not a protobuf message.");
	return service;
}
