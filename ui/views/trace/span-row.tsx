/** One row of the waterfall: its place in the tree, its bar, its duration. */
import { memo } from "react";
import type { ReactNode } from "react";
import { formatDuration, fromStart, serviceLabel, shorten } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";
import type { TracedCall } from "../../layout/trace/calls.ts";
import { recordsText } from "../../layout/trace/log-marks.ts";
import type { LogMark } from "../../layout/trace/log-marks.ts";
import type { PathPiece } from "../../layout/trace/critical-path.ts";
import type { FoldedWaterfall } from "../../layout/trace/fold.ts";
import { barOf } from "../../layout/timeline.ts";
import type { Viewport } from "../../layout/timeline.ts";
import {
	hasChildren,
	MARK_CYCLE,
	MARK_NEGATIVE,
	MARK_NO_TIME,
	MARK_ORPHAN,
	MARK_SAME_ID,
	MARK_SKEW,
} from "../../layout/waterfall.ts";
import type { Waterfall } from "../../layout/waterfall.ts";
import { CallBar, CallLock, CallName, Tries, partsText } from "./call-cells.tsx";
import { LogMarks } from "./log-marks.tsx";

/** Pixels, as in trace.css. */
export const ROW_HEIGHT = 26;
const INDENT = 14;
/** Deeper rows are not indented further: the name must keep room. */
const MAX_INDENT_DEPTH = 18;

export const MARK_MEANINGS: readonly (readonly [number, string, string])[] = [
	[
		MARK_ORPHAN,
		"parent not here",
		"The parent it names is not among the spans: not arrived, not sampled, or dropped by the sender.",
	],
	[MARK_CYCLE, "parents in a cycle", "It is its own ancestor; shown as a root."],
	[MARK_SAME_ID, "span ID used twice", "Another span of this trace has the same ID."],
	[MARK_SKEW, "starts before its parent", "Its clock and its parent's differ. Bars stand where the senders put them."],
	[MARK_NEGATIVE, "ends before it starts", "Shown without length."],
	[MARK_NO_TIME, "no start time", "Shown where its parent starts."],
];

export function rowElementId(row: number): string {
	return `span-row-${row}`;
}

interface SpanRowProps {
	readonly waterfall: FoldedWaterfall;
	readonly row: number;
	/** Among the visible rows. */
	readonly position: number;
	readonly slot: number;
	readonly view: Viewport;
	readonly current: boolean;
	readonly collapsed: boolean;
	readonly dimmed: boolean;
	/** On the critical path, where that is shown. */
	readonly path: readonly PathPiece[] | undefined;
	/** Of its log records, in order of time. */
	readonly logs: readonly LogMark[] | undefined;
	/** The one that begins at the row. */
	readonly call: TracedCall | undefined;
	readonly isFolded: boolean;
}

