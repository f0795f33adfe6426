/** HTTP/1.1 from a client through two shims to an app and back. */
import assert from "node:assert/strict";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { pair, startApp } from "./rig.ts";

test("a request reaches the app through both shims, and each tells its hop of one trace", async (t) => {
	const app = await startApp(t, (message, response) => {
		response.setHeader("x-seen-path", message.url ?? "");
		response.setHeader("x-seen-host", message.headers.host ?? "");
		response.setHeader("x-seen-trace", message.headers["traceparent"] ?? "");
		response.end("hello");
	});
	const { sink, outbound } = await pair(t, app);
	const response = await get(outbound.port, "/a?b=1", { host: "orders" });
	assert.equal(response.statusCode, 200);
	assert.equal(await text(response), "hello");
	assert.equal(response.headers["x-seen-path"], "/a?b=1");
	assert.equal(response.headers["x-seen-host"], "orders");
	const [client] = await sink.hops("outbound", 1);
	const [server] = await sink.hops("inbound", 1);
	assert.equal(client!.status, 200);
	assert.equal(client!.responseBytes, 5);
	assert.equal(client!.upstreamCluster, "outbound|80||orders.shop.svc.cluster.local");
	assert.equal(client!.tls.noTlsReason, "peer_not_in_mesh");
	assert.equal(server!.trace.traceId, client!.trace.traceId);
	assert.equal(server!.trace.parentSpanId, client!.trace.spanId);
	assert.equal(response.headers["x-seen-trace"], `00-${server!.trace.traceId}-${server!.trace.spanId}-03`);
	assert.equal(server!.requestId, client!.requestId);
});

function get(port: number, path: string, headers: Record<string, string>): Promise<IncomingMessage> {
	return new Promise((resolve, reject) => {
		request({ host: "127.0.0.1", port, path, headers, agent: false }, resolve).on("error", reject).end();
	});
}
