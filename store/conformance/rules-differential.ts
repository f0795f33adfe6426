/** Random histories of groups, maintenance and reopening; every answer must be the oracle's. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { TraceId } from "../../model/ids.ts";
import type { OtlpKeyValue, OtlpLogRecord, OtlpSpan } from "../../model/otlp/types.ts";
import { durationNs } from "../../model/time.ts";
import type { AttributeFilter, LogQuery, MetricPointQuery, TraceQuery } from "../store.ts";
import type { Rule } from "./kit.ts";
import {
	ALL_TIME,
	at,
	from,
	type GroupParts,
	logsFrom,
	NOW_MS,
	span,
	spanId,
	string,
	T0,
	traceId,
	Workbench,
	wireSpans,
} from "./workbench.ts";

// Small vocabularies, so that spans meet: same traces, same names, same values of different types.
const SERVICES = ["a", "b", "ü", "%"];
const OPERATIONS = ["GET", "PUT", "get", ""];
const KEYS = ["k", "l", "__proto__", "zone"];
const VALUES: readonly OtlpKeyValue["value"][] = [
	{ stringValue: "1" },
	{ intValue: "1" },
	{ doubleValue: 1 },
	{ boolValue: true },
	{ stringValue: "true" },
	{ stringValue: "_" },
	{ arrayValue: { values: [{ stringValue: "1" }] } },
];
const TRACES = 6;

const attribute = fc.record({ key: fc.constantFrom(...KEYS), value: fc.constantFrom(...VALUES) }) as fc.Arbitrary<OtlpKeyValue>;
const attributes = fc.array(attribute, { maxLength: 3 });

/** All that is not the span's identity follows from it, since of two spans with one identity either may be kept. */
const anySpan: fc.Arbitrary<OtlpSpan> = fc
	.record({
		trace: fc.integer({ min: 1, max: TRACES }),
		id: fc.integer({ min: 1, max: 4 }),
		name: fc.constantFrom(...OPERATIONS),
		kind: fc.nat({ max: 5 }),
		startMs: fc.integer({ min: -20, max: 20 }),
		lastsNs: fc.constantFrom(0n, 1n, 5_000_000n, 20_000_000_000n, -3n),
	})
	.map(({ trace, id, startMs, lastsNs, ...rest }) => {
		const step = startMs + 20;
		const parent = (step + rest.kind) % 6;
		return {
			...span(trace, id, { startMs, ...rest }),
			endTimeUnixNano: String(T0 + BigInt(startMs) * 1_000_000n + lastsNs),
			status: { code: (step + id) % 3 },
			attributes: KEYS.slice(0, step % 4).map((key, i) => ({ key, value: VALUES[(step + i) % VALUES.length]! })),
			...(parent === 0 ? {} : { parentSpanId: spanId(parent) }),
		};
	});

const anyLog: fc.Arbitrary<OtlpLogRecord> = fc
	.record({
		trace: fc.nat({ max: TRACES }),
		atMs: fc.integer({ min: -20, max: 20 }),
		severityNumber: fc.constantFrom(0, 9, 17),
		body: fc.constantFrom("GET /cart", "get", "100%", "a_b"),
		attributes,
	})
	.map(({ trace, atMs, body, ...rest }) => ({
		...rest,
		timeUnixNano: String(T0 + BigInt(atMs) * 1_000_000n),
		body: { stringValue: body },
		...(trace === 0 ? {} : { traceId: traceId(trace) }),
	}));

const anyMetric = fc
	.record({ name: fc.constantFrom("m", "n"), value: fc.nat({ max: 9 }), atMs: fc.integer({ min: -20, max: 20 }), attributes })
	.map(({ name, value, atMs, attributes: own }) => ({
		name,
		gauge: { dataPoints: [{ asInt: String(value), timeUnixNano: String(T0 + BigInt(atMs) * 1_000_000n), attributes: own }] },
	}));

const service = fc.constantFrom(...SERVICES);

function zoneOf(name: string): OtlpKeyValue[] {
	return name === "a" ? [] : [string("zone", "1")];
}

