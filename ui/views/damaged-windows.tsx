/** Which windows of the store an answer is without. */
import type { ReactNode } from "react";
import { countOf } from "../base/format.ts";
import { Link } from "../base/link.tsx";
import { Notice } from "./notice.tsx";

interface DamagedWindowsProps {
	readonly names: readonly string[];
	/** What may be missing with them, as a sentence. */
	readonly consequence?: string;
}

/** Nothing when there are none. */
export function DamagedWindows({ names, consequence }: DamagedWindowsProps): ReactNode {
	if (names.length === 0) return undefined;
	return (
		<Notice tone="warn">
			{countOf(names.length, "window")} could not be read and {names.length === 1 ? "was" : "were"} left out:{" "}
			<span className="told mono">{names.join(", ")}</span>. {consequence !== undefined && `${consequence} `}
			<Link href="/status">Status</Link> says why.
		</Notice>
	);
}
