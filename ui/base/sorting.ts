/** Order of a table's rows by one column, and how the address says it: `-requests` is the greatest first. */

export type SortValue = string | number | undefined;

export interface Order {
	readonly column: string;
	readonly descending: boolean;
}

export function readOrder(text: string): Order {
	const descending = text.startsWith("-");
	return { column: descending ? text.slice(1) : text, descending };
}

/** What a click on `column` asks for: its own first direction, then the other. */
export function nextOrder(current: Order, column: string, greatestFirst: boolean): string {
	const descending = current.column === column ? !current.descending : greatestFirst;
	return `${descending ? "-" : ""}${column}`;
}

const collator = new Intl.Collator("en", { numeric: true });

/** Rows in order; equal ones stay as they were, and those without a value come last in both directions. */
export function sortRows<T>(rows: readonly T[], value: (row: T) => SortValue, descending: boolean): readonly T[] {
	return rows.toSorted((a, b) => {
		const [x, y] = [value(a), value(b)];
		if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined);
		const order = typeof x === "number" && typeof y === "number" ? x - y : collator.compare(String(x), String(y));
		return descending ? -order : order;
	});
}
