/**
 * The service graph as lines of text: a table of edges, or each node with what it calls. Pure.
 *
 * No figure is rounded to "none" or "all": 0 % and 100 % are exact.
 */
import type { GraphAnswer, GraphEdgeAnswer } from "../../api/contract/topology.ts";
import { formatDuration } from "../../model/time.ts";
import { formatPercent } from "../../model/topology/mtls-status.ts";
import { fit, fitRight, printable, textWidth } from "./text-width.ts";

export interface GraphTextOptions {
	/** Width to cut lines at; undefined leaves them whole. */
	readonly columns: number | undefined;
	readonly colour: boolean;
}

interface Column {
	readonly title: string;
	readonly isFigure: boolean;
	readonly cell: (edge: GraphEdgeAnswer) => string;
}

const COLUMNS: readonly Column[] = [
	{ title: "SRC", isFigure: false, cell: ({ source }) => source },
	{ title: "DST", isFigure: false, cell: ({ target }) => target },
	{ title: "PROTOCOL", isFigure: false, cell: ({ protocol }) => protocol },
	{ title: "RPS", isFigure: true, cell: rateText },
	{ title: "ERR%", isFigure: true, cell: errorText },
	{ title: "P50", isFigure: true, cell: ({ latencyMs }) => latencyText(latencyMs?.p50) },
	{ title: "P95", isFigure: true, cell: ({ latencyMs }) => latencyText(latencyMs?.p95) },
	{ title: "P99", isFigure: true, cell: ({ latencyMs }) => latencyText(latencyMs?.p99) },
	{ title: "SECURED", isFigure: false, cell: securedText },
	{ title: "IDENTITIES", isFigure: false, cell: identitiesText },
];

/** One line an edge. */
export function edgeLines(graph: GraphAnswer, options: GraphTextOptions): readonly string[] {
	if (graph.edges.length === 0) return [emptyText(graph)];
	const rows = graph.edges.map((edge) => COLUMNS.map(({ cell }) => printable(cell(edge))));
	const widths = COLUMNS.map(({ title }, i) => Math.max(title.length, ...rows.map((row) => textWidth(row[i]!))));
	const lineOf = (cells: readonly string[]): string =>
		cells
			.map((cell, i) => (COLUMNS[i]!.isFigure ? fitRight : fit)(cell, widths[i]!))
			.join("  ")
			.trimEnd();
	const lines = [lineOf(COLUMNS.map(({ title }) => title))];
	for (const [i, row] of rows.entries()) lines.push(painted(cut(lineOf(row), options), graph.edges[i]!, options));
	lines[0] = cut(lines[0]!, options);
	const notes = notesOf(graph);
	return notes.length === 0 ? lines : [...lines, "", ...notes.map((note) => cut(note, options))];
}

/** Each node that calls somebody, and whom. */
export function graphLines(graph: GraphAnswer, options: GraphTextOptions): readonly string[] {
	if (graph.edges.length === 0) return [emptyText(graph)];
	const count = (value: number, one: string): string => `${value} ${one}${value === 1 ? "" : "s"}`;
	const head = [
		`${graph.window.from} to ${graph.window.to}`,
		count(graph.nodes.length, "node"),
		count(graph.edges.length, "edge"),
	].join("   ");
	const lines = [cut(head, options)];
	const cellsOf = (edge: GraphEdgeAnswer): readonly string[] =>
		[
			edge.target,
			edge.protocol,
			rateText(edge) + (edge.unit === "requests" ? "/s" : ""),
			`${errorText(edge)} errors`,
			`p95 ${latencyText(edge.latencyMs?.p95)}`,
			securedText(edge),
		].map(printable);
	const widths = graph.edges
		.map(cellsOf)
		.reduce<readonly number[]>((most, cells) => cells.map((cell, i) => Math.max(most[i] ?? 0, textWidth(cell))), []);
	for (const node of graph.nodes) {
		const calls = graph.edges.filter(({ source }) => source === node.id);
		if (calls.length === 0) continue;
		lines.push("", cut(printable(node.kind === "service" ? node.id : `${node.id} (${node.kind})`), options));
		for (const edge of calls) {
			const cells = cellsOf(edge).map((cell, i) => fit(cell, widths[i]!));
			lines.push(painted(cut(`  → ${cells.join("  ")}`.trimEnd(), options), edge, options));
		}
	}
	const notes = notesOf(graph);
	return notes.length === 0 ? lines : [...lines, "", ...notes.map((note) => cut(note, options))];
}

