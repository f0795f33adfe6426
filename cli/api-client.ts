/** How commands talk to a running server: its HTTP API, with an address, a token and messages for a person. */
import { CommandError, messageOf, UsageError } from "./context.ts";

export const DEFAULT_URL = "http://127.0.0.1:4300";

export interface ApiAnswer {
	readonly status: number;
	readonly text: string;
}

export interface ApiClient {
	/** @throws NoServerError when nothing answers at the address */
	get(path: string): Promise<ApiAnswer>;
}

/** Nothing listens at the address: commands that can read the data directory do that instead. */
export class NoServerError extends CommandError {}

export function connectApi(baseUrl: string, token: string | undefined, timeoutMs = 30_000): ApiClient {
	const base = baseUrl.replace(/\/+$/, "");
	if (!/^https?:\/\//.test(base) || !URL.canParse(base))
		throw new UsageError(`--url ${baseUrl} is not a URL like ${DEFAULT_URL}`);
	const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
	return {
		async get(path) {
			try {
				const response = await fetch(base + path, { headers, signal: AbortSignal.timeout(timeoutMs) });
				return { status: response.status, text: await response.text() };
			} catch (error) {
				const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
				throw new NoServerError(
					`no answer from ${base}: ${cause}; start \`meshscope serve\`, or name the server with --url`,
				);
			}
		},
	};
}

/** The server's own words about an answer that is not 200. */
export function errorOfAnswer(answer: ApiAnswer): string {
	const message = messageOfAnswer(answer);
	return message === undefined ? `HTTP ${answer.status}` : `${message} (HTTP ${answer.status})`;
}

/** Undefined where it has none: another server, or a proxy between. */
export function messageOfAnswer(answer: ApiAnswer): string | undefined {
	try {
		const body: unknown = JSON.parse(answer.text);
		if (typeof body !== "object" || body === null || !("error" in body)) return undefined;
		const { error } = body;
		return typeof error === "object" && error !== null && "message" in error ? String(error.message) : undefined;
	} catch {
		return undefined;
	}
}
