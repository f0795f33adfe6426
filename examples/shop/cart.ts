/** Carts, kept in the store: a service that is HTTP on one side and a database's own protocol over TCP on the other. */
import type { Server } from "node:http";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { serveJson } from "./app.ts";
import type { AppSettings } from "./app.ts";
import { encodeCommand, RespReader } from "./resp.ts";
import type { RespValue } from "./resp.ts";

/** Connections are renewed, as those of a pool are, so that the mesh counts more than one. */
const MAX_CONNECTION_AGE_MS = 2_000;

export function start(settings: AppSettings): Server {
	const store = new StoreClient(settings.store);
	return serveJson(settings, async (request) => {
		const key = `cart:${request.url?.split("/")[2] ?? "me"}`;
		const visits = await store.send(["INCR", `${key}:visits`]);
		const items = await store.send(["GET", key]);
		return { status: 200, body: { items: items ?? "empty", visits } };
	});
}

class StoreClient {
	private readonly host: string;
	private readonly port: number;
	private socket: Socket | undefined;
	private openedMs = 0;
	private waiting: PromiseWithResolvers<RespValue>[] = [];

	constructor(address: string) {
		const [host = "127.0.0.1", port] = address.split(":");
		this.host = host;
		this.port = Number(port);
	}

	/** Rejects when the connection breaks before the answer is there. */
	send(command: readonly string[]): Promise<RespValue> {
		const answer = Promise.withResolvers<RespValue>();
		const socket = this.connection();
		this.waiting.push(answer);
		socket.write(encodeCommand(command));
		return answer.promise;
	}

	private connection(): Socket {
		const isOld = performance.now() - this.openedMs > MAX_CONNECTION_AGE_MS;
		if (this.socket !== undefined && !isOld) return this.socket;
		// What was asked on the old one is still answered there.
		this.socket?.end();
		const waiting: PromiseWithResolvers<RespValue>[] = [];
		const reader = new RespReader((value) => waiting.shift()?.resolve(value));
		const socket = connect(this.port, this.host);
		socket.setNoDelay(true);
		socket.on("data", (chunk: Buffer) => reader.push(chunk));
		socket.on("error", () => socket.destroy());
		socket.on("close", () => {
			if (this.socket === socket) this.socket = undefined;
			for (const one of waiting) one.reject(new Error("the store has closed the connection"));
		});
		this.socket = socket;
		this.waiting = waiting;
		this.openedMs = performance.now();
		return socket;
	}
}
