/** A port that takes connections, and what it takes to end it. */
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

export interface ListenAddress {
	readonly host: string;
	/** 0: any free one. */
	readonly port: number;
}

export interface Listener {
	/** As bound. */
	readonly address: ListenAddress;
	/** No new connections; resolves when the port is free. Connections that are there go on. */
	stop(): Promise<void>;
}

/** @throws the system's error where the address cannot be bound */
export function listen(address: ListenAddress, onSocket: (socket: Socket) => void): Promise<Listener> {
	return new Promise((resolve, reject) => {
		const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => {
			// From the first moment on: a connection that is reset while it is looked at must not end the process.
			socket.on("error", () => {});
			onSocket(socket);
		});
		server.once("error", reject);
		server.listen({ host: address.host, port: address.port, backlog: 4_096 }, () => {
			server.off("error", reject);
			// Running out of file descriptors is passed; connections that could not be taken are the kernel's to refuse.
			server.on("error", () => {});
			const bound = server.address() as AddressInfo;
			let stopped: Promise<void> | undefined;
			resolve({
				address: { host: bound.address, port: bound.port },
				// Node's callback waits for connections too; the port is free at once.
				stop: () => (stopped ??= Promise.resolve(void server.close())),
			});
		});
	});
}
