/** Hops of a trace, and the search by their mTLS status. */
import assert from "node:assert/strict";
import type { ToldHop } from "../../model/topology/told-hops.ts";
import type { OtlpKeyValue, OtlpTracesData } from "../../model/otlp/types.ts";
import { canonicalDims } from "../../model/topology/dims.ts";
import { serviceEndpoint } from "../../model/topology/endpoint.ts";
import { encodeRollup } from "../../model/topology/rollup.ts";
import { bucketStart, emptySums, MTLS_STATUSES, type MtlsStatus, RESOLUTIONS_MS } from "../../model/topology/series.ts";
import type { DurationNs } from "../../model/time.ts";
import { edgeId } from "../../model/topology/edge-id.ts";
import type { TraceQuery } from "../store.ts";
import type { Rule } from "./kit.ts";
import { at, from, NOW_MS, span, spanId, string, T0, traceId, type Workbench } from "./workbench.ts";

const CLIENT = 3;
const HOUR_MS = 3_600_000;

/** What our shim says of its leg. */
function tls(status: "mutual_tls" | "tls" | "plaintext"): readonly OtlpKeyValue[] {
	return [
		string("meshscope.mtls.status", status),
		string("meshscope.source.principal", "spiffe://td/ns/shop/sa/web"),
		string("meshscope.destination.principal", "spiffe://td/ns/shop/sa/cart"),
		string("meshscope.peer.verified", "true"),
		string("tls.protocol.version", "1.3"),
	];
}

/** A call from `web` to `cart`, both ends reported; each end says what it saw. */
function call(trace: number, startMs: number, source: "mutual_tls" | "plaintext", destination = source): OtlpTracesData[] {
	return [
		from("web", [span(trace, 1, { startMs, kind: CLIENT, attributes: tls(source) })]),
		from("cart", [span(trace, 2, { startMs: startMs + 1, parentSpanId: spanId(1), attributes: tls(destination) })]),
	];
}

interface FoundHops {
	readonly hops: readonly ToldHop[];
	readonly hopCount: number;
	readonly spansLeft: number;
}

export async function hopsOf(bench: Workbench, trace: number): Promise<FoundHops> {
	const found = await bench.reader.trace(traceId(trace), "json");
	assert.ok(found.trace?.hops !== undefined);
	const { json, hopCount, spansLeft } = found.trace.hops;
	assert.ok(json.every(({ length }) => length > 0));
	return { hops: JSON.parse(`[${Buffer.concat(json).toString()}]`) as ToldHop[], hopCount, spansLeft };
}

/** Of the trace's first hop. */
async function edgeOf(bench: Workbench, trace: number): Promise<string> {
	const { hops } = await hopsOf(bench, trace);
	return hops[0]!.edgeId;
}

function ms(count: number): DurationNs {
	return BigInt(count * 1_000_000) as DurationNs;
}

async function found(bench: Workbench, mtls: MtlsStatus, more: Parameters<Workbench["found"]>[0] = {}): Promise<number[]> {
	return bench.found({ mtls, ...more });
}

