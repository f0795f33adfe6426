/** The application behind every proxy that is measured: answers each HTTP/1.1 request on its connection with 1 KiB, as cheaply as Node can. */
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";

const BODY_BYTES = 1024;
const answer = Buffer.from(
	`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${BODY_BYTES}\r\n\r\n${"x".repeat(BODY_BYTES)}`,
	"latin1",
);

const server = createServer({ noDelay: true }, (socket) => {
	socket.on("error", () => socket.destroy());
	socket.on("data", (data) => {
		// Requests of the load have no body, so each ends with the empty line of its head.
		for (let at = data.indexOf("\r\n\r\n"); at >= 0; at = data.indexOf("\r\n\r\n", at + 4)) socket.write(answer);
	});
});
server.listen(0, "127.0.0.1", () => {
	console.log(JSON.stringify({ event: "ready", port: (server.address() as AddressInfo).port }));
});
process.once("SIGTERM", () => process.exit(0));
