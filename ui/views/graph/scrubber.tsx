/**
 * A longer stretch of stored history with the window of time that the graph shows on it: dragged, stretched, moved by keys, played. What
 * it says is in the address; nothing of it is state here but a drag that goes on.
 */
import { useEffect, useMemo, useRef, useState } from "react";
import type { KeyboardEvent, ReactNode } from "react";
import type { GraphHistoryAnswer } from "../../../api/contract/topology.ts";
import { Icon } from "../../base/icons.tsx";
import { hrefWith, navigate } from "../../base/router.ts";
import {
	chartOf,
	HISTORY_RANGES,
	movedTo,
	momentText,
	played,
	playStart,
	rangeFor,
	readHistorySettings,
	SPEEDS,
	stretched,
	windowOf,
	windowText,
} from "../../data/graph-history.ts";
import type { TimeWindow } from "../../data/graph-history.ts";
import { isOpenEnded, liveFrom } from "../../data/graph-settings.ts";
import type { GraphSettings } from "../../data/graph-settings.ts";
import { useGraphHistory } from "../../data/queries.ts";
import { Labelled } from "../fields.tsx";
import { HistoryChartView, HistoryTable } from "./history-chart.tsx";
import { useWindowDrag } from "./window-drag.ts";

interface ScrubberProps {
	readonly params: URLSearchParams;
	readonly settings: GraphSettings;
	/** A play waits for the graph of each of its windows. */
	readonly isReading: boolean;
}

export function Scrubber({ params, settings, isReading }: ScrubberProps): ReactNode {
	const { range: chosen, speed } = readHistorySettings(params);
	const nowMs = useNow();
	const asked = windowOf(settings, nowMs);
	const range = chosen ?? rangeFor(asked, nowMs);
	const history = useGraphHistory(range.key);
	const answer = history.data;
	const window = asked ?? { fromMs: nowMs - range.lengthMs / 4, toMs: nowMs };
	return (
		<section className="scrubber" aria-label="Stored history">
			<Labelled label="History">
				{(id) => (
					<select
						id={id}
						value={range.key}
						onChange={(event) => navigate(hrefWith("/", params, { history: event.target.value, play: undefined }))}
					>
						{HISTORY_RANGES.map(({ key, label }) => (
							<option key={key} value={key}>
								{label}
							</option>
						))}
					</select>
				)}
			</Labelled>
			{answer === undefined ? (
				<p className="scrubber-track muted">
					{history.isError ? "The history could not be read." : "Reading the history…"}
				</p>
			) : (
				<Track key={range.key} {...{ params, settings, isReading, answer, window, speed }} rangeKey={range.key} />
			)}
			<button
				type="button"
				className="quiet scrubber-hide"
				aria-label="Hide the history"
				title="Hide the history"
				onClick={() => navigate(hrefWith("/", params, { history: "off", play: undefined }))}
			>
				<Icon name="close" />
			</button>
		</section>
	);
}

/** Of the shortest stretch, a step has sixty seconds. */
const CLOCK_MS = 10_000;

function useNow(): number {
	const [nowMs, setNow] = useState(() => Date.now());
	useEffect(() => {
		const timer = setInterval(() => setNow(Date.now()), CLOCK_MS);
		return () => clearInterval(timer);
	}, []);
	return nowMs;
}

interface TrackProps extends ScrubberProps {
	readonly answer: GraphHistoryAnswer;
	readonly window: TimeWindow;
	readonly speed: (typeof SPEEDS)[number] | undefined;
	readonly rangeKey: string;
}

/** The graph follows a drag this often. */
const FOLLOW_MS = 250;
/** Holding a key or a drag is one change that "back" undoes at once. */
const ONE_CHANGE_MS = 1_500;

