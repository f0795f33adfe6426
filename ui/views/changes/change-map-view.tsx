/**
 * The changed edges drawn: callers left, callees right; what came, went or got worse is told by line, sign and word. Each line is a link
 * to its edge; the drawing is one stop of the Tab key, and arrows go from line to line.
 */
import type { KeyboardEvent, ReactNode } from "react";
import type { GraphDiffAnswer } from "../../../api/contract/topology.ts";
import { shorten } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { edgeHref } from "../../base/router.ts";
import { CHANGE_KINDS, effectsOf } from "../../data/graph-changes.ts";
import type { ChangeKind, EdgeChange } from "../../data/graph-changes.ts";
import { changeMap } from "../../layout/change-map.ts";

interface ChangeMapViewProps {
	readonly diff: GraphDiffAnswer;
	/** Those that are listed, in their order. */
	readonly changes: readonly EdgeChange[];
}

/** More than these are a tangle; the table has all of them. */
const MOST_DRAWN = 30;
const ROW = 30;
const WIDTH = 900;
const LEFT = 300;
const RIGHT = 600;

/** Beside the colour: a sign on the line, and its dashes. */
const SIGNS: Readonly<Record<ChangeKind, string>> = {
	"encryption-lost": "⊘",
	failing: "!",
	slower: "▲",
	new: "+",
	gone: "×",
	"encryption-gained": "✓",
	recovered: "✓",
	faster: "▼",
	"more-traffic": "↑",
	"less-traffic": "↓",
};

export function ChangeMapView({ diff, changes }: ChangeMapViewProps): ReactNode {
	const drawn = changes.slice(0, MOST_DRAWN);
	if (drawn.length === 0) return undefined;
	const { sources, targets, rows } = changeMap(drawn);
	const height = rows * ROW + 12;
	const y = (row: number, size: number): number => 6 + ((row + 0.5) * rows * ROW) / size;
	const met = [...new Set(drawn.map((change) => kindOf(change)))];
	return (
		<figure className="card chart change-map" aria-labelledby="change-map-title">
			<h3 id="change-map-title">
				Drawn{" "}
				<span className="muted">
					{changes.length > drawn.length
						? `the first ${drawn.length} of ${changes.length}`
						: "callers left, callees right"}
				</span>
			</h3>
			<div className="change-map-scroll">
				<svg
					viewBox={`0 0 ${WIDTH} ${height}`}
					width={WIDTH}
					height={height}
					role="group"
					aria-label="Changed edges, also listed below"
				>
					{drawn.map((change, i) => {
						const [from, to] = [
							y(sources.get(change.source)!, sources.size),
							y(targets.get(change.target)!, targets.size),
						];
						const kind = kindOf(change);
						const window = change.kind === "gone" ? diff.baseline : diff.window;
						return (
							<Link
								key={change.id}
								className={`change-line change-${kind}`}
								href={edgeHref(change.id, { from: window.from, to: window.to })}
								aria-label={sentence(change)}
								tabIndex={i === 0 ? 0 : -1}
								onKeyDown={stepBetweenLines}
							>
								<title>{sentence(change)}</title>
								<path d={`M${LEFT} ${from}C${LEFT + 120} ${from} ${RIGHT - 120} ${to} ${RIGHT} ${to}`} />
								<path className="change-arrow" d={`M${RIGHT - 9} ${to - 4}l9 4l-9 4z`} />
								<circle cx={(LEFT + RIGHT) / 2} cy={(from + to) / 2} r="9" />
								<text x={(LEFT + RIGHT) / 2} y={(from + to) / 2 + 4} textAnchor="middle">
									{SIGNS[kind]}
								</text>
							</Link>
						);
					})}
					{[...sources].map(([name, row]) => (
						<text key={name} className="change-name" x={LEFT - 8} y={y(row, sources.size) + 4} textAnchor="end">
							{shorten(name, 42)}
						</text>
					))}
					{[...targets].map(([name, row]) => (
						<text key={name} className="change-name" x={RIGHT + 8} y={y(row, targets.size) + 4}>
							{shorten(name, 42)}
						</text>
					))}
				</svg>
			</div>
			<figcaption className="chart-legend">
				{met.map((kind) => (
					<span key={kind}>
						<svg className={`change-line change-${kind}`} width="44" height="20" aria-hidden="true">
							<path d="M0 10H44" />
							<circle cx="22" cy="10" r="9" />
							<text x="22" y="14" textAnchor="middle">
								{SIGNS[kind]}
							</text>
						</svg>
						{CHANGE_KINDS[kind]}
					</span>
				))}
			</figcaption>
		</figure>
	);
}

const STEPS: Readonly<Record<string, (at: number, count: number) => number>> = {
	ArrowDown: (at, count) => Math.min(at + 1, count - 1),
	ArrowUp: (at) => Math.max(at - 1, 0),
	Home: () => 0,
	End: (_, count) => count - 1,
};

function stepBetweenLines(event: KeyboardEvent<HTMLAnchorElement>): void {
	const step = STEPS[event.key];
	if (step === undefined) return;
	const lines = [...(event.currentTarget.closest("svg")?.querySelectorAll("a") ?? [])];
	const at = lines.findIndex((line) => line === document.activeElement);
	event.preventDefault();
	lines[step(at, lines.length)]?.focus();
}

/** What an edge is drawn as: the greatest of its changes. */
function kindOf(change: EdgeChange): ChangeKind {
	return effectsOf(change)[0]?.kind ?? "new";
}

function sentence(change: EdgeChange): string {
	const what = effectsOf(change).map(({ kind, from, to }) => `${CHANGE_KINDS[kind].toLowerCase()}, ${from} → ${to}`);
	return `${shorten(change.source, 60)} → ${shorten(change.target, 60)}: ${what.join("; ")}`;
}
