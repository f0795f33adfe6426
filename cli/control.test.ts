import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { eventually, identityOf, startProxy } from "../test/mesh/control-kit.ts";
import { createJoinToken } from "./mesh/join-token.ts";
import { openStateFolder } from "./mesh/state-folder.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "meshscope-control-"));
const children: ChildProcess[] = [];
after(() => {
	for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
	rmSync(folder, { recursive: true, force: true });
});

const POLICY =
	"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default}\nspec: {mtls: {mode: STRICT}}\n";

function meshFile(name: string): string {
	const path = join(folder, `${name}.yaml`);
	writeFileSync(path, POLICY);
	return path;
}

async function start(args: readonly string[]) {
	const child = spawn(process.execPath, [MAIN, ...args], {
		cwd: folder,
		env: { PATH: process.env["PATH"] },
		stdio: ["ignore", "pipe", "pipe"],
	});
	children.push(child);
	let stderr = "";
	const lines: string[] = [];
	child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
	createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
	await eventually(`the ready line; ${stderr}`, () => lines.length > 0 || child.exitCode !== null, 60_000);
	const ready = JSON.parse(lines[0] ?? "{}") as Readonly<Record<string, string>>;
	return { child, ready, stderr: () => stderr };
}

function run(...args: readonly string[]) {
	const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
		encoding: "utf8",
		cwd: folder,
		env: { PATH: process.env["PATH"] },
		timeout: 30_000,
	});
	return { status, stdout, stderr };
}

async function ask(http: string | undefined, path: string): Promise<Record<string, unknown>> {
	return (await (await fetch(`http://${http}${path}`)).json()) as Record<string, unknown>;
}

function proxyOnDisk(t: TestContext, name: string, address: string, joinToken: string) {
	return startProxy(t, address, { joinToken, state: openStateFolder(join(folder, name)) });
}

