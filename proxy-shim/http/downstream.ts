/** One request of a caller and the way back to it, whatever version of HTTP it speaks. */
import type { Duplex } from "node:stream";
import type { HopTls } from "../telemetry/hop.ts";
import type { RequestBody } from "./body.ts";
import type { HeaderList, RequestHead } from "./message.ts";

/** The connection that requests come on. */
export interface CallerConnection {
	readonly remoteAddress: string;
	readonly remotePort: number;
	readonly localAddress: string;
	readonly tls: HopTls;
}

export interface Downstream {
	readonly head: RequestHead;
	readonly connection: CallerConnection;
	/** Undefined where the request has none. */
	readonly body: RequestBody | undefined;
	/** The head of the final response is on its way. */
	readonly responded: boolean;
	/** Bytes of response body so far. */
	readonly bytesSent: number;
	/** 103 and its like. */
	informational(status: number, headers: HeaderList): void;
	/**
	 * Once. `endNow` sends the head alone.
	 * @throws Error when the fields cannot be sent to this caller; nothing was sent then
	 */
	respond(status: number, reason: string, headers: HeaderList, endNow: boolean): void;
	/** False: wait for `onDrain` of {@link DownstreamEvents}. */
	write(chunk: Buffer): boolean;
	end(trailers: HeaderList): void;
	/** Breaks the exchange off so that the caller cannot take what it got for the whole; `refused` where nothing was done with it. */
	reset(how: "error" | "refused"): void;
	/** Answers 101 and gives the raw connection, with what was read beyond the head. Only where `head.upgrade` is set. */
	switchProtocols(headers: HeaderList): Duplex;
	/** At most one listener each; set before anything is sent. */
	events: DownstreamEvents;
}

export interface DownstreamEvents {
	onDrain: () => void;
	/** The caller went away before its answer was complete. */
	onGone: () => void;
	/** The answer left completely. */
	onFinished: () => void;
}

export const NO_EVENTS: DownstreamEvents = { onDrain: () => {}, onGone: () => {}, onFinished: () => {} };
