/**
 * A receiver that reads a request and acknowledges it without a look at it, in a process of its own: what the generator reaches
 * against it is the generator's own ceiling, and no ingest figure near that ceiling says much about a server.
 */
import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";

const http = createServer((request, response) => {
	request.on("end", () => response.writeHead(200, { "content-type": "application/x-protobuf" }).end());
	request.resume();
});
const grpc = createHttp2Server({ settings: { initialWindowSize: 16 * 1024 * 1024 } });
grpc.on("session", (session) => session.setLocalWindowSize(64 * 1024 * 1024));
grpc.on("stream", (stream) => {
	stream.on("end", () => {
		stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
		stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
		// One empty message: an ExportTraceServiceResponse without a field.
		stream.end(new Uint8Array(5));
	});
	stream.on("error", () => undefined);
	stream.resume();
});

const addressOf = (address: AddressInfo | string | null): string => `http://127.0.0.1:${(address as AddressInfo).port}`;
http.listen(0, "127.0.0.1", () => {
	grpc.listen(0, "127.0.0.1", () => {
		console.log(JSON.stringify({ event: "ready", http: addressOf(http.address()), grpc: addressOf(grpc.address()) }));
	});
});
process.once("SIGTERM", () => process.exit(0));
