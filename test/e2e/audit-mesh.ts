/** Two windows of a mesh with something of everything that the audit pages tell, for the API's canned server. */
import { CANNED_NOW_MS, searched, TRACE_ID } from "../../api/canned-answers.ts";
import { cannedSeries, endpointNamed, graphOf } from "../../model/topology/canned-series.ts";
import type { CannedSeries } from "../../model/topology/canned-series.ts";
import { endpointBook } from "../../model/topology/endpoint-book.ts";
import type { OperationFigures } from "../../model/otlp/operation-sums.ts";
import { type RedTotals, serviceTotals, serviceTraffic } from "../../model/topology/service-traffic.ts";
import { noMtlsCounts } from "../../model/topology/mtls-status.ts";
import { evidenceRows } from "../../store/topology-queries/edge-detail.ts";
import { mtlsReport } from "../../model/topology/mtls-report.ts";
import type { CertificateSighting } from "../../model/topology/series.ts";
import type { StoreReader, TopologyWindow } from "../../store/store.ts";
import { HOSTILE } from "./fixture-traces.ts";

const HOUR_MS = 3_600_000;
const id = (name: string): string => `spiffe://demo/ns/shop/sa/${name}`;
const repeated = (ms: number): number[] => Array.from({ length: 400 }, () => ms * 1e6);

const common: readonly CannedSeries[] = [
	{
		...{ from: "shop/checkout", to: "shop/orders", protocol: "tcp", mtls: "mutual_tls", verifiedBy: "server", count: 3 },
		principals: [id("checkout"), id("orders")],
		tls: { tlsVersion: "1.3", cipher: "TLS_AES_128_GCM_SHA256" },
	},
	{ from: "shop/checkout", to: "shop/legacy", mtls: "plaintext", count: 1_200, evidence: "metric", reporter: "source" },
	{ from: HOSTILE.script, to: HOSTILE.image, mtls: "plaintext", count: 7 },
	{ from: "shop/reports", to: "shop/stock", count: 40 },
];

const gateway = { from: "shop/gateway", to: "shop/checkout", mtls: "mutual_tls", verifiedBy: "server" } as const;
const gatewayIds = { principals: [id("gateway"), id("checkout")], tls: { tlsVersion: "1.3" } } as const;
const cart = { from: "shop/gateway", to: "shop/cart", mtls: "mutual_tls", verifiedBy: "client" } as const;
const cartIds = { principals: [id("gateway"), id("cart")] } as const;

const beforeSeries = cannedSeries(
	...common,
	{ ...gateway, ...gatewayIds, count: 999_000, sourceNs: repeated(20) },
	{ ...cart, ...cartIds, count: 4_000, sourceNs: repeated(12) },
	{ from: "shop/gateway", to: "shop/retired", mtls: "mutual_tls", count: 500 },
);
const series = cannedSeries(
	...common,
	{ ...gateway, ...gatewayIds, count: 999_999, sourceNs: repeated(20) },
	{ ...gateway, mtls: "plaintext", count: 1 },
	{ ...cart, ...cartIds, count: 3_000, sourceNs: repeated(90), failedHandshakes: 4, flags: { UF: 4 } },
	{ ...cart, ...cartIds, count: 900, outcome: "server_error", codes: { "503": 900 } },
	{ from: "shop/cart", to: "shop/stock", mtls: "tls", count: 300 },
);

function sighting(name: string, leftMs: number): CertificateSighting {
	return {
		...{ principal: id(name), issuer: "CN=demo", notAfterMs: CANNED_NOW_MS + leftMs, seenMs: CANNED_NOW_MS - 1_000 },
		...{ source: endpointNamed("shop/gateway"), target: endpointNamed(`shop/${name}`), side: "destination" },
	};
}

const certificates = [sighting("checkout", 20 * HOUR_MS), sighting("cart", HOUR_MS / 4), sighting("orders", -HOUR_MS)];
const before = graphOf(beforeSeries);
const after = graphOf(series, { certificates });
const ends = series.flatMap(({ dims }) => [dims.source, dims.target]);
const book = endpointBook(ends, new Map());
const input = { series, groupBy: "service" as const, certificates, book, seconds: 3_600 };

