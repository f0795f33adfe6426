import assert from "node:assert/strict";
import { test } from "node:test";
import { graphHistoryAnswer, type MeshPointAnswer } from "../contract/topology.ts";
import { CANNED_NOW_MS, graph } from "../canned-answers.ts";
import { startCannedApi } from "../canned-server.ts";

const HOUR = 3_600_000;
const HTTP_EDGE = graph.edges.find(({ protocol }) => protocol === "http")!;

test("the graph is asked for by window and grouping, the last hour by service unless told otherwise", async (t) => {
	const api = await startCannedApi(t);
	await api.get("/api/v1/graph");
	await api.get("/api/v1/graph?from=now-2h&to=now-1h&groupBy=workload");
	assert.deepEqual(
		api.reader.asked.map(({ args }) => args[0]),
		[
			{ fromMs: CANNED_NOW_MS - HOUR, toMs: CANNED_NOW_MS, groupBy: "service" },
			{ fromMs: CANNED_NOW_MS - 2 * HOUR, toMs: CANNED_NOW_MS - HOUR, groupBy: "workload" },
		],
	);
});

test("times are RFC 3339, and what is not known is left out", async (t) => {
	const api = await startCannedApi(t);
	const answer = (await api.get("/api/v1/graph")).json() as { window: object; edges: Record<string, unknown>[] };
	assert.deepEqual(answer.window, {
		from: "2026-01-01T11:59:00.000Z",
		to: "2026-01-01T12:00:00.000Z",
		resolutionMs: 10_000,
		flushed: "2026-01-01T11:59:59.000Z",
	});
	const tcp = answer.edges.find(({ protocol }) => protocol === "tcp")!;
	assert.equal("latencyMs" in tcp, false);
	assert.equal("series" in tcp, false);
	const http = answer.edges.find(({ protocol }) => protocol === "http")!;
	assert.match(String(http["firstSeen"]), /^2026-01-01T12:00:01\.000Z$/);
	assert.deepEqual(http["disagreement"], { count: 1, source: { server_error: 1 }, destination: { ok: 1 } });
});

test("a window is compared with the one before it, unless another is named", async (t) => {
	const api = await startCannedApi(t);
	await api.get("/api/v1/graph/diff?from=now-1h&to=now");
	await api.get("/api/v1/graph/diff?from=now-1h&to=now&baselineFrom=now-25h&baselineTo=now-24h");
	assert.deepEqual(
		api.reader.asked
			.map(({ args }) => args[0])
			.map((query) => {
				const { fromMs, toMs } = query as { fromMs: number; toMs: number };
				return [(CANNED_NOW_MS - fromMs) / HOUR, (CANNED_NOW_MS - toMs) / HOUR];
			}),
		[
			[1, 0],
			[2, 1],
			[1, 0],
			[25, 24],
		],
	);
	const refused = await api.get("/api/v1/graph/diff?baselineFrom=now&baselineTo=now-1h");
	assert.equal(refused.error().message, "`baselineFrom` must lie before `baselineTo`");
});

test("an edge is found by its ID in either case; what is no ID is refused, what is unknown is not found", async (t) => {
	const api = await startCannedApi(t);
	assert.equal((await api.get(`/api/v1/edges/${HTTP_EDGE.id.toUpperCase()}`)).status, 200);
	assert.equal((await api.get("/api/v1/edges/xyz")).error().code, "invalid_argument");
	assert.equal((await api.get(`/api/v1/edges/${"0".repeat(16)}`)).error().code, "not_found");
	assert.equal((await api.get("/api/v1/services/nobody")).error().code, "not_found");
});

test("a step is whole tens of seconds", async (t) => {
	const api = await startCannedApi(t);
	for (const step of ["0s", "5s", "15s", "1ns", "1.5s"])
		assert.equal((await api.get(`/api/v1/edges/${HTTP_EDGE.id}?step=${step}`)).error().code, "invalid_argument", step);
	await api.get(`/api/v1/edges/${HTTP_EDGE.id}?step=1m`);
	const [query] = api.reader.asked.at(-1)!.args;
	assert.equal((query as { stepMs: number }).stepMs, 60_000);
	assert.equal((await api.get("/api/v1/graph/history?step=15s")).error().code, "invalid_argument");
});

test("the whole mesh is told step by step, units apart, and since when anything is kept", async (t) => {
	const api = await startCannedApi(t);
	const answer = graphHistoryAnswer.parse((await api.get("/api/v1/graph/history?from=now-1d&step=10m")).json());
	assert.deepEqual(api.reader.asked.at(-1)!.args, [
		{ fromMs: CANNED_NOW_MS - 24 * HOUR, toMs: CANNED_NOW_MS, stepMs: 600_000 },
	]);
	assert.equal(answer.begins, "2025-12-31T12:00:00.000Z");
	const [{ requestMtls, connectionMtls, ...point }] = answer.points as [MeshPointAnswer];
	assert.deepEqual(point, {
		...{ time: "2026-01-01T11:59:00.000Z", requests: 4, errors: 1, connections: 2, connectionErrors: 0 },
	});
	assert.deepEqual([requestMtls.mutual_tls, requestMtls.plaintext, connectionMtls.plaintext], [3, 1, 2]);
});

test("a window beyond the cap, an unknown grouping and an unknown parameter are refused by name", async (t) => {
	const api = await startCannedApi(t);
	assert.equal((await api.get("/api/v1/graph?from=now-93d")).error().code, "query_too_broad");
	assert.match((await api.get("/api/v1/graph?groupBy=pod")).error().message, /service, namespace, workload/);
	assert.match((await api.get("/api/v1/mtls?groupby=service")).error().message, /did you mean `groupBy`/);
});
