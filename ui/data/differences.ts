/** What differs between the selected part of the chart and the rest: how it is asked for, said, and searched for. */
import type { TraceDifference } from "../../api/contract/traces.ts";
import { spansQuery } from "./duration-chart.ts";
import type { Brush, Counted } from "./duration-chart.ts";
import { MTLS_WORDS } from "./mtls-words.ts";
import type { MtlsStatus } from "./mtls-words.ts";
import { serviceOfNode } from "./node-name.ts";
import type { TraceFilter } from "./trace-filter.ts";

/** Undefined where nothing is selected. */
export function differencesQuery(
	filter: TraceFilter,
	counted: Counted,
	brush: Brush | undefined,
	comparesErrors: boolean,
): string | undefined {
	if (brush === undefined && !comparesErrors) return undefined;
	const query = spansQuery(filter, counted);
	if (brush === undefined) query.set("selectStatus", "error");
	else {
		query.set("selectFrom", String(brush.fromMs));
		query.set("selectTo", String(brush.toMs));
		query.set("selectMinDuration", `${brush.minNs}ns`);
		query.set("selectMaxDuration", `${brush.maxNs}ns`);
	}
	return query.toString();
}

const KIND_WORDS: Readonly<Record<Exclude<TraceDifference["kind"], "attribute">, string>> = {
	service: "service",
	operation: "operation",
	status: "status",
	call: "call",
	mtls: "encryption",
	flag: "response flag",
	code: "response code",
	retried: "retried",
};

export function featureName({ kind, key }: TraceDifference): string {
	return kind === "attribute" ? key : KIND_WORDS[kind];
}

export function featureValue({ kind, value, edge }: TraceDifference): string {
	if (kind === "mtls") return MTLS_WORDS[value as MtlsStatus] ?? value;
	if (kind === "call" && edge !== undefined) return placeOfEdge(edge);
	return value;
}

export function featurePlace({ kind, service, edge }: TraceDifference): string {
	if (kind === "call") return "";
	return edge === undefined ? (service ?? "anywhere") : placeOfEdge(edge);
}

function placeOfEdge({ source, target }: NonNullable<TraceDifference["edge"]>): string {
	return `${serviceOfNode(source)} → ${serviceOfNode(target)}`;
}

/**
 * Filters that find the spans which say it. They replace the others, which need not hold on those spans; undefined where no filter
 * can say it.
 */
export function narrowChange(
	difference: TraceDifference,
): Readonly<Record<string, string | readonly string[] | undefined>> | undefined {
	const { kind, key, value, service, edge } = difference;
	const none = { operation: undefined, status: undefined, mtls: undefined, edge: undefined, side: undefined, attr: undefined };
	const others = { minDuration: undefined, maxDuration: undefined, brush: undefined, compare: undefined, spans: undefined };
	const base = { ...none, ...others, was: undefined, limit: undefined, service };
	switch (kind) {
		case "attribute":
			return key === "" || key.includes("=") ? undefined : { ...base, attr: [`${key}=${attributeText(difference)}`] };
		case "service":
			return { ...base, service: value };
		case "operation":
			return value === "" ? undefined : { ...base, operation: value };
		case "status":
			return { ...base, status: value };
		case "mtls":
			return { ...base, mtls: value, edge: edge?.id };
		default:
			return edge === undefined ? undefined : { ...base, edge: edge.id };
	}
}

/** As the API reads a value: with its type where the text alone would not tell. */
function attributeText({ value, type }: TraceDifference): string {
	if (type !== undefined && type !== "string") return `${type}:${value}`;
	return /^(string|int|double|bool):|^".*"$/s.test(value) ? `string:${value}` : value;
}

/** Never rounded to all or nothing. */
export function shareText(count: number, of: number): string {
	if (of === 0) return "–";
	const percent = (100 * count) / of;
	if (percent > 0 && percent < 1) return "< 1 %";
	if (percent > 99 && percent < 100) return "> 99 %";
	return `${Math.round(percent)} %`;
}
