/** Series for tests, told apart by what a test is about; everything else is the plainest there is. */
import { serviceEndpoint, type Endpoint, type GroupBy } from "./endpoint.ts";
import { endpointBook } from "./endpoint-book.ts";
import { type Graph, type GraphEdge, resolveGraph } from "./graph.ts";
import { histogramIndex } from "./histogram.ts";
import { emptyTotals } from "./rollup.ts";
import type {
	AddressSighting,
	CertificateSighting,
	Evidence,
	MtlsFinding,
	MtlsStatus,
	Outcome,
	Protocol,
	Reporter,
	SeriesDims,
	Verification,
} from "./series.ts";
import type { WindowSeries } from "./voices.ts";

export const WINDOW_START_MS = Date.UTC(2026, 0, 1, 12);

export interface CannedSeries {
	/** A service's name, `namespace/service` or `namespace/service@workload`. */
	readonly from?: string | Endpoint;
	readonly to?: string | Endpoint;
	readonly protocol?: Protocol;
	readonly evidence?: Evidence;
	readonly reporter?: Reporter;
	readonly sampled?: boolean;
	readonly mtls?: MtlsStatus;
	readonly verifiedBy?: Verification;
	readonly principals?: readonly [source: string, destination: string];
	readonly tls?: Partial<MtlsFinding>;
	readonly outcome?: Outcome;
	readonly destinationOutcome?: Outcome;
	readonly count?: number;
	readonly observed?: number;
	readonly attempts?: number;
	readonly codes?: Readonly<Record<string, number>>;
	readonly flags?: Readonly<Record<string, number>>;
	readonly sourceNs?: readonly number[];
	readonly destinationNs?: readonly number[];
	readonly bytes?: readonly [sent: number, received: number];
	readonly failedHandshakes?: number;
	readonly app?: readonly [appNs: number, proxyNs: number, count: number];
	/** Seconds after the window's start. */
	readonly seen?: readonly [first: number, last: number];
}

export function cannedSeries(...all: readonly CannedSeries[]): WindowSeries[] {
	return all.map((canned, i) => ({ id: i + 1, dims: dimsOf(canned), totals: totalsOf(canned) }));
}

export function endpointNamed(name: string | Endpoint): Endpoint {
	if (typeof name !== "string") return name;
	const [, namespace = "", service = "", workload = ""] = /^(?:([^/]*)\/)?([^@]*)(?:@(.*))?$/.exec(name) ?? [];
	return serviceEndpoint(service, namespace, workload);
}

function dimsOf(canned: CannedSeries): SeriesDims {
	const { protocol = "http", mtls = "unknown", principals = ["", ""] } = canned;
	return {
		source: endpointNamed(canned.from ?? "a"),
		target: endpointNamed(canned.to ?? "b"),
		protocol,
		unit: protocol === "tcp" ? "connections" : "requests",
		evidence: canned.evidence ?? "pair",
		reporter: canned.reporter ?? "both",
		sampled: canned.sampled ?? false,
		mtls: {
			status: mtls,
			source: mtls,
			destination: mtls,
			sourcePrincipal: principals[0],
			destinationPrincipal: principals[1],
			tlsVersion: "",
			cipher: "",
			verifiedBy: canned.verifiedBy ?? "",
			...canned.tls,
		},
		outcome: canned.outcome ?? "ok",
		destinationOutcome: canned.destinationOutcome,
	};
}

function totalsOf(canned: CannedSeries): WindowSeries["totals"] {
	const totals = emptyTotals();
	totals.count = canned.count ?? canned.sourceNs?.length ?? canned.destinationNs?.length ?? 1;
	totals.observed = canned.observed ?? totals.count;
	totals.attempts = canned.attempts ?? totals.observed;
	totals.failedHandshakes = canned.failedHandshakes ?? 0;
	[totals.bytesSent, totals.bytesReceived] = canned.bytes ?? [0, 0];
	[totals.appNs, totals.proxyNs, totals.appCount] = canned.app ?? [0, 0, 0];
	for (const [code, count] of Object.entries(canned.codes ?? {})) totals.codes.set(code, count);
	for (const [flag, count] of Object.entries(canned.flags ?? {})) totals.flags.set(flag, count);
	for (const [side, values] of [
		["source", canned.sourceNs ?? []],
		["destination", canned.destinationNs ?? []],
	] as const) {
		for (const ns of values) {
			totals[`${side}Latency`].add(new Map([[histogramIndex(ns), 1]]));
			totals[`${side}LatencyNs`] += ns;
		}
	}
	const [first, last] = canned.seen ?? [1, 59];
	totals.firstMs = WINDOW_START_MS + first * 1_000;
	totals.lastMs = WINDOW_START_MS + last * 1_000;
	return totals;
}

export interface GraphContext {
	readonly groupBy?: GroupBy;
	/** Address to owner. */
	readonly addresses?: Readonly<Record<string, string>>;
	readonly certificates?: readonly CertificateSighting[];
}

/** The graph of one minute. */
export function graphOf(series: readonly WindowSeries[], context: GraphContext = {}): Graph {
	const addresses = new Map<string, AddressSighting>(
		Object.entries(context.addresses ?? {}).map(([address, owner]) => [
			address,
			{ address, endpoint: endpointNamed(owner), seenMs: WINDOW_START_MS },
		]),
	);
	const ends = series.flatMap(({ dims }) => [dims.source, dims.target]);
	return resolveGraph({
		series,
		groupBy: context.groupBy ?? "service",
		book: endpointBook(ends, addresses),
		certificates: context.certificates ?? [],
		seconds: 60,
	});
}

/** The one edge of these series. */
export function edgeOf(...all: readonly CannedSeries[]): GraphEdge {
	const { edges } = graphOf(cannedSeries(...all));
	if (edges.length !== 1) throw new Error(`${edges.length} edges instead of one`);
	return edges[0]!;
}
