/** gRPC as the shim's decisions need it: status codes and deadlines (grpc/grpc: doc/http-grpc-status-mapping.md, PROTOCOL-HTTP2.md). */

export const GRPC_CANCELLED = 1;
export const GRPC_DEADLINE_EXCEEDED = 4;
export const GRPC_RESOURCE_EXHAUSTED = 8;
export const GRPC_INTERNAL = 13;
export const GRPC_UNAVAILABLE = 14;

/** By status code, as Envoy maps them for outlier detection. */
const HTTP_STATUS_OF_GRPC = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401] as const;

/** 500 for a code that nobody has defined. */
export function httpStatusOfGrpc(grpcStatus: number): number {
	return HTTP_STATUS_OF_GRPC[grpcStatus] ?? 500;
}

const MS_PER_UNIT: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
const MAX_VALUE = 99_999_999;

/**
 * The value of a `grpc-timeout` header in ms, rounded up, so that a deadline that is not over never becomes 0. Undefined where it is
 * not one: at most eight digits and one of `H M S m u n`.
 */
export function parseGrpcTimeout(text: string): number | undefined {
	if (text.length < 2 || text.length > 9) return undefined;
	const unit = MS_PER_UNIT[text[text.length - 1]!];
	if (unit === undefined) return undefined;
	let value = 0;
	for (let i = 0; i < text.length - 1; i++) {
		const digit = text.charCodeAt(i) - 48;
		if (digit < 0 || digit > 9) return undefined;
		value = value * 10 + digit;
	}
	return unit >= 1 ? value * unit : Math.ceil(value / (unit === 1e-3 ? 1e3 : 1e6));
}

/** In the finest unit from milliseconds on that eight digits hold, rounded down: a callee never believes it has longer than it has. */
export function formatGrpcTimeout(timeoutMs: number): string {
	const ms = Math.max(0, Math.floor(timeoutMs));
	if (ms <= MAX_VALUE) return `${ms}m`;
	const seconds = Math.floor(ms / 1_000);
	if (seconds <= MAX_VALUE) return `${seconds}S`;
	const minutes = Math.floor(seconds / 60);
	if (minutes <= MAX_VALUE) return `${minutes}M`;
	return `${Math.min(MAX_VALUE, Math.floor(minutes / 60))}H`;
}
