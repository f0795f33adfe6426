/** What the graph shows: range, grouping, label, drawing or table, find and hide, live or paused. Each choice is an address. */
import { useId, useMemo } from "react";
import type { ReactNode } from "react";
import type { GraphAnswer } from "../../../api/contract/topology.ts";
import { Link } from "../../base/link.tsx";
import { countOf } from "../../base/format.ts";
import { hrefWith, navigate } from "../../base/router.ts";
import { readHistorySettings } from "../../data/graph-history.ts";
import type { Vocabulary } from "../../data/graph-completion.ts";
import type { GraphModel } from "../../data/graph-model.ts";
import { EDGE_LABELS, isOpenEnded } from "../../data/graph-settings.ts";
import type { GraphSettings } from "../../data/graph-settings.ts";
import { RangeFields } from "../fields.tsx";
import type { Change } from "../fields.tsx";
import { Live } from "../live.tsx";
import { ExpressionBox } from "./expression-box.tsx";
import { ExpressionHelp } from "./expression-help.tsx";

interface GraphToolbarProps {
	readonly params: URLSearchParams;
	readonly settings: GraphSettings;
	readonly model: GraphModel | undefined;
	/** All of it, hidden or not: names to complete. */
	readonly graph: GraphAnswer | undefined;
	readonly isLost: boolean;
}

export function GraphToolbar({ params, settings, model, graph, isLost }: GraphToolbarProps): ReactNode {
	const vocabulary = useMemo(() => vocabularyOf(graph), [graph]);
	const apply = (change: Change): void => navigate(hrefWith("/", params, change));
	// Another grouping has other nodes: what was open is not among them.
	const regroup = (groupBy: string): void => apply({ groupBy, edge: undefined, node: undefined });
	return (
		<section className="graph-toolbar" aria-label="What the graph shows">
			<RangeFields
				from={settings.from}
				to={settings.to}
				isToldBelow={readHistorySettings(params).isShown}
				onApply={apply}
			/>
			<Choice label="Group by" value={settings.groupBy} onChoose={regroup} options={GROUP_OPTIONS} />
			<Choice label="Edge label" value={settings.label} onChoose={(label) => apply({ label })} options={EDGE_LABELS} />
			<ExpressionBox label="Find" value={settings.find} vocabulary={vocabulary} onApply={(text) => apply({ find: text })} />
			<ExpressionBox label="Hide" value={settings.hide} vocabulary={vocabulary} onApply={(text) => apply({ hide: text })} />
			<ExpressionHelp onFind={(text) => apply({ find: text })} />
			{settings.collapsed !== "" && (
				<button type="button" onClick={() => apply({ collapsed: undefined, edge: undefined, node: undefined })}>
					Unfold all
				</button>
			)}
			<span className="graph-counts muted" role="status">
				{model !== undefined && countsText(model)}
			</span>
			{!readHistorySettings(params).isShown && (
				<button type="button" onClick={() => apply({ history: undefined })}>
					History
				</button>
			)}
			<span className="graph-views" role="group" aria-label="Show as">
				<Link
					className="button-link"
					href={hrefWith("/", params, { view: undefined })}
					aria-current={settings.isTable ? undefined : "true"}
				>
					Graph
				</Link>
				<Link
					className="button-link"
					href={hrefWith("/", params, { view: "table" })}
					aria-current={settings.isTable ? "true" : undefined}
				>
					Table
				</Link>
			</span>
			<Live live={settings.live} isOpenEnded={isOpenEnded(settings)} isLost={isLost} />
		</section>
	);
}

function vocabularyOf(graph: GraphAnswer | undefined): Vocabulary {
	const keysOf = (read: (edge: GraphAnswer["edges"][number]) => object): readonly string[] => [
		...new Set(graph?.edges.flatMap((edge) => Object.keys(read(edge)))),
	];
	return { nodes: graph?.nodes ?? [], codes: keysOf(({ codes }) => codes), flags: keysOf(({ flags }) => flags) };
}

const GROUP_OPTIONS = [
	{ key: "service", label: "Service" },
	{ key: "workload", label: "Workload" },
	{ key: "namespace", label: "Namespace" },
] as const;

function countsText({ nodes, edges, found, hiddenCount }: GraphModel): string {
	const parts = [countOf(nodes.length, "node"), countOf(edges.length, "edge")];
	if (found !== undefined) parts.push(`${found.size} found`);
	if (hiddenCount > 0) parts.push(`${hiddenCount} hidden`);
	return parts.join(", ");
}

interface ChoiceProps {
	readonly label: string;
	readonly value: string;
	readonly options: readonly { readonly key: string; readonly label: string }[];
	readonly onChoose: (key: string) => void;
}

function Choice({ label, value, options, onChoose }: ChoiceProps): ReactNode {
	const id = useId();
	return (
		<div className="filter">
			<label htmlFor={id}>{label}</label>
			<select id={id} value={value} onChange={(event) => onChoose(event.target.value)}>
				{options.map((option) => (
					<option key={option.key} value={option.key}>
						{option.label}
					</option>
				))}
			</select>
		</div>
	);
}
