/** What must come back of the load of load.ts, whichever SDK sent it and over whichever protocol. */
import assert from "node:assert/strict";
import type { ServerAddresses } from "./server.ts";
import { askUntil, getLogs, getSpans, plainAttributes, plainValue, queryMetric } from "./api.ts";
import { attributeMap } from "./otlp.ts";
import {
	EVENT,
	LINKED_SPAN_ID,
	LINKED_TRACE_ID,
	LINK_ATTRIBUTES,
	LOGS,
	METRICS,
	RESOURCE,
	SCOPE,
	SPANS,
} from "./senders/load.ts";
import type { Sent } from "./senders/load.ts";

/** An acknowledged record is readable within this time. */
const VISIBLE_MS = 5_000;

export async function assertTraceCameBack(
	addresses: ServerAddresses,
	sent: Sent,
	serviceName: string,
	baseTimeNs: bigint,
): Promise<void> {
	const spans = await askUntil(
		() => getSpans(addresses.http, sent.traceId),
		(found) => found.length >= SPANS.length,
		VISIBLE_MS,
	);
	assert.deepEqual(spans.map(({ span }) => span.name).sort(), SPANS.map(({ name }) => name).sort(), "every span once");
	for (const expected of SPANS) {
		const found = spans.find(({ span }) => span.name === expected.name);
		assert.ok(found !== undefined);
		const { span, resource, scope } = found;
		assert.equal(span.traceId, sent.traceId);
		assert.equal(span.spanId, sent.spanIds[expected.name]);
		assert.equal(span.parentSpanId ?? "", expected.isRoot ? "" : sent.spanIds["GET /checkout"]);
		assert.equal(span.kind, expected.kind);
		assert.equal(BigInt(span.startTimeUnixNano), baseTimeNs + expected.startNs);
		assert.equal(BigInt(span.endTimeUnixNano), baseTimeNs + expected.endNs);
		assert.deepEqual(attributeMap(span.attributes), expected.attributes, `attributes of ${expected.name}`);
		assert.equal(span.status?.code ?? 0, expected.statusCode);
		assert.equal(span.status?.message ?? "", expected.statusMessage);
		assert.equal(scope.name, SCOPE.name);
		assert.equal(scope.version, SCOPE.version);
		const resourceAttributes = attributeMap(resource.attributes);
		assert.deepEqual(resourceAttributes["service.name"], { stringValue: serviceName });
		for (const [key, value] of Object.entries(RESOURCE))
			assert.deepEqual(resourceAttributes[key], value, `resource attribute ${key}`);
		assert.equal(span.events?.length ?? 0, expected.name === "charge" ? 1 : 0);
		assert.equal(span.links?.length ?? 0, expected.name === "charge" ? 1 : 0);
	}
	const charge = spans.find(({ span }) => span.name === "charge")?.span;
	const event = charge?.events?.[0];
	assert.equal(event?.name, EVENT.name);
	assert.equal(BigInt(event?.timeUnixNano ?? 0), baseTimeNs + EVENT.atNs);
	assert.deepEqual(attributeMap(event?.attributes), EVENT.attributes);
	const link = charge?.links?.[0];
	assert.equal(link?.traceId, LINKED_TRACE_ID);
	assert.equal(link?.spanId, LINKED_SPAN_ID);
	assert.deepEqual(attributeMap(link?.attributes), LINK_ATTRIBUTES);
}

export async function assertLogsCameBack(
	addresses: ServerAddresses,
	sent: Sent,
	serviceName: string,
	baseTimeNs: bigint,
): Promise<void> {
	const logs = await askUntil(
		() => getLogs(addresses.http, { traceId: sent.traceId }),
		(found) => found.length >= LOGS.length,
		VISIBLE_MS,
	);
	assert.equal(logs.length, LOGS.length, "every record once");
	const newestFirst = [...LOGS].reverse();
	for (const [i, expected] of newestFirst.entries()) {
		const log = logs[i]!;
		assert.equal(BigInt(log.timeUnixNano), baseTimeNs + expected.offsetNs);
		assert.equal(log.service, serviceName);
		assert.equal(log.traceId, sent.traceId);
		assert.equal(log.spanId, sent.spanIds["GET /checkout"]);
		assert.equal(log.severityNumber, expected.severityNumber);
		assert.equal(log.severityText, expected.severityText);
		assert.deepEqual(log.body, plainValue(expected.body));
		assert.deepEqual(log.attributes, plainAttributes(expected.attributes));
		assert.ok(log.scope.includes(SCOPE.name), `scope ${log.scope}`);
		const resource = { ...plainAttributes(RESOURCE), "service.name": serviceName };
		for (const [key, value] of Object.entries(resource))
			assert.deepEqual(log.resource[key], value, `resource attribute ${key}`);
	}
}

export async function assertMetricsCameBack(addresses: ServerAddresses, serviceName: string): Promise<void> {
	for (const expected of METRICS) {
		const series = await askUntil(
			() => queryMetric(addresses.http, { name: expected.name, service: serviceName }),
			(found) => found.length >= expected.points.length,
			VISIBLE_MS,
		);
		assert.equal(series.length, expected.points.length, `series of ${expected.name}`);
		for (const point of expected.points) {
			const found = series.find((one) => one.series.attributes["route"] === point.attributes["route"]);
			assert.ok(found !== undefined, `${expected.name} ${JSON.stringify(point.attributes)}`);
			const { name, unit, description, type, monotonic, temporality, service, attributes, resource } = found.series;
			assert.deepEqual(
				{ name, unit, description, type, monotonic, temporality, service, attributes: { ...attributes } },
				{
					name: expected.name,
					unit: expected.unit,
					description: expected.description,
					type: expected.type,
					monotonic: expected.monotonic,
					temporality: expected.type === "gauge" ? "unspecified" : "cumulative",
					service: serviceName,
					attributes: point.attributes,
				},
			);
			assert.equal(resource["service.version"], "1.2.3");
			assert.equal(found.points.length, 1, `points of ${expected.name}`);
			const got = found.points[0]!;
			assert.deepEqual(
				{
					value: got.value,
					count: got.count,
					sum: got.sum,
					min: got.min,
					max: got.max,
					explicitBounds: got.explicitBounds,
					bucketCounts: got.bucketCounts,
				},
				{
					value: point.value,
					count: point.count,
					sum: point.sum,
					min: point.min,
					max: point.max,
					explicitBounds: point.explicitBounds,
					bucketCounts: point.bucketCounts,
				},
				expected.name,
			);
			if (expected.type === "exponential_histogram") {
				const total = (got.exponential?.positive.bucketCounts ?? []).reduce((sum, count) => sum + BigInt(count), 0n);
				assert.equal(total, BigInt(point.count!));
				assert.ok((got.exponential?.scale ?? 0) > 0);
			}
		}
	}
}
