/** What a metric's status labels say of the requests it counts. */
import type { Outcome } from "../series.ts";

const GRPC_CODES: Readonly<Record<string, number>> = {
	ok: 0,
	cancelled: 1,
	canceled: 1,
	unknown: 2,
	invalid_argument: 3,
	deadline_exceeded: 4,
	not_found: 5,
	already_exists: 6,
	permission_denied: 7,
	resource_exhausted: 8,
	failed_precondition: 9,
	aborted: 10,
	out_of_range: 11,
	unimplemented: 12,
	internal: 13,
	unavailable: 14,
	data_loss: 15,
	unauthenticated: 16,
};

/** Codes that are the server's fault; the same that make a gRPC server span an error. */
const SERVER_FAULTS: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);

export interface StatusFinding {
	readonly outcome: Outcome;
	readonly code: string;
}

/** A gRPC status, by number or by name in any spelling (`14`, `UNAVAILABLE`, `FailedPrecondition`), rules over the HTTP code. */
export function statusOf(httpCode: string | undefined, grpcStatus: string | undefined): StatusFinding {
	const grpc = grpcCode(grpcStatus);
	if (grpc !== undefined) {
		const outcome = grpc === 0 ? "ok" : SERVER_FAULTS.has(grpc) ? "server_error" : "client_error";
		return { outcome, code: `grpc:${grpc}` };
	}
	const http = httpCode !== undefined && /^\d{1,3}$/.test(httpCode) ? Number(httpCode) : 0;
	if (http === 0) return { outcome: "no_response", code: "" };
	return { outcome: http >= 500 ? "server_error" : http >= 400 ? "client_error" : "ok", code: String(http) };
}

function grpcCode(status: string | undefined): number | undefined {
	if (status === undefined) return undefined;
	if (/^\d{1,2}$/.test(status)) return Number(status);
	const name = status.replace(/([a-z])([A-Z])/g, "$1_$2").toLowerCase();
	return Object.hasOwn(GRPC_CODES, name) ? GRPC_CODES[name] : undefined;
}
