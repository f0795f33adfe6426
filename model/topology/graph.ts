/**
 * The service graph of a window, out of the sums of every series in it.
 *
 * Two steps. All series of one pair of services and one protocol are a *cell*: what different evidences say of the same requests. In
 * each cell it is decided whom to believe for counts, latency, mTLS, bytes and failures (voices.ts). Then what is believed is added to
 * the edge of the asked grouping, so that the counts of services, namespaces and workloads are the same requests and percentiles
 * are those of the merged histograms.
 */
import { certificatesInUse } from "./certificates.ts";
import { edgeId } from "./edge-id.ts";
import { addTo, EdgeSums, finishEdge, type GraphEdge, kindOf, noOutcomes } from "./edge-sums.ts";
import { type Endpoint, type GroupBy, type NodeKind, nodeId } from "./endpoint.ts";
import type { EndpointBook } from "./endpoint-book.ts";
import { statusesOf, noMtlsCounts, verificationRank } from "./mtls-status.ts";
import type { CertificateSighting, Outcome } from "./series.ts";
import {
	addCounted,
	addStatuses,
	type CountDecision,
	countDecision,
	latencyWitness,
	mtlsDecision,
	SOMETHING,
	type Voice,
	voicesOf,
	type WindowSeries,
} from "./voices.ts";

export type { GraphEdge } from "./edge-sums.ts";
export type { WindowSeries } from "./voices.ts";

export interface GraphNode {
	readonly id: string;
	readonly cluster: string;
	readonly namespace: string;
	/** Empty when grouped by namespace. */
	readonly service: string;
	readonly kind: NodeKind | "namespace";
	/** Received requests and connections, and how many of both failed. */
	readonly requests: number;
	readonly connections: number;
	readonly errors: number;
	/** Sent ones. */
	readonly sentRequests: number;
	readonly sentConnections: number;
	readonly sentErrors: number;
}

export interface Graph {
	/** By id. */
	readonly nodes: readonly GraphNode[];
	/** By source, target and protocol. */
	readonly edges: readonly GraphEdge[];
}

export interface GraphInput {
	readonly series: Iterable<WindowSeries>;
	readonly groupBy: GroupBy;
	readonly book: EndpointBook;
	readonly certificates: readonly CertificateSighting[];
	/** Length of the window. */
	readonly seconds: number;
}

const HEADER_RANK = verificationRank("header");

interface Cell {
	readonly source: Endpoint;
	readonly target: Endpoint;
	readonly series: WindowSeries[];
	/** Ends of each series, as the book resolves them. */
	readonly ends: (readonly [source: Endpoint, target: Endpoint])[];
}

/** The sums of every edge, before figures are made of them. */
export function resolveSums({ series, groupBy, book, certificates }: GraphInput): Iterable<EdgeSums> {
	const edges = new Map<string, EdgeSums>();
	for (const cell of cellsOf(series, book)) addCell(edges, cell, groupBy);
	addCertificates(edges, certificates, groupBy, book);
	return edges.values();
}

export function resolveGraph(input: GraphInput): Graph {
	const { groupBy } = input;
	const finished: GraphEdge[] = [];
	const nodes = new Map<string, MutableNode>();
	for (const sums of resolveSums(input)) {
		const edge = finishEdge(sums, groupBy, input.seconds);
		finished.push(edge);
		const source = nodeOf(nodes, edge.source, sums.source, groupBy);
		const target = nodeOf(nodes, edge.target, sums.target, groupBy);
		source.sentRequests += edge.requests;
		source.sentConnections += edge.connections;
		source.sentErrors += edge.errors;
		target.requests += edge.requests;
		target.connections += edge.connections;
		target.errors += edge.errors;
	}
	return {
		nodes: [...nodes.values()].sort((a, b) => compare(a.id, b.id)),
		edges: finished.sort(
			(a, b) =>
				compare(a.source, b.source) ||
				compare(a.target, b.target) ||
				compare(a.protocol, b.protocol) ||
				compare(a.unit, b.unit),
		),
	};
}

function cellsOf(all: Iterable<WindowSeries>, book: EndpointBook): Iterable<Cell> {
	const cells = new Map<string, Cell>();
	for (const series of all) {
		const { dims, totals } = series;
		// What corrections took back altogether was never there.
		if (!(totals.count > SOMETHING || totals.failedHandshakes > SOMETHING || totals.bytesSent + totals.bytesReceived > 0))
			continue;
		const source = book.resolve(dims.source);
		const target = book.resolve(dims.target);
		const key = `${nodeId(source, "service")}\n${nodeId(target, "service")}\n${dims.protocol}\n${dims.unit}`;
		let cell = cells.get(key);
		if (cell === undefined) cells.set(key, (cell = { source, target, series: [], ends: [] }));
		cell.series.push(series);
		cell.ends.push([source, target]);
	}
	return cells.values();
}

