/** What the graph shows: range, grouping, label, drawing or table, find and hide, live or paused. Each choice is an address. */
import { useEffect, useId, useRef, useState } from "react";
import type { ReactNode } from "react";
import { Link } from "../../base/link.tsx";
import { countOf } from "../../base/format.ts";
import { hrefWith, navigate } from "../../base/router.ts";
import { EXPRESSION_FIELDS, parseExpression } from "../../data/graph-expression.ts";
import type { ParsedExpression } from "../../data/graph-expression.ts";
import { readHistorySettings } from "../../data/graph-history.ts";
import type { GraphModel } from "../../data/graph-model.ts";
import { EDGE_LABELS, isOpenEnded } from "../../data/graph-settings.ts";
import type { GraphSettings } from "../../data/graph-settings.ts";
import { RangeFields } from "../fields.tsx";
import type { Change } from "../fields.tsx";
import { Live } from "../live.tsx";

interface GraphToolbarProps {
	readonly params: URLSearchParams;
	readonly settings: GraphSettings;
	readonly model: GraphModel | undefined;
	readonly isLost: boolean;
	readonly find: ParsedExpression | undefined;
	readonly hide: ParsedExpression | undefined;
}

export function GraphToolbar({ params, settings, model, isLost, find, hide }: GraphToolbarProps): ReactNode {
	const apply = (change: Change): void => navigate(hrefWith("/", params, change));
	// Another grouping has other nodes: what was open is not among them.
	const regroup = (groupBy: string): void => apply({ groupBy, edge: undefined, node: undefined });
	return (
		<section className="graph-toolbar" aria-label="What the graph shows">
			<RangeFields
				from={settings.from}
				to={settings.to}
				isToldElsewhere={readHistorySettings(params).isShown}
				onApply={apply}
			/>
			<Choice label="Group by" value={settings.groupBy} onChoose={regroup} options={GROUP_OPTIONS} />
			<Choice label="Edge label" value={settings.label} onChoose={(label) => apply({ label })} options={EDGE_LABELS} />
			<ExpressionBox label="Find" value={settings.find} onApply={(text) => apply({ find: text })} parsed={find} />
			<ExpressionBox label="Hide" value={settings.hide} onApply={(text) => apply({ hide: text })} parsed={hide} />
			<ExpressionHelp />
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
		<div className="filter graph-expression">
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

interface ExpressionBoxProps {
	readonly label: "Find" | "Hide";
	readonly value: string;
	readonly parsed: ParsedExpression | undefined;
	readonly onApply: (text: string) => void;
}

function ExpressionBox({ label, value, onApply }: ExpressionBoxProps): ReactNode {
	const placeholder = label === "Find" ? "p95 > 200ms and mtls < 100" : "kind = external";
	return <DraftBox label={label} value={value} placeholder={placeholder} check={expressionProblem} onApply={onApply} />;
}

/** The text with a mark under the character at which it goes wrong, and why. */
function expressionProblem(text: string): ReactNode {
	const parsed = parseExpression(text);
	if (parsed === undefined || "matches" in parsed) return undefined;
	const start = Math.max(0, parsed.at - 24);
	return (
		<>
			<span className="graph-problem-text mono">
				{text.slice(start, parsed.at)}
				<mark>{text.slice(parsed.at, parsed.at + 1).trim() === "" ? "␣" : text[parsed.at]}</mark>
				{text.slice(parsed.at + 1, parsed.at + 12)}
			</span>
			<span>
				Character {parsed.at + 1}: {parsed.problem}
			</span>
		</>
	);
}

function ExpressionHelp(): ReactNode {
	const dialog = useRef<HTMLDialogElement>(null);
	return (
		<>
			<button
				type="button"
				className="quiet graph-help-button"
				aria-label="How to find"
				title="How to find and hide"
				onClick={() => dialog.current?.showModal()}
			>
				?
			</button>
			<dialog ref={dialog} className="help card" aria-labelledby="find-help-title">
				<header>
					<h2 id="find-help-title">Find and hide</h2>
					<button type="button" className="quiet" onClick={() => dialog.current?.close()}>
						Close
					</button>
				</header>
				<p>
					Compare fields and join the comparisons with <code>and</code>, <code>or</code>, <code>not</code> and brackets.
					Begin a comparison with <code>edge</code> or <code>node</code> to mean only these. Find lights up what
					matches; hide takes it away. <code>~</code> means contains.
				</p>
				<p>
					<code>edge p95 &gt; 200ms and mtls &lt; 100</code> <code>node kind = external</code>{" "}
					<code>(errors &gt; 1% or rate &gt; 5) and not namespace = shop</code>
				</p>
				<table className="graph-help-table">
					<thead>
						<tr>
							<th scope="col">Field</th>
							<th scope="col">Example</th>
							<th scope="col">Meaning</th>
						</tr>
					</thead>
					<tbody>
						{EXPRESSION_FIELDS.map(({ name, example, help }) => (
							<tr key={name}>
								<th scope="row">{name}</th>
								<td>
									<code>{example}</code>
								</td>
								<td>{help}</td>
							</tr>
						))}
					</tbody>
				</table>
			</dialog>
		</>
	);
}
