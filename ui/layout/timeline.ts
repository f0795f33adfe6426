/** The part of a trace that is on screen, and the marks of its time axis. Pure arithmetic on nanoseconds from the trace's start. */

export interface Viewport {
	readonly fromNs: number;
	readonly toNs: number;
}

/** The whole trace; a trace without length still gets a width to divide by. */
export function wholeTrace(durationNs: number): Viewport {
	return { fromNs: 0, toNs: Math.max(1, durationNs) };
}

/** Below this a bar would be wider than what a Float64 offset of a long trace can tell apart. */
const MIN_WIDTH_NS = 10;

/** Zooms by `factor` (below 1: closer) about the point at `anchor`, 0 to 1 of the viewport; stays inside the trace. */
export function zoom(view: Viewport, factor: number, anchor: number, durationNs: number): Viewport {
	const whole = wholeTrace(durationNs);
	const width = view.toNs - view.fromNs;
	const next = Math.min(whole.toNs, Math.max(MIN_WIDTH_NS, width * factor));
	return clamp(view.fromNs + (width - next) * anchor, next, whole.toNs);
}

/** Moves by a share of the viewport's width; stays inside the trace. */
export function pan(view: Viewport, share: number, durationNs: number): Viewport {
	const width = view.toNs - view.fromNs;
	return clamp(view.fromNs + width * share, width, wholeTrace(durationNs).toNs);
}

/** From one point to another, in whichever order they are given; stays inside the trace. */
export function between(aNs: number, bNs: number, durationNs: number): Viewport {
	const whole = wholeTrace(durationNs).toNs;
	const [fromNs, toNs] = aNs < bNs ? [aNs, bNs] : [bNs, aNs];
	const from = Math.max(0, Math.min(fromNs, whole));
	return clamp(from, Math.min(whole, Math.max(MIN_WIDTH_NS, Math.min(whole, toNs) - from)), whole);
}

/** The viewport as `from-to` in nanoseconds, for the address; undefined for the whole trace. */
export function zoomText(view: Viewport, durationNs: number): string | undefined {
	if (view.fromNs <= 0 && view.toNs >= wholeTrace(durationNs).toNs) return undefined;
	return `${Math.round(view.fromNs)}-${Math.round(view.toNs)}`;
}

/** What {@link zoomText} wrote; anything else, or what lies outside the trace, is the whole of it. */
export function readZoom(text: string, durationNs: number): Viewport {
	const found = /^(\d{1,19})-(\d{1,19})$/.exec(text);
	const whole = wholeTrace(durationNs);
	if (found === null) return whole;
	const [fromNs, toNs] = [Number(found[1]), Number(found[2])];
	return fromNs < toNs && toNs <= whole.toNs
		? clamp(fromNs, Math.min(whole.toNs, Math.max(MIN_WIDTH_NS, toNs - fromNs)), whole.toNs)
		: whole;
}

/** A span with a tenth of its length on either side. */
export function focusOn(offsetNs: number, lengthNs: number, durationNs: number): Viewport {
	const whole = wholeTrace(durationNs).toNs;
	const width = Math.min(whole, Math.max(MIN_WIDTH_NS, lengthNs * 1.2));
	return clamp(offsetNs + lengthNs / 2 - width / 2, width, whole);
}

function clamp(fromNs: number, width: number, wholeNs: number): Viewport {
	const from = Math.max(0, Math.min(fromNs, wholeNs - width));
	return { fromNs: from, toNs: from + width };
}

/** Where a bar lies, in percent of the viewport; undefined when it is outside. */
export function barOf(view: Viewport, offsetNs: number, lengthNs: number): { left: number; width: number } | undefined {
	const scale = 100 / (view.toNs - view.fromNs);
	const left = (offsetNs - view.fromNs) * scale;
	const right = left + lengthNs * scale;
	if (right < 0 || left > 100) return undefined;
	const clipped = Math.max(0, left);
	return { left: clipped, width: Math.min(100, right) - clipped };
}

/** Round marks (1, 2 or 5 times a power of ten) inside the viewport, at most `max`. */
export function ticks(view: Viewport, max: number): readonly number[] {
	const width = view.toNs - view.fromNs;
	const raw = width / Math.max(1, max);
	const power = 10 ** Math.floor(Math.log10(raw));
	const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw * (1 - 1e-9)) ?? raw;
	const marks: number[] = [];
	const first = Math.max(0, Math.ceil(view.fromNs / step - 1e-9));
	for (let i = first; i * step < view.toNs && marks.length < max; i++) marks.push(i * step);
	return marks;
}
