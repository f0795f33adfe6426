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
	return text === "" || text.indexOf("=") > 0 ? undefined : "Write key=value, such as http.response.status_code=503.";
}
