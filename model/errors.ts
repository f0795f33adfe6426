/**
 * The one table of errors that leave the process, and the one table of reasons for which a record is dropped.
 *
 * docs/errors.md is held equal to it by a test. Clients and tests act on `code`, never on the message.
 */

/** gRPC status codes used here (grpc/grpc doc/statuscodes.md). */
const GRPC = {
	invalidArgument: 3,
	deadlineExceeded: 4,
	notFound: 5,
	permissionDenied: 7,
	resourceExhausted: 8,
	unimplemented: 12,
	internal: 13,
	unavailable: 14,
	unauthenticated: 16,
} as const;

export interface ErrorEntry {
	/** What happened, for the reference; a thrown error carries its own message that names the field and the fix. */
	readonly meaning: string;
	/** What the person who meets it can do. */
	readonly fix: string;
	readonly http: number;
	readonly grpc: number;
	/** True when the same request may succeed later unchanged. */
	readonly retryable: boolean;
}

export const ERRORS = {
	invalid_argument: {
		meaning: "A parameter or the body of a request cannot be read.",
		fix: "Correct the field that the message names.",
		http: 400,
		grpc: GRPC.invalidArgument,
		retryable: false,
	},
	malformed_payload: {
		meaning: "The telemetry payload is not what its content type says, or exceeds a structural limit as a whole.",
		fix: "Check the exporter's protocol and encoding; the message says at which byte or field reading stopped.",
		http: 400,
		grpc: GRPC.invalidArgument,
		retryable: false,
	},
	unauthenticated: {
		meaning: "No credentials, or credentials that are not known here.",
		fix: "Send `Authorization: Bearer <token>` with the token the server was started with, or a client certificate.",
		http: 401,
		grpc: GRPC.unauthenticated,
		retryable: false,
	},
	forbidden: {
		meaning: "The Host or Origin of the request is not one this server answers.",
		fix: "Use the address printed at start, or add the name with --allow-host.",
		http: 403,
		grpc: GRPC.permissionDenied,
		retryable: false,
	},
	not_found: {
		meaning: "No such trace, service, edge, series or path.",
		fix: "Check the ID and the retention; data older than the retention is gone.",
		http: 404,
		grpc: GRPC.notFound,
		retryable: false,
	},
	no_control_plane: {
		meaning: "This server runs no control plane, so there is no mesh of its own to tell about.",
		fix: "Start it with --mesh mesh.yaml; traffic of other meshes is under /api/v1/graph and /api/v1/mtls.",
		http: 404,
		grpc: GRPC.notFound,
		retryable: false,
	},
	join_refused: {
		meaning: "A join token is unknown, expired or was used with another key, or the proxy's certificate is not of this mesh.",
		fix: "Make a new token with `meshscope control token --identity …` and give it to this proxy alone.",
		http: 401,
		grpc: GRPC.unauthenticated,
		retryable: false,
	},
	identity_refused: {
		meaning: "A proxy claims a workload, service or instance that its token or certificate does not give it.",
		fix: "Let the workload's namespace and service account be those of its identity; name further services with the token.",
		http: 403,
		grpc: GRPC.permissionDenied,
		retryable: false,
	},
	csr_refused: {
		meaning: "A certificate signing request cannot be read, is not signed by its own key, or its key is too weak.",
		fix: "Sign the request with its own key, on P-256, P-384 or P-521.",
		http: 400,
		grpc: GRPC.invalidArgument,
		retryable: false,
	},
	protocol_violation: {
		meaning: "A frame of the control protocol is too long, is not JSON, lacks a field, comes out of turn, or too many came.",
		fix: "Run a proxy of the control plane's version; the message names the frame and the limit.",
		http: 400,
		grpc: GRPC.invalidArgument,
		retryable: false,
	},
	state_unsafe: {
		meaning: "A file with keys of the mesh can be read or written by others than its owner, or cannot be read at all.",
		fix: "Give the file to the user that runs meshscope and take all rights from others: chmod 600.",
		http: 500,
		grpc: GRPC.internal,
		retryable: false,
	},
	method_not_allowed: {
		meaning: "The path exists, but not for this HTTP method.",
		fix: "OTLP and Zipkin take POST, queries take GET.",
		http: 405,
		grpc: GRPC.unimplemented,
		retryable: false,
	},
	payload_too_large: {
		meaning: "The payload exceeds the size limit, counted after decompression.",
		fix: "Lower the exporter's batch size, or raise --max-payload.",
		http: 413,
		grpc: GRPC.resourceExhausted,
		retryable: false,
	},
	unsupported_media_type: {
		meaning: "The content type or content encoding is not one this endpoint reads.",
		fix: "Send application/x-protobuf or application/json, encoded as identity, gzip or zstd.",
		http: 415,
		grpc: GRPC.unimplemented,
		retryable: false,
	},
	query_too_broad: {
		meaning: "A query asks for more than its cap: limit, range or number of steps.",
		fix: "Narrow the range or lower the limit to the cap in the message.",
		http: 422,
		grpc: GRPC.invalidArgument,
		retryable: false,
	},
	unimplemented: {
		meaning: "The gRPC service or method does not exist here.",
		fix: "Check the exporter's endpoint; the OTLP collector services, Envoy's access log service and grpc.health.v1.Health are served.",
		http: 501,
		grpc: GRPC.unimplemented,
		retryable: false,
	},
	overloaded: {
		meaning: "A bounded stage is full; nothing of this request was kept.",
		fix: "Nothing: exporters retry by themselves after the delay given.",
		http: 503,
		grpc: GRPC.unavailable,
		retryable: true,
	},
	store_full: {
		meaning: "The disk or the byte budget is full; old windows are being removed.",
		fix: "Free disk space or lower --retention / --max-disk; ingest resumes by itself.",
		http: 503,
		grpc: GRPC.unavailable,
		retryable: true,
	},
	request_timeout: {
		meaning: "The request did not arrive in time; nothing of it was kept.",
		fix: "Nothing: exporters retry by themselves. When it stays, look at the network, or lower the exporter's batch size.",
		http: 503,
		grpc: GRPC.unavailable,
		retryable: true,
	},
	shutting_down: {
		meaning: "The server is draining after SIGTERM.",
		fix: "Nothing: exporters retry by themselves.",
		http: 503,
		grpc: GRPC.unavailable,
		retryable: true,
	},
	query_timeout: {
		meaning: "A query ran past its time limit and was stopped.",
		fix: "Narrow the time range, or add a service or attribute.",
		http: 504,
		grpc: GRPC.deadlineExceeded,
		retryable: true,
	},
	internal: {
		meaning: "A fault in meshscope itself.",
		fix: "Report it with the log line that carries the same request ID.",
		http: 500,
		grpc: GRPC.internal,
		retryable: false,
	},
} as const satisfies Readonly<Record<string, ErrorEntry>>;

