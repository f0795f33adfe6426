/** Where the time of the trace went, by service and operation: a table that says what the critical path draws. */
import { useMemo } from "react";
import type { ReactNode } from "react";
import { serviceLabel } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { hrefWith, useLocation } from "../../base/router.ts";
import { timeSpent } from "../../layout/trace/time-spent.ts";
import type { TimeSpent } from "../../layout/trace/time-spent.ts";
import type { Waterfall } from "../../layout/waterfall.ts";
import { Name } from "../cells.tsx";
import { durationColumn, nameColumn } from "../columns.tsx";
import { DataTable } from "../data-table.tsx";
import type { Column } from "../data-table.tsx";

interface TraceTimeProps {
	readonly waterfall: Waterfall;
	readonly traceId: string;
}

export function TraceTime(props: TraceTimeProps): ReactNode {
	return (
		<div className="trace-part">
			<TimeTable {...props} />
		</div>
	);
}

/** Also what the flame graph tells as a table. */
export function TimeTable({ waterfall, traceId }: TraceTimeProps): ReactNode {
	const { path, params } = useLocation();
	const rows = useMemo(() => timeSpent(waterfall), [waterfall]);
	const columns = columnsOf(waterfall.durationNs, (row) =>
		hrefWith(path, params, { tab: undefined, frame: undefined, path: "on", span: waterfall.spans[row.row]!.spanId }),
	);
	return (
		<DataTable
			name="time"
			title="Where the time went"
			note="The critical path is what the end of the trace waited for: its shares add up to the whole duration. Self time is time in which no child ran; calls side by side count each. An operation below itself adds nothing to its total."
			columns={columns}
			rows={rows}
			rowKey={({ service, operation }) => `${service}\u0000${operation}`}
			empty="The trace has no spans."
			asOf={traceId}
		/>
	);
}

/** @param hrefOf the span of a row that is on the path longest, in the waterfall */
function columnsOf(durationNs: number, hrefOf: (row: TimeSpent) => string): readonly Column<TimeSpent>[] {
	return [
		{
			key: "operation",
			title: "Operation",
			value: ({ operation }) => operation,
			cell: (row) => (
				<Link href={hrefOf(row)}>
					<Name text={row.operation} none="no name" />
				</Link>
			),
			heads: true,
		},
		nameColumn("service", "Service", ({ service }) => serviceLabel(service)),
		durationColumn("pathNs", "On the critical path", ({ pathNs }) => pathNs),
		{
			key: "pathPercent",
			title: "Share",
			value: ({ pathNs }) => (durationNs === 0 ? 0 : (100 * pathNs) / durationNs),
			cell: ({ pathNs }) => `${((100 * pathNs) / Math.max(1, durationNs)).toFixed(1)} %`,
			number: true,
		},
		durationColumn("selfNs", "Self time", ({ selfNs }) => selfNs),
		durationColumn("totalNs", "Total", ({ totalNs }) => totalNs),
		{ key: "spans", title: "Spans", value: ({ spans }) => spans, number: true },
		{ key: "failed", title: "Errors", value: ({ failed }) => failed, number: true },
	];
}
