/** What is known of one node: its totals, and each edge that touches it. */
import type { ReactNode } from "react";
import type { GraphEdgeAnswer } from "../../../api/contract/topology.ts";
import { formatCount, shorten } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";
import { Link } from "../../base/link.tsx";
import { serviceHref } from "../../base/router.ts";
import { hullName } from "../../data/graph-collapse.ts";
import type { GraphModel } from "../../data/graph-model.ts";
import { rangeQuery } from "../../data/graph-settings.ts";
import type { GraphSettings } from "../../data/graph-settings.ts";
import { errorsText, mtlsText, rateText } from "../../data/graph-words.ts";
import { formatPercent } from "../../../model/topology/mtls-status.ts";
import { Fact } from "../fact.tsx";

interface NodePanelProps {
	readonly id: string;
	readonly model: GraphModel;
	/** Of a folded namespace, its nodes. */
	readonly members: readonly string[] | undefined;
	readonly settings: GraphSettings;
	readonly onOpen: (edgeId: string) => void;
	/** Folds the node's namespace, or unfolds it. */
	readonly onFold: () => void;
	readonly onClose: () => void;
}

export function NodePanel({ id, model, members, settings, onOpen, onFold, onClose }: NodePanelProps): ReactNode {
	const node = model.nodeById.get(id);
	return (
		<aside className="graph-panel" aria-label="Node details">
			<header className="panel-head">
				<h2 className="told">{shorten(id, 120)}</h2>
				<button type="button" className="quiet" aria-label="Close the details" title="Close (Esc)" onClick={onClose}>
					<Icon name="close" />
				</button>
			</header>
			{node === undefined ? (
				<p className="muted">Nothing was seen of this node in the range, or it is hidden.</p>
			) : (
				<>
					<dl className="panel-facts">
						<Fact name="Kind">{node.kind}</Fact>
						{node.namespace !== "" && <Fact name="Namespace">{shorten(node.namespace, 80)}</Fact>}
						{node.cluster !== "" && <Fact name="Cluster">{shorten(node.cluster, 80)}</Fact>}
						<Fact name="Received">{totals(node.requests, node.connections, node.errors)}</Fact>
						<Fact name="Sent">{totals(node.sentRequests, node.sentConnections, node.sentErrors)}</Fact>
					</dl>
					<Folding {...{ members, onFold }} name={settings.groupBy === "namespace" ? "" : hullName(node)} />
					<Edges
						title="Called by"
						edges={model.edges.filter(({ target }) => target === id)}
						end="source"
						onOpen={onOpen}
					/>
					<Edges title="Calls" edges={model.edges.filter(({ source }) => source === id)} end="target" onOpen={onOpen} />
					{node.service !== "" && (
						<p className="panel-links">
							<Link
								className="button-link"
								href={serviceHref(id.replace(/@.*$/, ""), { from: settings.from, to: settings.to })}
							>
								Service page
							</Link>
							<Link
								className="button-link"
								href={`/traces?${new URLSearchParams({ service: node.service }).toString()}&${rangeQuery(settings)}`}
							>
								Traces of {shorten(node.service, 60)}
							</Link>
						</p>
					)}
				</>
			)}
		</aside>
	);
}

interface FoldingProps {
	readonly members: readonly string[] | undefined;
	/** Of the hull; empty for what stands in none. */
	readonly name: string;
	readonly onFold: () => void;
}

function Folding({ members, name, onFold }: FoldingProps): ReactNode {
	if (members === undefined)
		return name === "" ? undefined : (
			<p>
				<button type="button" aria-keyshortcuts="c" onClick={onFold}>
					Fold namespace {shorten(name, 40)} into one node
				</button>
			</p>
		);
	return (
		<section>
			<h3>Folded into this node</h3>
			<ul className="panel-edges">
				{members.slice(0, SHOWN_MEMBERS).map((member) => (
					<li key={member} className="told">
						{shorten(member, 80)}
					</li>
				))}
			</ul>
			{members.length > SHOWN_MEMBERS && <p className="muted">and {formatCount(members.length - SHOWN_MEMBERS)} more</p>}
			<p>
				<button type="button" aria-keyshortcuts="c" onClick={onFold}>
					Unfold
				</button>
			</p>
		</section>
	);
}

const SHOWN_MEMBERS = 12;

/** `1,200 requests, 3 connections, 2.5 % errors`: the two units are never added up. */
function totals(requests: number, connections: number, errors: number): string {
	const all = requests + connections;
	if (all === 0) return "nothing";
	const parts = [
		requests > 0 && `${formatCount(requests)} requests`,
		connections > 0 && `${formatCount(connections)} connections`,
	];
	return `${parts.filter((part) => part !== false).join(", ")}, ${formatPercent((100 * errors) / all)} failed`;
}

interface EdgesProps {
	readonly title: string;
	readonly edges: readonly GraphEdgeAnswer[];
	readonly end: "source" | "target";
	readonly onOpen: (edgeId: string) => void;
}

function Edges({ title, edges, end, onOpen }: EdgesProps): ReactNode {
	if (edges.length === 0) return undefined;
	return (
		<section>
			<h3>{title}</h3>
			<ul className="panel-edges">
				{edges.map((edge) => (
					<li key={edge.id}>
						<button type="button" className="quiet" onClick={() => onOpen(edge.id)}>
							<bdi className="one-line">{shorten(edge[end], 60)}</bdi>
							<span className="muted">
								{rateText(edge)}, {errorsText(edge)} errors, {mtlsText(edge)}
							</span>
						</button>
					</li>
				))}
			</ul>
		</section>
	);
}
