/**
 * The waterfall: a tree grid of which only the rows on screen exist. It owns the cursor, what is collapsed, the zoom, and whether the
 * detail panel is open; the span in the panel is in the address, so that a link opens it.
 *
 * Cursor, matches and what is collapsed are rows of the whole trace, so that they stay where they are when calls are folded; what is
 * drawn and moved through are rows of the folded one.
 */
import { useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import type { KeyboardEvent, MouseEvent, ReactNode } from "react";
import type { LogEntry } from "../../../api/contract/logs.ts";
import { countOf } from "../../base/format.ts";
import { hrefWith, navigate, useLocation } from "../../base/router.ts";
import type { CallHop } from "../../layout/trace/calls.ts";
import { criticalPath, piecesByRow } from "../../layout/trace/critical-path.ts";
import type { PathPiece } from "../../layout/trace/critical-path.ts";
import { gatheredMarks, logMarks, logTime } from "../../layout/trace/log-marks.ts";
import { headOf, membersAt } from "../../layout/trace/fold.ts";
import type { FoldedWaterfall } from "../../layout/trace/fold.ts";
import { focusOn, pan, readZoom, wholeTrace, zoom, zoomText } from "../../layout/timeline.ts";
import type { Viewport } from "../../layout/timeline.ts";
import { collapsibleRows, findRow, hasChildren, positionOf, visibleRows } from "../../layout/waterfall.ts";
import type { Waterfall } from "../../layout/waterfall.ts";
import { Axis } from "./axis.tsx";
import { Minimap } from "./minimap.tsx";
import { SpanDetail } from "./span-detail.tsx";
import { matchingRows } from "./span-search.ts";
import { ROW_HEIGHT, SpanRow, rowElementId } from "./span-row.tsx";
import { useFold } from "./use-fold.ts";
import { useWindowedRows } from "./use-windowed-rows.ts";

interface WaterfallViewProps {
	readonly waterfall: Waterfall;
	/** Colour slot of each service. */
	readonly slots: readonly number[];
	readonly hops: readonly CallHop[];
	/** Of which the server made no hops. */
	readonly spansLeft: number;
	readonly logs: readonly LogEntry[];
	readonly initialSpanId: string | undefined;
}

/** Browsers limit how often an address may change; a held arrow key would exceed it. */
const ADDRESS_DELAY_MS = 200;
const MAX_TICKS = 6;
/** Of the whole width, since the names take a part of it. */
const PIXELS_A_TICK = 140;

export function WaterfallView({ waterfall, slots, hops, spansLeft, logs, initialSpanId }: WaterfallViewProps): ReactNode {
	const initialRow = waterfall.rowOfSpan(initialSpanId);
	const [cursor, setCursor] = useState(Math.max(0, initialRow));
	const [open, setOpen] = useState(initialRow >= 0);
	const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(new Set());
	const { path, params } = useLocation();
	const [view, setView] = useState<Viewport>(() => readZoom(params.get("zoom") ?? "", waterfall.durationNs));
	const [search, setSearch] = useState("");
	const fold = useFold(waterfall, hops, params.get("fold"));
	const { folded, calls } = fold;
	const collapsedRows = useMemo(() => new Set(Array.from(collapsed, (row) => folded.rowOf[row] ?? -1)), [folded, collapsed]);
	const rows = useMemo(() => visibleRows(folded, collapsedRows), [folded, collapsedRows]);
	const cursorRow = folded.rowOf[cursor] ?? 0;
	const deferredSearch = useDeferredValue(search);
	const matches = useMemo(() => matchingRows(waterfall, deferredSearch), [waterfall, deferredSearch]);
	const { scroller, first, last, width, onScroll, reveal } = useWindowedRows(rows.length);
	const showsPath = params.get("path") === "on";
	const pathPieces = useMemo(() => (showsPath ? piecesByRow(criticalPath(waterfall)) : undefined), [waterfall, showsPath]);
	const marksOfWhole = useMemo(() => logMarks(waterfall, logs), [waterfall, logs]);
	const marksOfRows = useMemo(() => gatheredMarks(marksOfWhole, folded.rowOf), [marksOfWhole, folded]);
	const [log, setLog] = useState(params.get("log") ?? undefined);
	const isLogHere = marksOfWhole.get(cursor)?.some((mark) => logTime(logs[mark.log]!) === log) === true;
	// What the address says stands until the logs are here.
	const chosenLog = open && (isLogHere || logs.length === 0) ? log : undefined;
	const openSpan = open ? waterfall.spans[cursor]?.spanId : undefined;
	useStateInAddress(openSpan, zoomText(view, waterfall.durationNs), chosenLog);

	// A trace read again may have fewer rows, or others.
	const drawn = useRef(waterfall);
	useEffect(() => {
		if (drawn.current === waterfall) return;
		drawn.current = waterfall;
		setCollapsed(new Set());
		setView(wholeTrace(waterfall.durationNs));
		setCursor((row) => Math.min(row, Math.max(0, waterfall.count - 1)));
	}, [waterfall]);

	const goTo = useCallback(
		(row: number) => {
			if (row < 0) return;
			const shown = folded.rowOf[row]!;
			const opened = withAncestorsOpen(folded, collapsedRows, shown);
			if (opened !== collapsedRows) setCollapsed(new Set(Array.from(opened, (at) => headOf(folded, at))));
			setCursor(row);
			reveal(positionOf(opened === collapsedRows ? rows : visibleRows(folded, opened), shown));
		},
		[folded, collapsedRows, rows, reveal],
	);
	/** The span that stands for a row of the folded waterfall: of a folded call, the callee's. */
	const spanAt = (row: number): number => {
		const call = calls[folded.callAt[row]!];
		return fold.isFoldedAt(row) ? (call?.calleeRow ?? headOf(folded, row)) : headOf(folded, row);
	};
	const goToRow = (row: number | undefined): void => {
		if (row !== undefined && row >= 0 && row < folded.count) goTo(spanAt(row));
	};
	const revealed = useRef(false);
	useEffect(() => {
		// Once, for the span of the address.
		if (initialRow >= 0 && !revealed.current) reveal(positionOf(rows, folded.rowOf[initialRow]!));
		revealed.current = true;
	}, [initialRow, folded, rows, reveal]);

	const close = useCallback(() => {
		setOpen(false);
		scroller.current?.focus();
	}, [scroller]);
	const toggle = (row: number): void => {
		const next = new Set(collapsedRows);
		if (!next.delete(row)) next.add(row);
		setCollapsed(new Set(Array.from(next, (at) => headOf(folded, at))));
		// The cursor must not stay inside what was closed.
		if (cursorRow > row && cursorRow < folded.subtreeEnd[row]!) setCursor(spanAt(row));
	};
	const toggleFolds = (): void => navigate(hrefWith(path, params, { fold: fold.toggled }));
	const onKeyDown = (event: KeyboardEvent): void => {
		if (event.ctrlKey || event.metaKey || event.altKey) return;
		const action = keyAction(event.key);
		if (action === undefined) return;
		event.preventDefault();
		action();
	};

	const onClick = (event: MouseEvent<HTMLElement>): void => {
		const target = event.target as Element;
		const row = Number(target.closest("[data-row]")?.getAttribute("data-row") ?? -1);
		if (row < 0 || target.closest("a") !== null) return;
		const button = target.closest("button");
		if (button === null) {
			if (row !== cursorRow) setCursor(spanAt(row));
			setOpen(true);
		} else if (button.dataset.log !== undefined) openLog(Number(button.dataset.log));
		else if (button.hasAttribute("data-fold")) fold.toggle(folded.callAt[row]!);
		else toggle(row);
	};

	const openLog = (index: number): void => {
		const chosen = logs[index]!;
		setCursor(waterfall.rowOfSpan(chosen.spanId));
		setLog(logTime(chosen));
		setOpen(true);
	};

	/** What [ and ] go to: matches while something is searched for, else failed spans. */
	const isWanted = (row: number): boolean => (matches === undefined ? waterfall.failed[row] === 1 : matches.has(row));

	function keyAction(key: string): (() => void) | undefined {
		const position = positionOf(rows, cursorRow);
		const step = (by: number) => () => goToRow(rows[Math.max(0, Math.min(rows.length - 1, position + by))]);
		const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / ROW_HEIGHT) - 2);
		switch (key) {
			case "ArrowDown":
			case "j":
				return step(1);
			case "ArrowUp":
			case "k":
				return step(-1);
			case "PageDown":
				return step(page);
			case "PageUp":
				return step(-page);
			case "Home":
				return step(-rows.length);
			case "End":
				return step(rows.length);
			case "ArrowRight":
				return () => {
					if (collapsedRows.has(cursorRow)) toggle(cursorRow);
					else if (hasChildren(folded, cursorRow)) goToRow(cursorRow + 1);
				};
			case "ArrowLeft":
				return () => {
					if (hasChildren(folded, cursorRow) && !collapsedRows.has(cursorRow)) toggle(cursorRow);
					else goToRow(folded.parent[cursorRow]);
				};
			case "Enter":
			case " ":
				return () => setOpen(true);
			case "Escape":
				return close;
			case "e":
				return () => goTo(findRow(waterfall, cursor, 1, (row) => waterfall.failed[row] === 1));
			case "E":
				return () => goTo(findRow(waterfall, cursor, -1, (row) => waterfall.failed[row] === 1));
			case "l":
				return () => goTo(findRow(waterfall, cursor, 1, (row) => marksOfWhole.has(row)));
			case "L":
				return () => goTo(findRow(waterfall, cursor, -1, (row) => marksOfWhole.has(row)));
			case "]":
				return () => goTo(findRow(waterfall, cursor, 1, isWanted));
			case "[":
				return () => goTo(findRow(waterfall, cursor, -1, isWanted));
			case "o":
				return () => fold.toggle(fold.callOf(cursor));
			case "O":
				return toggleFolds;
			case "f":
				return () => setView(toggledFocus(folded, cursorRow, view));
			case "w":
				return () => setView(zoom(view, 0.7, 0.5, waterfall.durationNs));
			case "s":
				return () => setView(zoom(view, 1 / 0.7, 0.5, waterfall.durationNs));
			case "a":
				return () => setView(pan(view, -0.2, waterfall.durationNs));
			case "d":
				return () => setView(pan(view, 0.2, waterfall.durationNs));
			default:
				return undefined;
		}
	}

	const marks = Math.max(2, Math.min(MAX_TICKS, Math.floor(width / PIXELS_A_TICK)));
	const cursorPosition = positionOf(rows, cursorRow);
	const shown: ReactNode[] = [];
	for (let position = first; position < Math.min(last, rows.length); position++) {
		const row = rows[position]!;
		shown.push(
			<SpanRow
				key={row}
				waterfall={folded}
				row={row}
				position={position}
				slot={slots[folded.service[row]!]!}
				view={view}
				current={row === cursorRow}
				collapsed={collapsedRows.has(row)}
				dimmed={matches !== undefined && !membersAt(folded, row).some((at) => matches.has(at))}
				path={pathPieces === undefined ? undefined : piecesAt(pathPieces, folded, row)}
				logs={marksOfRows.get(row)}
				call={calls[folded.callAt[row]!]}
				isFolded={fold.isFoldedAt(row)}
			/>,
		);
	}
	const zoomed = view.fromNs > 0 || view.toNs < wholeTrace(waterfall.durationNs).toNs;
	return (
		<div className={open ? "waterfall waterfall-split" : "waterfall"}>
			<div className="waterfall-main">
				<Minimap waterfall={waterfall} slots={slots} view={view} onView={setView} />
				<div className="waterfall-tools">
					<input
						type="search"
						className="span-search"
						placeholder="Find spans by any text"
						aria-label="Find spans by any text"
						value={search}
						onChange={(event) => setSearch(event.target.value)}
						onKeyDown={(event) => {
							if (event.key === "Enter" && matches !== undefined) {
								goTo(findRow(waterfall, cursor, event.shiftKey ? -1 : 1, (row) => matches.has(row)));
							}
						}}
					/>
					<span className="muted match-count" role="status">
						{matches === undefined ? "" : `${countOf(matches.size, "match", "matches")}, Enter for the next`}
					</span>
					<button
						type="button"
						className="quiet"
						aria-pressed={showsPath}
						title="Marks under each bar when the end of the trace waited for it"
						onClick={() => navigate(hrefWith(path, params, { path: showsPath ? undefined : "on" }))}
					>
						Critical path
					</button>
					{fold.canFold && (
						<button
							type="button"
							className="quiet"
							aria-pressed={fold.isOn}
							title={foldTitle(spansLeft)}
							onClick={toggleFolds}
						>
							Fold calls
						</button>
					)}
					<button
						type="button"
						className="quiet"
						onClick={() => setCollapsed(new Set(Array.from(collapsibleRows(folded), (row) => headOf(folded, row))))}
					>
						Collapse all
					</button>
					<button type="button" className="quiet" onClick={() => setCollapsed(new Set())}>
						Expand all
					</button>
					<button
						type="button"
						className="quiet"
						disabled={!zoomed}
						onClick={() => setView(wholeTrace(waterfall.durationNs))}
					>
						Reset the zoom
					</button>
				</div>
				<div
					ref={scroller}
					className="waterfall-scroll"
					role="treegrid"
					aria-label="Spans of the trace"
					aria-rowcount={rows.length + 1}
					aria-colcount={3}
					aria-activedescendant={
						cursorPosition >= first && cursorPosition < Math.min(last, rows.length)
							? rowElementId(cursorRow)
							: undefined
					}
					tabIndex={0}
					onScroll={onScroll}
					onKeyDown={onKeyDown}
					onClick={onClick}
				>
					<div className="waterfall-axis" role="row" aria-rowindex={1}>
						<span role="columnheader">Service and span</span>
						<span role="columnheader" className="axis-times" aria-label="Time from the start of the trace">
							<Axis view={view} marks={marks} labelled />
						</span>
						<span role="columnheader" className="span-length">
							Duration
						</span>
					</div>
					<div className="waterfall-rows" role="rowgroup" style={{ blockSize: `${rows.length * ROW_HEIGHT}px` }}>
						<div className="axis-lines" aria-hidden="true">
							<Axis view={view} marks={marks} />
						</div>
						{shown}
					</div>
				</div>
			</div>
			{open && waterfall.count > 0 && (
				<SpanDetail
					waterfall={waterfall}
					row={cursor}
					slots={slots}
					call={calls[fold.callOf(cursor)]}
					logs={logs}
					chosenLog={chosenLog}
					onGoTo={goTo}
					onClose={close}
				/>
			)}
		</div>
	);
}