function windowOf({ fromMs, toMs }: { readonly fromMs: number; readonly toMs: number }): TopologyWindow {
	return { fromMs, toMs, resolutionMs: 10_000, flushedMs: CANNED_NOW_MS };
}

const STEP_MS = 60_000;

function stepsOf({ fromMs, toMs }: { readonly fromMs: number; readonly toMs: number }): readonly number[] {
	return Array.from({ length: Math.min(120, Math.floor((toMs - fromMs) / STEP_MS)) }, (_, i) => fromMs + i * STEP_MS);
}

function operation(name: string, kind: number, spans: number, errors: number): OperationFigures {
	const latencyMs = { p50: 12, p90: 60, p95: 90, p99: 140, max: 300, mean: 20, count: spans };
	return { name, kind, spans, errors, latencyMs, lastSeenMs: CANNED_NOW_MS };
}

const sample = { traceId: TRACE_ID, timeMs: CANNED_NOW_MS - 30_000, durationMs: 2, isError: false };

/** Whatever ends before now is the window before. */
export const auditReader: Partial<StoreReader> = {
	graph: async (query) => ({
		window: windowOf(query),
		seconds: 60,
		graph: query.toMs < CANNED_NOW_MS ? before : after,
	}),
	mtls: async (query) => {
		const report = mtlsReport({ series, graph: after, groupBy: "service", certificates, book });
		return {
			window: windowOf(query),
			report: {
				...report,
				plaintext: report.plaintext.map((edge) => ({ ...edge, samples: [sample] })),
				mixed: report.mixed.map((edge) => ({ ...edge, samples: [] })),
			},
		};
	},
	serviceTraffic: async (query) => {
		const traffic = serviceTraffic(input, query.service);
		return traffic && { window: windowOf(query), traffic };
	},
	serviceHistory: async (query) => {
		const totals = serviceTotals(input, query.service);
		if (totals === undefined) return undefined;
		const points = stepsOf(query).map((timeMs, i) => {
			const swing = 1 + Math.sin(i / 4) / 3;
			const moved = (red: RedTotals): RedTotals => ({
				...red,
				requestRate: (red.requests / 3_600) * swing,
				errorRatio: i > 40 ? red.errorRatio : 0,
				latencyMs: red.latencyMs && {
					...red.latencyMs,
					...{
						p50: red.latencyMs.p50 * swing,
						p95: red.latencyMs.p95 * swing * 1.4,
						p99: red.latencyMs.p99 * swing * 2,
					},
				},
			});
			return { timeMs, inbound: moved(totals.inbound), outbound: moved(totals.outbound) };
		});
		// Some minutes without anything, as at night.
		return { window: windowOf(query), stepMs: STEP_MS, points: points.filter((_, i) => i < 20 || i > 24) };
	},
	operationFigures: async ({ service }) => ({
		operations:
			service === "cart"
				? [
						operation("GET /cart/{id}", 2, 3_900, 900),
						operation("SELECT", 3, 7_800, 0),
						operation(HOSTILE.image, 2, 4, 0),
					].toSorted((a, b) => b.spans - a.spans)
				: [],
		searched,
	}),
	// The API knows no service without one.
	operations: async () => [{ name: "GET /", kind: 2, lastSeenMs: CANNED_NOW_MS }],
	graphHistory: async (query) => ({
		...{ window: windowOf(query), stepMs: STEP_MS, beginsMs: query.fromMs },
		points: stepsOf(query).map((timeMs, i) => ({
			...{ timeMs, requests: 16_000, errors: i > 40 ? 15 : 0, connections: 3, connectionErrors: 0 },
			// Plaintext begins half an hour in.
			requestMtls: { ...noMtlsCounts(), mutual_tls: 15_980, plaintext: i < 30 ? 0 : 20, unknown: 1 },
			connectionMtls: { ...noMtlsCounts(), mutual_tls: 3 },
		})),
	}),
	edge: async (query) => ({
		...{ window: windowOf(query), groupBy: "service", stepMs: 10_000, points: [] },
		edge: after.edges.find(({ id: known }) => known === query.id),
		evidence: evidenceRows(after.edges.find(({ id: known }) => known === query.id) ?? after.edges[0]!, series, book),
		latency: [{ fromMs: 1, toMs: 2, count: 1, exemplars: [sample] }],
	}),
};
