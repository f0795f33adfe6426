/** Tables as CSV (RFC 4180), safe to open in a spreadsheet though senders chose the names in it. */

export type CsvCell = string | number | boolean | undefined;

/** Lines end in CRLF; an undefined cell is empty. */
export function toCsv(titles: readonly string[], rows: readonly (readonly CsvCell[])[]): string {
	return [titles, ...rows].map((row) => `${row.map(cellText).join(",")}\r\n`).join("");
}

function cellText(cell: CsvCell): string {
	if (typeof cell !== "string") return cell === undefined ? "" : String(cell);
	// A text that begins like a formula would be run as one by a spreadsheet; an apostrophe makes it a text there.
	const inert = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
	return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
