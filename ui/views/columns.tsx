/** Columns that many tables have: names of senders, lists of them, moments. */
import type { ReactNode } from "react";
import type { CsvCell } from "../base/csv.ts";
import { formatCount, formatDuration } from "../base/format.ts";
import { Link } from "../base/link.tsx";
import { serviceHref } from "../base/router.ts";
import { msText } from "../data/graph-words.ts";
import { VERIFIED_WORDS } from "../data/mtls-words.ts";
import { Expiry, Name, Names, Seen } from "./cells.tsx";
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

/** When a certificate ends. @param notBefore where its life is known, which says how near the end is */
export function expiryColumn<T>(
	key: string,
	title: string,
	notAfter: (row: T) => string | undefined,
	{
		nowMs,
		none = "not told",
		notBefore,
	}: { readonly nowMs: number; readonly none?: string; readonly notBefore?: (row: T) => string },
): Column<T> {
	return {
		...{ key, title, value: notAfter },
		rank: (row) => (notAfter(row) === undefined ? undefined : Date.parse(notAfter(row)!)),
		cell: (row) => {
			const end = notAfter(row);
			if (end === undefined) return <span className="muted">{none}</span>;
			const begin = notBefore?.(row);
			return <Expiry notAfter={end} nowMs={nowMs} {...(begin === undefined ? {} : { notBefore: begin })} />;
		},
	};
}

/** A whole number; counts that were scaled up from a sample may be none. */
export function countColumn<T>(key: string, title: string, value: (row: T) => number): Column<T> {
	return { key, title, number: true, value, cell: (row) => formatCount(Math.round(value(row))) };
}

type Percentiles = Readonly<Record<"p50" | "p95" | "p99", number>>;

/** Three columns, in ms. */
export function latencyColumns<T>(read: (row: T) => Percentiles | undefined): readonly Column<T>[] {
	return (["p50", "p95", "p99"] as const).map((of) => ({
		...{ key: of, title: of, number: true },
		value: (row) => read(row)?.[of],
		cell: (row) => msText(read(row)?.[of]),
	}));
}

/** Whose word for the encryption is relied on. @param more beneath it */
export function verifiedColumn<T>(
	read: (row: T) => keyof typeof VERIFIED_WORDS,
	more: (row: T) => ReactNode = () => undefined,
): Column<T> {
	const cell = (row: T): ReactNode => (
		<>
			{VERIFIED_WORDS[read(row)]}
			{more(row)}
		</>
	);
	return { key: "verifiedBy", title: "Vouched for by", value: read, cell };
}

/** In exports only: shown elsewhere in the row, or too fine for it. */
export function exportColumn<T>(key: string, value: (row: T) => CsvCell): Column<T> {
	return { key, title: key, value, exportOnly: true };
}

/** Nanoseconds, as a person reads them. @param told where a sign or another text belongs to it */
export function durationColumn<T>(
	key: string,
	title: string,
	ns: (row: T) => number | undefined,
	told: (ns: number) => string = formatDuration,
): Column<T> {
	return {
		...{ key, title, number: true, value: ns },
		cell: (row) => {
			const found = ns(row);
			return found === undefined ? "" : told(found);
		},
	};
}
