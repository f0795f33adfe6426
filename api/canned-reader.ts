/** A StoreReader that gives canned answers and remembers what it was asked. */
import { DurationGrid } from "../model/analysis/duration-grid.ts";
import { mtlsReport } from "../model/topology/mtls-report.ts";
import { serviceTotals, serviceTraffic } from "../model/topology/service-traffic.ts";
import type { StoreReader } from "../store/store.ts";
import {
	CANNED_NOW_MS,
	DAMAGED_WINDOW,
	edgeResult,
	graph,
	hopJson,
	logEntry,
	meshPoint,
	searched,
	series,
	summary,
	topologyInput,
	topologyWindow,
	TRACE_ID,
	traceJson,
	traceProtobuf,
} from "./canned-answers.ts";

export interface CannedReader extends StoreReader {
	/** What was asked, in order: the method's name and its arguments. */
	readonly asked: readonly { readonly method: keyof StoreReader; readonly args: readonly unknown[] }[];
}

export function cannedReader(overrides: Partial<StoreReader> = {}): CannedReader {
	const asked: { method: keyof StoreReader; args: readonly unknown[] }[] = [];
	const answers: StoreReader = {
		trace: async (id, format) =>
			id === TRACE_ID
				? {
						trace: {
							summary,
							hops: { json: [hopJson], hopCount: 1, spansLeft: 0 },
							body: [format === "json" ? traceJson : traceProtobuf],
						},
						damagedWindows: [DAMAGED_WINDOW],
					}
				: { trace: undefined, damagedWindows: [DAMAGED_WINDOW] },
		searchTraces: async () => ({ traces: [summary], searched }),
		spanDurations: async ({ fromNs, toNs, columns }) => {
			const grid = new DurationGrid({ fromNs, toNs }, columns);
			grid.add(0, summary.durationNs, true, () => TRACE_ID);
			return { ...grid.answer(), searched };
		},
		traceDifferences: async () => ({
			selected: { spans: 40, traces: 30, compared: 30 },
			others: { spans: 90_000, traces: 60_000, compared: 1_000 },
			differences: [
				{
					...{ kind: "attribute", key: "service.version", value: "v3", type: "string", service: "checkout" },
					...{ edge: undefined, selected: 29, others: 12, excess: 0.6 },
				},
				{
					...{ kind: "mtls", key: "mtls", value: "plaintext", type: undefined, service: undefined },
					...{
						edge: { id: "6faeb2e1ed26185d", source: "gateway", target: "checkout" },
						selected: 20,
						others: 3,
						excess: 0.4,
					},
				},
			],
			searched,
		}),
		services: async () => [{ name: "gateway", firstSeenMs: CANNED_NOW_MS - 3_600_000, lastSeenMs: CANNED_NOW_MS }],
		operations: async (service) =>
			service === "gateway" ? [{ name: "GET /checkout", kind: 2, lastSeenMs: CANNED_NOW_MS }] : [],
		operationFigures: async ({ service }) => ({
			operations:
				service === "gateway"
					? [
							{
								...{ name: "GET /checkout", kind: 2, spans: 60, errors: 3, lastSeenMs: CANNED_NOW_MS },
								latencyMs: { p50: 10, p90: 20, p95: 30, p99: 40, max: 50, mean: 12, count: 60 },
							},
						]
					: [],
			searched,
		}),
		searchLogs: async () => ({ logs: [logEntry], searched }),
		metricSeries: async () => ({ series: [series], damagedWindows: [DAMAGED_WINDOW] }),
		metricPoints: async () => ({
			series: [
				{
					series,
					points: [0, 30, 60, 90].map((second) => ({
						timeUnixNano: `${BigInt(CANNED_NOW_MS + (second - 120) * 1_000) * 1_000_000n}`,
						startTimeUnixNano: "1767222000000000000",
						value: String(second * 2),
						flags: 0,
					})),
				},
			],
			truncated: false,
			damagedWindows: [],
		}),
		graph: async () => ({ window: topologyWindow, seconds: 60, graph }),
		graphHistory: async () => ({
			window: topologyWindow,
			stepMs: 60_000,
			beginsMs: CANNED_NOW_MS - 86_400_000,
			points: [meshPoint],
		}),
		edge: async ({ id }) => {
			const edge = graph.edges.find((candidate) => candidate.id === id);
			return edge && edgeResult(edge);
		},
		mtls: async () => {
			const report = mtlsReport({ ...topologyInput, graph });
			const sampled = (edges: typeof report.mixed) =>
				edges.map((edge) => ({
					...edge,
					samples: [{ traceId: TRACE_ID, timeMs: CANNED_NOW_MS, durationMs: 2, isError: true }],
				}));
			return {
				window: topologyWindow,
				report: { ...report, plaintext: sampled(report.plaintext), mixed: sampled(report.mixed) },
			};
		},
		serviceTraffic: async ({ service }) => {
			const traffic = serviceTraffic(topologyInput, service);
			return traffic && { window: topologyWindow, traffic };
		},
		serviceHistory: async ({ service }) => {
			const totals = serviceTotals(topologyInput, service);
			if (totals === undefined) return undefined;
			return { window: topologyWindow, stepMs: 60_000, points: [{ timeMs: CANNED_NOW_MS - 60_000, ...totals }] };
		},
		close: async () => undefined,
		...overrides,
	};
	const record =
		<K extends keyof StoreReader>(method: K) =>
		(...args: readonly unknown[]): unknown => {
			asked.push({ method, args: args.filter((each) => !(each instanceof AbortSignal)) });
			return (answers[method] as (...args: readonly unknown[]) => unknown)(...args);
		};
	const methods = Object.keys(answers) as (keyof StoreReader)[];
	const reader = Object.fromEntries(methods.map((method) => [method, record(method)])) as unknown as StoreReader;
	return { ...reader, asked };
}
