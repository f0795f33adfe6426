/** What a whole window comes to, so that two of them can stand side by side, and what an edge was in each. Pure. */
import type { GraphAnswer, GraphDiffAnswer } from "../../api/contract/topology.ts";
import { formatPercent, mtlsPercent } from "../../model/topology/mtls-status.ts";
import { countOf, formatRate } from "../base/format.ts";
import type { EdgeChange, EdgeNumbers } from "./graph-changes.ts";
import { msText } from "./graph-words.ts";
import type { MtlsStatus } from "./mtls-words.ts";
import { MTLS_WORDS } from "./mtls-words.ts";

export interface WindowTotals {
	readonly nodes: number;
	readonly edges: number;
	readonly requestRate: number;
	readonly errorRatio: number;
	/** Of requests; undefined when nothing is known. */
	readonly mtlsPercent: number | undefined;
}

export function windowTotals({ nodes, edges }: Pick<GraphAnswer, "nodes" | "edges">): WindowTotals {
	const counts: Record<MtlsStatus, number> = { mutual_tls: 0, tls: 0, plaintext: 0, none: 0, mixed: 0, unknown: 0 };
	let [requests, errors, requestRate] = [0, 0, 0];
	for (const edge of edges) {
		if (edge.unit !== "requests") continue;
		requests += edge.requests;
		errors += edge.errors;
		requestRate += edge.requestRate;
		for (const status of Object.keys(counts) as MtlsStatus[]) counts[status] += edge.mtls.counts[status];
	}
	const errorRatio = requests === 0 ? 0 : errors / requests;
	return { nodes: nodes.length, edges: edges.length, requestRate, errorRatio, mtlsPercent: mtlsPercent(counts) };
}

export function totalsTexts(totals: WindowTotals): readonly (readonly [name: string, text: string])[] {
	return [
		["Graph", `${countOf(totals.nodes, "node")}, ${countOf(totals.edges, "edge")}`],
		["Rate", `${formatRate(totals.requestRate)} req/s`],
		["Errors", formatPercent(100 * totals.errorRatio)],
		["Mutual TLS", totals.mtlsPercent === undefined ? "not known" : formatPercent(totals.mtlsPercent)],
	];
}

/** The API's query string of all that lies in or between the two windows. */
export function bothWindows({ baseline, window }: Pick<GraphDiffAnswer, "baseline" | "window">): string {
	const from = baseline.from < window.from ? baseline.from : window.from;
	const to = baseline.to > window.to ? baseline.to : window.to;
	return new URLSearchParams({ from, to }).toString();
}

/** What there is since a moment as two windows of equal length, in the address; undefined when that is too short to compare. */
export function halvesSince(beginsMs: number, nowMs: number): Readonly<Record<string, string>> | undefined {
	const minutes = Math.floor((nowMs - beginsMs) / 120_000);
	if (minutes < 1) return undefined;
	return { from: `now-${minutes}m`, baselineFrom: `now-${2 * minutes}m`, baselineTo: `now-${minutes}m` };
}

/** One figure of an edge in a window; those that make the change are marked. */
export interface SideFigure {
	readonly name: string;
	readonly text: string;
	readonly isChanged: boolean;
}

/** What an edge was in a window: undefined where it was not there. */
export function sideFigures(change: EdgeChange, numbers: EdgeNumbers | undefined): readonly SideFigure[] | undefined {
	if (numbers === undefined) return undefined;
	const changed = new Set(change.effects.map(({ what }) => what));
	const unit = change.unit === "requests" ? "req/s" : "conn/s";
	return [
		{ name: "rate", text: `${formatRate(numbers.ratePerSecond)} ${unit}`, isChanged: changed.has("rate") },
		{
			name: "errors",
			text: `${formatPercent(100 * numbers.errorRatio)} failed`,
			isChanged: changed.has("errors"),
		},
		{
			name: "p95",
			text: numbers.p95Ms === undefined ? "not measured" : msText(numbers.p95Ms),
			isChanged: changed.has("p95"),
		},
		{ name: "encryption", text: encryptionText(numbers), isChanged: changed.has("mtls") },
	];
}

function encryptionText({ mtlsStatus, mtlsPercent: percent }: EdgeNumbers): string {
	const share = mtlsStatus === "mixed" && percent !== undefined ? ` ${formatPercent(percent)}` : "";
	return `${mtlsStatus === "unknown" ? "encryption unknown" : MTLS_WORDS[mtlsStatus]}${share}`;
}
