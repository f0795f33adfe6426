/**
 * What the trace list asks for, read from and written to the query string. The names are the API's own, so that an address of the
 * page is also a call of the API.
 */
import { parseDuration, parseMoment } from "../../model/time.ts";

export interface TraceFilter {
	readonly service: string;
	readonly operation: string;
	readonly minDuration: string;
	readonly maxDuration: string;
	readonly status: string;
	/** mTLS status of a hop; empty for any. */
	readonly mtls: string;
	/** ID of an edge of the graph that a hop is of, and which end's latency the durations are; empty for any. */
	readonly edge: string;
	readonly side: string;
	/** `key=value` each. */
	readonly attributes: readonly string[];
	readonly from: string;
	/** Empty for now. */
	readonly to: string;
	readonly limit: string;
}

export const DEFAULT_FROM = "now-15m";
export const DEFAULT_LIMIT = "50";

/** Ranges on offer; any other `from` in the address works as well. */
export const RANGES: readonly { readonly from: string; readonly label: string }[] = [
	{ from: "now-5m", label: "Last 5 min" },
	{ from: "now-15m", label: "Last 15 min" },
	{ from: "now-1h", label: "Last hour" },
	{ from: "now-6h", label: "Last 6 hours" },
	{ from: "now-24h", label: "Last 24 hours" },
	{ from: "now-7d", label: "Last 7 days" },
];

export function readFilter(params: URLSearchParams): TraceFilter {
	return {
		service: params.get("service") ?? "",
		operation: params.get("operation") ?? "",
		minDuration: params.get("minDuration") ?? "",
		maxDuration: params.get("maxDuration") ?? "",
		status: params.get("status") ?? "",
		mtls: params.get("mtls") ?? "",
		edge: params.get("edge") ?? "",
		side: params.get("side") ?? "",
		attributes: params.getAll("attr"),
		from: params.get("from") ?? DEFAULT_FROM,
		to: params.get("to") ?? "",
		limit: params.get("limit") ?? DEFAULT_LIMIT,
	};
}

/** The API's query string for a filter. */
export function searchQuery(filter: TraceFilter): string {
	const query = new URLSearchParams();
	for (const name of ["service", "operation", "minDuration", "maxDuration", "status", "mtls", "edge", "side"] as const) {
		if (filter[name] !== "") query.set(name, filter[name]);
	}
	for (const attribute of filter.attributes) query.append("attr", attribute);
	query.set("from", filter.from);
	if (filter.to !== "") query.set("to", filter.to);
	query.set("limit", filter.limit);
	return query.toString();
}

/** True when the filter asks for more than a range of time. */
export function isNarrowed(filter: TraceFilter): boolean {
	return (
		filter.service !== "" ||
		filter.operation !== "" ||
		filter.minDuration !== "" ||
		filter.maxDuration !== "" ||
		filter.status !== "" ||
		filter.mtls !== "" ||
		filter.edge !== "" ||
		filter.attributes.length > 0
	);
}

/** One filter less each: what it is called, and the change that leaves it out. */
export function withoutEach(
	filter: TraceFilter,
): readonly { readonly name: string; readonly change: Readonly<Record<string, readonly string[] | undefined>> }[] {
	const { attributes } = filter;
	const durations = [filter.minDuration === "" ? "" : "min duration", filter.maxDuration === "" ? "" : "max duration"];
	return [
		{ name: filter.service, change: { service: undefined, operation: undefined } },
		{ name: filter.operation, change: { operation: undefined } },
		{ name: filter.status === "" ? "" : `status ${filter.status}`, change: { status: undefined } },
		{ name: filter.mtls === "" ? "" : "encryption of a hop", change: { mtls: undefined } },
		{ name: filter.edge === "" ? "" : "the edge", change: { edge: undefined, side: undefined } },
		{ name: durations.filter((one) => one !== "").join(" and "), change: { minDuration: undefined, maxDuration: undefined } },
		...attributes.map((one) => ({ name: one, change: { attr: attributes.filter((other) => other !== one) } })),
	].filter(({ name }) => name !== "");
}

/** Traces chosen to be compared, at most two. */
export function pickedTraces(params: URLSearchParams): readonly string[] {
	return params
		.getAll("pick")
		.filter((id) => /^[0-9a-f]{32}$/.test(id))
		.slice(-2);
}

/** Chosen or let go of; a third one takes the place of the first. */
export function pickChange(params: URLSearchParams, traceId: string): { readonly pick: readonly string[] } {
	const picked = pickedTraces(params);
	const rest = picked.filter((id) => id !== traceId);
	return { pick: rest.length < picked.length ? rest : [...picked, traceId].slice(-2) };
}

/** What is wrong with a duration as typed, or undefined. */
export function durationProblem(text: string): string | undefined {
	return text === "" || parseDuration(text) !== undefined ? undefined : "Write a number and a unit, such as 250ms or 1.5s.";
}

/** What is wrong with a moment as typed, or undefined. */
export function momentProblem(text: string): string | undefined {
	return text === "" || parseMoment(text, 0) !== undefined ? undefined : "Write now-2h, or 2026-11-23T14:00:00Z.";
}

/** What is wrong with an attribute filter as typed, or undefined. */
export function attributeProblem(text: string): string | undefined {
	if (text === "") return undefined;
	const split = text.indexOf("=");
	if (split < 1) return "Write key=value, such as http.response.status_code=503.";
	const [, type, value = ""] = /^(int|double|bool):(.*)$/s.exec(text.slice(split + 1)) ?? [];
	if (type === "int" && !/^[+-]?\d{1,20}$/.test(value)) return "int: takes a whole number; string:… takes any text.";
	if (type === "double" && (value.trim() === "" || (Number.isNaN(Number(value)) && value !== "NaN")))
		return "double: takes a number; string:… takes any text.";
	if (type === "bool" && value !== "true" && value !== "false") return "bool: takes true or false; string:… takes any text.";
	return undefined;
}
