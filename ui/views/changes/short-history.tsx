/** Says when the window before was not stored, so that all of it seems new, and offers to compare what there is by halves. */
import type { ReactNode } from "react";
import type { GraphDiffAnswer } from "../../../api/contract/topology.ts";
import { formatUtcMs } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { hrefWith } from "../../base/router.ts";
import { useMeshHistory } from "../../data/audit-queries.ts";
import { bothWindows, halvesSince } from "../../data/change-sides.ts";
import { Notice } from "../notice.tsx";

export function ShortHistory({ diff }: { readonly diff: GraphDiffAnswer }): ReactNode {
	const { from, to } = diff.baseline;
	const history = useMeshHistory(bothWindows(diff), false);
	const begins = history.data?.begins;
	if (begins === undefined || begins <= from) return undefined;
	const halves = halvesSince(Date.parse(begins), Date.parse(diff.window.to));
	return (
		<Notice tone="warn">
			{begins < to ? "The time before is stored in part only: data begins at " : "Every edge is new: data begins at "}
			{formatUtcMs(Date.parse(begins))}.
			{halves !== undefined && (
				<>
					{" "}
					<Link href={hrefWith("/changes", new URLSearchParams(), halves)}>Compare what there is, half with half</Link>.
				</>
			)}
		</Notice>
	);
}
