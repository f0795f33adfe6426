/** Ends a connection so that its peer cannot take what came for all there is: by a reset where the transport has one. */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";

export function breakOff(stream: Duplex): void {
	// TLS tells a cut from an end by itself: there is no close_notify. A socket that is no TCP handle cannot be reset.
	if (stream instanceof Socket && !(stream instanceof TLSSocket) && stream.remoteAddress !== undefined)
		stream.resetAndDestroy();
	else stream.destroy();
}
