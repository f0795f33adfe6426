/**
 * The yardstick of the sidecar: what anybody writes first with node:http, keep-alive on both sides, and neither routing nor telemetry.
 * `node bare-proxy.ts APP_PORT`
 */
import { Agent, createServer, request as send } from "node:http";
import type { AddressInfo } from "node:net";

const agent = new Agent({ keepAlive: true, maxSockets: 256 });
const port = Number(process.argv[2]);

const server = createServer((incoming, outgoing) => {
	const upstream = send(
		{ host: "127.0.0.1", port, path: incoming.url, method: incoming.method, headers: incoming.headers, agent },
		(response) => {
			outgoing.writeHead(response.statusCode ?? 502, response.headers);
			response.pipe(outgoing);
		},
	);
	upstream.on("error", () => outgoing.writeHead(502).end());
	incoming.pipe(upstream);
});
server.listen(0, "127.0.0.1", () => {
	console.log(JSON.stringify({ event: "ready", port: (server.address() as AddressInfo).port }));
});
process.once("SIGTERM", () => process.exit(0));
