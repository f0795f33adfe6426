/** Metrics as Prometheus scrapes them (text exposition format 0.0.4). */
import type { Histogram, LabelPairs, MetricFamily } from "./metric-family.ts";

export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export function prometheusText(families: Iterable<MetricFamily>): string {
	const parts: string[] = [];
	for (const { name, help, kind, samples } of families) {
		if (samples.length === 0) continue;
		parts.push(`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${kind}\n`);
		for (const { labels, value } of samples) {
			if (typeof value === "number") parts.push(`${name}${braces(labels.pairs)} ${number(value)}\n`);
			else parts.push(histogramLines(name, labels.pairs, value));
		}
	}
	return parts.join("");
}

function histogramLines(name: string, pairs: LabelPairs, { bounds, counts, count, sum }: Histogram): string {
	let text = "";
	let below = 0;
	for (const [i, bound] of bounds.entries()) {
		below += counts[i]!;
		text += `${name}_bucket${braces([...pairs, ["le", number(bound)]])} ${below}\n`;
	}
	text += `${name}_bucket${braces([...pairs, ["le", "+Inf"]])} ${count}\n`;
	const own = braces(pairs);
	return `${text}${name}_sum${own} ${number(sum)}\n${name}_count${own} ${count}\n`;
}

function braces(pairs: LabelPairs): string {
	if (pairs.length === 0) return "";
	return `{${pairs.map(([name, value]) => `${name}="${escaped(value)}"`).join(",")}}`;
}

function escaped(value: string): string {
	return /["\\\n]/.test(value) ? value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n") : value;
}

function number(value: number): string {
	if (Number.isNaN(value)) return "NaN";
	return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : "-Inf";
}
