/** The status codes of gRPC by name (grpc/grpc, doc/statuscodes.md). */

const NAMES = [
	"OK",
	"CANCELLED",
	"UNKNOWN",
	"INVALID_ARGUMENT",
	"DEADLINE_EXCEEDED",
	"NOT_FOUND",
	"ALREADY_EXISTS",
	"PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED",
	"FAILED_PRECONDITION",
	"ABORTED",
	"OUT_OF_RANGE",
	"UNIMPLEMENTED",
	"INTERNAL",
	"UNAVAILABLE",
	"DATA_LOSS",
	"UNAUTHENTICATED",
];

/** Of a name or its number, as text. */
export function grpcStatusOf(text: string): number | undefined {
	const code = /^\d{1,2}$/.test(text) ? Number(text) : NAMES.indexOf(text);
	return code >= 0 && code < NAMES.length ? code : undefined;
}

/** As OpenTelemetry's conventions write it; the number where it has no name. */
export function grpcStatusName(code: number): string {
	return NAMES[code] ?? String(code);
}