/** What is decided for a cell as a whole, so that its workloads add up to it. */
interface CellDecision {
	readonly counting: CountDecision | undefined;
	readonly failing: Voice;
	readonly carrying: Voice;
}

function addCell(edges: Map<string, EdgeSums>, cell: Cell, groupBy: GroupBy): void {
	const voices = voicesOf(cell.series);
	const decision = decide(voices);
	if (groupBy !== "workload") {
		addParts(edgeOf(edges, cell.series[0]!, cell.source, cell.target, groupBy), voices, decision);
		return;
	}
	const parts = new Map<EdgeSums, WindowSeries[]>();
	for (const [i, series] of cell.series.entries()) {
		const [source, target] = cell.ends[i]!;
		const edge = edgeOf(edges, series, source, target, groupBy);
		const part = parts.get(edge);
		if (part === undefined) parts.set(edge, [series]);
		else part.push(series);
	}
	for (const [edge, part] of parts) {
		addParts(edge, voicesOf(part), within(decision, part));
		// Evidence that names no workload, beside evidence that does, is no edge of its own.
		const isIdle = edge.count <= SOMETHING && edge.failedHandshakes <= SOMETHING;
		const isAlone = decision.counting === undefined && edge.bytesSent + edge.bytesReceived > 0;
		if (isIdle && !isAlone) edges.delete(edge.id);
	}
}

function decide(voices: readonly Voice[]): CellDecision {
	const counting = countDecision(voices);
	const failing = voices.reduce((best, voice) => (voice.failedHandshakes > best.failedHandshakes ? voice : best));
	const mostBytes = voices.reduce((best, voice) => (voice.bytes > best.bytes ? voice : best));
	return { counting, failing, carrying: counting !== undefined && counting.voice.bytes > 0 ? counting.voice : mostBytes };
}

/** The same decision, for some of the series only. */
function within(decision: CellDecision, part: readonly WindowSeries[]): CellDecision {
	const own = new Set(part);
	const only = (voice: Voice): Voice => ({ ...voice, series: voice.series.filter((one) => own.has(one)) });
	const { counting, failing, carrying } = decision;
	return {
		counting: counting && {
			voice: only(counting.voice),
			neverArrived: counting.neverArrived.filter((one) => own.has(one.series)),
		},
		failing: only(failing),
		carrying: only(carrying),
	};
}

function edgeOf(
	edges: Map<string, EdgeSums>,
	{ dims }: WindowSeries,
	source: Endpoint,
	target: Endpoint,
	groupBy: GroupBy,
): EdgeSums {
	const id = edgeId(groupBy, nodeId(source, groupBy), nodeId(target, groupBy), dims.protocol, dims.unit);
	let edge = edges.get(id);
	if (edge === undefined) edges.set(id, (edge = new EdgeSums(id, source, target, dims.protocol, dims.unit)));
	return edge;
}

function addParts(edge: EdgeSums, voices: readonly Voice[], { counting, failing, carrying }: CellDecision): void {
	const countedBefore = edge.count;
	if (counting !== undefined) addCounts(edge, counting);
	addSeen(edge, voices);
	addLatency(edge, voices, counting);
	addMtls(edge, voices, edge.count - countedBefore);
	for (const { totals } of carrying.series) {
		edge.bytesSent += Math.max(0, totals.bytesSent);
		edge.bytesReceived += Math.max(0, totals.bytesReceived);
	}
	for (const { totals } of failing.series) edge.failedHandshakes += Math.max(0, totals.failedHandshakes);
	addDisagreement(edge, voices, counting);
}

function addCounts(edge: EdgeSums, decision: CountDecision): void {
	const { voice, neverArrived } = decision;
	if (voice.sampled) edge.sampled = true;
	addCounted(decision, edge);
	for (const { dims, totals } of voice.series) {
		if (!(totals.count > SOMETHING)) continue;
		edge.observed += totals.observed;
		addTo(edge.basis.counts, voice.witness, totals.count);
		addTo(edge.reporters, dims.reporter, totals.count);
		for (const [code, count] of totals.codes) addTo(edge.codes, code, count);
		for (const [flag, count] of totals.flags) addTo(edge.flags, flag, count);
	}
	for (const { count, flags, codes } of neverArrived) {
		edge.observed += count;
		for (const [flag, flagged] of flags) addTo(edge.flags, flag, flagged);
		for (const [code, coded] of codes) if (coded > SOMETHING) addTo(edge.codes, code, coded);
	}
}

