/** Binding a listener, and saying where it is bound. */
import type { AddressInfo, Server } from "node:net";
import type { ListenAddress, Transport } from "./settings.ts";

/** Resolves to `host:port`; rejects with a message that names the receiver and the address when it cannot bind. */
export function listen(server: Server, address: ListenAddress, transport: Transport): Promise<string> {
	return new Promise((resolve, reject) => {
		const onError = (error: Error): void => {
			reject(
				new Error(`The ${transport} receiver cannot listen on ${address.host}:${address.port}: ${error.message}`, {
					cause: error,
				}),
			);
		};
		server.once("error", onError);
		server.listen(address.port, address.host, () => {
			server.off("error", onError);
			// A later failure to accept (descriptors used up) passes; the listener stays.
			server.on("error", () => {});
			const bound = server.address() as AddressInfo;
			resolve(`${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}`);
		});
	});
}
