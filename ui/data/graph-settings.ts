/** What the graph page shows, read from the query string. The names of time and grouping are the API's own. */
import { collapsedText, foldedId, readCollapsed } from "./graph-collapse.ts";
import type { GroupBy } from "../../model/topology/endpoint.ts";

const GROUPINGS: readonly GroupBy[] = ["service", "namespace", "workload"];

export const EDGE_LABELS = [
	{ key: "rate", label: "Rate" },
	{ key: "errors", label: "Errors" },
	{ key: "p50", label: "p50" },
	{ key: "p95", label: "p95" },
	{ key: "p99", label: "p99" },
	{ key: "bytes", label: "Bytes" },
	{ key: "mtls", label: "mTLS %" },
	{ key: "none", label: "No label" },
] as const;
export type EdgeLabel = (typeof EDGE_LABELS)[number]["key"];

export const DEFAULT_GRAPH_FROM = "now-15m";

export interface GraphSettings {
	readonly from: string;
	/** Empty for now. */
	readonly to: string;
	readonly groupBy: GroupBy;
	readonly label: EdgeLabel;
	readonly live: boolean;
	readonly isTable: boolean;
	/** What the panel shows; empty for none. */
	readonly edge: string;
	readonly node: string;
	readonly find: string;
	readonly hide: string;
	/** Namespaces that are folded into one node each, as in the address; none where namespaces are the nodes. */
	readonly collapsed: string;
}

export function readGraphSettings(params: URLSearchParams): GraphSettings {
	const groupBy = GROUPINGS.find((grouping) => grouping === params.get("groupBy")) ?? "service";
	return {
		from: params.get("from") ?? DEFAULT_GRAPH_FROM,
		to: params.get("to") ?? "",
		groupBy,
		collapsed: groupBy === "namespace" ? "" : (params.get("collapsed") ?? ""),
		label: EDGE_LABELS.find(({ key }) => key === params.get("label"))?.key ?? "rate",
		live: params.get("live") !== "off",
		isTable: params.get("view") === "table",
		edge: params.get("edge") ?? "",
		node: params.get("node") ?? "",
		find: params.get("find") ?? "",
		hide: params.get("hide") ?? "",
	};
}

/** The change of the address that folds or unfolds a namespace; what was open inside of it is closed. */
export function foldChange(
	{ collapsed }: Pick<GraphSettings, "collapsed">,
	name: string,
	isFolded: boolean,
): Readonly<Record<string, string | undefined>> {
	const next = new Set(readCollapsed(collapsed));
	if (isFolded) next.add(name);
	else next.delete(name);
	return { collapsed: collapsedText(next), edge: undefined, node: isFolded ? foldedId(name) : undefined };
}

/** The API's query string of the range. */
export function rangeQuery({ from, to }: Pick<GraphSettings, "from" | "to">): string {
	return new URLSearchParams({ from, ...(to === "" ? {} : { to }) }).toString();
}

export function graphQuery(settings: GraphSettings, groupBy: GroupBy = settings.groupBy): string {
	return `${rangeQuery(settings)}&groupBy=${groupBy}`;
}

/** A range without an end goes on: it is asked for again. */
export function isOpenEnded({ to }: Pick<GraphSettings, "to">): boolean {
	return to === "" || to.startsWith("now");
}

/** A range of that length up to now, as it stands in the address. */
export function liveFrom(lengthMs: number): string {
	const seconds = Math.max(1, Math.round(lengthMs / 1_000));
	const units = [
		[86_400, "d"],
		[3_600, "h"],
		[60, "m"],
	] as const;
	// Days only where they are whole and several: "now-24h" is on offer, "now-1d" is not.
	const unit =
		units.find(([size]) => seconds % size === 0 && seconds > size) ??
		units.find(([size]) => seconds === size && size < 86_400);
	return unit === undefined ? `now-${seconds}s` : `now-${seconds / unit[0]}${unit[1]}`;
}
