/** Where senders reach this server, as the snippets of the setup page need it. */

export interface IngestAddress {
	/** As a sender on the reader's side should write it. */
	readonly host: string;
	readonly port: number;
	readonly secure: boolean;
}

/**
 * Reads an address of `/api/v1/status`: `127.0.0.1:4317`, `[::1]:4317`, `0.0.0.0:4317`, with or without a scheme.
 * @param pageHost the host of this page: what "every address" is reachable as
 */
export function readIngestAddress(text: string | undefined, pageHost: string): IngestAddress | undefined {
	const match = /^(?:(https?|grpcs?):\/\/)?(\[[0-9a-fA-F:.]+\]|[^/:]*):(\d{1,5})\/?$/.exec(text ?? "");
	if (match === null) return undefined;
	const anywhere = ["", "0.0.0.0", "[::]", "*"].includes(match[2]!);
	return {
		host: anywhere ? pageHost : match[2]!,
		port: Number(match[3]),
		secure: match[1] === "https" || match[1] === "grpcs",
	};
}

/** `http://127.0.0.1:4318`. */
export function urlOf(address: IngestAddress): string {
	return `${address.secure ? "https" : "http"}://${address.host}:${address.port}`;
}
