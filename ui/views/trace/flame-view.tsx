/**
 * The calls of a trace as a flame graph, drawn on a canvas, and as the table of where the time went. The frame that is zoomed into is in the
 * address by the span that it begins with.
 */
import { useEffect, useMemo, useRef, useState } from "react";
import type { KeyboardEvent, MouseEvent, ReactNode } from "react";
import { countOf, formatDuration, serviceLabel, shorten } from "../../base/format.ts";
import { hrefWith, navigate, useLocation } from "../../base/router.ts";
import { callTree } from "../../layout/trace/call-tree.ts";
import type { CallTree } from "../../layout/trace/call-tree.ts";
import { flameFrames, frameAt } from "../../layout/trace/flame.ts";
import type { Frame } from "../../layout/trace/flame.ts";
import type { Waterfall } from "../../layout/waterfall.ts";
import type { Palette } from "../graph/draw.ts";
import { usePalette } from "../graph/use-palette.ts";
import { useWidth } from "../use-width.ts";
import { TimeTable } from "./trace-time.tsx";

/** Pixels. */
const FRAME_HEIGHT = 22;
const LEAST_WIDTH = 0.6;
const LEAST_TEXT_WIDTH = 34;
/** A canvas of more is refused by browsers; deeper calls are in the table. */
const MAX_DEPTH = 400;

interface FlameViewProps {
	readonly waterfall: Waterfall;
	readonly traceId: string;
	readonly slots: readonly number[];
}

export function FlameView({ waterfall, traceId, slots }: FlameViewProps): ReactNode {
	const { path, params } = useLocation();
	const tree = useMemo(() => callTree(waterfall), [waterfall]);
	const slotOf = useMemo(() => new Map(waterfall.services.map((service, i) => [service, slots[i]!])), [waterfall, slots]);
	const root = rootOf(tree, waterfall, params.get("frame"));
	const zoomTo = (call: number): void => {
		const frame = call < 0 ? undefined : waterfall.spans[tree.calls[call]!.firstRow]!.spanId;
		navigate(hrefWith(path, params, { frame }));
	};
	return (
		<div className="trace-part">
			<Flame key={root} tree={tree} root={root} slotOf={slotOf} onZoom={zoomTo} />
			<TimeTable waterfall={waterfall} traceId={traceId} />
		</div>
	);
}

/** The call that begins with the span, or -1 for all. */
function rootOf(tree: CallTree, waterfall: Waterfall, spanId: string | null): number {
	if (spanId === null) return -1;
	return tree.calls.find(({ firstRow }) => waterfall.spans[firstRow]!.spanId === spanId)?.index ?? -1;
}

interface FlameProps {
	readonly tree: CallTree;
	readonly root: number;
	readonly slotOf: ReadonlyMap<string, number>;
	/** -1 for all. */
	readonly onZoom: (call: number) => void;
}

function Flame({ tree, root, slotOf, onZoom }: FlameProps): ReactNode {
	const canvas = useRef<HTMLCanvasElement>(null);
	const box = useRef<HTMLButtonElement>(null);
	const width = useWidth(box);
	const palette = usePalette();
	const frames = useMemo(
		() => (width === 0 ? [] : flameFrames(tree, root, LEAST_WIDTH / width).filter(({ depth }) => depth < MAX_DEPTH)),
		[tree, root, width],
	);
	const depths = frames.reduce((most, { depth }) => Math.max(most, depth + 1), 1);
	const [chosen, setChosen] = useState<number>();
	const current = frames.find(({ call }) => call.index === chosen);
	useEffect(() => {
		if (canvas.current !== null && width > 0) draw(canvas.current, { frames, depths, width, slotOf, chosen, palette });
	}, [frames, depths, width, slotOf, chosen, palette]);

	const under = (event: MouseEvent): Frame | undefined => {
		const bounds = event.currentTarget.getBoundingClientRect();
		return frameAt(
			frames,
			(event.clientX - bounds.left) / bounds.width,
			Math.floor((event.clientY - bounds.top) / FRAME_HEIGHT),
		);
	};
	const onKeyDown = (event: KeyboardEvent): void => {
		if (event.ctrlKey || event.metaKey || event.altKey) return;
		if (event.key === "Enter" && current !== undefined) onZoom(current.call.index === root ? -1 : current.call.index);
		else if (event.key === "Escape") onZoom(-1);
		else {
			const next = neighbour(frames, current, event.key);
			if (next === undefined) return;
			setChosen(next.call.index);
		}
		event.preventDefault();
	};
	return (
		<section className="card flame" aria-label="Flame graph">
			<div className="flame-head">
				<h2>Flame graph</h2>
				<p className="muted" role="status">
					{current === undefined ? "Click a frame, or choose one with the arrow keys, to zoom into it." : told(current)}
				</p>
				<button type="button" className="quiet" disabled={root < 0} onClick={() => onZoom(-1)}>
					Whole trace
				</button>
			</div>
			<button
				ref={box}
				type="button"
				className="flame-box"
				aria-label={`Flame graph of ${countOf(tree.calls.length, "call")}. Arrow keys choose a frame, Enter zooms, Escape shows all. The table below has the same figures.`}
				onKeyDown={onKeyDown}
				onMouseMove={(event) => setChosen(under(event)?.call.index)}
				onClick={(event) => {
					const frame = under(event);
					if (frame !== undefined) onZoom(frame.call.index === root ? -1 : frame.call.index);
				}}
			>
				<canvas ref={canvas} className="flame-canvas" />
			</button>
		</section>
	);
}

