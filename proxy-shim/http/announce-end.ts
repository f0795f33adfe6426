/** How an HTTP/2 server ends a session without refusing what is on its way to it. */
import { constants } from "node:http2";
import type { Http2Session } from "node:http2";

/** A request that crosses the news of our end is answered still. */
export const LINGER_MS = 500;
const MAX_STREAM_ID = 2 ** 31 - 1;

/** RFC 9113 section 6.8: first that the end comes, then, when whoever was told has stopped, which streams were the last. */
export function announceEnd(session: Http2Session): void {
	// One that has just ended is known until its event: telling it anything throws.
	if (session.destroyed) return;
	session.goaway(constants.NGHTTP2_NO_ERROR, MAX_STREAM_ID);
	const timer = setTimeout(() => session.close(), LINGER_MS);
	session.once("close", () => clearTimeout(timer));
}
