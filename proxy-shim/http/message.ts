/**
 * HTTP messages as the data path sees them, whatever version either side speaks: a head, and header fields as one flat list. Names are
 * lower-case (as HTTP/2 demands and Envoy does); order, duplicates and values stay as they came.
 */

/** `[name, value, name, value, …]`. */
export type HeaderList = readonly string[];

export interface RequestHead {
	readonly method: string;
	/** As the caller spoke it. */
	readonly scheme: "http" | "https";
	/** Host or `:authority`, as it came. */
	readonly authority: string;
	/** Origin form with the query, or `*`. */
	readonly path: string;
	/** End to end only: hop-by-hop fields, Host and pseudo-fields are gone. */
	readonly headers: HeaderList;
	readonly protocolVersion: "1.1" | "1.0" | "2";
	readonly isGrpc: boolean;
	/** What the caller would like to speak instead (`websocket`); empty for none. */
	readonly upgrade: string;
	readonly expectsContinue: boolean;
}

/** The first value, or undefined. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
	for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return headers[i + 1];
	return undefined;
}

/** All values of the field, joined as RFC 9110 section 5.2 allows; undefined where there is none. */
export function joinedHeader(headers: HeaderList, name: string): string | undefined {
	let joined: string | undefined;
	for (let i = 0; i < headers.length; i += 2) {
		if (headers[i] === name) joined = joined === undefined ? headers[i + 1] : `${joined}, ${headers[i + 1]}`;
	}
	return joined;
}

export function withoutHeader(headers: HeaderList, name: string): HeaderList {
	if (headerValue(headers, name) === undefined) return headers;
	const kept: string[] = [];
	for (let i = 0; i < headers.length; i += 2) if (headers[i] !== name) kept.push(headers[i]!, headers[i + 1]!);
	return kept;
}

export function withHeader(headers: HeaderList, name: string, value: string): HeaderList {
	return [...withoutHeader(headers, name), name, value];
}

/** As libraries want fields that repeat: arrays under one name. */
export function headerObject(headers: HeaderList): Record<string, string | string[]> {
	const object: Record<string, string | string[]> = {};
	for (let i = 0; i < headers.length; i += 2) {
		const name = headers[i]!;
		const value = headers[i + 1]!;
		const before = Object.hasOwn(object, name) ? object[name] : undefined;
		if (before === undefined) object[name] = value;
		else if (Array.isArray(before)) before.push(value);
		else object[name] = [before, value];
	}
	return object;
}

/** A response to such a request, or with such a status, has no body whatever its fields say (RFC 9110 section 6.4.1). */
export function isBodiless(method: string, status: number): boolean {
	return method === "HEAD" || status === 204 || status === 304;
}
