/**
 * A TCP proxy that is a bad network: it delays what passes, and on command resets connections, so that requests are lost before they
 * arrive and answers after the work was done. It owns both halves of every connection.
 */
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

export interface TcpProxy {
	/** `host:port` to send to. */
	readonly address: string;
	/** Resets so far. */
	resets(): number;
	/** Resets every open connection; returns how many there were. */
	resetAll(): number;
	close(): Promise<void>;
}

export interface TcpProxyOptions {
	/** `host:port` */
	readonly target: string;
	/** Delay of each chunk, one way; drawn anew for each. */
	readonly latencyMs: () => number;
	/** Bytes that a connection may carry towards the client before it is reset; Infinity for never. */
	readonly resetAfterResponseBytes: () => number;
}

export async function startTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
	const [host, port] = options.target.split(":") as [string, string];
	const open = new Set<() => void>();
	let resets = 0;
	const server = createServer({ noDelay: true }, (client) => {
		const upstream = connect({ host, port: Number(port), noDelay: true });
		let budget = options.resetAfterResponseBytes();
		const reset = () => {
			if (!open.delete(reset)) return;
			resets++;
			client.resetAndDestroy();
			upstream.resetAndDestroy();
		};
		open.add(reset);
		const end = () => {
			open.delete(reset);
			client.destroy();
			upstream.destroy();
		};
		pipe(client, upstream, options.latencyMs, () => undefined);
		pipe(upstream, client, options.latencyMs, (bytes) => {
			budget -= bytes;
			if (budget < 0) reset();
		});
		for (const socket of [client, upstream]) {
			socket.on("error", end);
			socket.on("close", end);
		}
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
		resets: () => resets,
		resetAll() {
			const count = open.size;
			for (const reset of open) reset();
			return count;
		},
		async close() {
			for (const reset of open) reset();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

/** In order, each chunk after its delay; `passed` is told before a chunk is written and may close the connection. */
function pipe(from: Socket, to: Socket, latencyMs: () => number, passed: (bytes: number) => void): void {
	let last = Promise.resolve();
	from.on("data", (chunk: Buffer) => {
		const due = new Promise((resolve) => setTimeout(resolve, latencyMs()));
		last = last.then(async () => {
			await due;
			passed(chunk.length);
			if (!to.destroyed) to.write(chunk);
		});
	});
	from.on("end", () => {
		last = last.then(() => void (to.destroyed || to.end()));
	});
}
