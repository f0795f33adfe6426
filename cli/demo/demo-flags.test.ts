import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

const MAIN = join(import.meta.dirname, "../../main.ts");

/** Runs the demo with flags that it cannot do with, and tells what of its files is left. */
function demo(t: TestContext, ...flags: readonly string[]): { code: number | null; stderr: string; left: readonly string[] } {
	const temporary = mkdtempSync(join(tmpdir(), "meshscope-demo-flags-"));
	t.after(() => rmSync(temporary, { recursive: true, force: true }));
	const { status, stderr } = spawnSync(process.execPath, [MAIN, "demo", ...flags], {
		encoding: "utf8",
		env: { PATH: process.env["PATH"], TMPDIR: temporary, NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache") },
		timeout: 60_000,
	});
	return { code: status, stderr, left: readdirSync(temporary) };
}

test("flags that the demo's own shims could not do with are refused", (t) => {
	for (const [flags, reason] of [
		[["--mesh", "x.yaml"], /--mesh is not for the demo/],
		[["--ingest-token=abc"], /--ingest-token is not for the demo/],
		[["--rate", "0"], /--rate 0 is no number from 1 to 1000/],
		[["--chaos", "often"], /--chaos often is no number from 2 to 86400/],
	] as const) {
		const { code, stderr, left } = demo(t, ...flags);
		assert.equal(code, 2, stderr);
		assert.match(stderr, reason);
		assert.deepEqual(left, []);
	}
});

test("a flag that the server does not know ends the demo as it ends the server, and nothing is left", (t) => {
	const { code, stderr, left } = demo(t, "--no-such-flag");
	assert.equal(code, 2, stderr);
	assert.match(stderr, /the server: ended \(code 2\)[^]*no-such-flag/);
	assert.deepEqual(left, []);
});
