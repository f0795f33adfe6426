/**
 * Where the processes of the demo listen: a block of a hundred ports that are all free. It lies below the ports that systems give to
 * outgoing connections (32768 and up on Linux), so that none of them takes one away between this look and the bind.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import { CommandError } from "../context.ts";

const FIRST_PORT = 18_000;
const BLOCK_PORTS = 100;
const MAX_BLOCKS = 100;

/** @returns the first port of a free block @throws CommandError when there is none */
export async function findPortBlock(isFree: (port: number) => Promise<boolean> = isPortFree): Promise<number> {
	for (let block = 0; block < MAX_BLOCKS; block++) {
		const first = FIRST_PORT + block * BLOCK_PORTS;
		const free = await Promise.all(Array.from({ length: BLOCK_PORTS }, (_, i) => isFree(first + i)));
		if (free.every(Boolean)) return first;
	}
	throw new CommandError(
		`no ${BLOCK_PORTS} ports in a row are free between ${FIRST_PORT} and ${FIRST_PORT + MAX_BLOCKS * BLOCK_PORTS}`,
	);
}

async function isPortFree(port: number): Promise<boolean> {
	const server = createServer();
	server.listen(port, "127.0.0.1");
	try {
		await once(server, "listening");
	} catch {
		return false;
	}
	server.close();
	await once(server, "close");
	return true;
}