function told({ call }: Frame): string {
	const errors = call.errors > 0 ? `, ${countOf(call.errors, "error")}` : "";
	return `${serviceLabel(call.service)} ${shorten(call.operation, 80)}: ${formatDuration(call.totalNs)}, ${formatDuration(call.selfNs)} of its own, ${countOf(call.count, "span")}${errors}`;
}

/** Down to what a frame calls, up to its caller, and along its level. */
function neighbour(frames: readonly Frame[], from: Frame | undefined, key: string): Frame | undefined {
	if (!["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight"].includes(key)) return undefined;
	if (from === undefined) return frames[0];
	const { call, left, depth } = from;
	if (key === "ArrowUp") return frames.find((frame) => frame.call.index === call.parent);
	if (key === "ArrowDown") return frames.find((frame) => frame.call.parent === call.index);
	const level = frames.filter((frame) => frame.depth === depth).sort((a, b) => a.left - b.left);
	return key === "ArrowRight" ? level.find((frame) => frame.left > left) : level.findLast((frame) => frame.left < left);
}

interface Drawing {
	readonly frames: readonly Frame[];
	readonly depths: number;
	/** Pixels. */
	readonly width: number;
	readonly slotOf: ReadonlyMap<string, number>;
	/** Index of a call. */
	readonly chosen: number | undefined;
	readonly palette: Palette;
}

function draw(canvas: HTMLCanvasElement, { frames, depths, width, slotOf, chosen, palette }: Drawing): void {
	const scale = window.devicePixelRatio;
	const height = depths * FRAME_HEIGHT;
	canvas.width = Math.round(width * scale);
	canvas.height = Math.round(height * scale);
	canvas.style.blockSize = `${height}px`;
	const context = canvas.getContext("2d");
	if (context === null) return;
	const style = getComputedStyle(canvas);
	const colours = Array.from({ length: 10 }, (_, slot) => style.getPropertyValue(`--service-${slot}`));
	context.scale(scale, scale);
	context.font = `12px ${style.fontFamily}`;
	context.textBaseline = "middle";
	for (const { call, left, width: share, depth } of frames) {
		const [x, y, w, h] = [left * width, depth * FRAME_HEIGHT, share * width, FRAME_HEIGHT - 1];
		context.globalAlpha = call.index === chosen ? 0.75 : 0.38;
		context.fillStyle = colours[slotOf.get(call.service) ?? 0]!;
		context.fillRect(x, y, Math.max(1, w - 1), h);
		context.globalAlpha = 1;
		if (call.errors > 0) {
			context.fillStyle = palette.health.fail;
			context.fillRect(x, y + h - 3, Math.max(1, w - 1), 3);
		}
		if (call.index === chosen) {
			context.strokeStyle = palette.text;
			context.lineWidth = 1.5;
			context.strokeRect(x + 0.75, y + 0.75, Math.max(1, w - 2.5), h - 1.5);
		}
		if (w < LEAST_TEXT_WIDTH) continue;
		context.save();
		context.beginPath();
		context.rect(x + 3, y, w - 8, h);
		context.clip();
		context.fillStyle = palette.text;
		context.fillText(`${serviceLabel(call.service)} ${shorten(call.operation, 120)}`, x + 5, y + h / 2);
		context.restore();
	}
}