const anyGroup: fc.Arbitrary<GroupParts> = fc.record({
	traces: fc.array(
		fc
			.tuple(service, fc.array(anySpan, { minLength: 1, maxLength: 4 }))
			.map(([name, spans]) => from(name, spans, zoneOf(name))),
		{ maxLength: 3 },
	),
	logs: fc.array(
		fc
			.tuple(service, fc.array(anyLog, { minLength: 1, maxLength: 3 }))
			.map(([name, logs]) => logsFrom(name, logs, zoneOf(name))),
		{ maxLength: 2 },
	),
	metrics: fc.array(
		fc.tuple(service, fc.array(anyMetric, { minLength: 1, maxLength: 3 })).map(([name, metrics]) => ({
			resourceMetrics: [{ resource: { attributes: [string("service.name", name)] }, scopeMetrics: [{ metrics }] }],
		})),
		{ maxLength: 2 },
	),
	arrivedMs: fc.integer({ min: 0, max: 5 }).map((hours) => NOW_MS + hours * 3_600_000),
});

type Step =
	| { readonly kind: "append"; readonly parts: GroupParts }
	| { readonly kind: "again" }
	| { readonly kind: "maintain" }
	| { readonly kind: "reopen" };

const anyHistory = fc.array(
	fc.oneof(
		{ weight: 8, arbitrary: anyGroup.map((parts): Step => ({ kind: "append", parts })) },
		{ weight: 1, arbitrary: fc.constant<Step>({ kind: "again" }) },
		{ weight: 2, arbitrary: fc.constant<Step>({ kind: "maintain" }) },
		{ weight: 1, arbitrary: fc.constant<Step>({ kind: "reopen" }) },
	),
	{ minLength: 1, maxLength: 12 },
);

const filter: fc.Arbitrary<AttributeFilter> = fc.record({
	key: fc.constantFrom(...KEYS, "service.name"),
	value: fc.constantFrom("1", "true", "_", "a", "x"),
	type: fc.constantFrom("text", "string", "int", "double", "bool"),
});
const filters = fc.array(filter, { maxLength: 2 });
const range = fc.tuple(fc.integer({ min: -21, max: 21 }), fc.integer({ min: 0, max: 30 })).map(([fromMs, lengthMs]) => ({
	fromNs: at(T0 + BigInt(fromMs) * 1_000_000n),
	toNs: at(T0 + BigInt(fromMs + lengthMs) * 1_000_000n),
}));
const anyRange = fc.oneof(fc.constant(ALL_TIME), range);
const duration = fc.constantFrom(-3n, 0n, 1n, 2n, 5_000_000n, 20_000_000_000n).map(durationNs);

const traceQuery = fc
	.record(
		{
			attributes: filters,
			range: anyRange,
			service,
			operation: fc.constantFrom(...OPERATIONS),
			minDurationNs: duration,
			maxDurationNs: duration,
			status: fc.constantFrom("unset", "ok", "error"),
		},
		{ requiredKeys: ["attributes", "range"] },
	)
	.map(({ range: times, ...rest }): TraceQuery => ({ ...rest, ...times, limit: 1_000 }));

const logQuery = fc
	.record(
		{
			attributes: filters,
			range: anyRange,
			service,
			traceId: fc.integer({ min: 1, max: TRACES }).map(traceId),
			minSeverity: fc.constantFrom(1, 10),
			text: fc.constantFrom("get", "%", "_", ""),
		},
		{ requiredKeys: ["attributes", "range"] },
	)
	.map(({ range: times, ...rest }): LogQuery => ({ ...rest, ...times, limit: 1_000 }));

const metricQuery = fc
	.record(
		{ attributes: filters, range: anyRange, service, name: fc.constantFrom("m", "n") },
		{ requiredKeys: ["attributes", "range"] },
	)
	.map(({ range: times, ...rest }): MetricPointQuery => ({ ...rest, ...times, limit: 10_000, maxPoints: 100_000 }));

const queries = fc.record({
	traces: fc.array(traceQuery, { minLength: 4, maxLength: 8 }),
	logs: fc.array(logQuery, { minLength: 2, maxLength: 4 }),
	metrics: fc.array(metricQuery, { minLength: 2, maxLength: 4 }),
});

