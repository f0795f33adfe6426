import assert from "node:assert/strict";
import { test } from "node:test";
import * as z from "zod";
import { CANNED_NOW_MS, graph, TRACE_ID } from "./canned-answers.ts";
import { startCannedApi } from "./canned-server.ts";
import { ROUTES, type RouteContract, type RouteName } from "./contract/routes.ts";
import { openApiDocument } from "./openapi.ts";

/** A request for each call that answers 200; `Record` makes a call without one a type error. */
const REQUESTS: Readonly<Record<RouteName, readonly string[]>> = {
	trace: [`/api/v1/traces/${TRACE_ID}`],
	traces: [
		"/api/v1/traces",
		"/api/v1/traces?service=gateway&operation=GET%20%2F&minDuration=1ms&maxDuration=2s&status=error&mtls=plaintext&attr=a%3D1&attr=b%3Dint:2&limit=5",
	],
	spanDurations: ["/api/v1/traces/durations", "/api/v1/traces/durations?service=gateway&root=true&columns=10"],
	traceDifferences: [
		"/api/v1/traces/differences?selectStatus=error",
		"/api/v1/traces/differences?service=gateway&selectFrom=now-5m&selectTo=now&selectMinDuration=1ms&selectMaxDuration=1h&limit=5",
	],
	services: ["/api/v1/services"],
	operations: ["/api/v1/services/gateway/operations"],
	serviceTraffic: ["/api/v1/services/checkout", "/api/v1/services/shop%2Fcheckout?from=now-2h&to=now"],
	serviceHistory: ["/api/v1/services/checkout/history", "/api/v1/services/shop%2Fcheckout/history?from=now-2h&to=now&step=1m"],
	operationFigures: [
		"/api/v1/services/gateway/operations/figures",
		"/api/v1/services/gateway/operations/figures?from=now-2h&to=now&limit=5",
	],
	graph: ["/api/v1/graph", "/api/v1/graph?groupBy=namespace&from=now-7d&to=now"],
	graphDiff: [
		"/api/v1/graph/diff",
		"/api/v1/graph/diff?from=now-1h&to=now&baselineFrom=now-25h&baselineTo=now-24h&groupBy=workload",
	],
	graphHistory: ["/api/v1/graph/history", "/api/v1/graph/history?from=now-7d&to=now&step=1h"],
	edge: graph.edges.map(({ id }) => `/api/v1/edges/${id}?from=now-1h&to=now&step=1m`),
	mtls: ["/api/v1/mtls", "/api/v1/mtls?from=now-1d&to=now&groupBy=workload"],
	logs: [
		"/api/v1/logs",
		`/api/v1/logs?traceId=${TRACE_ID}&service=gateway&severity=warn&text=x&attr=a%3D1&from=now-1d&to=now&limit=5`,
	],
	metricSeries: ["/api/v1/metrics/series?name=istio_requests_total&service=gateway&attr=a%3D1&limit=5"],
	metricPoints: [
		"/api/v1/metrics/query?name=istio_requests_total",
		"/api/v1/metrics/query?name=istio_requests_total&service=gateway&attr=a%3D1&step=1m&agg=rate&limit=5",
	],
	mesh: ["/api/v1/mesh"],
	meshServices: ["/api/v1/mesh/services"],
	meshInstances: ["/api/v1/mesh/instances"],
	meshProxies: ["/api/v1/mesh/proxies"],
	meshCertificates: ["/api/v1/mesh/certificates"],
	meshPolicy: ["/api/v1/mesh/policy"],
	meshBundle: ["/api/v1/mesh/bundle"],
	status: ["/api/v1/status"],
	openapi: ["/api/openapi.json"],
	selfMetrics: ["/metrics"],
	healthz: ["/healthz"],
	readyz: ["/readyz"],
};

interface Operation {
	readonly description?: string;
	readonly summary: string;
	readonly parameters: readonly { name: string; in: string; description?: string; example?: unknown; schema: object }[];
	readonly responses: Readonly<Record<string, { content: Readonly<Record<string, { schema: object }>> }>>;
}

