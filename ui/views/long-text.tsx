/** A text of a sender, however long it is. */
import { useState } from "react";
import type { ReactNode } from "react";
import { formatCount, visible } from "../base/format.ts";

/** Values may hold a megabyte; the rest of one is shown on demand. */
const SHOWN_TEXT = 1_000;

export function LongText({ text }: { readonly text: string }): ReactNode {
	const [all, setAll] = useState(false);
	return (
		<span className="value told">
			{visible(all ? text : text.slice(0, SHOWN_TEXT))}
			{!all && text.length > SHOWN_TEXT && (
				<button type="button" className="quiet small" onClick={() => setAll(true)}>
					… all {formatCount(text.length)} characters
				</button>
			)}
		</span>
	);
}