/** What every evidence adds: that it was seen, when, and by which rule. */
function addSeen(edge: EdgeSums, voices: readonly Voice[]): void {
	const evidence = new Map<string, number>();
	for (const voice of voices) {
		const own = new Map<string, number>();
		for (const { id, dims, totals } of voice.series) {
			edge.series.push(id);
			if (!(totals.count > SOMETHING)) continue;
			addTo(own, dims.evidence, totals.observed);
			edge.firstMs = Math.min(edge.firstMs, totals.firstMs);
			edge.lastMs = Math.max(edge.lastMs, totals.lastMs);
		}
		// Two reporters of one kind saw the same requests.
		for (const [rule, count] of own) evidence.set(rule, Math.max(evidence.get(rule) ?? 0, count));
	}
	for (const [rule, count] of evidence) addTo(edge.evidence, rule, count);
}

function addLatency(edge: EdgeSums, voices: readonly Voice[], counting: CountDecision | undefined): void {
	const witness = latencyWitness(voices);
	const trying = witness ?? counting?.voice.witness;
	for (const voice of voices) {
		for (const { dims, totals } of voice.series) {
			if (!(totals.count > SOMETHING)) continue;
			if (voice.witness === witness) {
				addTo(edge.basis.latency, witness, totals.count);
				// Two metrics, or logs, of one request each measure their own side; of one side there is one.
				if (totals.sourceLatency.counts.length > 0) {
					edge.sourceLatency.add(totals.sourceLatency);
					edge.sourceLatencyNs += totals.sourceLatencyNs;
				}
				if (totals.destinationLatency.counts.length > 0) {
					edge.destinationLatency.add(totals.destinationLatency);
					edge.destinationLatencyNs += totals.destinationLatencyNs;
				}
			}
			edge.appNs += totals.appNs;
			edge.appCount += totals.appCount;
			edge.proxyNs += totals.proxyNs;
			// The source knows of tries; a destination sees each try as a request.
			if (voice.witness === trying && dims.reporter !== "destination" && totals.attempts > SOMETHING) {
				edge.triedRequests += totals.observed;
				edge.tries += totals.attempts;
			}
		}
	}
}

function addMtls(edge: EdgeSums, voices: readonly Voice[], counted: number): void {
	const decision = mtlsDecision(voices, counted);
	addStatuses(decision, counted, edge);
	if (decision === undefined) return;
	const { voice, peers } = decision;
	for (const { dims, totals } of voice.series) {
		if (!(totals.count > SOMETHING)) continue;
		addTo(edge.basis.mtls, voice.witness, totals.count);
		if (dims.mtls.status === "mutual_tls") edge.relyOn(dims.mtls.verifiedBy);
	}
	for (const peer of peers) {
		const counts = noMtlsCounts();
		for (const { dims, totals } of peer.series) if (totals.count > SOMETHING) counts[dims.mtls.status] += totals.count;
		for (const status of statusesOf(counts)) edge.otherStatuses.add(status);
	}
	addIdentities(edge, voices);
}

/** A name from a forwarded header counts only while no certificate or configuration gives one. */
function addIdentities(edge: EdgeSums, voices: readonly Voice[]): void {
	addTold(edge.sourcePrincipals, voices, "sourcePrincipal");
	addTold(edge.destinationPrincipals, voices, "destinationPrincipal");
	addTold(edge.tlsVersions, voices, "tlsVersion");
	addTold(edge.ciphers, voices, "cipher");
}

type ToldName = "sourcePrincipal" | "destinationPrincipal" | "tlsVersion" | "cipher";

function addTold(into: Set<string>, voices: readonly Voice[], name: ToldName): void {
	let hasTrusted = false;
	for (const { series } of voices) for (const one of series) hasTrusted ||= tells(one, name) && isTrusted(one);
	for (const { series } of voices)
		for (const one of series) if (tells(one, name) && (!hasTrusted || isTrusted(one))) into.add(one.dims.mtls[name]);
}

function tells({ dims, totals }: WindowSeries, name: ToldName): boolean {
	return dims.mtls[name] !== "" && totals.count > SOMETHING;
}

function isTrusted({ dims }: WindowSeries): boolean {
	return verificationRank(dims.mtls.verifiedBy) < HEADER_RANK;
}

