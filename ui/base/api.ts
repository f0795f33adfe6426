/**
 * The one way the pages talk to the server: GET, JSON in, a typed answer or an ApiError out.
 */
import { ERRORS } from "../../model/errors.ts";
import type { ErrorCode } from "../../model/errors.ts";
import { tokenHeaders } from "./token.ts";

/** Codes of the error table, and `unreachable` for what never reached a server that knows it. */
export type ApiErrorCode = ErrorCode | "unreachable";

export class ApiError extends Error {
	readonly code: ApiErrorCode;
	/** What the person who meets it can do. */
	readonly fix: string;
	readonly retryable: boolean;

	constructor(code: ApiErrorCode, message: string) {
		super(message);
		this.name = "ApiError";
		this.code = code;
		this.fix =
			code === "unreachable" ? "Check that meshscope is running; this page tries again by itself." : ERRORS[code].fix;
		this.retryable = code === "unreachable" || ERRORS[code].retryable;
	}
}

/**
 * Reads `path` under /api/v1.
 * @throws ApiError whatever goes wrong
 */
export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
	let response: Response;
	try {
		response = await fetch(`/api/v1${path}`, {
			headers: { accept: "application/json", ...tokenHeaders() },
			...(signal === undefined ? {} : { signal }),
		});
	} catch (error) {
		if (signal?.aborted === true) throw error;
		throw new ApiError("unreachable", "The server does not answer.");
	}
	const body: unknown = await response.json().catch(() => undefined);
	if (!response.ok) throw errorOf(response, body);
	if (body === undefined) throw new ApiError("unreachable", `The answer to ${path} is not JSON.`);
	return body as T;
}

function errorOf(response: Response, body: unknown): ApiError {
	const error = isRecord(body) && isRecord(body.error) ? body.error : {};
	const message = typeof error.message === "string" ? error.message : `${response.status} ${response.statusText}`;
	if (typeof error.code === "string" && isErrorCode(error.code)) return new ApiError(error.code, message);
	// No table entry: a proxy in between answered.
	return new ApiError(response.status >= 500 ? "unreachable" : "invalid_argument", message);
}

function isErrorCode(code: string): code is ErrorCode {
	return Object.hasOwn(ERRORS, code);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}