export type ErrorCode = keyof typeof ERRORS;

/** An error that may leave the process; its message names the field and the fix and holds no secret. */
export class MeshscopeError extends Error {
	readonly code: ErrorCode;
	readonly details: Readonly<Record<string, unknown>> | undefined;
	/** When the same request may be sent again, for retryable codes. */
	readonly retryAfterMs: number | undefined;

	constructor(
		code: ErrorCode,
		message: string,
		options: {
			readonly details?: Readonly<Record<string, unknown>>;
			readonly retryAfterMs?: number;
			readonly cause?: unknown;
		} = {},
	) {
		super(message, options.cause === undefined ? undefined : { cause: options.cause });
		this.name = "MeshscopeError";
		this.code = code;
		this.details = options.details;
		this.retryAfterMs = options.retryAfterMs;
	}

	get http(): number {
		return ERRORS[this.code].http;
	}

	get grpc(): number {
		return ERRORS[this.code].grpc;
	}

	get retryable(): boolean {
		return ERRORS[this.code].retryable;
	}
}

/** Why a single record was left out of a batch that was otherwise stored. Counted by signal; never a throw. */
export const DROP_REASONS = {
	invalid_trace_id: "The trace ID is not 16 bytes, or all zero.",
	invalid_span_id: "The span ID is not 8 bytes, or all zero.",
	invalid_parent_id: "The parent span ID is neither empty nor 8 bytes.",
	malformed_record: "The record's bytes are not a well-formed protobuf message.",
	too_many_attributes: "The record has more attributes than --max-attributes.",
	too_many_fields: "The record has more than 16,384 fields (events and links count).",
	too_deep: "An attribute value nests deeper than 32 levels.",
	record_too_large:
		"The record is larger than --max-record, or a metric point has more than 4,096 buckets, bounds, quantiles or exemplars.",
	invalid_metric_point: "A metric point's buckets, bounds or scale contradict each other.",
} as const;

export type DropReason = keyof typeof DROP_REASONS;

/** What the topology stage left out of the graph, or said before its time. The records themselves are stored. */
export const TOPOLOGY_LOSSES = {
	implausible_time: "The record began more than a week before it arrived, or a day after: it makes no edge.",
	trace_too_large: "The trace has more than 100,000 spans: those beyond make no edge.",
	stated_early:
		"Too many calls waited for their other side: the trace was evaluated before its time, and corrected if more came.",
	not_rejoined: "More of a trace came after it was let go, and too many such traces at once: the new part stands by itself.",
	overflowed_names: "Names beyond the cap of endpoints or series: the call is counted under `(overflow)`.",
	skipped_groups: "The stage was too far behind to hold the group for it any longer: a crash before it was read leaves it out.",
} as const;

export type TopologyLoss = keyof typeof TOPOLOGY_LOSSES;

export function assertUnreachable(value: never): never {
	throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
