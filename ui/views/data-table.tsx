/**
 * A table of an answer: named, sorted by any column and filtered by words (both are in the address), scrolling inside its card under
 * its head, and exported as CSV and JSON in that order, whatever part of it is drawn.
 */
import { useEffect, useMemo, useRef, useState } from "react";
import type { ReactNode } from "react";
import type { CsvCell } from "../base/csv.ts";
import { countOf, formatCount } from "../base/format.ts";
import { hrefWith, navigate, useLocation } from "../base/router.ts";
import { nextOrder, readOrder, sortRows } from "../base/sorting.ts";
import type { Order } from "../base/sorting.ts";
import { TableExports } from "./table-exports.tsx";
import { TableRows, VIRTUAL_ROWS } from "./table-rows.tsx";

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
	/** In the address (`sort-NAME`, `filter-NAME`) and the names of exported files. */
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

/** Fewer are found by looking. */
const FILTER_ROWS = 8;
/** From here on the table scrolls in a box of its own, under its head. */
const BOXED_ROWS = 40;

export function DataTable<T>(props: DataTableProps<T>): ReactNode {
	const { name, title, note, columns, rows, empty, asOf } = props;
	const { path, params } = useLocation();
	const parameter = { sort: `sort-${name}`, filter: `filter-${name}` };
	const sort = params.get(parameter.sort) ?? "";
	const filter = params.get(parameter.filter) ?? "";
	const shown = useMemo(
		() => inOrder(filtered(rows, columns, filter), columns, readOrder(sort)),
		[rows, columns, sort, filter],
	);
	const set = (which: "sort" | "filter", value: string): void =>
		navigate(hrefWith(path, params, { [parameter[which]]: value }), { replace: true });
	const titleId = `${name}-title`;
	return (
		<section className="card table-card data-table" aria-labelledby={titleId}>
			<div className="data-table-head">
				<div>
					<h2 id={titleId}>
						{title}{" "}
						<span className="muted">
							{filter === "" ? "" : `${formatCount(shown.length)} of `}
							{formatCount(rows.length)}
						</span>
					</h2>
					<p className="muted" id={`${name}-note`}>
						{note}
					</p>
				</div>
				{rows.length > 0 && (
					<div className="data-table-tools">
						{(rows.length > FILTER_ROWS || filter !== "") && (
							<TableFilter title={title} value={filter} onApply={(text) => set("filter", text)} />
						)}
						<span className="hidden-label" role="status">
							{filter !== "" && `${countOf(shown.length, "row")} of ${formatCount(rows.length)}`}
						</span>
						<TableExports name={name} title={title} columns={columns} rows={shown} asOf={asOf} />
					</div>
				)}
			</div>
			{rows.length === 0 ? (
				<p className="table-empty">{empty}</p>
			) : shown.length === 0 ? (
				<p className="table-empty">
					No row holds every word of the filter.{" "}
					<button type="button" className="small-button" onClick={() => set("filter", "")}>
						Clear it
					</button>
				</p>
			) : (
				<Scrolled {...props} rows={shown} order={readOrder(sort)} onSort={(text) => set("sort", text)} />
			)}
		</section>
	);
}

interface ScrolledProps<T> extends DataTableProps<T> {
	readonly order: Order;
	readonly onSort: (sort: string) => void;
}

function Scrolled<T>({ name, title, columns, rows, rowKey, order, onSort }: ScrolledProps<T>): ReactNode {
	const scroller = useRef<HTMLDivElement>(null);
	const drawn = columns.filter((column) => column.exportOnly !== true);
	const isVirtual = rows.length > VIRTUAL_ROWS;
	return (
		// Focusable, so that the arrow keys scroll a table that is larger than its box.
		<div
			ref={scroller}
			className={rows.length > BOXED_ROWS ? "table-scroll table-boxed" : "table-scroll"}
			tabIndex={0}
			role="region"
			aria-label={`${title}, table`}
		>
			<table aria-describedby={`${name}-note`} aria-rowcount={isVirtual ? rows.length + 1 : undefined}>
				<caption className="hidden-label">
					{title}, {countOf(rows.length, "row")}
				</caption>
				<thead>
					<tr aria-rowindex={isVirtual ? 1 : undefined}>
						{drawn.map((column) => (
							<HeadCell
								key={column.key}
								title={column.title}
								number={column.number === true}
								sorted={order.column !== column.key ? undefined : order.descending ? "descending" : "ascending"}
								onSort={() => onSort(nextOrder(order, column.key, column.number === true))}
							/>
						))}
					</tr>
				</thead>
				<TableRows
					rows={rows}
					rowKey={rowKey}
					scroller={scroller}
					draw={(row) => drawn.map((column) => <Cell key={column.key} column={column} row={row} />)}
				/>
				{isVirtual && <Widest rows={rows} columns={drawn} />}
			</table>
		</div>
	);
}

function Cell<T>({ column, row }: { readonly column: Column<T>; readonly row: T }): ReactNode {
	const content = column.cell === undefined ? column.value(row) : column.cell(row);
	if (column.heads === true) return <th scope="row">{content}</th>;
	return <td className={column.number === true ? "number" : undefined}>{content}</td>;
}

/** A collapsed row of the longest cells: it keeps each column as wide as the whole table needs it, whichever rows are drawn. */
function Widest<T>({ rows, columns }: { readonly rows: readonly T[]; readonly columns: readonly Column<T>[] }): ReactNode {
	const longest = useMemo(
		() =>
			columns.map((column) => {
				const length = (row: T): number => String(column.value(row) ?? "").length;
				return rows.reduce((best, row) => (length(row) > length(best) ? row : best));
			}),
		[rows, columns],
	);
	return (
		<tfoot className="table-widest" aria-hidden="true">
			<tr>
				{columns.map((column, i) => (
					<Cell key={column.key} column={column} row={longest[i]!} />
				))}
			</tr>
		</tfoot>
	);
}

/** Rows in which every word of the text is in some column, whether it is drawn or only exported. */
function filtered<T>(rows: readonly T[], columns: readonly Column<T>[], filter: string): readonly T[] {
	const words = filter
		.toLowerCase()
		.split(/\s+/)
		.filter((word) => word !== "");
	if (words.length === 0) return rows;
	return rows.filter((row) => {
		const text = columns
			.map((column) => String(column.value(row) ?? ""))
			.join("\n")
			.toLowerCase();
		return words.every((word) => text.includes(word));
	});
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

/** How long after the last key the filter holds: the address may change only so often. */
const APPLY_AFTER_MS = 250;

interface TableFilterProps {
	readonly title: string;
	readonly value: string;
	readonly onApply: (text: string) => void;
}

function TableFilter({ title, value, onApply }: TableFilterProps): ReactNode {
	const [draft, setDraft] = useState(value);
	const apply = useRef(onApply);
	useEffect(() => {
		apply.current = onApply;
	});
	useEffect(() => setDraft(value), [value]);
	useEffect(() => {
		if (draft.trim() === value) return undefined;
		const timer = setTimeout(() => apply.current(draft.trim()), APPLY_AFTER_MS);
		return () => clearTimeout(timer);
	}, [draft, value]);
	return (
		<input
			type="text"
			className="table-filter"
			aria-label={`Filter ${title}`}
			placeholder="Filter"
			value={draft}
			autoComplete="off"
			spellCheck={false}
			onChange={(event) => setDraft(event.target.value)}
			onKeyDown={(event) => {
				if (event.key === "Enter") onApply(draft.trim());
				if (event.key === "Escape") setDraft("");
			}}
		/>
	);
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
