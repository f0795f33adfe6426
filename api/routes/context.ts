/** What every route works with, and the two ways in which routes answer. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { StoreReader } from "../../store/store.ts";
import { ROUTES, type RouteContract, type RouteName } from "../contract/routes.ts";
import { type AnswerBudget, withTimeout } from "../plugins/admission.ts";
import { type ParameterRule, type Parameters, readParameters } from "../query.ts";

export interface RouteContext {
	readonly reader: StoreReader;
	readonly queryTimeoutMs: number;
	readonly budget: AnswerBudget;
	/** Epoch ms. */
	readonly now: () => number;
}

export interface Call {
	readonly parameters: Parameters;
	/** Path parameters, decoded. */
	readonly path: Readonly<Record<string, string>>;
	readonly request: FastifyRequest;
	readonly reply: FastifyReply;
}

/** Registers a call of the contract; its parameters are read and refused by the contract's own names. */
export function addRoute(scope: FastifyInstance, name: RouteName, handle: (call: Call) => Promise<FastifyReply>): void {
	const route: RouteContract = ROUTES[name];
	const rules = parameterRules(route);
	scope.get(route.path.replace(/\{(\w+)\}/g, ":$1"), async (request, reply) => {
		const url = request.raw.url ?? "";
		const queryAt = url.indexOf("?");
		const parameters = readParameters(queryAt < 0 ? "" : url.slice(queryAt + 1), rules);
		return handle({ parameters, path: request.params as Readonly<Record<string, string>>, request, reply });
	});
}

function parameterRules(route: RouteContract): readonly ParameterRule[] {
	return Object.entries(route.query?.shape ?? {}).map(([name, field]) => ({
		name,
		repeatable: isArrayField(field),
	}));
}

/** The part of a zod schema that says what it is; optional ones hold another. */
interface SchemaShape {
	readonly _zod: { readonly def: { readonly type: string; readonly innerType?: unknown } };
}

function isArrayField(field: SchemaShape): boolean {
	const { type, innerType } = field._zod.def;
	return type === "array" || (innerType !== undefined && isArrayField(innerType as SchemaShape));
}

export function ask<T>(context: RouteContext, reply: FastifyReply, start: (signal: AbortSignal) => Promise<T>): Promise<T> {
	return withTimeout(start, context.queryTimeoutMs, reply);
}

/** Answers data: never cached, since it is somebody's traffic and the next query may find more. */
export function sendJson(reply: FastifyReply, answer: unknown): FastifyReply {
	return reply
		.header("cache-control", "no-store")
		.type("application/json; charset=utf-8")
		.send(JSON.stringify(answer, exactNumbers));
}

/** As answers write times. */
export function momentOf(ms: number): string {
	// A certificate may claim to be valid for longer than a Date can tell.
	return new Date(Math.min(Math.max(ms, -8.64e15), 8.64e15)).toISOString();
}

/** JSON knows neither NaN nor infinities, which telemetry does; OTLP JSON writes them as strings. */
function exactNumbers(_key: string, value: unknown): unknown {
	if (typeof value === "bigint") return value.toString();
	return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}
