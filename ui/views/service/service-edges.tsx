/** The edges of a service, one table a direction: with whom, how well, how safely, and the way to each edge's evidence. */
import type { ReactNode } from "react";
import type { GraphEdgeAnswer, ServiceTrafficAnswer } from "../../../api/contract/topology.ts";
import { formatPercent } from "../../../model/topology/mtls-status.ts";
import { shorten } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { edgeHref } from "../../base/router.ts";
import { errorsText, healthOf, mtlsDoubt, rateText } from "../../data/graph-words.ts";
import { MtlsState } from "../cells.tsx";
import { exportColumn, latencyColumns, seenColumn, serviceColumn } from "../columns.tsx";
import { DataTable } from "../data-table.tsx";
import type { Column } from "../data-table.tsx";

interface ServiceEdgesProps {
	readonly way: "inbound" | "outbound";
	readonly traffic: ServiceTrafficAnswer;
	readonly nowMs: number;
}

type Window = ServiceTrafficAnswer["window"];

function columns(end: "source" | "target", title: string, window: Window, nowMs: number): readonly Column<GraphEdgeAnswer>[] {
	return [
		serviceColumn(end, title, (edge) => edge[end], window, { heads: true }),
		{ key: "protocol", title: "Protocol", value: (edge) => edge.protocol },
		{
			key: "rate",
			title: "Rate",
			number: true,
			value: (edge) => (edge.unit === "requests" ? edge.requestRate : edge.connections),
			// Connections are never compared with requests: they stand below.
			rank: (edge) => (edge.unit === "requests" ? edge.requestRate : -1 / (1 + edge.connections)),
			cell: rateText,
		},
		{
			key: "errors",
			title: "Errors",
			number: true,
			value: (edge) => edge.errorRatio,
			cell: (edge) => <span className={healthOf(edge) === "fail" ? "failed" : undefined}>{errorsText(edge)}</span>,
		},
		...latencyColumns<GraphEdgeAnswer>((edge) => edge.latencyMs),
		{
			key: "mtls",
			title: "mTLS",
			value: (edge) => edge.mtls.status,
			rank: (edge) => edge.mtls.percent,
			cell: (edge) => (
				<span title={mtlsDoubt(edge)}>
					<MtlsState status={edge.mtls.status} />
					{edge.mtls.percent !== undefined && edge.mtls.status === "mixed" && (
						<span className="beneath muted">{formatPercent(edge.mtls.percent)} mutual TLS</span>
					)}
				</span>
			),
		},
		exportColumn("mtlsPercent", (edge) => edge.mtls.percent),
		exportColumn("unit", (edge) => edge.unit),
		exportColumn("requests", (edge) => edge.requests),
		exportColumn("connections", (edge) => edge.connections),
		seenColumn("lastSeen", "Last seen", (edge) => edge.lastSeen, nowMs),
		{
			key: "id",
			title: "Evidence",
			value: (edge) => edge.id,
			cell: (edge) => (
				<Link
					href={edgeHref(edge.id, window)}
					aria-label={`Edge ${shorten(edge.source, 80)} to ${shorten(edge.target, 80)}`}
				>
					Edge
				</Link>
			),
		},
	];
}

export function ServiceEdges({ way, traffic, nowMs }: ServiceEdgesProps): ReactNode {
	const isIn = way === "inbound";
	return (
		<DataTable
			name={isIn ? "callers" : "callees"}
			title={isIn ? "Called by" : "Calls"}
			note={isIn ? "Edges to this service, the busiest first." : "Edges from this service, the busiest first."}
			empty={
				isIn ? "Nobody calls it in this range, as far as was told." : "It calls nobody in this range, as far as was told."
			}
			columns={columns(isIn ? "source" : "target", isIn ? "Caller" : "Callee", traffic.window, nowMs)}
			rows={traffic[way].edges}
			rowKey={(edge) => edge.id}
			asOf={traffic.window.to}
		/>
	);
}
