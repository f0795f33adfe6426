/** The graph as a table: the same edges, sortable, to be copied or saved. */
import type { ReactNode } from "react";
import type { GraphAnswer, GraphEdgeAnswer } from "../../../api/contract/topology.ts";
import { saveFile } from "../../base/download.ts";
import { shorten } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";
import { Link } from "../../base/link.tsx";
import { hrefWith } from "../../base/router.ts";
import { isMergedId, NO_PERCENTILES } from "../../data/graph-collapse.ts";
import type { GraphModel } from "../../data/graph-model.ts";
import { edgesCsv, orderedEdges, readOrder, TABLE_COLUMNS } from "../../data/graph-table.ts";
import type { TableColumn, TableOrder } from "../../data/graph-table.ts";
import { graphJson } from "./export-menu.tsx";
import { errorsText, healthOf, msText, mtlsDoubt, mtlsText, rateText } from "../../data/graph-words.ts";
import { MtlsSign } from "../cells.tsx";

interface GraphTableProps {
	readonly graph: GraphAnswer;
	readonly model: GraphModel;
	readonly params: URLSearchParams;
	/** The open edge; empty for none. */
	readonly selected: string;
}

export function GraphTable({ graph, model, params, selected }: GraphTableProps): ReactNode {
	const order = readOrder(params.get("sort"));
	const edges = orderedEdges(model.edges, order);
	return (
		<div className="graph-table-frame">
			<div className="graph-downloads">
				<button type="button" onClick={() => saveFile("edges.csv", new Blob([edgesCsv(edges)], { type: "text/csv" }))}>
					<Icon name="download" />
					CSV
				</button>
				<button type="button" onClick={() => saveFile("graph.json", graphJson(graph, { nodes: model.nodes, edges }))}>
					<Icon name="download" />
					JSON
				</button>
			</div>
			<table className="graph-table card" aria-label="Edges of the graph">
				<thead>
					<tr>
						{TABLE_COLUMNS.map((column) => (
							<Head key={column.key} column={column} order={order} params={params} />
						))}
					</tr>
				</thead>
				<tbody>
					{edges.map((edge) => (
						<Row
							key={edge.id}
							edge={edge}
							href={hrefWith("/", params, { edge: edge.id, node: undefined })}
							isSelected={edge.id === selected}
							isFound={model.found?.has(edge.id) === true}
						/>
					))}
				</tbody>
			</table>
			{edges.length === 0 && <p className="muted">No edge is left.</p>}
		</div>
	);
}

interface HeadProps {
	readonly column: (typeof TABLE_COLUMNS)[number];
	readonly order: TableOrder;
	readonly params: URLSearchParams;
}

function Head({ column: { key, title, isNumber }, order, params }: HeadProps): ReactNode {
	const isChosen = order.column === key;
	const sort = `${nextDescending(key, isNumber, order) ? "-" : ""}${key}`;
	return (
		<th
			scope="col"
			className={isNumber ? "number" : undefined}
			aria-sort={!isChosen ? undefined : order.isDescending ? "descending" : "ascending"}
		>
			<Link href={hrefWith("/", params, { sort })}>
				{title}
				{isChosen && <span aria-hidden="true">{order.isDescending ? " ↓" : " ↑"}</span>}
			</Link>
		</th>
	);
}

/** The worst first: figures fall, but a share of mTLS rises; the chosen column turns. */
function nextDescending(key: TableColumn, isNumber: boolean, order: TableOrder): boolean {
	return order.column === key ? !order.isDescending : isNumber && key !== "mtls";
}

interface RowProps {
	readonly edge: GraphEdgeAnswer;
	readonly href: string;
	readonly isSelected: boolean;
	readonly isFound: boolean;
}

function Row({ edge, href, isSelected, isFound }: RowProps): ReactNode {
	const classes = `${isSelected ? "graph-row-selected" : ""} ${isFound ? "graph-row-found" : ""}`.trim();
	const why = isMergedId(edge.id) ? NO_PERCENTILES : undefined;
	return (
		<tr className={classes === "" ? undefined : classes} data-edge={edge.id}>
			<td>
				<Link className="told" href={href} aria-current={isSelected ? "true" : undefined}>
					{shorten(edge.source, 80)}
				</Link>
			</td>
			<td className="told">{shorten(edge.target, 80)}</td>
			<td>{edge.protocol}</td>
			<td className="number">{rateText(edge)}</td>
			<td className={healthOf(edge) === "fail" ? "number failed" : "number"}>{errorsText(edge)}</td>
			<td className="number" title={why}>
				{msText(edge.latencyMs?.p50)}
			</td>
			<td className="number" title={why}>
				{msText(edge.latencyMs?.p95)}
			</td>
			<td className="number" title={why}>
				{msText(edge.latencyMs?.p99)}
			</td>
			<td className="number" title={mtlsDoubt(edge)}>
				<span className={`status-cell mtls-cell-${edge.mtls.status}`}>
					<MtlsSign status={edge.mtls.status} />
					{mtlsText(edge)}
				</span>
			</td>
		</tr>
	);
}
