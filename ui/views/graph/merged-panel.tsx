/** An edge that was added up of several, because a namespace at its end is folded: its sums, and the edges behind them. */
import type { ReactNode } from "react";
import type { GraphEdgeAnswer } from "../../../api/contract/topology.ts";
import { countOf, shorten } from "../../base/format.ts";
import { NO_PERCENTILES } from "../../data/graph-collapse.ts";
import { errorsText, mtlsText, msText, rateText } from "../../data/graph-words.ts";
import { EdgeHead } from "./edge-head.tsx";

interface MergedPanelProps {
	/** Undefined when it is hidden, or nothing is folded any more. */
	readonly edge: GraphEdgeAnswer | undefined;
	readonly parts: readonly GraphEdgeAnswer[];
	readonly onOpen: (edgeId: string) => void;
	readonly onClose: () => void;
}

export function MergedPanel({ edge, parts, onOpen, onClose }: MergedPanelProps): ReactNode {
	return (
		<aside className="graph-panel" aria-label="Edge details">
			<EdgeHead edge={edge} onClose={onClose} />
			{edge === undefined ? (
				<p className="muted">This edge was added up of those of folded namespaces. It is not in the graph now.</p>
			) : (
				<>
					<dl className="panel-figures">
						<Figure name={edge.unit === "requests" ? "Rate" : "Connections"} value={rateText(edge)} />
						<Figure name="Errors" value={errorsText(edge)} />
						<Figure name="p95" value="–" />
						<Figure name="mTLS" value={mtlsText(edge)} />
					</dl>
					<p className="muted">
						The sums of {countOf(parts.length, "edge")}. {NO_PERCENTILES} Each edge has its own.
					</p>
					<section>
						<h3>Added up of</h3>
						<ul className="panel-edges">
							{parts
								.toSorted((a, b) => b.requests + b.connections - a.requests - a.connections)
								.map((part) => (
									<li key={part.id}>
										<button type="button" className="quiet" onClick={() => onOpen(part.id)}>
											<bdi className="one-line">
												{shorten(part.source, 40)} → {shorten(part.target, 40)}
											</bdi>
											<span className="muted">
												{rateText(part)}, {errorsText(part)} errors, p95 {msText(part.latencyMs?.p95)},{" "}
												{mtlsText(part)}
											</span>
										</button>
									</li>
								))}
						</ul>
					</section>
				</>
			)}
		</aside>
	);
}

function Figure({ name, value }: { readonly name: string; readonly value: string }): ReactNode {
	return (
		<div>
			<dt>{name}</dt>
			<dd>{value}</dd>
		</div>
	);
}
