/** The OpenAPI 3.1 document, generated from the contract's own schemas: there is no second description that could drift. */
import * as z from "zod";
import { errorAnswer } from "./contract/common.ts";
import { ROUTES, type RouteContract, type RouteName } from "./contract/routes.ts";
import { ERRORS, type ErrorCode } from "../model/errors.ts";

type Json = Readonly<Record<string, unknown>>;

export function openApiDocument(version: string): Json {
	const components = new Map<string, Json>();
	const schemaOf = (schema: z.ZodType): Json => componentsOf(schema, components);
	const paths: Record<string, Json> = {};
	for (const name of Object.keys(ROUTES) as RouteName[]) {
		const route: RouteContract = ROUTES[name];
		paths[route.path] = { get: operation(name, route, schemaOf) };
	}
	schemaOf(errorAnswer);
	return {
		openapi: "3.1.0",
		info: {
			title: "meshscope",
			version,
			description:
				"Traces, logs, metrics and the graph of a service mesh. Times are RFC 3339, but for `…UnixNano` (nanoseconds since the epoch, as " +
				"decimal strings) and `…Ms` (milliseconds, as numbers); IDs are lower-case hex, 64-bit integers decimal strings. Unknown parameters are refused. Errors are `{error:{code,message,details?}}`; act on the code.",
			license: { name: "Apache-2.0", identifier: "Apache-2.0" },
		},
		servers: [{ url: "/" }],
		security: [{ bearer: [] }, {}],
		paths,
		components: {
			schemas: Object.fromEntries([...components].toSorted(([a], [b]) => (a < b ? -1 : 1))),
			securitySchemes: {
				bearer: { type: "http", scheme: "bearer", description: "Needed when the server was started with --read-token." },
			},
		},
	};
}

function operation(name: RouteName, route: RouteContract, schemaOf: (schema: z.ZodType) => Json): Json {
	const isOpen = route.open === true;
	const codes = new Set<ErrorCode>([...route.errors, "forbidden", "method_not_allowed", "internal"]);
	if (!isOpen) codes.add("unauthenticated");
	codes.add("invalid_argument").add("shutting_down");
	return {
		operationId: name,
		summary: route.summary,
		...(route.description === undefined ? {} : { description: route.description }),
		...(isOpen ? { security: [] } : {}),
		parameters: [...parameters(route.pathParameters, "path", schemaOf), ...parameters(route.query, "query", schemaOf)],
		responses: { 200: { description: "The answer.", content: content(route, schemaOf) }, ...errorResponses(codes) },
	};
}

function content(route: RouteContract, schemaOf: (schema: z.ZodType) => Json): Json {
	if (route.answer === "text/plain") return { "text/plain": { schema: { type: "string" } } };
	if (route.answer === "application/json") return { "application/json": { schema: { type: "object" } } };
	return {
		"application/json": { schema: schemaOf(route.answer) },
		...(route.alternative === undefined ? {} : { [route.alternative]: { schema: { type: "string", format: "binary" } } }),
	};
}

function parameters(schema: z.ZodObject | undefined, place: "path" | "query", schemaOf: (schema: z.ZodType) => Json): Json[] {
	return Object.entries(schema?.shape ?? {}).map(([name, field]) => {
		const { description, examples, ...rest } = schemaOf(field as z.ZodType);
		const example = Array.isArray(examples) ? (examples[0] as unknown) : undefined;
		return {
			name,
			in: place,
			required: place === "path",
			...(description === undefined ? {} : { description }),
			schema: rest,
			...(rest["type"] === "array" ? { style: "form", explode: true } : {}),
			...(example === undefined ? {} : { example }),
		};
	});
}

/** Several codes may share one HTTP status; OpenAPI keys by status. */
function errorResponses(codes: Iterable<ErrorCode>): Json {
	const byStatus = new Map<number, ErrorCode[]>();
	for (const code of codes) byStatus.set(ERRORS[code].http, [...(byStatus.get(ERRORS[code].http) ?? []), code]);
	return Object.fromEntries(
		[...byStatus].map(([status, group]) => [
			status,
			{
				description: group.map((code) => `\`${code}\`: ${ERRORS[code].meaning}`).join(" "),
				content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
			},
		]),
	);
}

/** JSON Schema of one schema; named ones go to `components` and are referred to. */
function componentsOf(schema: z.ZodType, components: Map<string, Json>): Json {
	const document = z.toJSONSchema(schema, {
		target: "draft-2020-12",
		// What a client may rely on, without forbidding it keys that a later version adds.
		io: "input",
		// `.readonly()` speaks to TypeScript; in OpenAPI it would mean "not in requests".
		override: ({ jsonSchema }) => void delete jsonSchema.readOnly,
	}) as Record<string, unknown>;
	const { $schema: _dialect, $defs, ...root } = document;
	for (const [name, definition] of Object.entries(($defs ?? {}) as Record<string, Json>))
		components.set(name, referring(definition));
	const id = root["id"];
	if (typeof id !== "string") return referring(root);
	components.set(id, referring(root));
	return { $ref: `#/components/schemas/${id}` };
}

/** A copy whose references point into `components`, and without the `id` that only named it. */
function referring(schema: Json): Json {
	const copy = JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/')) as Record<string, unknown>;
	if (typeof copy["id"] === "string") delete copy["id"];
	return copy;
}
