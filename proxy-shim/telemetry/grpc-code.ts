/** Which outcomes of gRPC calls count as faults of the server (OpenTelemetry semantic conventions, rpc/grpc). */

const KNOWN_CODES = 17;
/** UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS: the server's fault. */
const SERVER_FAULTS: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);

export function isServerFault(code: number): boolean {
	return SERVER_FAULTS.has(code) || code >= KNOWN_CODES;
}
