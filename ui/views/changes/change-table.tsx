/** The changed edges, each with what it was and is, and the way to traces that show it. */
import { useState } from "react";
import type { ReactNode } from "react";
import type { GraphDiffAnswer } from "../../../api/contract/topology.ts";
import { Link } from "../../base/link.tsx";
import { edgeHref, tracesHref } from "../../base/router.ts";
import { useEdgeSamples } from "../../data/audit-queries.ts";
import { sideFigures } from "../../data/change-sides.ts";
import type { SideFigure } from "../../data/change-sides.ts";
import { CHANGE_KINDS, effectsOf, isOfKind, traceFilterOf } from "../../data/graph-changes.ts";
import type { ChangeKind, EdgeChange } from "../../data/graph-changes.ts";
import { serviceOfNode } from "../../data/node-name.ts";
import { Samples } from "../cells.tsx";
import { serviceColumn } from "../columns.tsx";
import { DataTable } from "../data-table.tsx";
import type { Column } from "../data-table.tsx";

interface Ranked {
	readonly rank: number;
	readonly change: EdgeChange;
}

interface ChangeTableProps {
	readonly diff: GraphDiffAnswer;
	readonly kind: ChangeKind | undefined;
}

function changeColumns(diff: GraphDiffAnswer): readonly Column<Ranked>[] {
	return [
		{ key: "rank", title: "Rank", value: ({ rank }) => rank },
		serviceColumn("source", "Caller", ({ change }) => change.source, diff.window, { heads: true }),
		serviceColumn("target", "Callee", ({ change }) => change.target, diff.window),
		{ key: "protocol", title: "Protocol", value: ({ change }) => change.protocol },
		{
			key: "changes",
			title: "What changed",
			value: ({ change }) =>
				effectsOf(change)
					.map(({ kind: what, from, to }) => `${CHANGE_KINDS[what]}: ${from} → ${to}`)
					.join("; "),
			cell: ({ change }) => <Effects change={change} />,
		},
		sideColumn("before", "Before", diff.baseline, ({ change }) => sideFigures(change, change.before)),
		sideColumn("after", "After", diff.window, ({ change }) => sideFigures(change, change.after)),
		{ key: "score", title: "Traffic × effect", number: true, value: ({ change }) => Number(change.score.toPrecision(3)) },
		{
			key: "edge",
			title: "Evidence",
			value: ({ change }) => change.id,
			cell: ({ change }) => <EdgeTraces change={change} diff={diff} />,
		},
	];
}

/** One window's figures of the edge: the two stand side by side. */
function sideColumn(
	key: string,
	title: string,
	window: GraphDiffAnswer["window"],
	read: (row: Ranked) => readonly SideFigure[] | undefined,
): Column<Ranked> {
	return {
		key,
		title,
		value: (row) =>
			read(row)
				?.map(({ name, text }) => `${name}: ${text}`)
				.join("; "),
		cell: (row) => {
			const figures = read(row);
			if (figures === undefined) return <span className="muted">not there</span>;
			return (
				<ul className="side-figures">
					{figures.map(({ name, text, isChanged }) => (
						<li key={name}>{isChanged ? <strong>{text}</strong> : text}</li>
					))}
					<li>
						<Link href={edgeHref(row.change.id, window)} aria-label={`Graph ${title.toLowerCase()}`}>
							Graph
						</Link>
					</li>
				</ul>
			);
		},
	};
}

export function ChangeTable({ diff, kind }: ChangeTableProps): ReactNode {
	const rows = diff.changes
		.map((change, i): Ranked => ({ rank: i + 1, change }))
		.filter(({ change }) => isOfKind(change, kind));
	return (
		<DataTable
			name="changes"
			title={kind === undefined ? "Changed edges" : CHANGE_KINDS[kind]}
			note="By traffic times effect, greatest first. What chance alone explains is left out; one request in plaintext never is."
			empty={
				kind === undefined
					? "Nothing: in both windows the same edges carry the same, as far as chance tells. Compare other windows above."
					: "No edge changed in this way between the two windows."
			}
			columns={changeColumns(diff)}
			rows={rows}
			rowKey={({ change }) => change.id}
			asOf={diff.window.to}
		/>
	);
}

function Effects({ change }: { readonly change: EdgeChange }): ReactNode {
	return (
		<ul className="effects">
			{effectsOf(change).map(({ kind, what, from, to }) => (
				<li key={kind}>
					<span className={`badge badge-${kind}`}>{CHANGE_KINDS[kind]}</span> {what === "" ? "" : `${what} `}
					<span className="from">{from}</span> <span aria-hidden="true">→</span>
					<span className="hidden-label">, now</span> <strong>{to}</strong>
				</li>
			))}
			{!change.certain && <li className="muted">So quiet that the other window may have missed it by chance.</li>}
		</ul>
	);
}

/** Asked for one edge at a time: an answer holds the whole histogram of it. */
function EdgeTraces({ change, diff }: { readonly change: EdgeChange; readonly diff: GraphDiffAnswer }): ReactNode {
	const [open, setOpen] = useState(false);
	const { from, to } = change.kind === "gone" ? diff.baseline : diff.window;
	const samples = useEdgeSamples({ id: change.id, from, to, enabled: open });
	const more = tracesHref({ from, to, service: serviceOfNode(change.source), ...traceFilterOf(change) });
	if (!open)
		return (
			<span className="samples">
				<button type="button" className="small-button" onClick={() => setOpen(true)}>
					Samples
				</button>
				<Link href={edgeHref(change.id, { from, to })}>Edge</Link>
			</span>
		);
	if (samples.isPending) return <span className="muted">Reading…</span>;
	return <Samples samples={samples.data ?? []} more={more} edge={edgeHref(change.id, { from, to })} />;
}
