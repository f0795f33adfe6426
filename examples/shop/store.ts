/** A key-value database in memory that any Redis client can talk to: GET, SET, INCR, DEL, PING. */
import { createServer } from "node:net";
import type { Server } from "node:net";
import type { AppSettings } from "./app.ts";
import { bulk, RespReader } from "./resp.ts";
import type { RespValue } from "./resp.ts";

export function start(settings: AppSettings): Server {
	const values = new Map<string, string>([["cart:me", "1 teapot"]]);
	const server = createServer((socket) => {
		const reader = new RespReader((command) => socket.write(answer(values, command)));
		socket.setNoDelay(true);
		socket.on("error", () => socket.destroy());
		socket.on("data", (chunk: Buffer) => {
			try {
				reader.push(chunk);
			} catch (error) {
				socket.end(`-ERR ${error instanceof Error ? error.message : "protocol error"}\r\n`);
			}
		});
	});
	return server.listen(settings.port, "127.0.0.1");
}

export function answer(values: Map<string, string>, command: RespValue): string {
	if (!Array.isArray(command)) return "-ERR a command is a list\r\n";
	const [name = "", key = "", value = ""] = command.map(String);
	switch (name.toUpperCase()) {
		case "PING":
			return "+PONG\r\n";
		case "GET":
			return bulk(values.get(key));
		case "SET":
			values.set(key, value);
			return "+OK\r\n";
		case "DEL":
			return `:${values.delete(key) ? 1 : 0}\r\n`;
		case "INCR": {
			const next = Number(values.get(key) ?? 0) + 1;
			if (!Number.isSafeInteger(next)) return "-ERR value is not an integer or out of range\r\n";
			values.set(key, String(next));
			return `:${next}\r\n`;
		}
		default:
			return `-ERR unknown command '${name}'\r\n`;
	}
}
