import assert from "node:assert/strict";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findTestFiles, parseRunArguments, planRun, takes } from "./run-plan.ts";

const ALL = { unitOnly: false, long: false, filters: [] };

test("test files are found wherever they stand, but not in folders that others fill", () => {
	const root = mkdtempSync(join(tmpdir(), "run-plan-"));
	try {
		for (const path of [
			"a.test.ts",
			"model/b.test.ts",
			"ui/c.test.tsx",
			"node_modules/d.test.ts",
			"ui/dist/e.test.ts",
			"model/f.ts",
		]) {
			mkdirSync(join(root, path, ".."), { recursive: true });
			writeFileSync(join(root, path), "");
		}
		assert.deepEqual(findTestFiles(root), ["a.test.ts", "model/b.test.ts", "ui/c.test.tsx"]);
	} finally {
		rmSync(root, { recursive: true });
	}
});

test("files that load the machine run alone; those beside the code share it", () => {
	const company = (path: string): string | undefined => planRun([path], ALL)[0]?.company;
	assert.equal(company("test/chaos/kill.test.ts"), "none");
	assert.equal(company("test/chaos/topology-crash.test.ts"), "heavy");
	assert.equal(company("test/chaos/topology-failpoints.test.ts"), "none");
	assert.equal(company("test/interop/envoy.test.ts"), "none");
	assert.equal(company("test/interop/js-sdk.test.ts"), "heavy");
	assert.equal(company("test/e2e/demo.test.ts"), "none");
	assert.equal(company("test/e2e/trace-page.test.ts"), "heavy");
	assert.equal(company("bench/ingest.test.ts"), "none");
	assert.equal(company("ui/views/traces.browser.test.ts"), "none");
	assert.equal(company("test/architecture.test.ts"), "any");
	assert.equal(company("test/conformance/otlp.test.ts"), "any");
	assert.equal(company("model/ids.test.ts"), "any");
});

test("a unit run takes only what stands beside the code", () => {
	const paths = ["model/ids.test.ts", "test/architecture.test.ts", "test/e2e/serve.test.ts", "bench/x.test.ts"];
	assert.deepEqual(
		planRun(paths, { ...ALL, unitOnly: true }).map((file) => file.path),
		["model/ids.test.ts"],
	);
});

test("a filter takes files by any part of their path, and no filter takes all", () => {
	const paths = ["collector/decode/skim.test.ts", "model/ids.test.ts"];
	assert.deepEqual(
		planRun(paths, { ...ALL, filters: ["skim"] }).map((file) => file.path),
		["collector/decode/skim.test.ts"],
	);
	assert.equal(planRun(paths, ALL).length, 2);
	assert.equal(takes(["nothing"], "lint"), false);
});

test("an option that does not exist is refused rather than ignored", () => {
	assert.throws(() => parseRunArguments(["--fast"], {}), /unknown option --fast/);
	assert.deepEqual(parseRunArguments(["--unit", "skim"], {}), { unitOnly: true, long: false, filters: ["skim"] });
	assert.equal(parseRunArguments([], { MESHSCOPE_LONG: "1" }).long, true);
});
