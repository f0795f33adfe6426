import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { readMeshFile } from "../../model/mesh/policy/mesh-file.ts";
import { CommandError } from "../context.ts";
import { CHAOS_STEPS, meshText } from "./mesh-text.ts";
import { findPortBlock } from "./ports.ts";
import { planShop, runArgument } from "./shop-plan.ts";

const EXAMPLE = readFileSync(new URL("../../examples/shop/mesh.yaml", import.meta.url), "utf8");

test("no two listeners of the plan share a port, and all lie in the block", () => {
	const ports = planShop({ firstPort: 18_000, hasPython: true }).flatMap(({ appPort, shim }) => [
		appPort,
		...(shim === undefined
			? []
			: [shim.inboundPort ?? [], shim.outboundPort, shim.adminPort, shim.upstreams.map(({ port }) => port)].flat()),
	]);
	assert.equal(new Set(ports).size, ports.length);
	assert.ok(ports.every((port) => port >= 18_000 && port < 18_100));
});

test("without Python its services run in the shop's process", () => {
	const hosts = (hasPython: boolean): readonly string[] =>
		planShop({ firstPort: 1, hasPython }).flatMap(({ service, host }) => (service === "catalogue" ? [host] : []));
	assert.deepEqual(hosts(true), ["python", "python"]);
	assert.deepEqual(hosts(false), ["shop", "shop"]);
});

test("apps are told where they listen and where their shim does", () => {
	const plan = planShop({ firstPort: 18_000, hasPython: true }).filter(
		({ service }) => service === "cart" || service === "reviews",
	);
	const told = JSON.parse(runArgument(plan, 30)) as Record<string, Record<string, unknown>>;
	assert.deepEqual(Object.keys(told), ["cart", "reviews", "reviews@v2", "reviews@v3"]);
	assert.deepEqual(told["cart"], {
		...{ port: 18_004, shim: "127.0.0.1:18044", store: "127.0.0.1:18080", version: "v1", requestRate: 30 },
	});
});

test("the first block without a taken port is used, and none is an error that says so", async () => {
	assert.equal(await findPortBlock((port) => Promise.resolve(port !== 18_050)), 18_100);
	await assert.rejects(
		findPortBlock(() => Promise.resolve(false)),
		CommandError,
	);
});

test("the mesh of a run names its port, and keeps what its author wrote", () => {
	const text = meshText(EXAMPLE, 12_345);
	assert.match(text, /ports: \{http: 12345\}/);
	const comments = (yaml: string): number => yaml.split("\n").filter((line) => line.startsWith("#")).length;
	assert.equal(comments(text), comments(EXAMPLE));
	assert.equal(parseAllDocuments(text).length, parseAllDocuments(EXAMPLE).length);
});

test("every step of chaos changes the mesh, and the last one takes everything back", () => {
	const first = meshText(EXAMPLE, 1);
	const texts = CHAOS_STEPS.map((step) => meshText(EXAMPLE, 1, step));
	assert.equal(new Set(texts).size, texts.length);
	assert.equal(texts.at(-1), first);
	assert.match(texts[0]!, /DISABLE[^]*PERMISSIVE/);
	for (const text of texts) {
		const { faults, warnings } = readMeshFile(text, "mesh.yaml");
		assert.deepEqual([...faults, ...warnings], []);
	}
});
