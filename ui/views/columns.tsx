/** Columns that many tables have: names of senders, lists of them, moments. */
import type { CsvCell } from "../base/csv.ts";
import { Link } from "../base/link.tsx";
import { serviceHref } from "../base/router.ts";
import { Name, Names, Seen } from "./cells.tsx";
import type { Column } from "./data-table.tsx";

/** @param none what stands where the text is empty */
export function nameColumn<T>(
	key: string,
	title: string,
	value: (row: T) => string,
	{ heads = false, none = "none" }: { readonly heads?: boolean; readonly none?: string } = {},
): Column<T> {
	return { key, title, value, heads, cell: (row) => <Name text={value(row)} none={none} /> };
}

/** A node of the graph by its ID, with the way to its page. */
export function serviceColumn<T>(
	key: string,
	title: string,
	value: (row: T) => string,
	range: { readonly from: string; readonly to: string },
	{ heads = false }: { readonly heads?: boolean } = {},
): Column<T> {
	return {
		...{ key, title, value, heads },
		cell: (row) => (
			<Link href={serviceHref(value(row), { from: range.from, to: range.to })}>
				<Name text={value(row)} />
			</Link>
		),
	};
}

export function namesColumn<T>(key: string, title: string, values: (row: T) => readonly string[], none = "none"): Column<T> {
	return { key, title, value: (row) => values(row).join(" "), cell: (row) => <Names texts={values(row)} none={none} /> };
}

export function seenColumn<T>(key: string, title: string, value: (row: T) => string | undefined, nowMs: number): Column<T> {
	return { key, title, value, cell: (row) => <Seen at={value(row)} nowMs={nowMs} /> };
}

/** In exports only: shown elsewhere in the row, or too fine for it. */
export function exportColumn<T>(key: string, value: (row: T) => CsvCell): Column<T> {
	return { key, title: key, value, exportOnly: true };
}
