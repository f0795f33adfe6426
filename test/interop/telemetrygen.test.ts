import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { askUntil, getLogs, getSpans, getStatus, queryMetric, searchTraces } from "./api.ts";
import { skipUnless } from "./fetch/cache.ts";
import { fetchTelemetrygen } from "./fetch/telemetrygen.ts";
import { attributeMap } from "./otlp.ts";
import {
	TELEMETRYGEN_CHILD_SPANS,
	TELEMETRYGEN_LOGS,
	TELEMETRYGEN_METRICS,
	TELEMETRYGEN_TRACES,
	sendWithTelemetrygen,
} from "./senders/telemetrygen.ts";
import { startServer } from "./server.ts";

let binary: string | undefined;
const unfetched = await skipUnless(async () => {
	binary = await fetchTelemetrygen();
});
const skip = unfetched === false && binary === undefined ? "Go is not on this machine" : unfetched;

for (const transport of ["grpc", "http"] as const) {
	test(`what telemetrygen sends over ${transport} comes back, nothing double`, { skip }, async () => {
		assert.ok(binary !== undefined);
		const dataDirectory = await mkdtemp(path.join(tmpdir(), "meshscope-interop-gen-"));
		const server = await startServer({ dataDirectory });
		try {
			const { http, otlpGrpc, otlpHttp } = server.addresses;
			const service = `interop-gen-${transport}`;
			await sendWithTelemetrygen({ binary, transport, serviceName: service, otlpGrpc, otlpHttp });

			const traces = await askUntil(
				() => searchTraces(http, { service, limit: "100" }),
				(found) => found.length >= TELEMETRYGEN_TRACES,
				5_000,
			);
			assert.equal(traces.length, TELEMETRYGEN_TRACES);
			for (const { traceId, spanCount } of traces) {
				assert.equal(spanCount, TELEMETRYGEN_CHILD_SPANS + 1);
				const spans = await getSpans(http, traceId);
				assert.deepEqual(spans.map(({ span }) => span.name).sort(), ["lets-go", "okey-dokey-0", "okey-dokey-1"]);
				const root = spans.find(({ span }) => span.name === "lets-go")?.span;
				for (const { span, resource } of spans) {
					assert.deepEqual(attributeMap(span.attributes)["probe"], { stringValue: "yes" });
					assert.deepEqual(attributeMap(resource.attributes)["deployment.environment"], { stringValue: "interop" });
					if (span !== root) assert.equal(span.parentSpanId, root?.spanId);
				}
			}

			const logs = await askUntil(
				() => getLogs(http, { service }),
				(found) => found.length >= TELEMETRYGEN_LOGS,
				5_000,
			);
			assert.equal(logs.length, TELEMETRYGEN_LOGS);
			for (const log of logs) {
				assert.equal(log.body, "probe body");
				assert.equal(log.attributes["probe"], "yes");
				assert.equal(log.resource["deployment.environment"], "interop");
			}

			const series = await askUntil(
				() => queryMetric(http, { name: "interop.gen", service }),
				(found) => found.length > 0,
				5_000,
			);
			const points = series.reduce((sum, one) => sum + one.points.length, 0);
			assert.equal(points, TELEMETRYGEN_METRICS);

			const status = await getStatus(http);
			assert.equal(status.store.spans, TELEMETRYGEN_TRACES * (TELEMETRYGEN_CHILD_SPANS + 1));
			assert.equal(status.store.logs, TELEMETRYGEN_LOGS);
			assert.equal(status.store.metricPoints, TELEMETRYGEN_METRICS);
		} finally {
			await server.stop();
			await rm(dataDirectory, { recursive: true });
		}
	});
}