test("a control plane by itself: tokens from the command line, its mesh over HTTP, policy from a file, a new root, an end with 0", async (t) => {
	const mesh = meshFile("alone");
	const data = join(folder, "alone");
	const control = await start(["control", "--mesh", mesh, "--data", data, "--http", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
	assert.deepEqual(Object.keys(control.ready).toSorted(), ["control", "event", "http"], control.stderr());
	const wrong = run("control", "token", "--data", data, "--identity", "cart");
	assert.deepEqual([wrong.status, wrong.stdout], [2, ""]);
	assert.match(wrong.stderr, /^error: --identity: the ID must begin with spiffe:/);
	const token = run("control", "token", "--data", data, "--identity", identityOf("cart"), "--ttl", "1m");
	assert.match(token.stdout, /^msj1\.[0-9a-f.]+\n$/);
	const cart = proxyOnDisk(t, "cart-state", control.ready["control"]!, token.stdout);
	await eventually("a policy", () => cart.client.policy.current());
	assert.equal(statSync(join(folder, "cart-state", "certificate.json")).mode & 0o777, 0o600);
	assert.equal(statSync(join(data, "control", "authority.json")).mode & 0o777, 0o600);
	const http = control.ready["http"];
	await eventually("it is in sync", () => cart.logged.length > 0 && cart.client.status().connectedSinceMs);
	assert.equal((await ask(http, "/api/v1/mesh"))["trustDomain"], "cluster.local");
	assert.equal(((await ask(http, "/api/v1/mesh/proxies"))["proxies"] as readonly unknown[]).length, 1);
	assert.deepEqual(await ask(http, "/healthz"), { status: "ok" });
	assert.equal((await fetch(`http://${http}/nothing`)).status, 404);

	writeFileSync(mesh, `${POLICY}---\nkind: Nonsense\n`);
	await eventually("its fault in the log", () => control.stderr().includes("Nonsense"));
	const { rejected, version } = await ask(http, "/api/v1/mesh/policy");
	assert.equal(version, "1");
	assert.equal((rejected as readonly { faults: readonly { file: string }[] }[])[0]?.faults[0]?.file, "alone.yaml");

	assert.equal(run("control", "rotate-root", "--data", data).status, 0);
	await eventually("both roots", () => cart.client.identity.current()?.rootsPem.length === 2);

	control.child.kill("SIGTERM");
	assert.deepEqual(await once(control.child, "close"), [0, null]);
});

test("serve with --mesh names the control port in its ready line, and tokens are made beside it", async (t) => {
	const data = join(folder, "served");
	const any = (...flags: readonly string[]): string[] => flags.flatMap((flag) => [flag, "127.0.0.1:0"]);
	const server = await start([
		...["serve", "--data", data, "--mesh", meshFile("served"), "--trust-domain", "cluster.local", "--cert-ttl", "1h"],
		...any("--http", "--otlp-grpc", "--otlp-http", "--zipkin", "--control"),
	]);
	assert.ok(server.ready["control"], server.stderr());
	const cart = proxyOnDisk(
		t,
		"served-cart",
		server.ready["control"],
		createJoinToken(join(data, "control"), { identity: identityOf("cart") }, Date.now()),
	);
	const identity = await eventually("an identity", () => cart.client.identity.current());
	assert.ok(identity.notAfterMs - Date.now() < 3_602_000);
	await eventually("a policy", () => cart.client.policy.current());
	const summary = await ask(server.ready["http"], "/api/v1/mesh");
	assert.equal(summary["services"], 1);
	// One state, one control plane.
	const second = run("control", "--mesh", join(folder, "served.yaml"), "--data", data, ...any("--http", "--control"));
	assert.equal(second.status, 1);
	assert.match(second.stderr, /in use by another meshscope/);
	server.child.kill("SIGTERM");
	assert.deepEqual(await once(server.child, "close"), [0, null]);
});

test("mistakes end with the reason", () => {
	const cases: [readonly string[], number, RegExp][] = [
		[["control"], 1, /--mesh: name the mesh\.yaml/],
		[["control", "token"], 2, /required option '--identity/],
		[
			["control", "token", "--identity", identityOf("cart"), "--data", join(folder, "nowhere")],
			1,
			/no control plane has run/,
		],
		[["control", "rotate-root", "--data", join(folder, "nowhere")], 1, /no control plane has run/],
		[["control", "token", "--identity", identityOf("cart"), "--ttl", "soon"], 2, /--ttl: "soon" is not a duration/],
		[["control", "--mesh", "m.yaml", "--trust-domain", "Not A Domain"], 2, /--trust-domain: must be lower-case/],
		[["control", "--mesh", "m.yaml", "--cert-ttl", "10ms"], 2, /--cert-ttl: must lie between 1s and 90d/],
		[["control", "--otlp-grpc", "127.0.0.1:1"], 2, /unknown option '--otlp-grpc'/],
		[["control", "nonsense"], 2, /nonsense/],
	];
	for (const [args, code, reason] of cases) {
		const { status, stdout, stderr } = run(...args);
		assert.equal(status, code, `${args.join(" ")}: ${stderr}`);
		assert.match(stderr, reason);
		assert.equal(stdout, "");
	}
});

test("a control port in use is named by its flag", async () => {
	const first = await start([
		"control",
		"--mesh",
		meshFile("busy"),
		"--data",
		join(folder, "busy"),
		"--http",
		"127.0.0.1:0",
		"--control",
		"127.0.0.1:0",
	]);
	const { status, stderr } = run(
		...["control", "--mesh", join(folder, "busy.yaml"), "--data", join(folder, "busy2"), "--http", "127.0.0.1:0"],
		...["--control", first.ready["control"]!],
	);
	assert.equal(status, 1);
	assert.match(stderr, /^error: --control 127\.0\.0\.1:\d+: the port is in use/m);
	first.child.kill("SIGTERM");
	await once(first.child, "close");
});
