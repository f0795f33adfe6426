/** How the lines of a chart are told apart: by dashes as well as by colours that stay apart for the colour-blind. */
import type { ReactNode } from "react";

const STROKES: readonly { readonly stroke: string; readonly strokeDasharray: string }[] = [
	{ stroke: "var(--service-0)", strokeDasharray: "none" },
	{ stroke: "var(--service-1)", strokeDasharray: "7 3" },
	{ stroke: "var(--service-2)", strokeDasharray: "2 3" },
	{ stroke: "var(--service-3)", strokeDasharray: "9 3 2 3" },
	{ stroke: "var(--service-6)", strokeDasharray: "4 2 1 2 1 2" },
	{ stroke: "var(--service-9)", strokeDasharray: "1 4" },
];

/** Of the series that stands at this place. */
export function strokeOf(order: number): (typeof STROKES)[number] {
	return STROKES[order % STROKES.length]!;
}

/** A piece of the line, beside its name. */
export function Mark({ order }: { readonly order: number }): ReactNode {
	return (
		<svg className="chart-mark" width="26" height="8" aria-hidden="true">
			<line x1="1" y1="4" x2="25" y2="4" strokeWidth="2.5" {...strokeOf(order)} />
		</svg>
	);
}
