/** Figures beside their bars: on the terminal as they come, and as bench/RESULTS.md. */
import type { Machine } from "./machine.ts";
import type { Spread } from "./statistics.ts";

export interface Bar {
	readonly atMost?: number;
	readonly atLeast?: number;
}

export interface Figure {
	readonly section: string;
	readonly name: string;
	readonly unit: string;
	/** The median decides whether a bar is met. */
	readonly value: Spread;
	readonly repetitions: number;
	/** Figures without a bar explain the others. */
	readonly bar?: Bar;
	readonly note?: string;
	/** Why the figure counts for nothing: wrong answers are not fast answers. */
	readonly invalid?: string;
}

export function isMet(figure: Figure): boolean | undefined {
	if (figure.bar === undefined) return undefined;
	if (figure.invalid !== undefined) return false;
	const { atMost = Number.POSITIVE_INFINITY, atLeast = Number.NEGATIVE_INFINITY } = figure.bar;
	return figure.value.median <= atMost && figure.value.median >= atLeast;
}

export function textOf(figure: Figure): string {
	const note = noteOf(figure);
	const verdict = isMet(figure);
	const bar = verdict === undefined ? "" : `  [bar ${barText(figure)}: ${verdict ? "met" : "NOT MET"}]`;
	return `${figure.section.padEnd(8)} ${figure.name.padEnd(58)} ${valueText(figure)}${bar}${note === undefined ? "" : `  (${note})`}`;
}

export function markdownOf(machine: Machine, figures: readonly Figure[], settings: readonly string[]): string {
	const lines = [
		"# Benchmark results",
		"",
		"Written by `npm run bench`. The load is Envoy sidecars under Istio: ten spans a trace, two a hop, 17 attributes a span, ids and",
		"request ids fresh in every request, traces scattered or mixed over requests as noted. Server and generator share the machine.",
		"A figure is the median of its repetitions, with the least and the greatest beside it; ratios are taken against the yardstick",
		"measured right before and after. Every acknowledgement counted here came after a commit with `synchronous=FULL`.",
		"",
		"| machine | |",
		"|---|---|",
		...machine.lines.map(([name, value]) => `| ${name} | ${value} |`),
		...settings.map((setting) => `| setting | ${setting} |`),
		"",
	];
	for (const [section, members] of Map.groupBy(figures, (figure) => figure.section)) {
		lines.push(`## ${section}`, "", "| figure | median | min – max | runs | bar | |", "|---|---|---|---|---|---|");
		for (const figure of members) {
			const verdict = isMet(figure);
			const cells = [
				noteOf(figure) === undefined ? figure.name : `${figure.name} (${noteOf(figure)})`,
				`${numberText(figure.value.median)} ${figure.unit}`,
				figure.repetitions > 1 ? `${numberText(figure.value.min)} – ${numberText(figure.value.max)}` : "",
				String(figure.repetitions),
				verdict === undefined ? "" : barText(figure),
				verdict === undefined ? "" : verdict ? "met" : "**not met**",
			];
			lines.push(`| ${cells.join(" | ")} |`);
		}
		lines.push("");
	}
	return lines.join("\n");
}

function noteOf({ note, invalid }: Figure): string | undefined {
	const parts = [note, invalid === undefined ? undefined : `INVALID: ${invalid}`].filter((part) => part !== undefined);
	return parts.length === 0 ? undefined : parts.join("; ");
}

function valueText({ value, unit, repetitions }: Figure): string {
	const spread = repetitions > 1 ? ` (${numberText(value.min)} – ${numberText(value.max)})` : "";
	return `${numberText(value.median)} ${unit}${spread}`;
}

function barText({ bar, unit }: Figure): string {
	const parts: string[] = [];
	if (bar?.atLeast !== undefined) parts.push(`≥ ${numberText(bar.atLeast)} ${unit}`);
	if (bar?.atMost !== undefined) parts.push(`≤ ${numberText(bar.atMost)} ${unit}`);
	return parts.join(", ");
}

function numberText(value: number): string {
	if (!Number.isFinite(value)) return "–";
	if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString("en-US");
	return String(Number(value.toPrecision(3)));
}
