/** docs/formats/shim-telemetry.md names every attribute and every metric that the proxy sends. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { HttpHop } from "../proxy-shim/telemetry/hop.ts";
import { encodeResource, encodeScope, SpanChunk } from "../proxy-shim/telemetry/span-chunk.ts";
import { SpanEncoder } from "../proxy-shim/telemetry/span-encoder.ts";
import { createTelemetry } from "../proxy-shim/telemetry/telemetry.ts";
import { httpHop, noTls, tcpHop } from "../proxy-shim/telemetry/test-kit.ts";
import { attributeMap, decodeProtobuf, spansOf } from "./interop/otlp.ts";

const doc = readFileSync(new URL("../docs/formats/shim-telemetry.md", import.meta.url), "utf8");

/** Between them they have a value for every field. */
const FULL: Partial<HttpHop> = {
	status: 503,
	responseFlags: "UF",
	retries: 1,
	subset: "v1",
	authzPolicy: "demo/p",
	authzDecision: "allow",
	breakerState: "open",
	fellBack: true,
	faultInjected: true,
	path: "/p?q=1",
	requestMessages: 1,
	responseMessages: 1,
};
const HOPS = [
	httpHop(FULL),
	httpHop({ ...FULL, isGrpc: true, path: "/a.B/C", grpcStatus: 14 }),
	httpHop({ ...FULL, tls: noTls("unknown", "wrong_identity"), failedHandshakes: 1 }),
];

test("every attribute of spans and resources is in the document", () => {
	const chunk = new SpanChunk(encodeResource(HOPS[0]!.local, { cluster: "c", version: "1" }), encodeScope("1"));
	const encoder = new SpanEncoder();
	for (const hop of HOPS) encoder.append(chunk, hop);
	const keys = new Set(
		spansOf(decodeProtobuf("traces", chunk.seal().subarray(5))).flatMap(({ span, resource }) => [
			...Object.keys(attributeMap(span.attributes)),
			...Object.keys(attributeMap(resource.attributes)),
		]),
	);
	assert.ok(keys.size > 50, `only ${keys.size} keys were sent`);
	assert.deepEqual(
		[...keys].filter((key) => !doc.includes(`\`${key}\``)),
		[],
	);
});

test("every metric is in the document", () => {
	const telemetry = createTelemetry({
		local: HOPS[0]!.local,
		version: "1",
		log: () => undefined,
		client: { send: () => Promise.resolve({ kind: "accepted", rejected: 0, message: "" }), close: () => undefined },
	});
	for (const hop of HOPS) telemetry.http(hop);
	telemetry.tcp(tcpHop());
	const cluster = "c";
	telemetry.event({ kind: "ejected", cluster, endpoint: "e", reason: "r" });
	telemetry.event({ kind: "returned", cluster, endpoint: "e", reason: "r" });
	telemetry.event({ kind: "breaker", cluster, from: "closed", to: "open" });
	telemetry.event({ kind: "handshake_failed", direction: "inbound", peerAddress: "a", reason: "r" });
	telemetry.event({ kind: "config", version: "1", accepted: true, message: "" });
	telemetry.event({ kind: "certificate", principal: "p", notAfterMs: 1 });
	const names = [...telemetry.prometheus().matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]!);
	telemetry.close();
	assert.ok(names.length > 25, `only ${names.length} metrics were told`);
	assert.deepEqual(
		names.filter((name) => !doc.includes(`\`${name}\``)),
		[],
	);
});
