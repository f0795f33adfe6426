/**
 * A trace as lines of text: tree, service, duration and a bar scaled to the width of the terminal. Pure; the rows come from the same
 * layout that the page draws, so both show the same tree.
 */
import { formatDuration } from "../../model/time.ts";
import {
	buildWaterfall,
	MARK_CYCLE,
	MARK_NEGATIVE,
	MARK_NO_TIME,
	MARK_ORPHAN,
	MARK_SAME_ID,
	MARK_SKEW,
} from "../../ui/layout/waterfall.ts";
import type { Waterfall } from "../../ui/layout/waterfall.ts";
import type { TraceHop } from "../../api/contract/traces.ts";
import type { TracesData } from "../../ui/base/otlp.ts";
import { fit, fitRight, printable, textWidth } from "./text-width.ts";

export interface WaterfallTextOptions {
	readonly traceId: string;
	/** Of the terminal. */
	readonly columns: number;
	readonly colour: boolean;
	/** IANA name; the machine's own when absent. */
	readonly timeZone?: string;
	/** What is known of the calls in the trace. */
	readonly hops?: readonly HopOfSpans[];
}

/** What the lines show of a hop. */
export interface HopOfSpans {
	readonly mtls: { readonly status: TraceHop["mtls"]["status"] };
	readonly spans: Pick<TraceHop["spans"], "source" | "destination" | "waypoint">;
}

/** Short enough for a column, and read without colour. `unknown` is said by nothing. */
const MTLS_WORDS: Readonly<Record<HopOfSpans["mtls"]["status"], string>> = {
	mutual_tls: "mTLS",
	tls: "TLS",
	plaintext: "plain",
	none: "no-mTLS",
	mixed: "mixed",
	unknown: "",
};
const MTLS_MEANINGS: Readonly<Record<string, string>> = {
	mTLS: "mutual TLS",
	TLS: "TLS without a client's certificate",
	plain: "plaintext",
	"no-mTLS": "plaintext or one-way TLS",
	mixed: "the two ends disagree",
};
const UNPROTECTED: ReadonlySet<string> = new Set(["plain", "no-mTLS", "mixed"]);

const DURATION_WIDTH = 9;
const MIN_BAR_WIDTH = 8;
const MIN_LOCK_COLUMNS = 40;
const MAX_SERVICE_WIDTH = 24;
/** Name, error letter and kind letter stand in front of every bar. */
const KIND_LETTERS = " ISCPK";

const LETTERS: readonly { readonly letter: string; readonly meaning: string; readonly mark: number }[] = [
	{ letter: "o", meaning: "parent not in the trace", mark: MARK_ORPHAN },
	{ letter: "c", meaning: "was its own ancestor", mark: MARK_CYCLE },
	{ letter: "d", meaning: "span ID used twice", mark: MARK_SAME_ID },
	{ letter: "s", meaning: "starts before its parent", mark: MARK_SKEW },
	{ letter: "n", meaning: "ends before it starts", mark: MARK_NEGATIVE },
	{ letter: "t", meaning: "no start time", mark: MARK_NO_TIME },
];

/** Lines without line ends, none wider than `columns`. */
export function waterfallLines(trace: TracesData, options: WaterfallTextOptions): string[] {
	const rows = buildWaterfall(trace);
	const services = rows.services.map((name) => (name === "" ? "(no service)" : printable(name)));
	const names = treeNames(rows, Math.max(4, Math.floor(options.columns * 0.2)));
	const marks = Array.from({ length: rows.count }, (_, row) => lettersOf(rows, row));
	const locks = mtlsWords(rows, options.hops ?? []);
	const widths = columnWidths(options.columns, services, names, marks, locks);
	const paint = painter(options.colour);

	const lines = headLines(rows, options).map((line) => fit(line, options.columns).trimEnd());
	lines.push("", paint("dim", headerLine(rows, widths)));
	for (let row = 0; row < rows.count; row++) {
		const failed = rows.failed[row] === 1;
		const service = rows.service[row]!;
		const hue = failed ? "red" : (`service${service % SERVICE_HUES.length}` as const);
		const cells = [
			paint(hue, fit(services[service]!, widths.service)),
			fit(names[row]!, widths.name),
			paint(failed ? "red" : "dim", fit(marks[row]!, widths.marks)),
			...(widths.lock > 0 ? [paint(UNPROTECTED.has(locks[row]!) ? "red" : "dim", fit(locks[row]!, widths.lock))] : []),
			fitRight(formatDuration(rows.lengthNs[row]!), DURATION_WIDTH),
		];
		if (widths.bar > 0) cells.push(paint(hue, barOf(rows, row, widths.bar)));
		lines.push(cells.join(" ").trimEnd());
	}
	const legend = [legendOf(rows), ...lockLegend(locks)].filter((part) => part !== "").join("   ");
	if (legend !== "") lines.push("", ...wrap(legend, options.columns));
	return lines;
}

