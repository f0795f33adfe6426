/** For tests of source modules: spans as short tables, through the reduction that extraction applies. */
import type { OtlpAnyValue, OtlpKeyValue } from "../../otlp/types.ts";
import { type Endpoint, serviceEndpoint } from "../endpoint.ts";
import type { LegTls, PeerHint, SpanFacts, SpanInput } from "../facts.ts";
import { spanInputOf } from "./attributes.ts";
import { spanFacts } from "./span-facts.ts";

export const INTERNAL = 1;
export const SERVER = 2;
export const CLIENT = 3;
export const PRODUCER = 4;
export const CONSUMER = 5;

export type Values = Readonly<Record<string, string | number | boolean>>;

export interface SpanSketch {
	readonly kind: number;
	readonly name?: string;
	readonly status?: number;
	readonly scope?: string;
	readonly resource?: Values;
	readonly attributes?: Values;
}

export function inputOf({ kind, name = "", status = 0, scope = "", resource = {}, attributes = {} }: SpanSketch): SpanInput {
	const span = { kind, name, attributes: keyValues(attributes), status: { code: status } };
	return spanInputOf(span, { attributes: keyValues(resource) }, { name: scope });
}

function keyValues(values: Values): OtlpKeyValue[] {
	return Object.entries(values).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: string | number | boolean): OtlpAnyValue {
	if (typeof value === "string") return { stringValue: value };
	return typeof value === "number" ? { intValue: String(value) } : { boolValue: value };
}

/** What a row expects: of `downstream` and `upstream` the fields that it names, of the rest the whole value. */
export type Expected = Partial<Omit<SpanFacts, "downstream" | "upstream">> & {
	readonly downstream?: Partial<LegTls>;
	readonly upstream?: Partial<LegTls>;
};

export interface FactsRow {
	readonly rule: string;
	readonly span: SpanSketch;
	readonly facts: Expected;
}

/** Of what a row's span states, the fields that the row names. */
export function statedFacts({ span, facts }: FactsRow): Expected {
	const stated = spanFacts(inputOf(span));
	return {
		...fieldsOf(stated, facts),
		...(facts.downstream === undefined ? {} : { downstream: fieldsOf(stated.downstream, facts.downstream) }),
		...(facts.upstream === undefined ? {} : { upstream: fieldsOf(stated.upstream, facts.upstream) }),
	};
}

function fieldsOf<T extends object>(whole: T, wanted: { readonly [K in keyof T]?: unknown }): Partial<T> {
	const part: Partial<T> = {};
	for (const key of Object.keys(wanted) as (keyof T)[]) part[key] = whole[key];
	return part;
}

export function declared(service: string, namespace = "", workload = ""): PeerHint {
	return { endpoint: serviceEndpoint(service, namespace, workload), from: "declared" };
}

export function identified(service: string, namespace = ""): PeerHint {
	return { endpoint: serviceEndpoint(service, namespace), from: "identity" };
}

export function atHost(service: string, namespace = ""): PeerHint {
	return { endpoint: serviceEndpoint(service, namespace), from: "address" };
}

export function atAddress(address: string): PeerHint {
	return { endpoint: named("unknown", address), from: "address" };
}

export function named(kind: Endpoint["kind"], service: string, namespace = "", workload = ""): Endpoint {
	return { kind, cluster: "", namespace, service, workload };
}
