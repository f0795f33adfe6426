/**
 * The read token, for servers that were started with one. Kept for this tab until it is closed, sent with every call, never put into
 * an address.
 */
const KEY = "meshscope.read-token";

/** Where storage is switched off, the token lasts as long as the page. */
let inMemory: string | undefined;

export function readToken(): string | undefined {
	try {
		return sessionStorage.getItem(KEY) ?? inMemory;
	} catch {
		return inMemory;
	}
}

export function setReadToken(token: string): void {
	inMemory = token;
	try {
		sessionStorage.setItem(KEY, token);
	} catch {
		// Kept in memory only.
	}
}

/** Headers that show the token; none without one. A header value holds visible ASCII only: anything else is no token. */
export function tokenHeaders(): Readonly<Record<string, string>> {
	const token = readToken();
	return token === undefined || !/^[\x21-\x7e]+$/.test(token) ? {} : { authorization: `Bearer ${token}` };
}
