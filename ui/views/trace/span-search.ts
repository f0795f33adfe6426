/** Finding spans inside a trace by any text of theirs. */
import { textOfValue } from "../../base/otlp.ts";
import type { Waterfall } from "../../layout/waterfall.ts";

/** Rows whose name, service, id, attribute keys or values hold `text`, whatever the case; undefined for no text. */
export function matchingRows(waterfall: Waterfall, text: string): ReadonlySet<number> | undefined {
	const wanted = text.trim().toLowerCase();
	if (wanted === "") return undefined;
	const services = waterfall.services.map((service) => service.toLowerCase().includes(wanted));
	const rows = new Set<number>();
	for (let row = 0; row < waterfall.count; row++) {
		const span = waterfall.spans[row]!;
		const found =
			services[waterfall.service[row]!]! ||
			(span.name ?? "").toLowerCase().includes(wanted) ||
			(span.spanId ?? "").toLowerCase().includes(wanted) ||
			(span.attributes ?? []).some(
				({ key, value }) =>
					(key ?? "").toLowerCase().includes(wanted) || textOfValue(value).toLowerCase().includes(wanted),
			);
		if (found) rows.add(row);
	}
	return rows;
}
