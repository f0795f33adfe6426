/** The latency chart in numbers: its cells, as they are drawn. */
import type { ReactNode } from "react";
import type { SpanDurationsAnswer } from "../../../api/contract/traces.ts";
import { formatDuration, formatUtcMs } from "../../base/format.ts";
import type { Column } from "../data-table.tsx";
import { DataTable } from "../data-table.tsx";

interface CellRow {
	readonly fromMs: number;
	readonly minNs: number;
	readonly maxNs: number;
	readonly spans: number;
	readonly errors: number;
}

const COLUMNS: readonly Column<CellRow>[] = [
	{
		key: "from",
		title: "From",
		value: ({ fromMs }) => new Date(fromMs).toISOString(),
		cell: ({ fromMs }) => formatUtcMs(fromMs),
		heads: true,
	},
	{ key: "minNs", title: "Shortest", value: ({ minNs }) => minNs, cell: ({ minNs }) => formatDuration(minNs), number: true },
	{ key: "maxNs", title: "Longest", value: ({ maxNs }) => maxNs, cell: ({ maxNs }) => formatDuration(maxNs), number: true },
	{ key: "spans", title: "Spans", value: ({ spans }) => spans, number: true },
	{ key: "errors", title: "Errors", value: ({ errors }) => errors, number: true },
];

export function DurationTable({ answer }: { readonly answer: SpanDurationsAnswer }): ReactNode {
	const startMs = Date.parse(answer.from);
	const rows = answer.cells.map(([column, row, spans, errors]) => ({
		fromMs: startMs + column * answer.columnMs,
		...answer.rows[row]!,
		spans,
		errors,
	}));
	return (
		<DataTable
			name="durations"
			title="Spans by start and duration"
			note={`A row for each part of the chart that holds any: ${answer.columnMs / 1_000} s wide.`}
			columns={COLUMNS}
			rows={rows.toSorted((a, b) => b.fromMs - a.fromMs || b.maxNs - a.maxNs)}
			rowKey={({ fromMs, minNs }) => `${fromMs} ${minNs}`}
			empty="Nothing in this range."
			asOf={answer.from}
		/>
	);
}