/** Of each row, the word of the hop whose end it is. */
function mtlsWords(rows: Waterfall, hops: readonly HopOfSpans[]): string[] {
	const byRole = { calls: new Map<string, string>(), called: new Map<string, string>() };
	for (const { mtls, spans } of hops) {
		const word = MTLS_WORDS[mtls.status];
		if (word === "") continue;
		if (spans.source !== undefined) byRole.calls.set(spans.source, word);
		for (const id of [spans.destination, spans.waypoint]) if (id !== undefined) byRole.called.set(id, word);
	}
	return rows.spans.map(({ spanId = "", kind = 0 }) => {
		// A span that both ends share stands twice, told apart by its kind.
		const [first, second] = isIncoming(kind) ? [byRole.called, byRole.calls] : [byRole.calls, byRole.called];
		return first.get(spanId) ?? second.get(spanId) ?? "";
	});
}

function isIncoming(kind: number): boolean {
	return KIND_LETTERS[kind] === "S" || KIND_LETTERS[kind] === "K";
}

function lockLegend(locks: readonly string[]): string[] {
	const seen = new Set(locks);
	return Object.entries(MTLS_MEANINGS).flatMap(([word, meaning]) => (seen.has(word) ? [`${word} ${meaning}`] : []));
}

interface Widths {
	readonly service: number;
	readonly name: number;
	readonly marks: number;
	/** 0 where no hop says anything. */
	readonly lock: number;
	/** 0 where the terminal is too narrow for bars. */
	readonly bar: number;
}

function columnWidths(
	columns: number,
	services: readonly string[],
	names: readonly string[],
	marks: readonly string[],
	locks: readonly string[],
): Widths {
	const service = Math.min(MAX_SERVICE_WIDTH, Math.max(7, widest(services)), Math.max(4, Math.floor(columns * 0.25)));
	const mark = Math.max(1, widest(marks));
	const lock = columns < MIN_LOCK_COLUMNS ? 0 : widest(locks);
	const rest = columns - service - mark - DURATION_WIDTH - 3 - (lock === 0 ? 0 : lock + 1);
	const wanted = Math.max(4, widest(names));
	const name = Math.max(4, Math.min(wanted, Math.max(Math.floor(columns * 0.4), rest - 1 - 60)));
	const bar = rest - name - 1;
	return bar >= MIN_BAR_WIDTH
		? { service, name, marks: mark, lock, bar }
		: { service, name: Math.max(4, Math.min(wanted, rest)), marks: mark, lock, bar: 0 };
}

function widest(texts: readonly string[]): number {
	let width = 0;
	for (const text of texts) width = Math.max(width, textWidth(text));
	return width;
}

/** Span names behind their branches; a branch deeper than `maxIndent` columns is shown as its depth. */
function treeNames(rows: Waterfall, maxIndent: number): string[] {
	const names: string[] = [];
	/** Whether the ancestor at each depth is the last of its siblings. */
	const last: boolean[] = [];
	for (let row = 0; row < rows.count; row++) {
		const depth = rows.depth[row]!;
		const parent = rows.parent[row]!;
		last[depth] = parent < 0 || rows.subtreeEnd[row]! >= rows.subtreeEnd[parent]!;
		let indent = "";
		if (depth * 2 > maxIndent) indent = `…${depth} `;
		else {
			for (let level = 1; level < depth; level++) indent += last[level] ? "  " : "│ ";
			if (depth > 0) indent += last[depth] ? "└ " : "├ ";
		}
		const name = rows.spans[row]!.name ?? "";
		names.push(indent + (name === "" ? "(no name)" : printable(name)));
	}
	return names;
}

function lettersOf(rows: Waterfall, row: number): string {
	const kind = KIND_LETTERS[rows.spans[row]!.kind ?? 0] ?? " ";
	const error = rows.failed[row] === 1 ? "E" : "";
	const found = LETTERS.filter((entry) => (rows.marks[row]! & entry.mark) !== 0).map((entry) => entry.letter);
	return `${kind}${error}${found.join("")}`;
}

