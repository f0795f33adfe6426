import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const COMMANDS: readonly string[] = ["serve", "control", "proxy", "demo", "trace", "sql", "verify", "backup", "bench"];
/** Writes every module specifier to stderr as it is resolved. */
const TELL_IMPORTS =
	"data:text/javascript,import{registerHooks}from'node:module';registerHooks({resolve(s,c,n){process.stderr.write('import '+s+'\\n');return n(s,c)}})";

function meshscope(
	args: readonly string[],
	options: { cwd?: string; node?: readonly string[]; env?: Record<string, string> } = {},
) {
	const result = spawnSync(process.execPath, [...(options.node ?? []), MAIN, ...args], {
		encoding: "utf8",
		cwd: options.cwd ?? tmpdir(),
		env: { PATH: process.env["PATH"], FORCE_COLOR: "1", ...options.env },
		timeout: 30_000,
	});
	return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

test("without a command the help is shown, and every command is in it", () => {
	const { code, stdout } = meshscope([]);
	assert.equal(code, 0);
	for (const command of COMMANDS) assert.match(stdout, new RegExp(`^  ${command} `, "m"));
	assert.equal(stdout, meshscope(["--help"]).stdout);
});

test("each command has help with an example, free of colour", () => {
	for (const command of COMMANDS) {
		const { code, stdout } = meshscope([command, "--help"]);
		assert.equal(code, 0, command);
		assert.match(stdout, new RegExp(`Examples?:\\n  \\$ meshscope ${command}`), command);
		assert.ok(!stdout.includes("\u001b"), command);
	}
});

test("the version is that of package.json", () => {
	const { code, stdout } = meshscope(["--version"]);
	assert.equal(code, 0);
	assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test("a mistake in the call ends with 2, nothing on stdout and the reason on stderr", () => {
	for (const [args, reason] of [
		[["nonsense"], /unknown command 'nonsense'/],
		[["trace"], /missing required argument 'id'/],
		[["trace", "xyz"], /"xyz" is not a trace ID/],
		[["trace", "1", "--nope"], /unknown option '--nope'/],
		[["verify", "--continuous", "--for", "x"], /--for: "x" is not a duration/],
		[["sql"], /give a statement/],
		[["sql", "--json", "--csv", "SELECT 1"], /exclude each other/],
		[["serve", "--http"], /argument missing/],
		[
			["serve", "--htp", "x", "--retention", "y"],
			/^--htp: unknown flag; did you mean --http\?\n--retention: "y" is not a duration/,
		],
	] as const) {
		const { code, stdout, stderr } = meshscope(args);
		assert.equal(code, 2, args.join(" "));
		assert.equal(stdout, "");
		assert.match(stderr, reason);
	}
});

test("a backup never goes into a directory that holds something", () => {
	const folder = mkdtempSync(join(tmpdir(), "meshscope-backup-"));
	try {
		writeFileSync(join(folder, "mine"), "x");
		const { code, stderr } = meshscope(["backup", folder]);
		assert.equal(code, 2);
		assert.match(stderr, /is not an empty directory/);
	} finally {
		rmSync(folder, { recursive: true });
	}
});

test("settings in effect are shown with their sources and without secrets", () => {
	const env = { MESHSCOPE_READ_TOKEN: "very-secret-token" };
	const { code, stdout } = meshscope(["serve", "--print-settings", "--zipkin", "off"], { env });
	assert.equal(code, 0);
	assert.match(stdout, /^zipkin: off +# --zipkin$/m);
	assert.match(stdout, /^read-token: \["\*\*\*"\] +# MESHSCOPE_READ_TOKEN$/m);
	assert.ok(!stdout.includes("very-secret-token"));
});

test("SQL's tables are listed without a store", () => {
	const { code, stdout } = meshscope(["sql", "--tables"]);
	assert.equal(code, 0);
	for (const word of ["spans:", "span_attributes:", "logs:", "metric_points:", "duration_ns", "from_time"])
		assert.ok(stdout.includes(word), word);
});

test("help and the way to a trace load none of the server's packages", () => {
	for (const args of [["--help"], ["serve", "--help"], ["trace", "1", "--url", "http://127.0.0.1:1"]]) {
		const { stderr } = meshscope(args, { node: ["--import", TELL_IMPORTS] });
		assert.match(stderr, /import commander/, "the hook tells");
		assert.doesNotMatch(stderr, /import (?:zod|yaml|fastify|better-sqlite3|pino|vite|@grpc|@opentelemetry)/, args.join(" "));
	}
});
