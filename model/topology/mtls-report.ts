/**
 * What a window says about mutual TLS as a whole: how much of the traffic has it, what has not and since when, who is who, and which
 * certificates expire first.
 */
import { certificatesInUse } from "./certificates.ts";
import { type GroupBy, nodeId } from "./endpoint.ts";
import type { EndpointBook } from "./endpoint-book.ts";
import type { Graph, GraphEdge } from "./graph.ts";
import { type MtlsCounts, mtlsPercent, noMtlsCounts, verificationRank } from "./mtls-status.ts";
import type { CertificateSighting, MtlsStatus, Protocol, Unit, Verification } from "./series.ts";
import { SOMETHING, type WindowSeries } from "./voices.ts";

export interface Coverage {
	readonly counts: MtlsCounts;
	/** Share of mutual TLS among what is known; undefined when nothing is. 0 and 100 are exact. */
	readonly percent: number | undefined;
}

export interface UnprotectedEdge {
	readonly id: string;
	readonly source: string;
	readonly target: string;
	readonly protocol: Protocol;
	readonly unit: Unit;
	readonly status: MtlsStatus;
	readonly counts: MtlsCounts;
	readonly percent: number | undefined;
	/** Of what was not mutual TLS on it, by any evidence; epoch ms. */
	readonly firstSeenMs: number | undefined;
	readonly lastSeenMs: number | undefined;
	/** Series of what was not mutual TLS; their exemplars are its samples. */
	readonly series: readonly number[];
}

export interface ServiceIdentity {
	/** Node id. */
	readonly service: string;
	readonly principal: string;
	/** Best word for it. */
	readonly verifiedBy: Verification;
	readonly asSource: boolean;
	readonly asDestination: boolean;
	readonly firstSeenMs: number;
	readonly lastSeenMs: number;
}

export interface CertificateInUse {
	readonly principal: string;
	readonly issuer: string;
	readonly notAfterMs: number;
	readonly lastSeenMs: number;
	/** Node ids of those who showed it. */
	readonly services: readonly string[];
}

export interface MtlsReport {
	/** Units are never mixed: a connection may carry one request or a million. */
	readonly requests: Coverage;
	readonly connections: Coverage;
	/** Edges by status, each counting as one. */
	readonly edges: Coverage;
	/** Plaintext, one-way TLS and `none`; most traffic first. */
	readonly plaintext: readonly UnprotectedEdge[];
	/** Two definite statuses on one edge, or two ends that disagree. */
	readonly mixed: readonly UnprotectedEdge[];
	readonly identities: readonly ServiceIdentity[];
	/** First to expire first. */
	readonly certificates: readonly CertificateInUse[];
}

export interface MtlsReportInput {
	readonly graph: Graph;
	readonly series: readonly WindowSeries[];
	readonly certificates: readonly CertificateSighting[];
	readonly groupBy: GroupBy;
	readonly book: EndpointBook;
}

export function mtlsReport(input: MtlsReportInput): MtlsReport {
	const { edges } = input.graph;
	const series = new Map(input.series.map((one) => [one.id, one]));
	const byStatus = noMtlsCounts();
	for (const edge of edges) byStatus[edge.mtls.status]++;
	const unprotected = (...statuses: readonly MtlsStatus[]): UnprotectedEdge[] =>
		edges
			.filter(({ mtls }) => statuses.includes(mtls.status))
			.map((edge) => unprotectedEdge(edge, series))
			.sort((a, b) => unprotectedCount(b.counts) - unprotectedCount(a.counts) || (a.id < b.id ? -1 : 1));
	return {
		requests: coverageOf(edges, "requests"),
		connections: coverageOf(edges, "connections"),
		edges: { counts: byStatus, percent: mtlsPercent(byStatus) },
		plaintext: unprotected("plaintext", "none", "tls"),
		mixed: unprotected("mixed"),
		identities: identitiesOf(input),
		certificates: certificatesOf(input),
	};
}

