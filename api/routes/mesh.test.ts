import assert from "node:assert/strict";
import { test } from "node:test";
import { startCannedApi } from "../canned-server.ts";

const PATHS = ["", "/services", "/instances", "/proxies", "/certificates", "/policy", "/bundle"].map(
	(path) => `/api/v1/mesh${path}`,
);

test("without a control plane every call of the mesh is answered no_control_plane with 404", async (t) => {
	const api = await startCannedApi(t, { mesh: undefined });
	for (const path of PATHS) {
		const answer = await api.get(path);
		assert.equal(answer.status, 404, path);
		assert.equal(answer.error().code, "no_control_plane", path);
		assert.match(answer.error().message, /--mesh/);
	}
});

test("the status says whether a control plane runs, so that nobody has to ask for a mesh to find out", async (t) => {
	for (const [options, runs] of [
		[{ mesh: undefined }, false],
		[{}, true],
	] as const) {
		const api = await startCannedApi(t, options);
		assert.equal(((await api.get("/api/v1/status")).json() as { controlPlane: boolean }).controlPlane, runs);
	}
});

test("the calls of the mesh ask for the read token", async (t) => {
	const api = await startCannedApi(t, { readTokens: ["secret-token"] });
	for (const path of PATHS) {
		assert.equal((await api.get(path)).status, 401, path);
		assert.equal((await api.get(path, { authorization: "Bearer secret-token" })).status, 200, path);
	}
});

test("the summary counts who is healthy, connected, in sync and refusing, and names what ends first", async (t) => {
	const api = await startCannedApi(t);
	const answer = (await api.get("/api/v1/mesh")).json() as Record<string, unknown>;
	assert.deepEqual(answer["instances"], { total: 2, healthy: 1 });
	assert.deepEqual(answer["proxies"], { total: 2, connected: 1, inSync: 1, refusing: 1 });
	assert.equal(answer["nextExpiry"], "2026-01-02T11:00:00.000Z");
	assert.deepEqual(answer["policy"], {
		version: "4",
		hash: "ef".repeat(32),
		accepted: "2026-01-01T11:59:15.000Z",
		faults: 1,
	});
});

test("a refused policy is told with file, line, path and what to write", async (t) => {
	const api = await startCannedApi(t);
	const { rejected } = (await api.get("/api/v1/mesh/policy")).json() as {
		readonly rejected: readonly { readonly faults: readonly Record<string, unknown>[] }[];
	};
	assert.deepEqual(rejected[0]?.faults[0], {
		file: "mesh.yaml",
		line: 12,
		column: 7,
		path: "DestinationRule shop/cart: spec.trafficPolicy.outlierDetection.interval",
		message: "must be a duration such as 10s",
	});
});