function legendOf(rows: Waterfall): string {
	const parts: string[] = [];
	const kinds = new Set(rows.spans.map((span) => span.kind ?? 0));
	for (const [kind, meaning] of ["", "internal", "server", "client", "producer", "consumer"].entries()) {
		if (kind > 0 && kinds.has(kind)) parts.push(`${KIND_LETTERS[kind]} ${meaning}`);
	}
	if (rows.errorCount > 0) parts.push("E error");
	const seen = rows.marks.reduce((all, mark) => all | mark, 0);
	for (const { letter, meaning, mark } of LETTERS) if ((seen & mark) !== 0) parts.push(`${letter} ${meaning}`);
	return parts.join("   ");
}

function headLines(rows: Waterfall, options: WaterfallTextOptions): string[] {
	const count = (value: number, one: string): string => `${value} ${one}${value === 1 ? "" : "s"}`;
	return [
		`trace ${options.traceId}`,
		[
			formatLocalTime(rows.startNs, options.timeZone),
			formatDuration(rows.durationNs),
			count(rows.count, "span"),
			count(rows.services.length, "service"),
			count(rows.errorCount, "error"),
		].join("   "),
	];
}

function headerLine(rows: Waterfall, widths: Widths): string {
	const left = [
		fit("service", widths.service),
		fit("span", widths.name),
		fit("", widths.marks),
		...(widths.lock > 0 ? [fit("", widths.lock)] : []),
		fitRight("duration", DURATION_WIDTH),
	];
	if (widths.bar === 0) return left.join(" ").trimEnd();
	const end = formatDuration(rows.durationNs);
	return `${left.join(" ")} ${fit("0", Math.max(1, widths.bar - textWidth(end)))}${fitRight(end, Math.min(widths.bar - 1, textWidth(end)))}`;
}

/** At least one cell wide and never beyond the edge, however short or late the span. */
function barOf(rows: Waterfall, row: number, width: number): string {
	const total = Math.max(1, rows.durationNs);
	const lengthNs = rows.lengthNs[row]!;
	const start = Math.min(width - 1, Math.floor((rows.offsetNs[row]! / total) * width));
	const cells = Math.max(1, Math.min(width - start, Math.round((lengthNs / total) * width)));
	return " ".repeat(start) + (lengthNs === 0 ? "▏" : "█".repeat(cells));
}

/** `2026-03-01 12:00:03.123456 +01:00`. */
export function formatLocalTime(timeNs: bigint, timeZone?: string): string {
	const ms = Number(timeNs / 1_000_000n);
	// ECMAScript's range of a Date; 0 is a trace in which no span has a start time.
	if (timeNs <= 0n || ms > 8.64e15) return "no time";
	const zone = timeZone === undefined ? {} : { timeZone };
	const format = new Intl.DateTimeFormat("en-CA", {
		...zone,
		year: "numeric",
		month: "2-digit",
		day: "2-digit",
		hour: "2-digit",
		minute: "2-digit",
		second: "2-digit",
		hourCycle: "h23",
		timeZoneName: "longOffset",
	});
	const part = new Map(format.formatToParts(ms).map(({ type, value }) => [type, value]));
	const micros = ((timeNs / 1_000n) % 1_000_000n).toString().padStart(6, "0");
	const offset = part.get("timeZoneName")?.replace("GMT", "") ?? "";
	return `${part.get("year")}-${part.get("month")}-${part.get("day")} ${part.get("hour")}:${part.get("minute")}:${part.get("second")}.${micros} ${offset === "" ? "+00:00" : offset}`;
}

function wrap(text: string, columns: number): string[] {
	const lines: string[] = [];
	for (const part of text.split("   ")) {
		const line = lines.at(-1);
		if (line !== undefined && textWidth(line) + 3 + textWidth(part) <= columns) lines[lines.length - 1] = `${line}   ${part}`;
		else lines.push(fit(part, Math.min(columns, textWidth(part))));
	}
	return lines;
}

/** Of the 256-colour palette: told apart on dark and light ground, none of them red. */
const SERVICE_HUES: readonly number[] = [39, 178, 78, 141, 208, 44, 170, 107];

function painter(colour: boolean): (style: "red" | "dim" | `service${number}`, text: string) => string {
	if (!colour) return (_, text) => text;
	return (style, text) => {
		const code =
			style === "red" ? "31" : style === "dim" ? "2" : `38;5;${SERVICE_HUES[Number(style.slice("service".length))]}`;
		return `\u001b[${code}m${text}\u001b[0m`;
	};
}
