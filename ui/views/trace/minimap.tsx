/**
 * The whole trace in little, and the part of it that the rows show: drag its ends or the part itself, drag elsewhere for another part,
 * or move the ends by arrow keys.
 */
import { useEffect, useRef } from "react";
import type { KeyboardEvent, ReactNode } from "react";
import { formatDuration } from "../../base/format.ts";
import { between, pan, wholeTrace } from "../../layout/timeline.ts";
import type { Viewport } from "../../layout/timeline.ts";
import { FAILED, minimapGrid, NOTHING } from "../../layout/trace/minimap-grid.ts";
import type { Waterfall } from "../../layout/waterfall.ts";
import type { Palette } from "../graph/draw.ts";
import { usePalette } from "../graph/use-palette.ts";
import { useListeners } from "../use-listeners.ts";
import { useWidth } from "../use-width.ts";

/** Pixels, as in trace.css. */
const HEIGHT = 46;
/** How far beside an end one may press to take it. */
const GRIP = 7;
/** A shorter drag is a click. */
const LEAST_DRAG = 4;
/** Of the whole, a press of an arrow key. */
const KEY_SHARE = 0.01;

interface MinimapProps {
	readonly waterfall: Waterfall;
	readonly slots: readonly number[];
	readonly view: Viewport;
	readonly onView: (view: Viewport) => void;
}

interface Drag {
	readonly what: "from" | "to" | "part" | "new";
	/** Where it began: pixels, and what was shown. */
	readonly x: number;
	readonly view: Viewport;
}

export function Minimap({ waterfall, slots, view, onView }: MinimapProps): ReactNode {
	const frame = useRef<HTMLDivElement>(null);
	const canvas = useRef<HTMLCanvasElement>(null);
	const drag = useRef<Drag>(undefined);
	const width = useWidth(frame);
	const palette = usePalette();
	const { durationNs } = waterfall;
	const wholeNs = wholeTrace(durationNs).toNs;
	const isWhole = view.fromNs <= 0 && view.toNs >= wholeNs;
	useEffect(() => {
		if (canvas.current !== null && width > 0) draw(canvas.current, waterfall, slots, width, palette);
	}, [waterfall, slots, width, palette]);

	const xOf = (ns: number): number => (ns / wholeNs) * width;
	const nsOf = (x: number): number => (x / width) * wholeNs;
	const xIn = (event: PointerEvent): number => event.clientX - frame.current!.getBoundingClientRect().left;
	useListeners(frame, {
		pointerdown: (event) => {
			if (event.button !== 0) return;
			const x = xIn(event);
			const isAt = (ns: number): boolean => Math.abs(x - xOf(ns)) <= GRIP;
			const isInside = !isWhole && x > xOf(view.fromNs) && x < xOf(view.toNs);
			const what = !isWhole && isAt(view.fromNs) ? "from" : !isWhole && isAt(view.toNs) ? "to" : isInside ? "part" : "new";
			drag.current = { what, x, view };
			frame.current?.setPointerCapture(event.pointerId);
		},
		pointermove: (event) => {
			const begun = drag.current;
			if (begun === undefined) return;
			const x = xIn(event);
			if (begun.what === "from") onView(between(nsOf(x), begun.view.toNs, durationNs));
			else if (begun.what === "to") onView(between(begun.view.fromNs, nsOf(x), durationNs));
			else if (begun.what === "part")
				onView(pan(begun.view, nsOf(x - begun.x) / (begun.view.toNs - begun.view.fromNs), durationNs));
			else if (Math.abs(x - begun.x) >= LEAST_DRAG) onView(between(nsOf(begun.x), nsOf(x), durationNs));
		},
		pointerup: (event) => {
			const begun = drag.current;
			drag.current = undefined;
			if (begun?.what !== "new" || Math.abs(xIn(event) - begun.x) >= LEAST_DRAG || isWhole) return;
			// A click beside the part brings the part there.
			const middleNs = (begun.view.fromNs + begun.view.toNs) / 2;
			onView(pan(begun.view, (nsOf(begun.x) - middleNs) / (begun.view.toNs - begun.view.fromNs), durationNs));
		},
		pointercancel: () => {
			drag.current = undefined;
		},
		dblclick: () => onView(wholeTrace(durationNs)),
	});

	const share = (ns: number): string => `${(100 * ns) / wholeNs}%`;
	const endProps = (end: "fromNs" | "toNs", label: string): EndProps => ({
		label,
		ns: view[end],
		wholeNs,
		onMove: (ns) => onView(end === "fromNs" ? between(ns, view.toNs, durationNs) : between(view.fromNs, ns, durationNs)),
	});
	return (
		<div ref={frame} className="minimap" role="group" aria-label="The part of the trace that is shown">
			<canvas ref={canvas} aria-hidden="true" />
			<span className="minimap-outside" style={{ insetInlineStart: 0, inlineSize: share(view.fromNs) }} />
			<span className="minimap-outside" style={{ insetInlineStart: share(view.toNs), insetInlineEnd: 0 }} />
			<End {...endProps("fromNs", "Start of the part shown")} />
			<End {...endProps("toNs", "End of the part shown")} />
		</div>
	);
}