function foldTitle(spansLeft: number): string {
	const text = "One row for the spans of apps and proxies at both ends of a call, and for its tries";
	return spansLeft === 0 ? text : `${text}; ${countOf(spansLeft, "span")} more were too many to be looked at for calls`;
}

/** On the critical path, of all spans of a row; those of one row are in order of time. */
function piecesAt(
	pieces: ReadonlyMap<number, readonly PathPiece[]>,
	folded: FoldedWaterfall,
	row: number,
): readonly PathPiece[] | undefined {
	const members = membersAt(folded, row);
	if (members.length === 1) return pieces.get(members[0]!);
	const all = [...members].flatMap((at) => pieces.get(at) ?? []);
	return all.length === 0 ? undefined : all.sort((a, b) => a.fromNs - b.fromNs);
}

/** `collapsed` without the ancestors of `row`; the same set when none was collapsed. */
function withAncestorsOpen(waterfall: Waterfall, collapsed: ReadonlySet<number>, row: number): ReadonlySet<number> {
	let opened: Set<number> | undefined;
	for (let at = waterfall.parent[row] ?? -1; at >= 0; at = waterfall.parent[at]!) {
		if (!collapsed.has(at)) continue;
		opened ??= new Set(collapsed);
		opened.delete(at);
	}
	return opened ?? collapsed;
}

function toggledFocus(waterfall: Waterfall, row: number, view: Viewport): Viewport {
	const focused = focusOn(waterfall.offsetNs[row]!, waterfall.lengthNs[row]!, waterfall.durationNs);
	const same = focused.fromNs === view.fromNs && focused.toNs === view.toNs;
	return same ? wholeTrace(waterfall.durationNs) : focused;
}

/** Keeps `?span=`, `?log=` and `?zoom=` in step with the panel and the axis, without a step in the history for each row. */
function useStateInAddress(spanId: string | undefined, zoomed: string | undefined, log: string | undefined): void {
	useEffect(() => {
		const timer = setTimeout(() => {
			const { pathname, search } = window.location;
			navigate(hrefWith(pathname, new URLSearchParams(search), { span: spanId, zoom: zoomed, log }), { replace: true });
		}, ADDRESS_DELAY_MS);
		return () => clearTimeout(timer);
	}, [spanId, zoomed, log]);
}
