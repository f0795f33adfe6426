/** Query results as JSON lines, CSV or an aligned table. Integers are printed digit for digit, whatever their size. */
import { fit, fitRight, printable, textWidth } from "../terminal/text-width.ts";
import type { SqlResult, SqlValue } from "./session.ts";

export type OutputFormat = "json" | "csv" | "table";

/** Of a cell of the table form. */
const MAX_CELL_WIDTH = 80;
/** Rows whose widths decide the columns; the table is then streamed. */
const SAMPLED_ROWS = 500;

/** Lines with their ends, made as the rows come. */
export function* resultLines(result: SqlResult, format: OutputFormat): Generator<string> {
	if (format === "table") {
		yield* tableLines(result);
		return;
	}
	if (format === "csv") yield csvLine(result.columns);
	for (const row of result.rows) yield format === "csv" ? csvLine(row.map(cellText)) : jsonLine(result.columns, row);
}

/** JSON numbers have no size limit, so 64-bit integers stand as they are; blobs are base64. */
function jsonLine(columns: readonly string[], row: readonly SqlValue[]): string {
	const members = row.map(
		(value, i) => `${JSON.stringify(columns[i])}:${typeof value === "bigint" ? value : JSON.stringify(jsonValue(value))}`,
	);
	return `{${members.join(",")}}\n`;
}

function jsonValue(value: Exclude<SqlValue, bigint>): string | number | null {
	return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
}

/** RFC 4180; NULL is an empty field. */
function csvLine(cells: readonly string[]): string {
	return `${cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")}\r\n`;
}

function cellText(value: SqlValue): string {
	if (value === null) return "";
	return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : String(value);
}

function* tableLines(result: SqlResult): Generator<string> {
	const widths = result.columns.map((name) => textWidth(printable(name)));
	const numeric = result.columns.map(() => true);
	const line = (row: readonly SqlValue[]): string => {
		const cells = row.map((value, i) => (numeric[i] ? fitRight : fit)(tableCell(value), widths[i]!));
		return `${cells.join("  ").trimEnd()}\n`;
	};
	const rows = result.rows[Symbol.iterator]();
	const sample: (readonly SqlValue[])[] = [];
	let next = rows.next();
	for (; next.done !== true && sample.length < SAMPLED_ROWS; next = rows.next()) sample.push(next.value);
	for (const row of sample) {
		for (const [i, value] of row.entries()) {
			widths[i] = Math.min(MAX_CELL_WIDTH, Math.max(widths[i]!, textWidth(tableCell(value))));
			if (typeof value === "string" || value instanceof Uint8Array) numeric[i] = false;
		}
	}
	yield line(result.columns);
	yield `${widths.map((width) => "─".repeat(width)).join("  ")}\n`;
	for (const row of sample) yield line(row);
	for (; next.done !== true; next = rows.next()) yield line(next.value);
}

function tableCell(value: SqlValue): string {
	return value === null ? "NULL" : printable(cellText(value));
}