interface Document {
	readonly openapi: string;
	readonly paths: Readonly<Record<string, { get: Operation }>>;
	readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

const document = openApiDocument("0.1.0") as unknown as Document;
const routes = Object.entries(ROUTES) as [RouteName, RouteContract][];

/** A validator of a schema of the document, with its references resolved against the document itself. */
function validator(schema: object): z.ZodType {
	const whole = { ...schema, $defs: document.components.schemas };
	const text = JSON.stringify(whole).replaceAll("#/components/schemas/", "#/$defs/");
	return z.fromJSONSchema(JSON.parse(text) as Parameters<typeof z.fromJSONSchema>[0]);
}

test("every call of the contract is in the document, and nothing else", () => {
	assert.equal(document.openapi, "3.1.0");
	assert.deepEqual(Object.keys(document.paths).toSorted(), routes.map(([, route]) => route.path).toSorted());
});

for (const [name, route] of routes) {
	test(`what ${route.path} answers is what the document says`, async (t) => {
		const api = await startCannedApi(t);
		for (const request of REQUESTS[name]) {
			const answer = await api.get(request);
			assert.equal(answer.status, 200, answer.text);
			const mediaType = String(answer.headers["content-type"]).split(";", 1)[0] ?? "";
			const described = document.paths[route.path]?.get.responses["200"]?.content[mediaType];
			assert.ok(described, `${mediaType} is described`);
			if (mediaType !== "application/json") continue;
			validator(described.schema).parse(answer.json());
			// Parsing drops undeclared keys: an answer that holds one differs.
			if (typeof route.answer !== "string") assert.deepEqual(route.answer.parse(answer.json()), answer.json());
		}
	});
}

test("the validator that the tests above rely on refuses what the document forbids", () => {
	const schema = document.paths["/api/v1/traces"]?.get.responses["200"]?.content["application/json"]?.schema;
	assert.ok(schema);
	assert.equal(validator(schema).safeParse({ traces: [{ traceId: 5 }], searched: {} }).success, false);
});

test("every error that a call can answer has the documented shape and a documented status", async (t) => {
	const api = await startCannedApi(t, { readTokens: ["secret"] });
	const token = { authorization: "Bearer secret" };
	const attempts: [RouteName, string, Record<string, string>, number][] = [
		["trace", "/api/v1/traces/xyz", token, 400],
		["trace", "/api/v1/traces/1", token, 404],
		["traces", "/api/v1/traces?limit=5000", token, 422],
		["logs", "/api/v1/logs?severity=loud", token, 400],
		["operations", "/api/v1/services/none/operations", token, 404],
		["metricPoints", "/api/v1/metrics/query?agg=rate", token, 400],
		["status", "/api/v1/status", {}, 401],
		["services", "/api/v1/services", { ...token, host: "evil.example" }, 403],
	];
	for (const [name, path, headers, status] of attempts) {
		const answer = await api.get(path, headers);
		assert.equal(answer.status, status, path);
		const described = document.paths[ROUTES[name].path]?.get.responses[String(status)]?.content["application/json"];
		assert.ok(described, `${path}: ${status} is described`);
		validator(described.schema).parse(answer.json());
	}
});

test("every call says that it is refused while the server drains, once", () => {
	for (const [path, { get }] of Object.entries(document.paths)) {
		const { description = "" } = (get.responses["503"] ?? {}) as { readonly description?: string };
		assert.equal(description.match(/`shutting_down`/g)?.length, 1, path);
	}
});

test("a path that is no text is refused with what is wrong with it", async (t) => {
	const api = await startCannedApi(t);
	for (const path of ["/api/v1/services/%zz", "/api/v1/services/%ff/operations"]) {
		const answer = await api.get(path);
		assert.equal(answer.status, 400, path);
		assert.equal(answer.error().code, "invalid_argument");
		assert.match(answer.error().message, /percent/, path);
	}
});

test("every parameter is described, every one of a query has an example that the server takes", async (t) => {
	const api = await startCannedApi(t, { now: () => CANNED_NOW_MS });
	let tried = 0;
	for (const [template, { get }] of Object.entries(document.paths)) {
		const path = get.parameters
			.filter((parameter) => parameter.in === "path")
			.reduce((filled, { name, example }) => filled.replace(`{${name}}`, encodeURIComponent(String(example))), template);
		for (const parameter of get.parameters) {
			assert.ok(parameter.description, `${path} ${parameter.name}`);
			assert.notEqual(parameter.example, undefined, `${path} ${parameter.name}`);
			if (parameter.in !== "query") continue;
			const search = new URLSearchParams();
			for (const value of [parameter.example].flat()) search.append(parameter.name, String(value));
			if (parameter.name === "to") search.set("from", "now-1h");
			if (path.endsWith("/differences")) search.set("selectStatus", "error");
			if (parameter.name === "side") search.set("edge", "6faeb2e1ed26185d");
			if (parameter.name === "agg") search.set("step", "1m");
			assert.equal((await api.get(`${path}?${search}`)).status, 200, `${path}?${search}`);
			tried++;
		}
	}
	assert.ok(tried > 20, `${tried} parameters were tried`);
});

test("no reference dangles", () => {
	const names = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1] ?? "");
	assert.ok(names.length > 10);
	for (const name of names) assert.ok(document.components.schemas[name], name);
	assert.doesNotMatch(JSON.stringify(document), /\$defs|readOnly/);
});
