/** The one way in which any table leaves the page: its rows in their order, as CSV of its columns and as JSON of what they are. */
import type { ReactNode } from "react";
import { toCsv } from "../base/csv.ts";
import type { CsvCell } from "../base/csv.ts";
import { saveFile } from "../base/download.ts";
import { countOf } from "../base/format.ts";
import { Icon } from "../base/icons.tsx";
import { usePageActions } from "../base/page-actions.ts";

interface ExportColumn<T> {
	readonly key: string;
	readonly value: (row: T) => CsvCell;
}

interface TableExportsProps<T> {
	/** In the names of files. */
	readonly name: string;
	readonly title: string;
	readonly columns: readonly ExportColumn<T>[];
	/** As they stand in the table, those beyond the window too. */
	readonly rows: readonly T[];
	/** The moment of the answer, for the names of files. */
	readonly asOf: string;
}

/** Two buttons, and the same as actions of the palette. */
export function TableExports<T>({ name, title, columns, rows, asOf }: TableExportsProps<T>): ReactNode {
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
			{[
				{ format: "CSV", save: saveCsv },
				{ format: "JSON", save: saveJson },
			].map(({ format, save }) => (
				<button
					key={format}
					type="button"
					aria-label={`${title} as ${format}`}
					title={`${countOf(rows.length, "row")} as ${format}`}
					onClick={save}
				>
					<Icon name="download" />
					{format}
				</button>
			))}
		</div>
	);
}