export const DIFFERENTIAL_RULES: readonly Rule[] = [
	{
		title: "random histories are answered as the oracle answers them",
		skip: (_, { oracle }) => (oracle === undefined ? "this engine is the oracle" : undefined),
		async run(_, options) {
			const numRuns = options.differentialRuns ?? Number(process.env["MESHSCOPE_DIFFERENTIAL_RUNS"] ?? 30);
			await fc.assert(
				fc.asyncProperty(anyHistory, queries, async (history, asked) => {
					const oracle = new Workbench(await options.oracle!(), options);
					const engine = new Workbench(await options.factory(), options);
					try {
						/** What was appended last is appended again by "again": the same spans, arriving twice. */
						let last: GroupParts = {};
						for (const step of history) {
							if (step.kind === "append" || step.kind === "again") {
								if (step.kind === "append") last = step.parts;
								oracle.append(last);
								engine.append(last);
							} else if (step.kind === "maintain") engine.maintain(NOW_MS + 6 * 3_600_000);
							else if (engine.underTest.reopen !== undefined) await engine.reopen();
						}
						assert.deepEqual(await answers(engine, asked), await answers(oracle, asked));
						const [scanned, expected] = [spanRows(engine), spanRows(oracle)];
						if (scanned !== undefined) assert.deepEqual(scanned, expected);
					} finally {
						await engine.dispose();
						await oracle.dispose();
					}
				}),
				{ numRuns, endOnFailure: false, interruptAfterTimeLimit: 120_000, markInterruptAsFailure: false },
			);
		},
	},
];

interface Queries {
	readonly traces: readonly TraceQuery[];
	readonly logs: readonly LogQuery[];
	readonly metrics: readonly MetricPointQuery[];
}

/** Every answer in a form in which order that the contract leaves open does not count. */
async function answers({ reader }: Workbench, asked: Queries): Promise<unknown> {
	const traces: Record<string, unknown> = {};
	for (let i = 1; i <= TRACES; i++) {
		const { trace } = await reader.trace(traceId(i) as TraceId, "protobuf");
		traces[i] = trace === undefined ? undefined : { summary: trace.summary, spans: wireSpans(Buffer.concat(trace.body)) };
	}
	const searches = [];
	for (const query of asked.traces) {
		const found = (await reader.searchTraces(query)).traces;
		searches.push(found.toSorted((a, b) => (a.traceId < b.traceId ? -1 : 1)));
	}
	const durations = [];
	for (const { limit: _, ...query } of asked.traces) {
		const { points } = await reader.spanDurations({ ...query, columns: 10 });
		durations.push(lines((points ?? []).map(({ traceId, durationNs, isError }) => [traceId, durationNs, isError])));
	}
	const logs = [];
	for (const query of asked.logs) {
		const found = (await reader.searchLogs(query)).logs;
		const times = found.map(({ timeUnixNano }) => timeUnixNano);
		logs.push({ times, records: lines(found) });
	}
	const points = [];
	for (const query of asked.metrics) {
		const { series, truncated } = await reader.metricPoints(query);
		// With the points of a range a series' last time may be the last of the windows that the range touches.
		const found = series.map((entry) => ({
			series: { ...entry.series, id: "", lastTimeUnixNano: "" },
			points: lines(entry.points),
		}));
		const all = (await reader.metricSeries(query)).series.map((entry) => ({ ...entry, id: "" }));
		points.push({ truncated, found: lines(found), all: lines(all) });
	}
	// When a name was last seen may be written down late, and arrival goes back and forth here.
	const services = (await reader.services()).map(({ name }) => name);
	const operations: Record<string, unknown> = {};
	const figures: Record<string, unknown> = {};
	for (const name of SERVICES) {
		operations[name] = (await reader.operations(name)).map((operation) => [operation.name, operation.kind]);
		for (const [i, { fromNs, toNs }] of asked.traces.entries())
			figures[`${name} ${i}`] = (await reader.operationFigures({ service: name, fromNs, toNs, limit: 100 })).operations;
	}
	return { traces, searches, durations, logs, points, services, operations, figures };
}

/** Of spans that arrived twice a scan may give both. */
function spanRows({ underTest }: Workbench): string[] | undefined {
	return underTest.scanner === undefined ? undefined : [...new Set(lines([...underTest.scanner.scanSpans(ALL_TIME)]))];
}

function lines(values: readonly unknown[]): string[] {
	return values
		.map((value) => JSON.stringify(value, (_, entry: unknown) => (typeof entry === "bigint" ? String(entry) : entry)))
		.sort();
}