function emptyText({ window }: GraphAnswer): string {
	return `nothing was seen from ${window.from} to ${window.to}`;
}

/** What a figure alone would hide. */
function notesOf({ edges }: GraphAnswer): readonly string[] {
	const notes: string[] = [];
	const sampled = edges.filter((edge) => edge.sampled).length;
	const disagreeing = edges.filter((edge) => edge.disagreement !== undefined).length;
	const failing = edges.filter(({ mtls }) => mtls.failedHandshakes > 0).length;
	if (sampled > 0) notes.push(`~ counts of ${sampled} of the edges may be a sample: nothing says of how many`);
	if (disagreeing > 0) notes.push(`! on ${disagreeing} of the edges the two ends tell different outcomes`);
	if (failing > 0) notes.push(`! on ${failing} of the edges TLS handshakes failed`);
	return notes;
}

function rateText({ unit, requestRate, connections, sampled }: GraphEdgeAnswer): string {
	const text = unit === "requests" ? figure(requestRate) : `${figure(connections)} conn`;
	return sampled ? `~${text}` : text;
}

/** Three digits; what is something is not written as 0. */
function figure(value: number): string {
	if (value === 0) return "0";
	if (value < 0.001) return "<0.001";
	return value >= 1_000 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

function errorText({ errorRatio, disagreement }: GraphEdgeAnswer): string {
	return `${formatPercent(errorRatio * 100)}${disagreement === undefined ? "" : "!"}`;
}

function latencyText(ms: number | undefined): string {
	return ms === undefined ? "-" : formatDuration(Math.round(ms * 1e6));
}

const STATUS_TEXT: Readonly<Record<GraphEdgeAnswer["mtls"]["status"], string>> = {
	mutual_tls: "mTLS",
	tls: "TLS only",
	plaintext: "plaintext",
	none: "not mTLS",
	mixed: "mixed",
	unknown: "unknown",
};

function securedText({ mtls }: GraphEdgeAnswer): string {
	const { status, percent, failedHandshakes, verified } = mtls;
	const share = status === "mixed" && percent !== undefined ? ` ${formatPercent(percent)}` : "";
	const doubt = status === "mutual_tls" && !verified ? " (inferred)" : "";
	return `${STATUS_TEXT[status]}${share}${doubt}${failedHandshakes > 0 ? ` !${figure(failedHandshakes)} failed` : ""}`;
}

function identitiesText({ mtls }: GraphEdgeAnswer): string {
	if (mtls.sourcePrincipals.length + mtls.destinationPrincipals.length === 0) return "-";
	return `${identityText(mtls.sourcePrincipals)} → ${identityText(mtls.destinationPrincipals)}`;
}

function identityText(principals: readonly string[]): string {
	const [first, ...others] = principals;
	if (first === undefined) return "?";
	// `spiffe://cluster.local/ns/default/sa/x` is read as default/x by everybody who has to.
	const name = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(first);
	const text = name === null ? first : `${name[1]}/${name[2]}`;
	return others.length === 0 ? text : `${text} +${others.length}`;
}

function cut(line: string, { columns }: GraphTextOptions): string {
	return columns === undefined || textWidth(line) <= columns ? line : fit(line, columns).trimEnd();
}

/** Red where requests fail, yellow where nothing protects them. */
function painted(line: string, edge: GraphEdgeAnswer, { colour }: GraphTextOptions): string {
	if (!colour) return line;
	const isOpen = ["plaintext", "none", "tls", "mixed"].includes(edge.mtls.status);
	const code = edge.errors > 0 ? "31" : isOpen ? "33" : undefined;
	return code === undefined ? line : `\u001b[${code}m${line}\u001b[0m`;
}