function coverageOf(edges: readonly GraphEdge[], unit: Unit): Coverage {
	const counts = noMtlsCounts();
	for (const { unit: own, mtls } of edges)
		if (own === unit) for (const status of Object.keys(counts) as MtlsStatus[]) counts[status] += mtls.counts[status];
	return { counts, percent: mtlsPercent(counts) };
}

function unprotectedCount(counts: MtlsCounts): number {
	return counts.plaintext + counts.none + counts.tls + counts.mixed;
}

function unprotectedEdge(edge: GraphEdge, all: ReadonlyMap<number, WindowSeries>): UnprotectedEdge {
	const { id, source, target, protocol, unit, mtls } = edge;
	const series: number[] = [];
	let first = Infinity;
	let last = -Infinity;
	for (const key of edge.series) {
		const { dims, totals } = all.get(key)!;
		const isProtected = dims.mtls.status === "mutual_tls" || dims.mtls.status === "unknown";
		if (isProtected || !(totals.count > SOMETHING)) continue;
		series.push(key);
		first = Math.min(first, totals.firstMs);
		last = Math.max(last, totals.lastMs);
	}
	const seen = first <= last;
	return {
		...{ id, source, target, protocol, unit, status: mtls.status, counts: mtls.counts, percent: mtls.percent },
		firstSeenMs: seen ? first : undefined,
		lastSeenMs: seen ? last : undefined,
		series,
	};
}

/** Who was seen under which name; a name from a forwarded header is told as such. */
function identitiesOf({ series, groupBy, book }: MtlsReportInput): readonly ServiceIdentity[] {
	const identities = new Map<string, { -readonly [K in keyof ServiceIdentity]: ServiceIdentity[K] }>();
	for (const { dims, totals } of series) {
		if (!(totals.count > SOMETHING)) continue;
		const { sourcePrincipal, destinationPrincipal, verifiedBy } = dims.mtls;
		for (const [endpoint, principal, isSource] of [
			[dims.source, sourcePrincipal, true],
			[dims.target, destinationPrincipal, false],
		] as const) {
			if (principal === "") continue;
			const service = nodeId(book.resolve(endpoint), groupBy);
			const key = `${service}\n${principal}`;
			let identity = identities.get(key);
			if (identity === undefined) {
				identity = {
					...{ service, principal, verifiedBy, asSource: false, asDestination: false },
					...{ firstSeenMs: totals.firstMs, lastSeenMs: totals.lastMs },
				};
				identities.set(key, identity);
			}
			if (isSource) identity.asSource = true;
			else identity.asDestination = true;
			if (verificationRank(verifiedBy) < verificationRank(identity.verifiedBy)) identity.verifiedBy = verifiedBy;
			identity.firstSeenMs = Math.min(identity.firstSeenMs, totals.firstMs);
			identity.lastSeenMs = Math.max(identity.lastSeenMs, totals.lastMs);
		}
	}
	return [...identities].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, identity]) => identity);
}

function certificatesOf({ certificates, groupBy, book }: MtlsReportInput): readonly CertificateInUse[] {
	const found = new Map<
		string,
		Omit<CertificateInUse, "services" | "lastSeenMs"> & { lastSeenMs: number; services: Set<string> }
	>();
	for (const sighting of certificatesInUse(certificates, ({ principal }) => principal)) {
		const { principal, issuer, notAfterMs, seenMs, side } = sighting;
		const key = `${principal}\n${notAfterMs}\n${issuer}`;
		let certificate = found.get(key);
		if (certificate === undefined)
			found.set(key, (certificate = { principal, issuer, notAfterMs, lastSeenMs: seenMs, services: new Set() }));
		certificate.lastSeenMs = Math.max(certificate.lastSeenMs, seenMs);
		certificate.services.add(nodeId(book.resolve(side === "source" ? sighting.source : sighting.target), groupBy));
	}
	return [...found.values()]
		.map((certificate) => ({ ...certificate, services: [...certificate.services].sort() }))
		.sort((a, b) => a.notAfterMs - b.notAfterMs || (a.principal < b.principal ? -1 : 1));
}
