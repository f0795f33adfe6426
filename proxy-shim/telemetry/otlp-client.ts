/**
 * OTLP over gRPC, as little of it as exporting needs: unary calls on one HTTP/2 connection that is made when it is needed and again
 * when it broke. What a call came to is a value; nothing is thrown.
 *
 * Sources: grpc/doc/PROTOCOL-HTTP2.md; opentelemetry-proto docs/specification.md on which codes are retried; google/rpc/status.proto
 * and error_details.proto for RetryInfo.
 */
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from "node:http2";
import { WIRE_LENGTH, WIRE_VARINT, WireError, WireReader } from "../../model/protobuf/reader.ts";

export const TRACE_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
export const METRICS_EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

export type ExportOutcome =
	/** `rejected` of its records were refused for good. */
	| { readonly kind: "accepted"; readonly rejected: number; readonly message: string }
	/** To be sent again, byte for byte; `afterMs` where the receiver said when. */
	| { readonly kind: "retry"; readonly afterMs: number | undefined; readonly reason: string }
	| { readonly kind: "refused"; readonly reason: string };

export interface OtlpClient {
	/** @param message with its gRPC prefix; must not change until the promise settles */
	send(path: string, message: Uint8Array): Promise<ExportOutcome>;
	close(): void;
}

export interface OtlpClientOptions {
	/** `http://host:4317`, or `https://` for TLS. */
	readonly url: string;
	/** Sent as a bearer token. */
	readonly token?: string | undefined;
	/** Roots to trust in place of the system's. */
	readonly caPem?: string | undefined;
	readonly timeoutMs?: number;
	readonly userAgent: string;
}

/** CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS. */
const RETRYABLE: ReadonlySet<number> = new Set([1, 4, 8, 10, 11, 14, 15]);
/** Of HTTP answers that are not gRPC: what a proxy between says while the receiver is away. */
const RETRYABLE_HTTP: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** An answer is a few bytes. */
const MAX_RESPONSE_BYTES = 64 << 10;

