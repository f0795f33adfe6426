import assert from "node:assert/strict";
import { createServer } from "node:http";
import { execFile } from "node:child_process";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { startCannedApi } from "../../api/canned-server.ts";
import { type GraphAnswer, graphAnswer } from "../../api/contract/topology.ts";
import { edgeLines, graphLines } from "./graph-text.ts";
import { textWidth } from "./text-width.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const PLAIN = { columns: undefined, colour: false };

async function cannedGraph(t: Parameters<typeof startCannedApi>[0]): Promise<GraphAnswer> {
	const api = await startCannedApi(t);
	return graphAnswer.parse((await api.get("/api/v1/graph")).json());
}

function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
	return new Promise((resolve) => {
		execFile(process.execPath, [MAIN, ...args], { env: { PATH: process.env["PATH"] } }, (error, stdout, stderr) =>
			resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
		);
	});
}

test("edges are a table whose columns line up", async (t) => {
	const [head, ...rows] = edgeLines(await cannedGraph(t), PLAIN);
	assert.match(head!, /^SRC +DST +PROTOCOL +RPS +ERR% +P50 +P95 +P99 +SECURED +IDENTITIES$/);
	const [tcp, http] = rows;
	assert.match(tcp!, /^shop\/checkout +shop\/orders +tcp +2 conn +0 % +- +- +- +plaintext +-$/);
	assert.match(http!, /^shop\/gateway +shop\/checkout +http +0\.0667 +25 %! .* mixed 75 % +shop\/gateway → shop\/checkout$/);
	for (const title of ["DST", "PROTOCOL", "SECURED", "IDENTITIES"])
		for (const row of [tcp!, http!]) assert.equal(row[head!.indexOf(title) - 1], " ", `${title}: ${row}`);
});

test("the graph tells each caller and whom it calls, and what the figures hide", async (t) => {
	const lines = graphLines(await cannedGraph(t), PLAIN);
	assert.match(lines[0]!, /3 nodes {3}2 edges$/);
	assert.ok(lines.includes("shop/gateway"));
	assert.ok(lines.some((line) => line.startsWith("  → shop/orders")));
	assert.ok(lines.includes("! on 1 of the edges the two ends tell different outcomes"));
});

test("no line is wider than the terminal, and colour is only where it is wanted", async (t) => {
	const graph = await cannedGraph(t);
	for (const columns of [20, 40, 80])
		for (const line of [...edgeLines(graph, { columns, colour: false }), ...graphLines(graph, { columns, colour: false })])
			assert.ok(textWidth(line) <= columns, `${columns}: ${line}`);
	assert.ok(edgeLines(graph, { columns: 80, colour: true }).some((line) => line.startsWith("\u001b[31m")));
	assert.ok(!edgeLines(graph, PLAIN).join("").includes("\u001b"));
});

test("a share that is nearly all or nearly nothing does not read so", async (t) => {
	const graph = await cannedGraph(t);
	const edge = graph.edges.find(({ protocol }) => protocol === "http")!;
	const [, row] = edgeLines(
		{ ...graph, edges: [{ ...edge, errorRatio: 0.00001, mtls: { ...edge.mtls, status: "mixed", percent: 99.9996 } }] },
		PLAIN,
	);
	assert.match(row!, / 0\.001 %! .*mixed 99\.9996 %/);
});

test("names that a sender chose cannot move the cursor", async (t) => {
	const graph = await cannedGraph(t);
	const [, row] = edgeLines({ ...graph, edges: [{ ...graph.edges[0]!, source: "a\u001b[2Jb" }] }, PLAIN);
	assert.match(row!, /^a\\x1b\[2Jb /);
});

test("the commands ask the server for the window and level, and print its words when it refuses", async (t) => {
	const api = await startCannedApi(t);
	const edges = await run(["edges", "--url", api.url, "--from", "now-2h", "--to", "now-1h", "--group-by", "namespace"]);
	assert.equal(edges.code, 0, edges.stderr);
	assert.match(edges.stdout, /^SRC /);
	const [asked] = api.reader.asked;
	assert.equal((asked!.args[0] as { groupBy: string }).groupBy, "namespace");
	const json = await run(["graph", "--url", api.url, "--json"]);
	assert.deepEqual(JSON.parse(json.stdout), (await api.get("/api/v1/graph")).json());
	const refused = await run(["graph", "--url", api.url, "--group-by", "pod"]);
	assert.equal(refused.code, 1);
	assert.match(refused.stderr, /^error: `groupBy` is "pod"; it takes service, namespace, workload \(HTTP 400\)\n$/);
	assert.equal((await run(["graph", "--url", api.url, "--watch", "soon"])).code, 2);
});

test("--watch asks again until the server is gone for another reason than being away", async () => {
	let asked = 0;
	const server = createServer((_, response) => {
		asked++;
		if (asked < 3) response.end(JSON.stringify({ window: { from: "a", to: "b", resolutionMs: 1 }, nodes: [], edges: [] }));
		else response.writeHead(401).end(JSON.stringify({ error: { code: "unauthenticated", message: "no token was sent" } }));
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	const ended = await run(["edges", "--url", url, "--watch", "0.1"]);
	server.closeAllConnections();
	await new Promise((resolve) => server.close(resolve));
	assert.equal(ended.stdout, "nothing was seen from a to b\n".repeat(2));
	assert.deepEqual([ended.code, ended.stderr], [1, "error: no token was sent (HTTP 401)\n"]);
});
