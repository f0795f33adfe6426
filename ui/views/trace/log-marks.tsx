/** Log records in a row of the waterfall: a dot, a triangle or a diamond at the time of each. Clicks are the grid's. */
import type { ReactNode } from "react";
import { fromStart } from "../../base/format.ts";
import { drawnMarks } from "../../layout/trace/log-marks.ts";
import type { DrawnMark, LogMark, LogWeight } from "../../layout/trace/log-marks.ts";
import type { Viewport } from "../../layout/timeline.ts";

const SHAPES: Readonly<Record<LogWeight, string>> = {
	info: "M6 3a3 3 0 1 0 0 6 3 3 0 0 0 0-6Z",
	warn: "M6 1.5 11 10.5H1L6 1.5Z",
	error: "M6 .8 11.2 6 6 11.2.8 6 6 .8Z",
};
const WORDS: Readonly<Record<LogWeight, string>> = { info: "log", warn: "warning", error: "error" };

interface LogMarksProps {
	readonly marks: readonly LogMark[];
	readonly view: Viewport;
}

export function LogMarks({ marks, view }: LogMarksProps): ReactNode {
	return drawnMarks(marks, view).map((drawn) => (
		<button
			key={drawn.mark.log}
			type="button"
			className={`log-mark log-mark-${drawn.mark.weight}`}
			tabIndex={-1}
			data-log={drawn.mark.log}
			aria-label={labelOf(drawn)}
			title={labelOf(drawn)}
			style={{ insetInlineStart: `${drawn.left}%` }}
		>
			<svg viewBox="0 0 12 12" aria-hidden="true">
				<path d={SHAPES[drawn.mark.weight]} />
			</svg>
		</button>
	));
}

function labelOf({ mark, count }: DrawnMark): string {
	const text = `${WORDS[mark.weight]} at ${fromStart(mark.atNs)}: ${mark.text}`;
	return count === 1 ? text : `${text} (and ${count - 1} more here)`;
}
