/** Figures and findings of the graph in words: the same on the canvas, in the table, in the panel and for a screen reader. */
import type { EdgeAnswer, GraphAnswer, GraphEdgeAnswer } from "../../api/contract/topology.ts";
import { bucketBoundsNs, histogramIndex } from "../../model/topology/histogram.ts";
import { formatPercent } from "../../model/topology/mtls-status.ts";
import { formatBytes, formatCount, formatDuration, formatRate, shorten } from "../base/format.ts";
import type { EdgeLabel } from "./graph-settings.ts";
import { MTLS_WORDS, REPORTER_WORDS } from "./mtls-words.ts";

export type GraphNodeAnswer = GraphAnswer["nodes"][number];
export function rateText({ unit, requestRate, connections, sampled }: GraphEdgeAnswer): string {
	const text = unit === "requests" ? `${rateFigure(requestRate)}/s` : `${formatCount(connections)} conn.`;
	return sampled ? `~${text}` : text;
}

/** What is something is not written as 0. */
function rateFigure(perSecond: number): string {
	return perSecond > 0 && perSecond < 0.001 ? "< 0.001" : formatRate(perSecond);
}

export function errorsText({ errorRatio }: Pick<GraphEdgeAnswer, "errorRatio">): string {
	return formatPercent(errorRatio * 100);
}

export function msText(ms: number | undefined): string {
	return ms === undefined ? "–" : formatDuration(Math.round(ms * 1e6));
}

/** `4.573921ms`: to the nanosecond, as a search takes it. @param moreNs added to it: a bucket begins above its lower bound */
export function durationText(ms: number, moreNs = 0): string {
	const ns = Math.floor(ms * 1e6 + 1e-3) + moreNs;
	const fraction = String(ns % 1e6)
		.padStart(6, "0")
		.replace(/0+$/, "");
	return `${Math.floor(ns / 1e6)}${fraction === "" ? "" : `.${fraction}`}ms`;
}

/**
 * The least duration that counts as slow as a percentile, as a search takes it. A percentile is told as the middle of its bucket, which
 * may lie above every call there was: from there on a search finds nothing. Its bucket holds a call at least.
 */
export function asSlowAs(percentileMs: number): string {
	const [lowerNs, upperNs] = bucketBoundsNs(histogramIndex(percentileMs * 1e6));
	return durationText(lowerNs / 1e6, upperNs === 0 ? 0 : 1);
}

/** `mutual TLS 100 %`, `mixed 99.96 %`, `not known`. */
export function mtlsText({ mtls }: Pick<GraphEdgeAnswer, "mtls">): string {
	const share = mtls.percent === undefined ? "" : ` ${formatPercent(mtls.percent)}`;
	return `${MTLS_WORDS[mtls.status]}${mtls.status === "unknown" ? "" : share}`;
}

/** Why an edge that is called mutual TLS may still deserve a look; undefined when it does not. */
export function mtlsDoubt({ mtls }: GraphEdgeAnswer): string | undefined {
	if (mtls.contradicted) return "Evidence as good as the counted one says otherwise.";
	if (mtls.status === "mutual_tls" && !mtls.verified)
		return "No end of the connection checked every certificate: it is inferred.";
	return undefined;
}

export function labelText(edge: GraphEdgeAnswer, label: EdgeLabel): string {
	switch (label) {
		case "none":
			return "";
		case "rate":
			return rateText(edge);
		case "errors":
			return errorsText(edge);
		case "bytes":
			return formatBytes(edge.bytes.sent + edge.bytes.received);
		case "mtls":
			return edge.mtls.percent === undefined ? "?" : formatPercent(edge.mtls.percent);
		default:
			return msText(edge.latencyMs?.[label]);
	}
}

/** One sentence that says what the drawing of an edge says. */
export function edgeSentence(edge: GraphEdgeAnswer): string {
	const latency = edge.latencyMs === undefined ? "" : `, p95 ${msText(edge.latencyMs.p95)}`;
	const figures = `${rateText(edge)}, ${errorsText(edge)} errors${latency}, ${mtlsText(edge)}`;
	return `${shorten(edge.source, 80)} → ${shorten(edge.target, 80)}, ${edge.protocol}: ${figures}`;
}

