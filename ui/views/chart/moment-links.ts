/** Where a moment of a course leads: to what changed then, and to the graph as it was. */
import { compareHref, hrefWith } from "../../base/router.ts";

/** Before and after a moment this many steps are compared, and no less than five minutes. */
const COMPARED_STEPS = 5;
const LEAST_COMPARED_MS = 300_000;

interface Course {
	readonly window: { readonly to: string };
	readonly stepMs: number;
}

interface MomentLink {
	readonly label: string;
	readonly href: string;
}

/** @param path the page that is opened for the step */
export function momentLinks(
	{ window, stepMs }: Course,
	{ path, label }: { readonly path: string; readonly label: string } = { path: "/", label: "Graph of this moment" },
): (timeMs: number) => readonly MomentLink[] {
	const endMs = Date.parse(window.to);
	const aroundMs = comparedAroundMs(stepMs);
	return (timeMs) => {
		const [from, to] = [new Date(timeMs).toISOString(), new Date(timeMs + stepMs).toISOString()];
		return [
			{ label: "Compare before and after", href: compareHref(timeMs, aroundMs, endMs) },
			{ label, href: hrefWith(path, new URLSearchParams(), { from, to }) },
		];
	};
}

/** How long before and after a moment is compared. */
export function comparedAroundMs(stepMs: number): number {
	return Math.max(COMPARED_STEPS * stepMs, LEAST_COMPARED_MS);
}