interface EndProps {
	readonly label: string;
	readonly ns: number;
	readonly wholeNs: number;
	readonly onMove: (ns: number) => void;
}

function End({ label, ns, wholeNs, onMove }: EndProps): ReactNode {
	const onKeyDown = (event: KeyboardEvent): void => {
		const step = wholeNs * KEY_SHARE * (event.shiftKey ? 10 : 1);
		const to = { ArrowLeft: ns - step, ArrowRight: ns + step, Home: 0, End: wholeNs }[event.key];
		if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
		event.preventDefault();
		event.stopPropagation();
		onMove(Math.max(0, Math.min(wholeNs, to)));
	};
	return (
		<span
			className="minimap-end"
			role="slider"
			tabIndex={0}
			aria-label={label}
			aria-valuemin={0}
			aria-valuemax={Math.round(wholeNs)}
			aria-valuenow={Math.round(ns)}
			aria-valuetext={formatDuration(ns)}
			style={{ insetInlineStart: `${(100 * ns) / wholeNs}%` }}
			onKeyDown={onKeyDown}
		/>
	);
}

/** A line for each span, or one of a pixel for as many as share it. */
function draw(canvas: HTMLCanvasElement, waterfall: Waterfall, slots: readonly number[], width: number, palette: Palette): void {
	const scale = window.devicePixelRatio;
	canvas.width = Math.round(width * scale);
	canvas.height = Math.round(HEIGHT * scale);
	const context = canvas.getContext("2d");
	if (context === null) return;
	const style = getComputedStyle(canvas);
	const colours = Array.from({ length: 10 }, (_, slot) => style.getPropertyValue(`--service-${slot}`));
	const { count, offsetNs, lengthNs, service, failed, durationNs } = waterfall;
	const perNs = canvas.width / wholeTrace(durationNs).toNs;
	const rowHeight = canvas.height / Math.max(1, count);
	const lineHeight = Math.max(1, Math.min(3 * scale, rowHeight * 0.8));
	const colourOf = (slot: number): string => (slot === FAILED ? palette.health.fail : colours[slot]!);
	if (count > canvas.height) {
		const rgb = [...colours.keys(), FAILED].map((slot) => rgbOf(context, colourOf(slot)));
		const image = context.createImageData(canvas.width, canvas.height);
		const { data } = image;
		const grid = minimapGrid(waterfall, slots, canvas.width, canvas.height);
		for (let pixel = 0; pixel < grid.length; pixel++) {
			const slot = grid[pixel]!;
			if (slot === NOTHING) continue;
			const [red, green, blue] = rgb[slot]!;
			const at = pixel * 4;
			data[at] = red!;
			data[at + 1] = green!;
			data[at + 2] = blue!;
			data[at + 3] = 255;
		}
		context.putImageData(image, 0, 0);
		return;
	}
	for (let row = 0; row < count; row++) {
		context.fillStyle = colourOf(failed[row] === 1 ? FAILED : slots[service[row]!]!);
		context.fillRect(offsetNs[row]! * perNs, row * rowHeight, Math.max(1, lengthNs[row]! * perNs), lineHeight);
	}
}

/** @param colour as CSS has it, opaque: a canvas gives it back as `#rrggbb` */
function rgbOf(context: CanvasRenderingContext2D, colour: string): readonly number[] {
	context.fillStyle = colour;
	return [1, 3, 5].map((at) => Number.parseInt(String(context.fillStyle).slice(at, at + 2), 16));
}