export function nodeSentence(node: GraphNodeAnswer): string {
	const received = node.requests + node.connections;
	const share = received === 0 ? "" : `, ${formatPercent((100 * node.errors) / received)} errors`;
	return `${shorten(node.id, 80)}, ${node.kind}: ${formatCount(received)} received${share}, ${formatCount(node.sentRequests + node.sentConnections)} sent`;
}

/** The name below a node: its own, not that of the hull it stands in; a workload that bears its service's name stands alone. */
export function nodeTitle(node: GraphNodeAnswer): string {
	if (node.service === "") return shorten(node.namespace || node.id, 80);
	const at = node.id.lastIndexOf("@");
	const workload = at > 0 ? node.id.slice(at + 1) : "";
	if (workload === "") return shorten(node.service, 80);
	return shorten(workload.startsWith(node.service) ? workload : `${node.service}@${workload}`, 80);
}

export type Health = "ok" | "warn" | "fail" | "idle";

/** From this share on an edge counts as failing. */
export const FAILING_RATIO = 0.05;

export function healthOf({ requests, connections, errorRatio }: GraphEdgeAnswer): Health {
	if (requests + connections === 0) return "idle";
	return errorRatio === 0 ? "ok" : errorRatio < FAILING_RATIO ? "warn" : "fail";
}

type EvidenceRow = EdgeAnswer["evidence"][number];

const EVIDENCE_WORDS: Readonly<Record<EvidenceRow["evidence"], string>> = {
	pair: "spans of both ends of one call, joined by parentage",
	"request-id": "spans of both ends that bear the same x-request-id; their parentage is broken",
	"client-only": "the caller's span alone, which names whom it called",
	"server-only": "the callee's span alone, which names its caller",
	"client-client": "a caller's span below a caller's span, as an ingress makes them",
	"server-server": "a callee's span below a callee's span, as NGINX makes them",
	waypoint: "a waypoint's span that names both ends",
	metric: "a proxy's metric that names both ends",
	log: "an access log record that names both ends",
};

export function reporterText(reporter: EvidenceRow["reporter"]): string {
	return REPORTER_WORDS[reporter];
}

/** Why the edge is there: one sentence for each statement, and whom a name was taken for where that is not plain. */
export function evidenceSentence(row: EvidenceRow): string {
	const seen = `${formatCount(row.observed)} observed${row.count === row.observed ? "" : `, which stand for ${formatCount(Math.round(row.count))}`}`;
	const taken = [row.source, row.target]
		.filter(({ told, taken: as }) => told !== "" && told !== as)
		.map(({ told, taken: as }) => ` “${shorten(told, 60)}” was taken for ${shorten(as, 60)}.`);
	const sample = row.sampled ? " It may be a sample of unknown share." : "";
	return `From ${EVIDENCE_WORDS[row.evidence]}, reported by ${REPORTER_WORDS[row.reporter]}: ${seen}.${taken.join("")}${sample}`;
}

const VERIFIED_WORDS: Readonly<Record<GraphEdgeAnswer["mtls"]["verifiedBy"], string>> = {
	server: "the callee, which checked the caller's certificate",
	client: "the caller, which checked the callee's certificate",
	metric: "a proxy's metric",
	header: "a forwarded header, which nobody checked",
	"": "nobody",
};

export function verifiedText({ mtls }: GraphEdgeAnswer): string {
	return VERIFIED_WORDS[mtls.verifiedBy];
}

/** Response flags of Envoy that are met often; others are shown bare. */
export const FLAG_WORDS: Readonly<Record<string, string>> = {
	DC: "caller hung up",
	DENY: "refused by policy",
	DF: "name not resolved",
	FI: "fault injected",
	NR: "no route",
	RL: "rate limited",
	UAEX: "refused by authorization",
	UC: "upstream closed the connection",
	UF: "upstream connection failed",
	UH: "no healthy upstream",
	UO: "overflow, the breaker is open",
	URX: "retries used up",
	UT: "upstream timed out",
};
