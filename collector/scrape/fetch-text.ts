/**
 * Asks one target for its text. The connection goes to an address that was checked, redirects are not followed, and what comes is
 * bounded in size before and after decompression, and in time.
 */
import { lookup } from "node:dns/promises";
import { request as httpRequest } from "node:http";
import type { IncomingMessage, RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import type { LookupFunction } from "node:net";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { isAddress, isRefusedAddress, isRefusedHost } from "./address-guard.ts";

export interface FetchTarget {
	readonly url: string;
	readonly timeoutMs: number;
	readonly bearerToken: string | undefined;
	readonly tls: {
		readonly ca: string | undefined;
		readonly cert: string | undefined;
		readonly key: string | undefined;
		readonly serverName: string | undefined;
	};
}

export interface FetchedText {
	readonly text: string;
	readonly isOpenMetrics: boolean;
}

/** Why a target gave nothing; for a person, and safe to show. */
export class ScrapeError extends Error {}

export interface ResolvedAddress {
	readonly address: string;
	readonly family: number;
}

export type Resolve = (host: string) => Promise<readonly ResolvedAddress[]>;

/** Every address that the system knows for the name. */
export const resolveHost: Resolve = (host) => lookup(host, { all: true });

const ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.8,*/*;q=0.1";
const MAX_HEADER_BYTES = 16_384;

const unzip = promisify(gunzip);

/** @throws ScrapeError */
export async function fetchText(
	target: FetchTarget,
	maxBytes: number,
	resolve: Resolve,
	ended: AbortSignal,
): Promise<FetchedText> {
	const timeout = AbortSignal.timeout(target.timeoutMs);
	const signal = AbortSignal.any([timeout, ended]);
	try {
		const url = new URL(target.url);
		const addresses = await checkedAddresses(url, resolve, signal);
		const response = await answer(url, addresses, target, signal);
		const body = await wholeBody(response, maxBytes);
		const isOpenMetrics = /^application\/openmetrics-text\b/i.test(response.headers["content-type"] ?? "");
		return { text: new TextDecoder().decode(body), isOpenMetrics };
	} catch (error) {
		if (error instanceof ScrapeError) throw error;
		if (ended.aborted) throw new ScrapeError("ended");
		if (timeout.aborted) throw new ScrapeError(`no whole answer within ${target.timeoutMs} ms`);
		throw new ScrapeError(reasonOf(error));
	}
}

/** One refused address refuses the name: it is not for the order of answers to decide where the request goes. */
async function checkedAddresses(url: URL, resolve: Resolve, signal: AbortSignal): Promise<readonly ResolvedAddress[]> {
	const host = url.hostname.replace(/^\[|\]$/g, "");
	if (url.protocol !== "http:" && url.protocol !== "https:") throw new ScrapeError("only http and https are scraped");
	if (isRefusedHost(host)) throw new ScrapeError(`${host} is refused: link-local and metadata addresses are not scraped`);
	if (isAddress(host)) return [{ address: host, family: host.includes(":") ? 6 : 4 }];
	const addresses = await unlessAborted(resolve(host), signal);
	if (addresses.length === 0) throw new ScrapeError(`${host} has no address`);
	const refused = addresses.find(({ address }) => isRefusedAddress(address));
	if (refused !== undefined)
		throw new ScrapeError(
			`${host} leads to ${refused.address}, which is refused: link-local and metadata addresses are not scraped`,
		);
	return addresses;
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
	signal.throwIfAborted();
	const aborted = new Promise<never>((_, reject) => {
		signal.addEventListener("abort", () => reject(signal.reason), { once: true });
	});
	return await Promise.race([work, aborted]);
}

function answer(
	url: URL,
	addresses: readonly ResolvedAddress[],
	target: FetchTarget,
	signal: AbortSignal,
): Promise<IncomingMessage> {
	// The name was looked up and checked; asked again it might answer otherwise.
	const known: LookupFunction = (_host, options, callback) => {
		const wanted = addresses.filter(
			({ family }) => options.family === 0 || options.family === undefined || options.family === family,
		);
		const first = wanted[0] ?? addresses[0]!;
		if (options.all === true) callback(null, wanted.length > 0 ? [...wanted] : [...addresses]);
		else callback(null, first.address, first.family);
	};
	const { tls, bearerToken } = target;
	const options: RequestOptions = {
		method: "GET",
		hostname: url.hostname.replace(/^\[|\]$/g, ""),
		port: url.port === "" ? undefined : url.port,
		path: `${url.pathname}${url.search}`,
		headers: {
			host: url.host,
			accept: ACCEPT,
			"accept-encoding": "gzip",
			"user-agent": "meshscope",
			...(bearerToken === undefined ? {} : { authorization: `Bearer ${bearerToken}` }),
		},
		agent: false,
		lookup: known,
		maxHeaderSize: MAX_HEADER_BYTES,
		signal,
	};
	return new Promise((resolve, reject) => {
		const request =
			url.protocol === "https:"
				? httpsRequest({ ...options, ca: tls.ca, cert: tls.cert, key: tls.key, servername: tls.serverName })
				: httpRequest(options);
		request.on("error", reject);
		request.on("response", (response) => {
			const problem = problemOf(response);
			if (problem === undefined) return resolve(response);
			reject(new ScrapeError(problem));
			request.destroy();
		});
		request.end();
	});
}

function problemOf({ statusCode = 0, headers }: IncomingMessage): string | undefined {
	if (statusCode >= 300 && statusCode < 400) return `answered ${statusCode}: redirects are not followed`;
	if (statusCode !== 200) return `answered ${statusCode}`;
	const encoding = headers["content-encoding"]?.trim().toLowerCase() ?? "";
	return ["", "identity", "gzip", "x-gzip"].includes(encoding)
		? undefined
		: "answered in a content encoding that was not asked for";
}

/** Ending the loop early destroys the response, and with it the connection. */
async function wholeBody(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
	const chunks: Buffer[] = [];
	let length = 0;
	for await (const chunk of response as AsyncIterable<Buffer>) {
		length += chunk.length;
		if (length > maxBytes) throw tooLarge(maxBytes);
		chunks.push(chunk);
	}
	const body = Buffer.concat(chunks);
	if (!/gzip/i.test(response.headers["content-encoding"] ?? "")) return body;
	try {
		return await unzip(body, { maxOutputLength: maxBytes });
	} catch (error) {
		if (error instanceof RangeError) throw tooLarge(maxBytes);
		throw new ScrapeError("the body is no sound gzip");
	}
}

function tooLarge(maxBytes: number): ScrapeError {
	return new ScrapeError(`the text has more than ${maxBytes} bytes`);
}

/** The code of a socket's or TLS's error says it all; messages may hold what the target chose. */
function reasonOf(error: unknown): string {
	// Several addresses that failed are one error without a reason of its own.
	const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
	if (first instanceof Error && "code" in first && typeof first.code === "string") return `no answer (${first.code})`;
	return "no answer";
}