function Track({ params, settings, isReading, answer, window, speed, rangeKey }: TrackProps): ReactNode {
	const [draft, setDraft] = useState<TimeWindow>();
	const lastChangeMs = useRef(-Infinity);
	const { stepMs } = answer;
	const limits = useMemo(
		() => ({ fromMs: Date.parse(answer.window.from), toMs: Date.parse(answer.window.to) }),
		[answer.window.from, answer.window.to],
	);
	const chart = useMemo(() => chartOf(answer), [answer]);
	const beginsMs = answer.begins === undefined ? undefined : Date.parse(answer.begins);
	const isLive = isOpenEnded(settings);
	const shown = draft ?? window;

	const go = (next: TimeWindow, change: Readonly<Record<string, string | undefined>> = {}): void => {
		const isEnd = next.toMs >= limits.toMs;
		const time = isEnd
			? { from: liveFrom(next.toMs - next.fromMs), to: undefined }
			: { from: momentText(next.fromMs), to: momentText(next.toMs) };
		const replace = performance.now() - lastChangeMs.current < ONE_CHANGE_MS;
		lastChangeMs.current = performance.now();
		navigate(hrefWith("/", params, { history: rangeKey, play: undefined, ...time, ...change }), { replace });
	};
	usePlay({ speed, isWaiting: isReading || draft !== undefined, shown, stepMs, limits, params });

	const togglePlay = (): void => {
		lastChangeMs.current = -Infinity;
		if (speed === undefined) go(playStart(shown, stepMs, limits, beginsMs), { play: "1" });
		else navigate(hrefWith("/", params, { play: undefined }), { replace: true });
	};
	const onKeyDown = (event: KeyboardEvent): void => {
		if (event.ctrlKey || event.metaKey || event.altKey) return;
		const next = windowAfterKey(event, shown, stepMs, limits, beginsMs);
		if (next !== undefined) go(next);
		else if (event.key === " ") togglePlay();
		else return;
		event.preventDefault();
	};
	const track = useRef<HTMLDivElement>(null);
	useWindowDrag(track, {
		grip: () => ({ window: shown, stepMs, limits }),
		onMove: (next) => {
			setDraft(next);
			if (performance.now() - lastChangeMs.current > FOLLOW_MS) go(next);
		},
		onEnd: (next) => {
			setDraft(undefined);
			if (next !== undefined) go(next);
		},
	});
	const place = placeOn(shown, limits);
	return (
		<>
			<div className="scrubber-play" role="group" aria-label="Play">
				<button
					type="button"
					aria-label={speed === undefined ? "Play the history" : "Pause the play"}
					title={speed === undefined ? "Play" : "Pause"}
					onClick={togglePlay}
				>
					<Icon name={speed === undefined ? "play" : "pause"} />
				</button>
				<select
					aria-label="Speed of the play"
					value={speed ?? 1}
					disabled={speed === undefined}
					onChange={(event) => navigate(hrefWith("/", params, { play: event.target.value }), { replace: true })}
				>
					{SPEEDS.map((each) => (
						<option key={each} value={each}>
							{each}×
						</option>
					))}
				</select>
			</div>
			<span className="history-lanes" aria-hidden="true">
				<span>traffic</span>
				<span>errors</span>
				<span>not mTLS</span>
			</span>
			<div ref={track} className="scrubber-track">
				<HistoryChartView chart={chart} stepMs={stepMs} limits={limits} beginsMs={beginsMs} />
				<div
					className={isLive ? "scrubber-window scrubber-live" : "scrubber-window"}
					role="slider"
					tabIndex={0}
					aria-label="Window of time that the graph shows"
					aria-valuemin={limits.fromMs}
					aria-valuemax={limits.toMs}
					aria-valuenow={Math.min(limits.toMs, Math.max(limits.fromMs, shown.fromMs))}
					aria-valuetext={`${windowText(shown)}${isLive ? ", live" : ""}`}
					title={`${windowText(shown)}. Arrow keys move it, with Shift they stretch it; Space plays.`}
					style={{ left: `${place.left}%`, width: `${place.width}%` }}
					onKeyDown={onKeyDown}
				>
					<span className="scrubber-handle" data-end="from" />
					<span className="scrubber-handle" data-end="to" />
				</div>
			</div>
			<div className="scrubber-side">
				<span className="scrubber-time">{windowText(shown)}</span>
				<span className="scrubber-links">
					{isLive ? (
						<span className="muted">up to now</span>
					) : (
						<button
							type="button"
							onClick={() => go({ fromMs: limits.toMs - (shown.toMs - shown.fromMs), toMs: limits.toMs })}
						>
							Back to live
						</button>
					)}
					<HistoryTable chart={chart} stepMs={stepMs} />
				</span>
			</div>
		</>
	);
}

/** Left and width in percent; a sliver remains of what is too short to be seen, or lies outside. */
function placeOn({ fromMs, toMs }: TimeWindow, limits: TimeWindow): { readonly left: number; readonly width: number } {
	const share = (ms: number): number => Math.min(1, Math.max(0, (ms - limits.fromMs) / (limits.toMs - limits.fromMs)));
	const width = Math.max(0.6, 100 * (share(toMs) - share(fromMs)));
	return { left: Math.min(100 - width, 100 * share(fromMs)), width };
}

function windowAfterKey(
	{ key, shiftKey }: KeyboardEvent,
	window: TimeWindow,
	stepMs: number,
	limits: TimeWindow,
	beginsMs: number | undefined,
): TimeWindow | undefined {
	const direction = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[key];
	if (direction !== undefined)
		return shiftKey
			? stretched(window, "to", window.toMs + direction * stepMs, stepMs, limits)
			: movedTo(window, window.fromMs + direction * stepMs, stepMs, limits);
	const length = window.toMs - window.fromMs;
	switch (key) {
		case "PageUp":
			return movedTo(window, window.fromMs + length, stepMs, limits);
		case "PageDown":
			return movedTo(window, window.fromMs - length, stepMs, limits);
		case "Home":
			return movedTo(window, Math.max(limits.fromMs, beginsMs ?? limits.fromMs), stepMs, limits);
		case "End":
			return movedTo(window, limits.toMs, stepMs, limits);
		default:
			return undefined;
	}
}

interface Play {
	readonly speed: number | undefined;
	readonly isWaiting: boolean;
	readonly shown: TimeWindow;
	readonly stepMs: number;
	readonly limits: TimeWindow;
	readonly params: URLSearchParams;
}

/** Each window stays for its time once its graph is there, so that a slow answer is seen, not skipped; the end of history is live. */
function usePlay({ speed, isWaiting, shown, stepMs, limits, params }: Play): void {
	const { fromMs, toMs } = shown;
	useEffect(() => {
		if (speed === undefined || isWaiting) return undefined;
		const timer = setTimeout(() => {
			const next = played({ fromMs, toMs }, stepMs, limits);
			const time =
				next === undefined || next.toMs >= limits.toMs
					? { from: liveFrom(toMs - fromMs), to: undefined, play: undefined }
					: { from: momentText(next.fromMs), to: momentText(next.toMs) };
			navigate(hrefWith("/", params, time), { replace: true });
		}, 1_000 / speed);
		return () => clearTimeout(timer);
	}, [speed, isWaiting, fromMs, toMs, stepMs, limits, params]);
}
