/** The edges as rows: how they are ordered, and how they are written to a file. Pure. */
import type { GraphEdgeAnswer } from "../../api/contract/topology.ts";

export const TABLE_COLUMNS = [
	{ key: "source", title: "Source", isNumber: false },
	{ key: "target", title: "Target", isNumber: false },
	{ key: "protocol", title: "Protocol", isNumber: false },
	{ key: "rate", title: "Rate", isNumber: true },
	{ key: "errors", title: "Errors", isNumber: true },
	{ key: "p50", title: "p50", isNumber: true },
	{ key: "p95", title: "p95", isNumber: true },
	{ key: "p99", title: "p99", isNumber: true },
	{ key: "mtls", title: "mTLS", isNumber: true },
] as const;
export type TableColumn = (typeof TABLE_COLUMNS)[number]["key"];

export interface TableOrder {
	readonly column: TableColumn;
	readonly isDescending: boolean;
}

/** `-rate` is by rate, greatest first. */
export function readOrder(text: string | null): TableOrder {
	const name = text?.replace(/^-/, "");
	const column = TABLE_COLUMNS.find(({ key }) => key === name)?.key;
	return column === undefined ? { column: "rate", isDescending: true } : { column, isDescending: text!.startsWith("-") };
}

function valueOf(edge: GraphEdgeAnswer, column: TableColumn): string | number | undefined {
	switch (column) {
		case "source":
		case "target":
		case "protocol":
			return edge[column];
		case "rate":
			// Connections are never compared with requests: they stand below.
			return edge.unit === "requests" ? edge.requestRate : -1 / (1 + edge.connections);
		case "errors":
			return edge.errorRatio;
		case "mtls":
			return edge.mtls.percent;
		default:
			return edge.latencyMs?.[column];
	}
}

/** What has no value stands last, whichever way. */
export function orderedEdges(
	edges: readonly GraphEdgeAnswer[],
	{ column, isDescending }: TableOrder,
): readonly GraphEdgeAnswer[] {
	return edges.toSorted((a, b) => {
		const [left, right] = [valueOf(a, column), valueOf(b, column)];
		if (left === undefined || right === undefined) return Number(left === undefined) - Number(right === undefined);
		const order = left < right ? -1 : left > right ? 1 : 0;
		return (isDescending ? -order : order) || (a.id < b.id ? -1 : 1);
	});
}

type CsvColumn = readonly [string, (edge: GraphEdgeAnswer) => string | number | undefined];

const CSV_COLUMNS: readonly CsvColumn[] = [
	["id", ({ id }) => id],
	["source", ({ source }) => source],
	["target", ({ target }) => target],
	["protocol", ({ protocol }) => protocol],
	["unit", ({ unit }) => unit],
	["requests", ({ requests }) => requests],
	["connections", ({ connections }) => connections],
	["requests_per_second", ({ requestRate }) => requestRate],
	["errors", ({ errors }) => errors],
	["error_ratio", ({ errorRatio }) => errorRatio],
	["p50_ms", ({ latencyMs }) => latencyMs?.p50],
	["p95_ms", ({ latencyMs }) => latencyMs?.p95],
	["p99_ms", ({ latencyMs }) => latencyMs?.p99],
	["bytes_sent", ({ bytes }) => bytes.sent],
	["bytes_received", ({ bytes }) => bytes.received],
	["mtls_status", ({ mtls }) => mtls.status],
	["mtls_percent", ({ mtls }) => mtls.percent],
	["source_principals", ({ mtls }) => mtls.sourcePrincipals.join(" ")],
	["destination_principals", ({ mtls }) => mtls.destinationPrincipals.join(" ")],
	["tls_versions", ({ mtls }) => mtls.tlsVersions.join(" ")],
	["first_seen", ({ firstSeen }) => firstSeen],
	["last_seen", ({ lastSeen }) => lastSeen],
];

/** RFC 4180, every digit of every figure. */
export function edgesCsv(edges: readonly GraphEdgeAnswer[]): string {
	const rows = edges.map((edge) => CSV_COLUMNS.map(([, read]) => csvCell(read(edge))).join(","));
	return [CSV_COLUMNS.map(([name]) => name).join(","), ...rows, ""].join("\r\n");
}

function csvCell(value: string | number | undefined): string {
	if (typeof value !== "string") return value === undefined ? "" : String(value);
	// A sender's name that begins so would be computed by a spreadsheet.
	const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
	return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
