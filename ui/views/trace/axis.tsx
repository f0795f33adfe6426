/** The marks of the time axis, above the rows with their labels and behind the rows without. */
import type { ReactNode } from "react";
import { formatDuration } from "../../base/format.ts";
import { ticks } from "../../layout/timeline.ts";
import type { Viewport } from "../../layout/timeline.ts";

/** Percent of the width from which a label would run into the next column. */
const LABELLED_BELOW = 93;

interface AxisProps {
	readonly view: Viewport;
	/** At most. */
	readonly marks: number;
	readonly labelled?: boolean;
}

export function Axis({ view, marks, labelled = false }: AxisProps): ReactNode {
	const width = view.toNs - view.fromNs;
	return ticks(view, marks).map((tick) => {
		const at = (100 * (tick - view.fromNs)) / width;
		return (
			<span key={tick} className="tick" style={{ insetInlineStart: `${at}%` }}>
				{labelled && at < LABELLED_BELOW && (tick === 0 ? "0" : formatDuration(tick))}
			</span>
		);
	});
}
