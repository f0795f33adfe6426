/**
 * The load on a proxy: GETs over keep-alive connections, one at a time on each. Without `--rate` as fast as they are answered; with it at
 * a fixed rate, latency counted from when a request was due, so that a stall is not hidden by the requests that it held up.
 *
 *   node load.ts --port N --seconds 5 [--connections 32] [--rate 1000] [--host NAME] [--cert F --key F --ca F]
 *
 * Prints one JSON line: {requests, failed, seconds, rps, ms: {p50, p90, p99, max}}.
 */
import { readFileSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { parseArgs } from "node:util";
import { percentile } from "../statistics.ts";

const { values } = parseArgs({
	options: {
		port: { type: "string" },
		seconds: { type: "string", default: "5" },
		connections: { type: "string", default: "32" },
		rate: { type: "string", default: "0" },
		host: { type: "string", default: "app.shop" },
		cert: { type: "string" },
		key: { type: "string" },
		ca: { type: "string" },
	},
});
const port = Number(values.port);
const seconds = Number(values.seconds);
const connections = Number(values.connections);
const rate = Number(values.rate);
const head = Buffer.from(
	`GET /item/42?color=blue HTTP/1.1\r\nHost: ${values.host}\r\nUser-Agent: meshscope-bench/1\r\nAccept: */*\r\nX-Request-Id: 7f3c1f2e-95a4-4c53-9d61-0b1f4d3c2a10\r\n\r\n`,
	"latin1",
);

interface Client {
	readonly socket: Socket;
	/** When the request under way was due; negative while there is none. */
	dueMs: number;
	received: number;
	expected: number;
}

const latenciesMs: number[] = [];
let failed = 0;
let ended = false;
/** Requests that are due and wait for a free connection; open loop only. */
const waiting: number[] = [];
const idle: Client[] = [];

function open(): Promise<Client> {
	return new Promise((resolve, reject) => {
		const socket =
			values.cert === undefined
				? connectPlain({ host: "127.0.0.1", port, noDelay: true })
				: connectTls({
						host: "127.0.0.1",
						port,
						cert: readFileSync(values.cert),
						key: readFileSync(values.key!),
						ca: readFileSync(values.ca!),
						// Names are SPIFFE IDs, which this client does not judge.
						checkServerIdentity: () => undefined,
					});
		const client: Client = { socket, dueMs: -1, received: 0, expected: -1 };
		socket.once(values.cert === undefined ? "connect" : "secureConnect", () => resolve(client));
		socket.once("error", reject);
		socket.on("error", () => socket.destroy());
		socket.on("data", (data) => onData(client, data));
		socket.on("close", () => {
			if (!ended && client.dueMs >= 0) failed++;
		});
	});
}

function onData(client: Client, data: Buffer): void {
	if (client.expected < 0) {
		const end = data.indexOf("\r\n\r\n");
		const text = data.toString("latin1", 0, end < 0 ? data.length : end + 2).toLowerCase();
		const length = /\r\ncontent-length: *(\d+)\r\n/.exec(text);
		if (end < 0 || length === null || !text.startsWith("http/1.1 200")) {
			failed++;
			client.socket.destroy();
			return;
		}
		client.expected = end + 4 + Number(length[1]);
	}
	client.received += data.length;
	if (client.received < client.expected) return;
	latenciesMs.push(performance.now() - client.dueMs);
	client.dueMs = -1;
	client.received = 0;
	client.expected = -1;
	if (ended) return;
	if (rate === 0) send(client, performance.now());
	else {
		const due = waiting.shift();
		if (due === undefined) idle.push(client);
		else send(client, due);
	}
}

function send(client: Client, dueMs: number): void {
	client.dueMs = dueMs;
	client.socket.write(head);
}

const clients = await Promise.all(Array.from({ length: connections }, open));
const startedMs = performance.now();
if (rate === 0) {
	for (const client of clients) send(client, performance.now());
} else {
	idle.push(...clients);
	let sent = 0;
	const timer = setInterval(() => {
		if (ended) return clearInterval(timer);
		for (const nowMs = performance.now(); startedMs + (sent * 1_000) / rate <= nowMs; sent++) {
			const dueMs = startedMs + (sent * 1_000) / rate;
			const client = idle.pop();
			if (client === undefined) waiting.push(dueMs);
			else send(client, dueMs);
		}
	}, 1);
}
setTimeout(() => {
	ended = true;
	const tookSeconds = (performance.now() - startedMs) / 1_000;
	latenciesMs.sort((a, b) => a - b);
	const ms = {
		p50: percentile(latenciesMs, 0.5),
		p90: percentile(latenciesMs, 0.9),
		p99: percentile(latenciesMs, 0.99),
		max: latenciesMs.at(-1) ?? Number.NaN,
	};
	const requests = latenciesMs.length;
	console.log(JSON.stringify({ requests, failed, seconds: tookSeconds, rps: requests / tookSeconds, ms }));
	process.exit(0);
}, seconds * 1_000);
