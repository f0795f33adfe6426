/** The API over canned answers, for tests: a clock that stands still, lines of the log kept, and a client that asks. */
import type { TestContext } from "node:test";
import type { StoreReader } from "../store/store.ts";
import { CANNED_NOW_MS } from "./canned-answers.ts";
import { cannedMesh } from "./canned-mesh.ts";
import { type CannedReader, cannedReader } from "./canned-reader.ts";
import { cannedStatus } from "./canned-status.ts";
import type { LogFields } from "./plugins/request-log.ts";
import { type Answer, sendRequest } from "./raw-client.ts";
import { type ApiOptions, type RunningApi, startApi } from "./server.ts";

/** What tests of pages need beside the server. */
export { CANNED_NOW_MS, TRACE_ID } from "./canned-answers.ts";

export interface LogLine {
	readonly level: "debug" | "info" | "warn" | "error";
	readonly fields: LogFields;
	readonly message: string;
}

export interface CannedApi extends RunningApi {
	readonly reader: CannedReader;
	readonly lines: readonly LogLine[];
	get(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
	send(method: string, path: string, headers?: Readonly<Record<string, string>>, body?: string): Promise<Answer>;
}

/** Started on a free loopback port, and closed after the test. */
export async function startCannedApi(
	t: TestContext,
	overrides: Partial<Omit<ApiOptions, "reader">> & { readonly reader?: Partial<StoreReader> } = {},
): Promise<CannedApi> {
	const { reader: readerOverrides, ...options } = overrides;
	const reader = cannedReader(readerOverrides);
	const lines: LogLine[] = [];
	const line = (level: LogLine["level"]) => (fields: LogFields, message: string) => void lines.push({ level, fields, message });
	const api = await startApi({
		listen: { host: "127.0.0.1", port: 0 },
		reader,
		status: () => cannedStatus,
		readTokens: [],
		allowHosts: [],
		uiDirectory: undefined,
		ingestAddresses: { otlpGrpc: "127.0.0.1:4317", otlpHttp: "127.0.0.1:4318" },
		mesh: cannedMesh(CANNED_NOW_MS),
		now: () => CANNED_NOW_MS,
		log: { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") },
		...options,
	});
	t.after(() => api.close(0));
	return {
		...api,
		reader,
		lines,
		get: (path, headers) => sendRequest(api.address, "GET", path, headers),
		send: (method, path, headers, body) => sendRequest(api.address, method, path, headers, body),
	};
}
