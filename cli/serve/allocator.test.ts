import assert from "node:assert/strict";
import { test } from "node:test";
import { type Program, startOverWithAllocator } from "./allocator.ts";

interface Started {
	readonly file: string;
	readonly args: readonly string[];
	readonly env: Record<string, string>;
}

function startedBy(env: Readonly<Record<string, string | undefined>>, other: Partial<Program> = {}): Started | undefined {
	let started: Started | undefined;
	startOverWithAllocator(
		{
			platform: "linux",
			execPath: "/bin/node",
			execArgv: ["--enable-source-maps"],
			argv: ["/bin/node", "/app/main.ts", "serve", "--data", "d"],
			execve: (file, args, variables) => (started = { file, args, env: variables }),
			...other,
		},
		env,
	);
	return started;
}

test("the server starts over as what it was, with the allocator's and the collector's settings beside its own", () => {
	const started = startedBy({ HOME: "/h", UNSET: undefined });
	assert.deepEqual(started?.args, [
		...["/bin/node", "--heap-growing-percent=100", "--enable-source-maps"],
		...["/app/main.ts", "serve", "--data", "d"],
	]);
	assert.equal(started?.file, "/bin/node");
	assert.equal(started?.env["HOME"], "/h");
	assert.ok(!("UNSET" in started!.env));
	assert.equal(started?.env["MALLOC_TRIM_THRESHOLD_"], "131072");
});

test("it starts over once, and not where somebody decided, under a debugger, or where it cannot", () => {
	assert.equal(startedBy(startedBy({})!.env), undefined);
	assert.equal(startedBy({ MALLOC_ARENA_MAX: "8" }), undefined);
	assert.equal(startedBy({}, { execArgv: ["--inspect=0"] }), undefined);
	assert.equal(startedBy({}, { platform: "win32" }), undefined);
	assert.equal(startedBy({}, { execve: undefined }), undefined);
});
