/** Two windows of the graph side by side: what came, went, slowed down, fails or lost its encryption, greatest first. */
import { useEffect } from "react";
import type { ReactNode } from "react";
import type { GraphDiffAnswer } from "../../../api/contract/topology.ts";
import { formatCount, formatSpanOfTime, formatUtcMs } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { hrefWith, navigate, useLocation } from "../../base/router.ts";
import { useGraphDiff } from "../../data/audit-queries.ts";
import { totalsTexts, windowTotals } from "../../data/change-sides.ts";
import { CHANGE_KINDS, effectsOf, isChangeKind, isOfKind } from "../../data/graph-changes.ts";
import type { ChangeKind, EdgeChange } from "../../data/graph-changes.ts";
import { useGraph } from "../../data/queries.ts";
import { momentProblem } from "../../data/trace-filter.ts";
import { Labelled, TextFilter } from "../fields.tsx";
import type { Change } from "../fields.tsx";
import { ErrorNotice } from "../notice.tsx";
import { ChangeMapView } from "./change-map-view.tsx";
import { ChangeTable } from "./change-table.tsx";
import { MeshCourse } from "./mesh-course.tsx";
import { ShortHistory } from "./short-history.tsx";

const DEFAULT_FROM = "now-15m";
const WINDOW_PARAMETERS = ["from", "to", "baselineFrom", "baselineTo"] as const;

type Windows = Readonly<Record<(typeof WINDOW_PARAMETERS)[number], string>>;

/** Empty is the API's own default: now, and as long right before. */
const COMPARISONS: readonly ({ readonly label: string } & Windows)[] = [
	{ label: "Last 15 min with the 15 before", from: DEFAULT_FROM, to: "", baselineFrom: "", baselineTo: "" },
	{ label: "Last 15 min with the hour before", from: DEFAULT_FROM, to: "", baselineFrom: "now-75m", baselineTo: DEFAULT_FROM },
	{ label: "Last 15 min with the same of yesterday", ...ago(DEFAULT_FROM, "now-24h15m", "now-24h") },
	{ label: "Last 15 min with the same a week ago", ...ago(DEFAULT_FROM, "now-168h15m", "now-168h") },
	{ label: "Last hour with the hour before", from: "now-1h", to: "", baselineFrom: "", baselineTo: "" },
	{ label: "Last hour with that of yesterday", ...ago("now-1h", "now-25h", "now-24h") },
	{ label: "Last hour with that of a week ago", ...ago("now-1h", "now-169h", "now-168h") },
	{ label: "Last day with the day before", from: "now-24h", to: "", baselineFrom: "", baselineTo: "" },
	{ label: "Last day with that of a week ago", ...ago("now-24h", "now-8d", "now-7d") },
];

function ago(from: string, baselineFrom: string, baselineTo: string): Windows {
	return { from, to: "", baselineFrom, baselineTo };
}

export function ChangesView(): ReactNode {
	const { path, params } = useLocation();
	const windows: Windows = {
		from: params.get("from") ?? DEFAULT_FROM,
		to: params.get("to") ?? "",
		baselineFrom: params.get("baselineFrom") ?? "",
		baselineTo: params.get("baselineTo") ?? "",
	};
	const query = new URLSearchParams(Object.entries(windows).filter(([, value]) => value !== "")).toString();
	const diff = useGraphDiff(query, windows.to === "");
	const asked = params.get("kind") ?? "";
	const kind = isChangeKind(asked) ? asked : undefined;
	useEffect(() => {
		document.title = "Changes · meshscope";
	}, []);
	return (
		<div className="page">
			<h1>Changes</h1>
			<WindowFields windows={windows} onApply={(change) => navigate(hrefWith(path, params, change))} />
			{diff.isError && <ErrorNotice error={diff.error} what="The two windows could not be compared." />}
			{diff.isPending && <p className="muted">Comparing…</p>}
			{diff.data !== undefined && (
				<div className="audit" aria-busy={diff.isPlaceholderData}>
					<Sides diff={diff.data} />
					<ShortHistory diff={diff.data} />
					<MeshCourse diff={diff.data} />
					<Kinds changes={diff.data.changes} chosen={kind} />
					<ChangeMapView diff={diff.data} changes={diff.data.changes.filter((change) => isOfKind(change, kind))} />
					<ChangeTable diff={diff.data} kind={kind} />
				</div>
			)}
		</div>
	);
}