export const HOP_RULES: readonly Rule[] = [
	{
		title: "a trace tells its hops, with who says what of each",
		async run(bench) {
			bench.append({ traces: call(1, 0, "mutual_tls").slice(0, 1) });
			bench.append({ traces: call(1, 0, "mutual_tls").slice(1), arrivedMs: NOW_MS + HOUR_MS });
			const { hops, hopCount, spansLeft } = await hopsOf(bench, 1);
			assert.deepEqual([hopCount, spansLeft, hops.length], [1, 0, 1]);
			const [hop] = hops;
			assert.ok(hop !== undefined);
			assert.match(hop.edgeId, /^[0-9a-f]{16}$/);
			assert.deepEqual([hop.source, hop.target, hop.evidence, hop.reporter], ["web", "cart", "pair", "both"]);
			assert.deepEqual([hop.mtls.status, hop.mtls.tlsVersion, hop.mtls.verifiedBy], ["mutual_tls", "1.3", "server"]);
			assert.equal(hop.mtls.sourcePrincipal, "spiffe://td/ns/shop/sa/web");
			assert.equal(hop.mtls.destinationPrincipal, "spiffe://td/ns/shop/sa/cart");
			assert.deepEqual([hop.sourceLatencyNs, hop.destinationLatencyNs, hop.attempts], [10_000_000, 10_000_000, 1]);
			assert.deepEqual([hop.spans.source, hop.spans.destination], [spanId(1), spanId(2)]);
		},
	},
	{
		title: "hops do not depend on how a trace came, nor on spans that came twice",
		async run(bench) {
			for (const part of [...call(1, 0, "plaintext").reverse(), ...call(1, 0, "plaintext")])
				bench.append({ traces: [part] });
			const before = await hopsOf(bench, 1);
			assert.equal(before.hopCount, 1);
			bench.maintain();
			assert.deepEqual(await hopsOf(bench, 1), before);
		},
	},
	{
		title: "a trace without calls has no hops",
		async run(bench) {
			bench.append({ traces: [from("a", [span(1, 1, { kind: 1 })])] });
			assert.deepEqual(await hopsOf(bench, 1), { hops: [], hopCount: 0, spansLeft: 0 });
		},
	},
	{
		title: "a search by mTLS status finds the traces with such a hop, and no others",
		async run(bench) {
			bench.append({ traces: call(1, 1_000, "mutual_tls") });
			bench.append({ traces: call(2, 2_000, "plaintext") });
			bench.append({ traces: call(3, 3_000, "mutual_tls", "plaintext") });
			bench.append({ traces: [from("a", [span(4, 1, { startMs: 4_000 })])] });
			bench.append({ traces: [from("a", [span(5, 1, { startMs: 5_000, kind: 1 })])] });
			const wanted: Record<MtlsStatus, number[]> = {
				mutual_tls: [1],
				plaintext: [2],
				mixed: [3],
				unknown: [4],
				tls: [],
				none: [],
			};
			for (const status of MTLS_STATUSES) assert.deepEqual(await found(bench, status), wanted[status], status);
			bench.maintain();
			for (const status of MTLS_STATUSES) assert.deepEqual(await found(bench, status), wanted[status], status);
		},
	},
	{
		title: "other conditions of a search by mTLS status hold on a span of the hop",
		async run(bench) {
			bench.append({
				traces: [...call(1, 0, "plaintext"), from("db", [span(1, 3, { parentSpanId: spanId(2), kind: 1 })])],
			});
			assert.deepEqual(await found(bench, "plaintext", { service: "cart" }), [1]);
			assert.deepEqual(await found(bench, "plaintext", { service: "web", operation: "op" }), [1]);
			assert.deepEqual(await found(bench, "plaintext", { service: "db" }), []);
			assert.deepEqual(await found(bench, "plaintext", { operation: "other" }), []);
			assert.deepEqual(await found(bench, "plaintext", { fromNs: at(T0 + 1_000_000n), toNs: at(T0 + 2_000_000n) }), [1]);
			assert.deepEqual(await found(bench, "plaintext", { fromNs: at(T0 + 2_000_000n) }), []);
		},
	},
	{
		title: "a search by mTLS status is newest first, and ends at its limit",
		async run(bench) {
			for (const i of [2, 4, 1, 3]) bench.append({ traces: call(i, i * 1_000, "plaintext") });
			assert.deepEqual(await found(bench, "plaintext"), [4, 3, 2, 1]);
			assert.deepEqual(await found(bench, "plaintext", { limit: 2 }), [4, 3]);
		},
	},
	{
		title: "a search by edge finds the traces with a hop of it, by its id of any grouping, and no others",
		async run(bench) {
			bench.append({ traces: call(1, 1_000, "mutual_tls") });
			bench.append({ traces: [from("web", [span(2, 1, { startMs: 2_000, kind: CLIENT })])] });
			bench.append({ traces: [from("cart", [span(3, 1, { startMs: 3_000 })])] });
			bench.append({ traces: [...call(4, 4_000, "plaintext"), ...call(4, 4_500, "mutual_tls")] });
			const id = await edgeOf(bench, 1);
			for (let round = 0; round < 2; round++) {
				assert.deepEqual(await bench.found({ edge: id }), [4, 1]);
				assert.deepEqual(await bench.found({ edge: id, mtls: "mutual_tls" }), [1], "of one and the same hop");
				assert.deepEqual(await bench.found({ edge: edgeId("workload", "web", "cart", "unknown", "requests") }), [4, 1]);
				assert.deepEqual(await bench.found({ edge: edgeId("service", "cart", "web", "unknown", "requests") }), []);
				assert.deepEqual(await bench.found({ edge: "0123456789abcdef" }), []);
				bench.maintain();
			}
		},
	},
	{
		title: "other conditions of a search by edge hold on a span of the hop",
		async run(bench) {
			bench.append({
				traces: [...call(1, 0, "plaintext"), from("db", [span(1, 3, { parentSpanId: spanId(2), kind: 1 })])],
			});
			const edge = await edgeOf(bench, 1);
			assert.deepEqual(await bench.found({ edge, service: "cart" }), [1]);
			assert.deepEqual(await bench.found({ edge, service: "db" }), []);
			assert.deepEqual(await bench.found({ edge, operation: "other" }), []);
			const attribute = { key: "tls.protocol.version", value: "1.3", type: "string" } as const;
			assert.deepEqual(await bench.found({ edge, attributes: [attribute] }), [1]);
			assert.deepEqual(await bench.found({ edge, attributes: [{ ...attribute, value: "1.2" }] }), []);
		},
	},
	{
		title: "durations of a search by edge are those of its hops, at the end that is asked for",
		async run(bench) {
			const slow = { durationMs: 500, kind: 1 };
			// 1: 40 ms at the caller, 30 at the callee, within a span of 500; 2: 80 and 10; 3: only the callee reported, 40 ms.
			for (const [trace, atCaller, atCallee] of [
				[1, 40, 30],
				[2, 80, 10],
			] as const) {
				bench.append({
					traces: [
						from("web", [
							span(trace, 9, slow),
							span(trace, 1, { parentSpanId: spanId(9), kind: CLIENT, durationMs: atCaller }),
						]),
					],
				});
				const callee = span(trace, 2, { startMs: 1, parentSpanId: spanId(1), durationMs: atCallee });
				bench.append({ traces: [from("cart", [callee])] });
			}
			const edge = await edgeOf(bench, 1);
			const between = (min: number, max: number, more: Partial<TraceQuery> = {}): Promise<number[]> =>
				bench.found({ edge, minDurationNs: ms(min), maxDurationNs: ms(max), ...more });
			for (let round = 0; round < 2; round++) {
				assert.deepEqual(await between(40, 40), [1]);
				assert.deepEqual(await between(30, 30), [], "the callee's is another question");
				assert.deepEqual(await between(30, 30, { side: "destination" }), [1]);
				assert.deepEqual(await between(0, 79, { side: "source" }), [1]);
				assert.deepEqual(await between(41, 499), [2]);
				assert.deepEqual(await between(400, 600), [], "the span around it is of no hop");
				assert.deepEqual(
					await between(80, 80, { service: "cart" }),
					[2],
					"of a hop, whichever of its spans is asked for",
				);
				assert.deepEqual(await bench.found({ edge, minDurationNs: ms(41) }), [2]);
				assert.deepEqual(await bench.found({ edge, maxDurationNs: ms(41) }), [1]);
				bench.maintain();
			}
		},
	},
	{
		title: "a hop of several tries lasts from the first to the end of the last",
		async run(bench) {
			const attempt = (id: number, startMs: number): OtlpTracesData =>
				from("web", [
					span(1, id, {
						startMs,
						parentSpanId: spanId(9),
						kind: CLIENT,
						durationMs: 10,
						attributes: [string("http.request.resend_count", String(id - 1)), string("peer.service", "cart")],
					}),
				]);
			bench.append({
				traces: [from("web", [span(1, 9, { durationMs: 100 })]), attempt(1, 5), attempt(2, 30), attempt(3, 60)],
			});
			const { hops } = await hopsOf(bench, 1);
			const hop = hops.find(({ source }) => source === "web");
			assert.ok(hop !== undefined);
			assert.deepEqual([hop.attempts, hop.sourceLatencyNs], [3, 65_000_000]);
			const edge = hop.edgeId;
			assert.deepEqual(await bench.found({ edge, minDurationNs: ms(65), maxDurationNs: ms(65) }), [1]);
			assert.deepEqual(await bench.found({ edge, maxDurationNs: ms(64) }), []);
		},
	},
	{
		title: "roll-ups say where such hops are, and what they say nothing of yet is searched all the same",
		skip: ({ capabilities }) => (capabilities.durable ? undefined : "the engine's reader has no roll-ups"),
		async run(bench) {
			const hours = (count: number): number => count * HOUR_MS;
			// Of the first hour roll-ups count a plaintext hop, of the second one with mutual TLS, of the last nothing yet.
			bench.append({ traces: call(1, -hours(6), "plaintext") });
			bench.append({ traces: call(2, -hours(4), "mutual_tls") });
			bench.append({ traces: call(3, -1_000, "plaintext") });
			const dims = (status: MtlsStatus): string =>
				canonicalDims({
					source: serviceEndpoint("web"),
					target: serviceEndpoint("cart"),
					protocol: "unknown",
					unit: "requests",
					evidence: "pair",
					reporter: "both",
					sampled: true,
					mtls: {
						status,
						source: status,
						destination: status,
						sourcePrincipal: "",
						destinationPrincipal: "",
						tlsVersion: "",
						cipher: "",
						verifiedBy: "",
					},
					outcome: "ok",
					destinationOutcome: undefined,
				});
			const once = (series: number, timeMs: number) =>
				RESOLUTIONS_MS.map((resolutionMs) => ({
					resolutionMs,
					bucketMs: bucketStart(timeMs, resolutionMs),
					data: encodeRollup(new Map([[series, { ...emptySums(), observed: 1, count: 1 }]])),
				}));
			bench.topology.writer.flush({
				cursor: undefined,
				state: new Uint8Array(0),
				series: [
					{ id: 1, dims: dims("plaintext") },
					{ id: 2, dims: dims("mutual_tls") },
				],
				rollups: [...once(1, NOW_MS - hours(6)), ...once(2, NOW_MS - hours(4))],
				exemplars: [],
				certificates: [],
				addresses: [],
				counters: [],
			});
			const range = { fromNs: at(T0 - BigInt(hours(8)) * 1_000_000n), toNs: at(T0 + 1n) };
			assert.deepEqual(await found(bench, "plaintext", range), [3, 1]);
			assert.deepEqual(await found(bench, "mutual_tls", range), [2]);
			assert.deepEqual(await found(bench, "tls", range), []);
			// Series 1 and 2 are of one edge; of another one nothing is counted.
			const edge = await edgeOf(bench, 1);
			assert.deepEqual(await bench.found({ edge, ...range }), [3, 2, 1]);
			assert.deepEqual(await bench.found({ edge, mtls: "mutual_tls", ...range }), [2]);
			const other = await bench.reader.searchTraces({ edge: "0123456789abcdef", attributes: [], limit: 10, ...range });
			assert.deepEqual([other.traces, other.searched.hops?.tracesChecked], [[], 1], "only what is not counted yet");
			const { searched } = await bench.reader.searchTraces({ mtls: "plaintext", attributes: [], limit: 10, ...range });
			assert.ok(searched.hops !== undefined);
			assert.equal(searched.hops.tracesChecked, 2, "the trace between was not looked at");
			assert.ok(searched.hops.skippedMs > hours(7) && searched.hops.skippedMs < searched.hops.rangeMs);
		},
	},
];
