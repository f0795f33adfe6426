/** What tells the traces of the selected spans from the others, most certain first; a click searches for the spans that say it. */
import type { ReactNode } from "react";
import type { DifferencesAnswer, TraceDifference } from "../../../api/contract/traces.ts";
import { countOf, formatCount, shorten } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { hrefWith } from "../../base/router.ts";
import { featureName, featurePlace, featureValue, narrowChange, shareText } from "../../data/differences.ts";
import { useDifferences } from "../../data/queries.ts";
import type { Column } from "../data-table.tsx";
import { DataTable } from "../data-table.tsx";
import { ErrorNotice } from "../notice.tsx";

export function Differences({ params, query }: { readonly params: URLSearchParams; readonly query: string }): ReactNode {
	const found = useDifferences(query);
	if (found.isError) return <ErrorNotice error={found.error} what="What differs could not be read." />;
	if (found.data === undefined) return <p className="muted">Comparing traces…</p>;
	const answer = found.data;
	return (
		<div className="differences" aria-busy={found.isPlaceholderData}>
			<DataTable
				name="differences"
				title="What differs"
				note={noteOf(answer)}
				columns={columnsOf(params, answer)}
				rows={answer.differences}
				rowKey={({ kind, key, value, type, service, edge }) =>
					JSON.stringify([kind, key, value, type, service, edge?.id])
				}
				empty={emptyText(answer)}
				asOf={query.slice(-40).replaceAll(/[^0-9a-z]/gi, "-")}
			/>
		</div>
	);
}

function noteOf({ selected, others, searched }: DifferencesAnswer): string {
	const side = ({ compared, traces }: typeof selected, what: string): string =>
		compared < traces
			? `${formatCount(compared)} of about ${formatCount(traces)} ${what}`
			: `${formatCount(compared)} ${what}`;
	const end = searched.truncated ? " The time was up before all of the sample was read." : "";
	return `Compared ${side(selected, "selected traces")} with ${side(others, "others")}: whole traces, whatever span says it. A click searches for the spans that do.${end}`;
}

function emptyText({ selected, others }: DifferencesAnswer): string {
	if (selected.compared === 0) return "No trace is selected.";
	if (others.compared === 0) return "Every trace is selected: there is nothing to compare with. Select a smaller part.";
	return `Nothing is certainly more frequent in ${countOf(selected.compared, "selected trace")} than in the others. A larger selection proves more.`;
}

function columnsOf(params: URLSearchParams, { selected, others }: DifferencesAnswer): readonly Column<TraceDifference>[] {
	return [
		{
			key: "feature",
			title: "What",
			value: (row) => `${featureName(row)}=${featureValue(row)}`,
			heads: true,
			cell: (row) => {
				const change = narrowChange(row);
				const text = (
					<>
						<bdi className="difference-name">{shorten(featureName(row), 60)}</bdi>{" "}
						<bdi>{shorten(featureValue(row), 80)}</bdi>
					</>
				);
				return change === undefined ? text : <Link href={hrefWith("/traces", params, change)}>{text}</Link>;
			},
		},
		{ key: "where", title: "Where", value: featurePlace, cell: (row) => <bdi>{shorten(featurePlace(row), 80)}</bdi> },
		shareColumn("selected", "Selected", (row) => row.selected, selected.compared),
		shareColumn("others", "Others", (row) => row.others, others.compared),
		{
			key: "excess",
			title: "At least",
			value: ({ excess }) => Math.round(excess * 1_000) / 10,
			cell: ({ excess }) => `+${Math.round(excess * 100)} points`,
			number: true,
		},
	];
}

function shareColumn(key: string, title: string, countIn: (row: TraceDifference) => number, of: number): Column<TraceDifference> {
	return {
		key,
		title,
		value: countIn,
		number: true,
		cell: (row) => (
			<span className="share">
				<span className="share-track" aria-hidden="true">
					<span
						className={`share-bar share-${key}`}
						style={{ inlineSize: `${of === 0 ? 0 : (100 * countIn(row)) / of}%` }}
					/>
				</span>
				<span className="share-text">{shareText(countIn(row), of)}</span>{" "}
				<span className="muted">
					{formatCount(countIn(row))} of {formatCount(of)}
				</span>
			</span>
		),
	};
}