export function createOtlpClient(options: OtlpClientOptions): OtlpClient {
	const timeoutMs = options.timeoutMs ?? 10_000;
	const headers = {
		[constants.HTTP2_HEADER_METHOD]: "POST",
		[constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
		[constants.HTTP2_HEADER_TE]: "trailers",
		[constants.HTTP2_HEADER_USER_AGENT]: options.userAgent,
		...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
	};
	let session: ClientHttp2Session | undefined;
	let isClosed = false;

	function connection(): ClientHttp2Session {
		if (session !== undefined && !session.closed && !session.destroyed) return session;
		const made = connect(options.url, {
			...(options.caPem === undefined ? {} : { ca: options.caPem }),
			settings: { enablePush: false },
		});
		// Streams report what becomes of them.
		made.on("error", () => undefined);
		made.on("goaway", () => made.close());
		session = made;
		return made;
	}

	return {
		send(path, message) {
			const { promise, resolve } = Promise.withResolvers<ExportOutcome>();
			if (isClosed) return Promise.resolve({ kind: "refused", reason: "closed" });
			let own: ClientHttp2Session;
			try {
				own = connection();
				const stream = own.request({ ...headers, [constants.HTTP2_HEADER_PATH]: path });
				let answer: Answer | undefined;
				const body: Buffer[] = [];
				let bodyBytes = 0;
				let failure = "";
				const timer = setTimeout(() => {
					failure = `no answer within ${timeoutMs} ms`;
					stream.close(constants.NGHTTP2_CANCEL);
					// The connection may be half open: the next call makes a new one.
					own.destroy();
				}, timeoutMs);
				timer.unref();
				stream.on("response", (head) => (answer = head));
				stream.on("trailers", (trailers) => (answer = { ...answer, ...trailers }));
				stream.on("data", (part: Buffer) => {
					bodyBytes += part.length;
					if (bodyBytes <= MAX_RESPONSE_BYTES) body.push(part);
				});
				stream.on("error", (error) => (failure ||= error.message));
				stream.on("close", () => {
					clearTimeout(timer);
					resolve(outcomeOf(answer, Buffer.concat(body), failure));
				});
				stream.end(message);
			} catch (error) {
				resolve({ kind: "retry", afterMs: undefined, reason: error instanceof Error ? error.message : String(error) });
			}
			return promise;
		},
		close() {
			isClosed = true;
			session?.destroy();
		},
	};
}

type Answer = IncomingHttpHeaders & IncomingHttpStatusHeader;

function outcomeOf(answer: Answer | undefined, body: Uint8Array, failure: string): ExportOutcome {
	const status = answer?.["grpc-status"];
	if (answer === undefined || status === undefined) {
		const http = answer?.[":status"];
		if (http === undefined || http === 200 || RETRYABLE_HTTP.has(http))
			return { kind: "retry", afterMs: undefined, reason: failure || `HTTP ${http ?? "connection ended"}` };
		return { kind: "refused", reason: `HTTP ${http}` };
	}
	const code = Number(status);
	if (code === 0) return accepted(body);
	const reason = `gRPC ${code} ${printable(String(answer["grpc-message"] ?? ""))}`.trimEnd();
	const afterMs = retryDelayMs(String(answer["grpc-status-details-bin"] ?? ""));
	// RESOURCE_EXHAUSTED may mean a quota; only with RetryInfo it is worth another try.
	if (RETRYABLE.has(code) && (code !== 8 || afterMs !== undefined)) return { kind: "retry", afterMs, reason };
	return { kind: "refused", reason };
}

/** Export…ServiceResponse behind its prefix: partial_success (1) has rejected (1) and error_message (2). */
function accepted(body: Uint8Array): ExportOutcome {
	let rejected = 0;
	let message = "";
	try {
		const reader = new WireReader(body, Math.min(5, body.length));
		while (reader.next()) {
			if (reader.field !== 1 || !reader.is(WIRE_LENGTH)) {
				if (reader.field !== 1) reader.skip();
				continue;
			}
			const partial = reader.message();
			while (partial.next()) {
				if (partial.field === 1 && partial.is(WIRE_VARINT)) rejected = Number(partial.uint64());
				else if (partial.field === 2 && partial.is(WIRE_LENGTH)) message = printable(partial.string());
				else if (partial.field > 2) partial.skip();
			}
		}
	} catch (error) {
		if (!(error instanceof WireError)) throw error;
	}
	return { kind: "accepted", rejected, message };
}

/** From google.rpc.Status (details 3), Any (type_url 1, value 2), RetryInfo (retry_delay 1), Duration (seconds 1, nanos 2). */
export function retryDelayMs(details: string): number | undefined {
	if (details === "") return undefined;
	try {
		const status = new WireReader(Buffer.from(details, "base64"));
		while (status.next()) {
			if (status.field !== 3) {
				status.skip();
				continue;
			}
			if (!status.is(WIRE_LENGTH)) continue;
			const any = status.message();
			let type = "";
			let value: Uint8Array | undefined;
			while (any.next()) {
				if (any.field === 1 && any.is(WIRE_LENGTH)) type = any.string();
				else if (any.field === 2 && any.is(WIRE_LENGTH)) value = any.view();
				else if (any.field > 2) any.skip();
			}
			if (type.endsWith("/google.rpc.RetryInfo")) return durationMs(value ?? new Uint8Array());
		}
	} catch (error) {
		if (!(error instanceof WireError)) throw error;
	}
	return undefined;
}

const MAX_DELAY_MS = 60_000;

function durationMs(retryInfo: Uint8Array): number {
	const info = new WireReader(retryInfo);
	let ms = 0;
	while (info.next()) {
		if (info.field !== 1) {
			info.skip();
			continue;
		}
		if (!info.is(WIRE_LENGTH)) continue;
		const duration = info.message();
		while (duration.next()) {
			if (duration.field > 2) duration.skip();
			else if (duration.is(WIRE_VARINT))
				ms += duration.field === 1 ? Number(duration.int64()) * 1000 : duration.uint32() / 1e6;
		}
	}
	return Math.min(Math.max(0, ms), MAX_DELAY_MS);
}

function printable(text: string): string {
	return text.slice(0, 200).replace(/[^\x20-\x7e]/g, "?");
}
