/** Hops of a trace, and the search by their mTLS status. */
import assert from "node:assert/strict";
import type { ToldHops } from "../../model/topology/told-hops.ts";
import type { OtlpKeyValue, OtlpTracesData } from "../../model/otlp/types.ts";
import { canonicalDims } from "../../model/topology/dims.ts";
import { serviceEndpoint } from "../../model/topology/endpoint.ts";
import { encodeRollup } from "../../model/topology/rollup.ts";
import { bucketStart, emptySums, MTLS_STATUSES, type MtlsStatus, RESOLUTIONS_MS } from "../../model/topology/series.ts";
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

async function hopsOf(bench: Workbench, trace: number): Promise<ToldHops> {
	const found = await bench.reader.trace(traceId(trace), "json");
	assert.ok(found.trace?.hops !== undefined);
	return found.trace.hops;
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
			const { searched } = await bench.reader.searchTraces({ mtls: "plaintext", attributes: [], limit: 10, ...range });
			assert.ok(searched.mtls !== undefined);
			assert.equal(searched.mtls.tracesChecked, 2, "the trace between was not looked at");
			assert.ok(searched.mtls.skippedMs > hours(7) && searched.mtls.skippedMs < searched.mtls.rangeMs);
		},
	},
];