/** Clicks and keys are the grid's (waterfall-view.tsx), so a row is drawn again only when what it shows changes. */
export const SpanRow = memo(function SpanRow(props: SpanRowProps): ReactNode {
	const { waterfall, row, position, slot, view, current, collapsed, dimmed, path, logs, call, isFolded } = props;
	const span = waterfall.spans[row]!;
	const depth = waterfall.depth[row]!;
	const parent = hasChildren(waterfall, row);
	const failed = waterfall.failed[row] === 1;
	const marks = waterfall.marks[row]!;
	const folded = isFolded ? call : undefined;
	const timeText = [
		`starts at ${fromStart(waterfall.offsetNs[row]!)}`,
		...(folded === undefined ? [] : [partsText(waterfall.whole, folded)]),
		...(path === undefined ? [] : ["on the critical path"]),
		...(logs === undefined ? [] : [recordsText(logs)]),
	].join(", ");
	const indent = Math.min(depth, MAX_INDENT_DEPTH) * INDENT;
	return (
		<div
			id={rowElementId(row)}
			data-row={row}
			className={`span-row slot-${slot}${current ? " span-current" : ""}${dimmed ? " span-dimmed" : ""}`}
			role="row"
			aria-rowindex={position + 2}
			aria-level={depth + 1}
			aria-expanded={parent ? !collapsed : undefined}
			aria-selected={current}
			style={{ transform: `translateY(${position * ROW_HEIGHT}px)` }}
		>
			<div className="span-name" role="gridcell" style={{ paddingInlineStart: `${8 + indent}px` }}>
				{parent ? (
					<button type="button" className="twisty" tabIndex={-1} aria-label={collapsed ? "Expand" : "Collapse"}>
						<Icon name="chevron" />
					</button>
				) : (
					<span className="twisty" />
				)}
				<span className="span-slot" aria-hidden="true" />
				{folded === undefined ? (
					<span
						className="one-line"
						title={`${serviceLabel(waterfall.services[waterfall.service[row]!]!)} ${shorten(span.name ?? "")}`}
					>
						<bdi className="span-service">{serviceLabel(waterfall.services[waterfall.service[row]!]!)}</bdi>{" "}
						<bdi className="span-operation">{shorten(span.name ?? "")}</bdi>
					</span>
				) : (
					<CallName waterfall={waterfall.whole} call={folded} operation={span.name ?? ""} />
				)}
				{call !== undefined && (
					<CallLock call={call} startNano={waterfall.whole.spans[call.rows[0]!]!.startTimeUnixNano} />
				)}
				{call !== undefined && call.rows.length > 1 && (
					<button type="button" className="call-fold" tabIndex={-1} data-fold="" aria-expanded={!isFolded}>
						{isFolded ? `${call.rows.length} spans` : "fold"}
					</button>
				)}
				{folded !== undefined && folded.hop.attempts > 1 && <Tries waterfall={waterfall.whole} call={folded} />}
				{collapsed && (
					<span className="span-hidden">
						+{waterfall.memberStart[waterfall.subtreeEnd[row]!]! - waterfall.memberStart[row + 1]!}
					</span>
				)}
				{failed && <span className="span-failed">error</span>}
				{marks !== 0 && (
					<span className="span-mark" title={marksText(marks)}>
						<Icon name="alert" />
						<span className="hidden-label">{marksText(marks)}</span>
					</span>
				)}
			</div>
			<div className="span-time" role="gridcell" aria-label={timeText} title={folded === undefined ? undefined : timeText}>
				<Bar waterfall={waterfall} row={row} view={view} failed={failed} thin={folded !== undefined} />
				{folded !== undefined && <CallBar waterfall={waterfall.whole} call={folded} view={view} failed={failed} />}
				{path !== undefined && <PathLine path={path} view={view} />}
				{logs !== undefined && <LogMarks marks={logs} view={view} />}
			</div>
			<div className="span-length" role="gridcell">
				{formatDuration(waterfall.lengthNs[row]!)}
			</div>
		</div>
	);
});

function marksText(marks: number): string {
	return MARK_MEANINGS.filter(([mark]) => (marks & mark) !== 0)
		.map(([, name]) => name)
		.join(", ");
}

interface BarProps {
	readonly waterfall: Waterfall;
	readonly row: number;
	readonly view: Viewport;
	readonly failed: boolean;
	/** What else is drawn tells its parts. */
	readonly thin: boolean;
}

/** The bar, or an arrow to where it lies when the zoom leaves it out. */
function Bar({ waterfall, row, view, failed, thin }: BarProps): ReactNode {
	const bar = barOf(view, waterfall.offsetNs[row]!, waterfall.lengthNs[row]!);
	if (bar === undefined) {
		const before = waterfall.offsetNs[row]! < view.fromNs;
		return <span className={before ? "span-outside" : "span-outside span-outside-after"}>{before ? "◂" : "▸"}</span>;
	}
	return (
		<span
			className={`span-bar${failed ? " span-bar-failed" : ""}${thin ? " span-bar-thin" : ""}`}
			style={{ insetInlineStart: `${bar.left}%`, inlineSize: `${bar.width}%` }}
		/>
	);
}

/** Percent of the width: pieces nearer to each other are drawn as one, so that a row draws a few hundred at most. */
const PIECE_GAP = 0.2;

function PathLine({ path, view }: { readonly path: readonly PathPiece[]; readonly view: Viewport }): ReactNode {
	const drawn: { left: number; right: number }[] = [];
	for (const { fromNs, toNs } of path) {
		const bar = barOf(view, fromNs, toNs - fromNs);
		if (bar === undefined) continue;
		const last = drawn.at(-1);
		const right = bar.left + bar.width;
		if (last !== undefined && bar.left - last.right < PIECE_GAP) last.right = right;
		else drawn.push({ left: bar.left, right });
	}
	return drawn.map(({ left, right }) => (
		<span
			key={left}
			className="path-piece"
			style={{ insetInlineStart: `${left}%`, inlineSize: `${right - left}%` }}
			aria-hidden="true"
		/>
	));
}
