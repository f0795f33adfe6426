/** A client for tests that sends what it is given: fetch refuses the headers and paths that attacks are made of. */
import { type IncomingHttpHeaders, request as httpRequest } from "node:http";
import { connect } from "node:net";

export interface Answer {
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
	readonly body: Buffer;
	readonly text: string;
	/** @throws SyntaxError when the body is no JSON */
	json(): unknown;
	/** The error's code and message. */
	error(): MeshscopeErrorAnswer;
}

export interface MeshscopeErrorAnswer {
	readonly code: string;
	readonly message: string;
	readonly details?: Readonly<Record<string, unknown>>;
}

/** Sends the path as it is: no client-side normalisation of `..` or `%2e`. */
export function sendRequest(
	address: string,
	method: string,
	path: string,
	headers: Readonly<Record<string, string>> = {},
	requestBody?: string,
): Promise<Answer> {
	const { promise, resolve, reject } = Promise.withResolvers<Answer>();
	const { hostname, port } = new URL(`http://${address}`);
	const length = requestBody === undefined ? {} : { "content-length": Buffer.byteLength(requestBody) };
	const request = httpRequest(
		{ hostname, port, method, path, headers: { ...headers, ...length }, agent: false },
		(response) => {
			const chunks: Buffer[] = [];
			response.on("data", (chunk: Buffer) => chunks.push(chunk));
			response.on("error", reject);
			response.on("end", () => {
				const body = Buffer.concat(chunks);
				const text = body.toString("utf8");
				resolve({
					status: response.statusCode ?? 0,
					headers: response.headers,
					body,
					text,
					json: () => JSON.parse(text) as unknown,
					error: () => (JSON.parse(text) as { error: MeshscopeErrorAnswer }).error,
				});
			});
		},
	);
	request.on("error", reject);
	request.end(requestBody);
	return promise;
}

/** Sends bytes as they are and answers what came back until the server closed. */
export function sendBytes(address: string, bytes: string, timeoutMs = 5_000): Promise<string> {
	const { promise, resolve } = Promise.withResolvers<string>();
	const { hostname, port } = new URL(`http://${address}`);
	const socket = connect({ host: hostname, port: Number(port) });
	const chunks: Buffer[] = [];
	const timer = setTimeout(() => socket.destroy(), timeoutMs);
	socket.on("data", (chunk) => chunks.push(chunk));
	socket.on("error", () => undefined);
	socket.on("close", () => {
		clearTimeout(timer);
		resolve(Buffer.concat(chunks).toString("latin1"));
	});
	socket.write(bytes, "latin1");
	return promise;
}