function WindowFields({
	windows,
	onApply,
}: {
	readonly windows: Windows;
	readonly onApply: (change: Change) => void;
}): ReactNode {
	const chosen = COMPARISONS.findIndex((offered) => WINDOW_PARAMETERS.every((name) => offered[name] === windows[name]));
	return (
		<section className="filters window-fields" aria-label="Windows">
			<Labelled label="Compare">
				{(id) => (
					<select
						id={id}
						value={chosen}
						onChange={(event) => {
							const offered = COMPARISONS[Number(event.target.value)];
							if (offered !== undefined)
								onApply(Object.fromEntries(WINDOW_PARAMETERS.map((name) => [name, offered[name]])));
						}}
					>
						{COMPARISONS.map((offered, i) => (
							<option key={offered.label} value={i}>
								{offered.label}
							</option>
						))}
						{chosen < 0 && <option value={-1}>As typed</option>}
					</select>
				)}
			</Labelled>
			{(
				[
					["from", "From", "now-15m"],
					["to", "To", "now"],
					["baselineFrom", "Baseline from", "equally long"],
					["baselineTo", "Baseline to", "where From is"],
				] as const
			).map(([name, label, placeholder]) => (
				<TextFilter
					key={name}
					label={label}
					placeholder={placeholder}
					value={windows[name]}
					check={momentProblem}
					onApply={(text) => onApply({ [name]: text })}
				/>
			))}
		</section>
	);
}

function Sides({ diff }: { readonly diff: GraphDiffAnswer }): ReactNode {
	return (
		<dl className="facts sides">
			<Side name="Before" window={diff.baseline} />
			<Side name="After" window={diff.window} />
		</dl>
	);
}

function Side({ name, window }: { readonly name: string; readonly window: GraphDiffAnswer["window"] }): ReactNode {
	const [fromMs, toMs] = [Date.parse(window.from), Date.parse(window.to)];
	const range = { from: window.from, to: window.to };
	const graph = useGraph(`${new URLSearchParams(range).toString()}&groupBy=service`, false);
	const totals = graph.data && windowTotals(graph.data);
	return (
		<div className="fact card">
			<dt>{name}</dt>
			<dd className="fact-value">{formatSpanOfTime((toMs - fromMs) / 1_000)}</dd>
			<dd className="fact-more muted">
				{formatUtcMs(fromMs)} to {formatUtcMs(toMs)}
				{window.flushed !== undefined &&
					window.flushed < window.to &&
					`; what came after ${formatUtcMs(Date.parse(window.flushed))} is not counted yet`}
			</dd>
			<dd>
				<ul className="counts">
					{totals !== undefined &&
						totalsTexts(totals).map(([what, text]) => (
							<li key={what}>
								{what} <strong>{text}</strong>
							</li>
						))}
					<li>
						<Link href={hrefWith("/", new URLSearchParams(), range)} aria-label={`The graph ${name.toLowerCase()}`}>
							Graph
						</Link>
					</li>
				</ul>
			</dd>
		</div>
	);
}

/** How many edges changed in which way; each narrows the table. */
function Kinds(props: { readonly changes: readonly EdgeChange[]; readonly chosen: ChangeKind | undefined }): ReactNode {
	const { changes, chosen } = props;
	const { path, params } = useLocation();
	const counts = new Map<ChangeKind, number>();
	for (const change of changes)
		for (const kind of new Set(effectsOf(change).map((effect) => effect.kind))) counts.set(kind, (counts.get(kind) ?? 0) + 1);
	const kinds = (Object.keys(CHANGE_KINDS) as ChangeKind[]).filter((kind) => counts.has(kind) || kind === chosen);
	if (kinds.length === 0) return undefined;
	return (
		<nav className="kinds" aria-label="Kinds of change">
			<Link href={hrefWith(path, params, { kind: undefined })} aria-current={chosen === undefined ? "true" : undefined}>
				All <span className="number">{formatCount(changes.length)}</span>
			</Link>
			{kinds.map((kind) => (
				<Link key={kind} href={hrefWith(path, params, { kind })} aria-current={chosen === kind ? "true" : undefined}>
					{CHANGE_KINDS[kind]} <span className="number">{formatCount(counts.get(kind) ?? 0)}</span>
				</Link>
			))}
		</nav>
	);
}
