/** Tells every visitor who is connected by WebSocket of each order that it is told of by HTTP. */
import { createHash } from "node:crypto";
import type { Server } from "node:http";
import type { Duplex } from "node:stream";
import { serveJson } from "./app.ts";
import type { AppSettings } from "./app.ts";

/** RFC 6455, section 1.3. */
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT_FRAME = 0x81;
const CLOSE = 0x8;
const MAX_SHORT_BYTES = 125;

export function start(settings: AppSettings): Server {
	const visitors = new Set<Duplex>();
	const server = serveJson(settings, (_, body) => {
		for (const socket of visitors) socket.write(textFrame(JSON.stringify(body ?? {})));
		return { status: 200, body: { told: visitors.size } };
	});
	server.on("upgrade", (request, socket: Duplex) => {
		const key = request.headers["sec-websocket-key"];
		if (key === undefined || request.headers.upgrade?.toLowerCase() !== "websocket") {
			socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
			return;
		}
		const accept = createHash("sha1")
			.update(key + WEBSOCKET_GUID)
			.digest("base64");
		socket.write(
			`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
		);
		visitors.add(socket);
		socket.on("error", () => socket.destroy());
		socket.on("close", () => visitors.delete(socket));
		socket.on("end", () => socket.end());
		// Visitors only listen; all that they send is that they go.
		socket.on("data", (chunk: Buffer) => {
			if ((chunk[0]! & 0x0f) === CLOSE) socket.end(Buffer.from([0x80 | CLOSE, 0]));
		});
		socket.write(textFrame('{"hello":"visitor"}'));
	});
	return server;
}

export function textFrame(text: string): Buffer {
	const payload = Buffer.from(text).subarray(0, MAX_SHORT_BYTES);
	return Buffer.concat([Buffer.from([TEXT_FRAME, payload.length]), payload]);
}
