/** What the graph shows: range, grouping, label, drawing or table, find and hide, live or paused. Each choice is an address. */
import { useEffect, useId, useMemo, useState } from "react";
import type { ReactNode } from "react";
import type { GraphAnswer } from "../../../api/contract/topology.ts";
import { Icon } from "../../base/icons.tsx";
import { Link } from "../../base/link.tsx";
import { countOf } from "../../base/format.ts";
import { hrefWith, navigate } from "../../base/router.ts";
import { readHistorySettings } from "../../data/graph-history.ts";
import type { Vocabulary } from "../../data/graph-completion.ts";
import type { GraphModel } from "../../data/graph-model.ts";
import { EDGE_LABELS, isOpenEnded } from "../../data/graph-settings.ts";
import type { GraphSettings } from "../../data/graph-settings.ts";
import { momentProblem, RANGES } from "../../data/trace-filter.ts";
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

type Apply = (change: Readonly<Record<string, string | undefined>>) => void;

export function GraphToolbar({ params, settings, model, graph, isLost }: GraphToolbarProps): ReactNode {
	const vocabulary = useMemo(() => vocabularyOf(graph), [graph]);
	const apply: Apply = (change) => navigate(hrefWith("/", params, change));
	// Another grouping has other nodes: what was open is not among them.
	const regroup = (groupBy: string): void => apply({ groupBy, edge: undefined, node: undefined });
	return (
		<section className="graph-toolbar" aria-label="What the graph shows">
			<Range settings={settings} isToldBelow={readHistorySettings(params).isShown} apply={apply} />
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
			<Live params={params} settings={settings} isLost={isLost} />
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

function Live({ params, settings, isLost }: Pick<GraphToolbarProps, "params" | "settings" | "isLost">): ReactNode {
	const { live } = settings;
	const isOn = live && isOpenEnded(settings);
	return (
		<span className="live">
			<span className={isOn && !isLost ? "live-state live-on" : "live-state"} role="status">
				{!isOpenEnded(settings) ? "Fixed range" : !live ? "Paused" : isLost ? "Trying again" : "Live, every 5 s"}
			</span>
			{isOpenEnded(settings) && (
				<button
					type="button"
					aria-keyshortcuts="p"
					onClick={() => navigate(hrefWith("/", params, { live: live ? "off" : undefined }), { replace: true })}
				>
					<Icon name={live ? "pause" : "play"} />
					{live ? "Pause" : "Resume"}
				</button>
			)}
		</span>
	);
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

const RANGE_OPTIONS = [...RANGES.map(({ from, label }) => ({ key: from, label })), { key: "custom", label: "From … to …" }];

interface RangeProps {
	readonly settings: GraphSettings;
	/** The scrubber says which window it is: boxes that come and go with it would move the sheet. */
	readonly isToldBelow: boolean;
	readonly apply: Apply;
}

function Range({ settings: { from, to }, isToldBelow, apply }: RangeProps): ReactNode {
	const isOffered = to === "" && RANGES.some((range) => range.from === from);
	const [isOpen, setOpen] = useState(false);
	const isPast = !isOpen && !isOffered && isToldBelow;
	const isCustom = !isPast && (isOpen || !isOffered);
	return (
		<>
			<Choice
				label="Time"
				value={isCustom ? "custom" : isPast ? "history" : from}
				options={isPast ? [{ key: "history", label: "From history" }, ...RANGE_OPTIONS] : RANGE_OPTIONS}
				onChoose={(key) => {
					setOpen(key === "custom");
					if (key !== "custom") apply({ from: key, to: undefined });
				}}
			/>
			{isCustom && (
				<>
					<DraftBox
						label="From"
						value={from}
						placeholder="now-2h"
						check={momentProblem}
						onApply={(text) => apply({ from: text })}
					/>
					<DraftBox
						label="To"
						value={to}
						placeholder="now"
						check={momentProblem}
						onApply={(text) => apply({ to: text })}
					/>
				</>
			)}
		</>
	);
}

interface DraftBoxProps {
	readonly label: string;
	readonly value: string;
	readonly placeholder: string;
	readonly check: (text: string) => ReactNode;
	readonly onApply: (text: string) => void;
}

/** A text that is applied on Enter or when it is left, and only when nothing is wrong with it. */
function DraftBox({ label, value, placeholder, check, onApply }: DraftBoxProps): ReactNode {
	const [draft, setDraft] = useState(value);
	const id = useId();
	useEffect(() => setDraft(value), [value]);
	const problem = check(draft);
	const commit = (): void => {
		if (problem === undefined && draft.trim() !== value) onApply(draft.trim());
	};
	return (
		<div className="filter graph-moment">
			<label htmlFor={id}>{label}</label>
			<input
				id={id}
				type="text"
				value={draft}
				placeholder={placeholder}
				autoComplete="off"
				spellCheck={false}
				aria-invalid={problem !== undefined}
				aria-describedby={problem === undefined ? undefined : `${id}-problem`}
				onChange={(event) => setDraft(event.target.value)}
				onBlur={commit}
				onKeyDown={(event) => {
					if (event.key === "Enter") commit();
					if (event.key === "Escape") setDraft(value);
				}}
			/>
			{problem !== undefined && (
				<div className="filter-problem graph-problem" id={`${id}-problem`}>
					{problem}
				</div>
			)}
		</div>
	);
}
