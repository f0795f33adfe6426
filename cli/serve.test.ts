import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { TopologyStatus } from "../model/status.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "meshscope-serve-"));
const children: ChildProcess[] = [];
after(() => {
	for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
	rmSync(folder, { recursive: true, force: true });
});

interface Run {
	readonly child: ChildProcess;
	readonly stderr: () => string;
	/** Lines of standard output so far. */
	readonly lines: string[];
	readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
}

/** What the topology stage says once it has written what came. */
async function flushedTopology(http: string): Promise<TopologyStatus> {
	for (let tries = 0; tries < 100; tries++) {
		const answer = await fetch(`http://${http}/api/v1/status`);
		const { topology } = (await answer.json()) as { readonly topology: TopologyStatus };
		if (topology.flushedMs !== undefined && topology.lagMs === 0) return topology;
		await delay(100);
	}
	throw new Error("the topology stage did not flush within 10 s");
}

function run(args: readonly string[]): Run {
	const child = spawn(process.execPath, [MAIN, ...args], {
		cwd: folder,
		env: { PATH: process.env["PATH"] },
		stdio: ["ignore", "pipe", "pipe"],
	});
	children.push(child);
	let stderr = "";
	const lines: string[] = [];
	child.stderr!.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
	createInterface({ input: child.stdout! }).on("line", (line) => lines.push(line));
	const ended = once(child, "close").then(([code, signal]) => ({
		code: code as number | null,
		signal: signal as string | null,
	}));
	return { child, stderr: () => stderr, lines, ended };
}

const anyPort = (...flags: readonly string[]): string[] => flags.flatMap((flag) => [flag, "127.0.0.1:0"]);

async function serve(data: string, flags: readonly string[]): Promise<Run & { readonly ready: Record<string, string> }> {
	const server = run(["serve", "--data", join(folder, data), ...flags]);
	for (let waitedMs = 0; server.lines.length === 0 && waitedMs < 60_000; waitedMs += 50) {
		if (server.child.exitCode !== null) throw new Error(`ended before it was ready: ${server.stderr()}`);
		await delay(50);
	}
	return { ...server, ready: JSON.parse(server.lines[0] ?? "{}") as Record<string, string> };
}

test("serve tells its addresses in one line, keeps what it acknowledged through SIGTERM, and ends with 0", async () => {
	const server = await serve("kept", anyPort("--http", "--otlp-grpc", "--otlp-http", "--zipkin"));
	assert.deepEqual(Object.keys(server.ready).toSorted(), ["event", "http", "otlpGrpc", "otlpHttp", "zipkin"]);
	assert.equal(server.ready["event"], "ready");
	const span = {
		traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
		spanId: "00f067aa0ba902b7",
		name: "kept",
		startTimeUnixNano: "1",
		endTimeUnixNano: "2",
	};
	const response = await fetch(`http://${server.ready["otlpHttp"]}/v1/traces`, {
		method: "POST",
		headers: { "content-type": "application/json" },
		body: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }),
	});
	assert.equal(response.status, 200);
	const status = (await (await fetch(`http://${server.ready["http"]}/api/v1/status`)).json()) as {
		ready: boolean;
		addresses: object;
	};
	assert.equal(status.ready, true);
	const { event: _, ...addresses } = server.ready;
	assert.deepEqual(status.addresses, addresses);

	const { losses, lagMs } = await flushedTopology(String(server.ready["http"]));
	assert.equal(losses.implausible_time, 1, "a span of 1970 makes no edge");
	assert.equal(lagMs, 0);

	const second = run(["serve", "--data", join(folder, "kept"), ...anyPort("--http", "--otlp-grpc", "--otlp-http", "--zipkin")]);
	assert.equal((await second.ended).code, 1);
	assert.match(second.stderr(), /^error: the data directory .*kept cannot be opened: .* is in use by another meshscope/m);

	// As Ctrl-C under npm arrives: twice at once.
	server.child.kill("SIGTERM");
	server.child.kill("SIGTERM");
	assert.deepEqual(await server.ended, { code: 0, signal: null });
	assert.equal(server.lines.length, 1, "nothing but the ready line on standard output");

	const trace = run(["trace", span.traceId, "--data", join(folder, "kept")]);
	assert.equal((await trace.ended).code, 0);
	assert.ok(trace.lines.some((line) => line.includes("kept")));
	const verify = run(["verify", "--data", join(folder, "kept")]);
	assert.equal((await verify.ended).code, 0);
	const backup = run(["backup", join(folder, "copy"), "--data", join(folder, "kept")]);
	assert.equal((await backup.ended).code, 0);
	const sql = run(["sql", "--json", "SELECT name, duration_ns FROM spans", "--data", join(folder, "copy")]);
	assert.equal((await sql.ended).code, 0);
	assert.deepEqual(sql.lines, ['{"name":"kept","duration_ns":1}']);
});

test("a port in use ends the start with 1 and the flag's name, and leaves nothing locked", async () => {
	const first = await serve("one", [...anyPort("--http", "--otlp-grpc"), "--otlp-http", "off", "--zipkin", "off"]);
	assert.deepEqual(Object.keys(first.ready).toSorted(), ["event", "http", "otlpGrpc"]);
	for (const [flag, other, taken] of [
		["--otlp-grpc", "--http", first.ready["otlpGrpc"]!],
		["--http", "--otlp-grpc", first.ready["http"]!],
	] as const) {
		const loser = run([
			"serve",
			"--data",
			join(folder, "two"),
			flag,
			taken,
			...anyPort(other),
			"--otlp-http",
			"off",
			"--zipkin",
			"off",
		]);
		assert.equal((await loser.ended).code, 1);
		assert.match(loser.stderr(), new RegExp(`^error: ${flag} ${taken}: the port is in use`, "m"));
		assert.deepEqual(loser.lines, []);
	}
	first.child.kill("SIGINT");
	assert.equal((await first.ended).code, 0);
});

test("with an unusable data directory the start ends with 1 and a reason instead of a stack", async () => {
	const bad = run(["serve", "--data", "/dev/null/x", ...anyPort("--http", "--otlp-grpc", "--otlp-http", "--zipkin")]);
	assert.equal((await bad.ended).code, 1);
	assert.match(bad.stderr(), /^error: the data directory \/dev\/null\/x cannot be opened: ENOTDIR/m);
	assert.doesNotMatch(bad.stderr(), /^\s+at /m);
});
