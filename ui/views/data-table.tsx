/**
 * A table of an answer: named, sorted by any column (the order is in the address), scrolling inside its card, and exported whole as
 * CSV and JSON whatever part of it is drawn.
 */
import { useState } from "react";
import type { ReactNode } from "react";
import { toCsv } from "../base/csv.ts";
import type { CsvCell } from "../base/csv.ts";
import { countOf, formatCount } from "../base/format.ts";
import { Icon } from "../base/icons.tsx";
import { usePageActions } from "../base/page-actions.ts";
import { hrefWith, navigate, useLocation } from "../base/router.ts";
import { saveFile } from "../base/download.ts";
import { nextOrder, readOrder, sortRows } from "../base/sorting.ts";
import type { Order } from "../base/sorting.ts";

export interface Column<T> {
	/** In the address and in exports. */
	readonly key: string;
	readonly title: string;
	/** What is exported, sorted by, and shown where there is no `cell`. */
	readonly value: (row: T) => CsvCell;
	readonly cell?: (row: T) => ReactNode;
	/** Sorted by this where `value` does not sort as people mean it. */
	readonly rank?: (row: T) => number | undefined;
	/** Aligned to the end, greatest first. */
	readonly number?: boolean;
	/** The row's header for readers. */
	readonly heads?: boolean;
	/** Shown elsewhere in the row, or too fine for it. */
	readonly exportOnly?: boolean;
}

interface DataTableProps<T> {
	/** In the address (`sort-NAME`) and the names of exported files. */
	readonly name: string;
	readonly title: string;
	/** What the rows are and how they are ordered at first. */
	readonly note: ReactNode;
	readonly columns: readonly Column<T>[];
	readonly rows: readonly T[];
	readonly rowKey: (row: T) => string;
	/** What an empty table means. */
	readonly empty: ReactNode;
	/** The moment of the answer, for the names of files. */
	readonly asOf: string;
}

type ExportsProps<T> = Pick<DataTableProps<T>, "name" | "title" | "columns" | "rows" | "asOf">;

/** Drawn at first; a page of thousands of rows is slow and nobody reads it. */
const SHOWN_ROWS = 200;

export function DataTable<T>(props: DataTableProps<T>): ReactNode {
	const { name, title, note, columns, rows, rowKey, empty } = props;
	const { path, params } = useLocation();
	const [all, setAll] = useState(false);
	const parameter = `sort-${name}`;
	const order = readOrder(params.get(parameter) ?? "");
	const sorted = inOrder(rows, columns, order);
	const shown = columns.filter((column) => column.exportOnly !== true);
	const sort = (column: Column<T>): void =>
		navigate(hrefWith(path, params, { [parameter]: nextOrder(order, column.key, column.number === true) }), {
			replace: true,
		});
	const titleId = `${name}-title`;
	return (
		<section className="card table-card data-table" aria-labelledby={titleId}>
			<div className="data-table-head">
				<div>
					<h2 id={titleId}>
						{title} <span className="muted">{formatCount(rows.length)}</span>
					</h2>
					<p className="muted" id={`${name}-note`}>
						{note}
					</p>
				</div>
				{rows.length > 0 && <Exports {...props} rows={sorted} />}
			</div>
			{rows.length === 0 ? (
				<p className="table-empty">{empty}</p>
			) : (
				// Focusable, so that the arrow keys scroll a table that is wider than the page.
				<div className="table-scroll" tabIndex={0} role="region" aria-label={`${title}, table`}>
					<table aria-describedby={`${name}-note`}>
						<caption className="hidden-label">
							{title}, {countOf(rows.length, "row")}
						</caption>
						<thead>
							<tr>
								{shown.map((column) => (
									<HeadCell
										key={column.key}
										title={column.title}
										number={column.number === true}
										sorted={
											order.column !== column.key
												? undefined
												: order.descending
													? "descending"
													: "ascending"
										}
										onSort={() => sort(column)}
									/>
								))}
							</tr>
						</thead>
						<tbody>
							{(all ? sorted : sorted.slice(0, SHOWN_ROWS)).map((row) => (
								<tr key={rowKey(row)}>
									{shown.map((column) => {
										const content = column.cell === undefined ? column.value(row) : column.cell(row);
										const className = column.number === true ? "number" : undefined;
										return column.heads === true ? (
											<th key={column.key} scope="row">
												{content}
											</th>
										) : (
											<td key={column.key} className={className}>
												{content}
											</td>
										);
									})}
								</tr>
							))}
						</tbody>
					</table>
				</div>
			)}
			{!all && rows.length > SHOWN_ROWS && (
				<p className="table-empty">
					<button type="button" onClick={() => setAll(true)}>
						Show all {formatCount(rows.length)}
					</button>
				</p>
			)}
		</section>
	);
}

function inOrder<T>(rows: readonly T[], columns: readonly Column<T>[], order: Order): readonly T[] {
	const column = columns.find((candidate) => candidate.key === order.column);
	if (column === undefined) return rows;
	const value = (row: T): string | number | undefined => {
		const found = column.rank === undefined ? column.value(row) : column.rank(row);
		return typeof found === "boolean" ? String(found) : found;
	};
	return sortRows(rows, value, order.descending);
}

interface HeadCellProps {
	readonly title: string;
	readonly number: boolean;
	readonly sorted: "ascending" | "descending" | undefined;
	readonly onSort: () => void;
}

function HeadCell({ title, number, sorted, onSort }: HeadCellProps): ReactNode {
	return (
		<th scope="col" className={number ? "number" : undefined} aria-sort={sorted ?? "none"}>
			<button type="button" className="quiet sort" onClick={onSort}>
				{title}
				<span className="sort-mark" aria-hidden="true">
					{sorted === undefined ? "↕" : sorted === "ascending" ? "↑" : "↓"}
				</span>
			</button>
		</th>
	);
}

/** Two buttons that save every row, drawn or not. */
export function Exports<T>({ name, title, columns, rows, asOf }: ExportsProps<T>): ReactNode {
	const file = `meshscope-${name}-${asOf.replaceAll(/[:.]/g, "-")}`;
	const saveCsv = (): void => {
		const csv = toCsv(
			columns.map((column) => column.key),
			rows.map((row) => columns.map((column) => column.value(row))),
		);
		saveFile(`${file}.csv`, new Blob([csv], { type: "text/csv;charset=utf-8" }));
	};
	const saveJson = (): void =>
		saveFile(`${file}.json`, new Blob([`${JSON.stringify(rows, undefined, "\t")}\n`], { type: "application/json" }));
	usePageActions([
		{ key: `${name} csv`, label: `Export ${title} as CSV`, run: saveCsv },
		{ key: `${name} json`, label: `Export ${title} as JSON`, run: saveJson },
	]);
	return (
		<div className="exports">
			<button type="button" aria-label={`${title} as CSV`} onClick={saveCsv}>
				<Icon name="download" />
				CSV
			</button>
			<button type="button" aria-label={`${title} as JSON`} onClick={saveJson}>
				<Icon name="download" />
				JSON
			</button>
		</div>
	);
}