/** Of hops both ends' word is in the series; of metrics and logs each end has its own, and what one has too many the other lacks. */
function addDisagreement(edge: EdgeSums, voices: readonly Voice[], counting: CountDecision | undefined): void {
	const spans = voices.find(({ witness }) => witness === "spans");
	let isTold = false;
	for (const { dims, totals } of spans?.series ?? []) {
		if (dims.destinationOutcome === undefined || dims.destinationOutcome === dims.outcome || !(totals.count > SOMETHING))
			continue;
		isTold = true;
		edge.disagreementCount += totals.count;
		edge.sourceSays[dims.outcome] += totals.count;
		edge.destinationSays[dims.destinationOutcome] += totals.count;
	}
	if (isTold || counting === undefined) return;
	const side = (reporter: "source" | "destination"): Voice | undefined =>
		voices.find((voice) => voice.witness === counting.voice.witness && voice.reporter === reporter);
	const source = side("source");
	const destination = side("destination");
	if (source === undefined || destination === undefined) return;
	const said = outcomesOf(source);
	const heard = outcomesOf(destination);
	for (const { series, count, answered } of counting.neverArrived) {
		said[series.dims.outcome] -= count + answered;
		heard.server_error -= answered;
	}
	const more = noOutcomes();
	const less = noOutcomes();
	for (const outcome of Object.keys(said) as Outcome[]) {
		more[outcome] = Math.max(0, said[outcome] - heard[outcome]);
		less[outcome] = Math.max(0, heard[outcome] - said[outcome]);
	}
	const sum = (outcomes: Readonly<Record<Outcome, number>>): number =>
		Object.values(outcomes).reduce((total, one) => total + one, 0);
	const count = Math.min(sum(more), sum(less));
	if (count <= SOMETHING) return;
	edge.disagreementCount += count;
	for (const outcome of Object.keys(said) as Outcome[]) {
		edge.sourceSays[outcome] += more[outcome];
		edge.destinationSays[outcome] += less[outcome];
	}
}

function outcomesOf(voice: Voice): Record<Outcome, number> {
	const outcomes = noOutcomes();
	for (const { dims, totals } of voice.series) if (totals.count > SOMETHING) outcomes[dims.outcome] += totals.count;
	return outcomes;
}

/** The first expiry among the certificates that an edge still used when it was last seen. */
function addCertificates(
	edges: ReadonlyMap<string, EdgeSums>,
	certificates: readonly CertificateSighting[],
	groupBy: GroupBy,
	book: EndpointBook,
): void {
	if (certificates.length === 0) return;
	const byEnds = new Map<string, EdgeSums[]>();
	for (const edge of edges.values()) {
		const key = `${nodeId(edge.source, groupBy)}\n${nodeId(edge.target, groupBy)}`;
		const same = byEnds.get(key);
		if (same === undefined) byEnds.set(key, [edge]);
		else same.push(edge);
	}
	const seen = new Map<EdgeSums, CertificateSighting[]>();
	for (const sighting of certificates) {
		const key = `${nodeId(book.resolve(sighting.source), groupBy)}\n${nodeId(book.resolve(sighting.target), groupBy)}`;
		for (const edge of byEnds.get(key) ?? []) {
			// The certificate says nothing of the protocol; where one of two protocols is in plaintext it is not its.
			if (edge.mtlsCounts.mutual_tls + edge.mtlsCounts.tls + edge.mtlsCounts.mixed <= 0) continue;
			const own = seen.get(edge);
			if (own === undefined) seen.set(edge, [sighting]);
			else own.push(sighting);
		}
	}
	for (const [edge, own] of seen)
		edge.notAfterMs = certificatesInUse(own).reduce((first, { notAfterMs }) => Math.min(first, notAfterMs), Infinity);
}

type MutableNode = { -readonly [K in keyof GraphNode]: GraphNode[K] };

function nodeOf(nodes: Map<string, MutableNode>, id: string, endpoint: Endpoint, groupBy: GroupBy): MutableNode {
	const isNamespace = groupBy === "namespace" && (endpoint.kind === "service" || endpoint.kind === "gateway");
	let node = nodes.get(id);
	if (node === undefined) {
		const { cluster, namespace, service, kind } = endpoint;
		const sums = { requests: 0, connections: 0, errors: 0, sentRequests: 0, sentConnections: 0, sentErrors: 0 };
		node = { id, cluster, namespace, service: isNamespace ? "" : service, kind: isNamespace ? "namespace" : kind, ...sums };
		nodes.set(id, node);
	} else if (node.kind !== "namespace") node.kind = kindOf(node.kind, endpoint.kind);
	return node;
}

function compare(a: string, b: string): number {
	return a < b ? -1 : a > b ? 1 : 0;
}
