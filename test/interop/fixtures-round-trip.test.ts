/** Every fixture goes in as it was captured and is compared with what an independent decoder reads in the same bytes. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { readFixtures } from "../fixtures/fixtures.ts";
import { askUntil, getLogs, getSpans, plainAttributes, plainValue } from "./api.ts";
import { attributeMap, decodePayload, logsOf, spansOf } from "./otlp.ts";
import type { LogInContext, SpanInContext } from "./otlp.ts";
import { startServer } from "./server.ts";
import type { RunningServer } from "./server.ts";

let server: RunningServer;
let dataDirectory: string;

before(async () => {
	dataDirectory = await mkdtemp(path.join(tmpdir(), "meshscope-fixtures-"));
	server = await startServer({ dataDirectory });
});

after(async () => {
	await server.stop();
	await rm(dataDirectory, { recursive: true });
});

for (const fixture of readFixtures().filter(({ signal }) => signal !== "metrics")) {
	test(`${fixture.name} comes back field for field`, async () => {
		const response = await fetch(`http://${server.addresses.otlpHttp}/v1/${fixture.signal}`, {
			method: "POST",
			headers: { "content-type": fixture.encoding === "json" ? "application/json" : "application/x-protobuf" },
			body: new Uint8Array(fixture.bytes),
		});
		assert.equal(response.status, 200);
		assert.ok(["", "{}"].includes(await response.text()), "full success leaves partial_success unset");
		const sent = decodePayload(fixture.signal, fixture.encoding, fixture.bytes);
		if (fixture.signal === "traces") await assertSpans(server.addresses.http, spansOf(sent));
		else await assertLogs(server.addresses.http, logsOf(sent));
	});
}

async function assertLogs(http: string, sent: readonly LogInContext[]): Promise<void> {
	for (const { log, resource, scope } of sent) {
		// Captures do not grow old, but a query without a range asks for the last hour.
		const timeMs = Number(BigInt(log.timeUnixNano ?? log.observedTimeUnixNano ?? 0) / 1_000_000n);
		const around = { from: String(timeMs - 1), to: String(timeMs + 2), limit: "1000" };
		const query = log.traceId === undefined ? around : { ...around, traceId: log.traceId };
		const logs = await askUntil(
			() => getLogs(http, query),
			(found) => found.length > 0,
			5_000,
		);
		const same = logs.filter(
			(found) =>
				found.spanId === (log.spanId ?? "") &&
				found.timeUnixNano === (log.timeUnixNano ?? "0") &&
				found.observedTimeUnixNano === (log.observedTimeUnixNano ?? "0"),
		);
		assert.equal(same.length, 1, `one record at ${log.timeUnixNano} in ${log.traceId}`);
		const found = same[0]!;
		assert.equal(found.severityNumber, log.severityNumber ?? 0);
		assert.equal(found.severityText, log.severityText ?? "");
		assert.deepEqual(found.body, plainValue(log.body));
		assert.deepEqual(found.attributes, plainAttributes(attributeMap(log.attributes)));
		assert.deepEqual(found.resource, plainAttributes(attributeMap(resource.attributes)));
		assert.ok(found.scope.includes(scope.name ?? ""));
	}
}

async function assertSpans(http: string, sent: readonly SpanInContext[]): Promise<void> {
	for (const traceId of new Set(sent.map(({ span }) => span.traceId))) {
		const expected = sent.filter(({ span }) => span.traceId === traceId).sort(bySpanId);
		const found = await askUntil(
			() => getSpans(http, traceId),
			(spans) => expected.every(({ span }) => spans.some((one) => one.span.spanId === span.spanId)),
			5_000,
		);
		// Two captures of one run hold different spans of the same trace.
		const ids = new Set(expected.map(({ span }) => span.spanId));
		assert.deepEqual(found.filter(({ span }) => ids.has(span.spanId)).sort(bySpanId), expected);
	}
}

function bySpanId(a: SpanInContext, b: SpanInContext): number {
	return a.span.spanId < b.span.spanId ? -1 : 1;
}
