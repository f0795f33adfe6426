/**
 * What the sidecar costs, beside what else could stand in its place: `node bench/proxy/run.ts`.
 *
 * One core's worth of proxy each, 1 KiB answers, 32 keep-alive connections; the same load and the same application for all. Runs are
 * interleaved, so that the machine's moods reach every proxy alike, and ratios are taken within a round.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { issueCertificate } from "../../test/interop/certificates.ts";
import { fetchDebianProgram } from "../../test/interop/fetch/debian.ts";
import { fetchEnvoy } from "../../test/interop/fetch/python.ts";
import { describeMachine } from "../machine.ts";
import { startNullSink } from "../processes.ts";
import { type Figure, markdownOf, textOf } from "../report.ts";
import { spreadOf } from "../statistics.ts";
import { runLoad, startApp, startBareProxy, startEnvoyProxy, startNginx, startShim } from "./processes.ts";
import type { LoadOptions, RunningProxy } from "./processes.ts";

const HELP = `node bench/proxy/run.ts [options]

  --rounds N       rounds over all proxies (default 5)
  --seconds N      length of each run in a round (default 4)
  --only LIST      of cost, tls, latency (all of them by default)
  --out FILE       where the results go (default: bench/PROXY.md; nothing is written with fewer than 5 rounds)
`;
const IDLE_RSS_BAR_MIB = 64;
const LOADED_RSS_BAR_MIB = 110;
const MIB = 2 ** 20;

const PERMISSIVE = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: PERMISSIVE } }
`;

const { values } = parseArgs({
	options: {
		help: { type: "boolean", default: false },
		rounds: { type: "string", default: "5" },
		seconds: { type: "string", default: "4" },
		only: { type: "string", default: "cost,tls,latency" },
		out: { type: "string" },
	},
});
if (values.help) {
	console.log(HELP);
	process.exit(0);
}
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const only = new Set(values.only.split(","));
const folder = mkdtempSync(join(tmpdir(), "meshscope-bench-proxy-"));
const running: RunningProxy[] = [];
const figures: Figure[] = [];

try {
	const machine = await describeMachine(folder, new Date());
	const app = await keep(startApp());
	const sink = await startNullSink();
	try {
		if (only.has("cost")) await measureCost(app, sink.grpc);
		if (only.has("tls")) await measureTls(app, sink.grpc);
		if (only.has("latency")) await measureLatency(app, sink.grpc);
	} finally {
		await sink.stop();
	}
	const out = values.out ?? (rounds >= 5 ? fileURLToPath(new URL("../PROXY.md", import.meta.url)) : undefined);
	if (out !== undefined) writeFileSync(out, markdownOf(machine, figures, [`${rounds} rounds of ${seconds} s`]));
} finally {
	for (const proxy of running.toReversed()) await proxy.stop();
	rmSync(folder, { recursive: true, force: true });
}

async function keep(starting: Promise<RunningProxy>): Promise<RunningProxy> {
	const proxy = await starting;
	running.push(proxy);
	return proxy;
}

function report(figure: Figure): void {
	figures.push(figure);
	console.log(textOf(figure));
}

interface Run {
	readonly microsecondsPerRequest: number;
	readonly rps: number;
	readonly rssBytes: number;
}

/** One run of the load, with the processor time that the proxy itself spent on it. */
async function runOnce(proxy: RunningProxy, options: Partial<LoadOptions> = {}): Promise<Run> {
	const before = proxy.cpuSeconds();
	const load = await runLoad({ port: proxy.port, seconds, ...options });
	const cpu = proxy.cpuSeconds() - before;
	if (load.failed > 0 || load.requests === 0) throw new Error(`${proxy.name}: ${load.failed} failed of ${load.requests}`);
	return { microsecondsPerRequest: (cpu * 1e6) / load.requests, rps: load.rps, rssBytes: proxy.rssBytes() };
}

async function measureCost(app: RunningProxy, otlp: string): Promise<void> {
	const shimFolder = mkFolder("shim");
	const mesh = meshFile(shimFolder, app.port);
	const base = [
		"--service",
		"shop/client",
		"--outbound",
		"127.0.0.1:0",
		"--mesh",
		mesh,
		"--admin",
		"127.0.0.1:0",
		"--log-level",
		"warn",
	];
	const proxies = {
		bare: await keep(startBareProxy(app.port)),
		nginx: await keep(startNginx(await fetchDebianProgram("nginx"), mkFolder("nginx"), app.port)),
		envoy: await keep(
			startEnvoyProxy(await fetchEnvoy(), mkFolder("envoy"), app.port, Number(/:(\d+)/.exec(otlp.slice(7))![1])),
		),
		shim: await keep(startShim({ name: "shim, every span exported", listener: "outbound", args: [...base, "--otlp", otlp] })),
		quiet: await keep(startShim({ name: "shim, telemetry off", listener: "outbound", args: [...base, "--otlp", "off"] })),
	};
	const idleMib = proxies.shim.rssBytes() / MIB;
	const runs = Object.fromEntries(Object.keys(proxies).map((name) => [name, [] as Run[]])) as Record<
		keyof typeof proxies,
		Run[]
	>;
	for (const proxy of Object.values(proxies)) await runLoad({ port: proxy.port, seconds: Math.min(3, seconds) });
	for (let round = 0; round < rounds; round++) {
		for (const name of Object.keys(proxies) as (keyof typeof proxies)[]) runs[name].push(await runOnce(proxies[name]));
	}
	for (const name of Object.keys(proxies) as (keyof typeof proxies)[]) {
		const cpu = spreadOf(runs[name].map((run) => run.microsecondsPerRequest));
		const rps = spreadOf(runs[name].map((run) => run.rps)).median;
		const rss = Math.max(...runs[name].map((run) => run.rssBytes)) / MIB;
		const note = `${rps.toFixed(0)} requests/s, RSS ${rss.toFixed(0)} MiB`;
		report({ section: "cost", name: proxies[name].name, unit: "µs a request", value: cpu, repetitions: rounds, note });
	}
	const ratio = (
		name: string,
		above: keyof typeof proxies,
		below: keyof typeof proxies,
		bar: Figure["bar"],
		of: "cpu" | "rps",
	): void => {
		const pick = (run: Run): number => (of === "cpu" ? run.microsecondsPerRequest : run.rps);
		const value = spreadOf(runs[above].map((run, i) => pick(run) / pick(runs[below][i]!)));
		report({ section: "cost", name, unit: "×", value, repetitions: rounds, ...(bar && { bar }) });
	};
	ratio("shim : bare node:http, processor time", "shim", "bare", { atMost: 0.65 }, "cpu");
	ratio("shim : nginx, processor time", "shim", "nginx", { atMost: 2.2 }, "cpu");
	ratio("shim : Envoy, throughput", "shim", "envoy", { atLeast: 0.8 }, "rps");
	ratio("telemetry on : off, processor time", "shim", "quiet", { atMost: 1.2 }, "cpu");
	report({ section: "memory", name: "RSS of a shim, idle", unit: "MiB", ...one(idleMib), bar: { atMost: IDLE_RSS_BAR_MIB } });
	for (const proxy of Object.values(proxies)) await proxy.stop();
}

async function measureTls(app: RunningProxy, otlp: string): Promise<void> {
	const certificates = writeCertificates(mkFolder("tls"));
	const mesh = join(mkFolder("tls-mesh"), "mesh.yaml");
	writeFileSync(mesh, PERMISSIVE);
	const args = ["--service", "shop/app", "--inbound", `127.0.0.1:0=127.0.0.1:${app.port}@80/http`, "--mesh", mesh];
	const files = ["--mtls-cert", certificates.serverCert, "--mtls-key", certificates.serverKey, "--mtls-ca", certificates.ca];
	const shim = await keep(
		startShim({
			name: "shim inbound",
			listener: "inbound",
			args: [...args, ...files, "--otlp", otlp, "--admin", "127.0.0.1:0", "--log-level", "warn"],
		}),
	);
	const tls = { cert: certificates.clientCert, key: certificates.clientKey, ca: certificates.ca };
	const plain: Run[] = [];
	const mutual: Run[] = [];
	await runOnce(shim);
	await runOnce(shim, { tls });
	for (let round = 0; round < rounds; round++) {
		plain.push(await runOnce(shim));
		mutual.push(await runOnce(shim, { tls }));
	}
	for (const [name, runs] of [["inbound, plaintext", plain] as const, ["inbound, mTLS", mutual] as const]) {
		report({
			section: "tls",
			name,
			unit: "µs a request",
			value: spreadOf(runs.map((run) => run.microsecondsPerRequest)),
			repetitions: rounds,
		});
	}
	const value = spreadOf(mutual.map((run, i) => run.microsecondsPerRequest / plain[i]!.microsecondsPerRequest));
	report({
		section: "tls",
		name: "mTLS on : off, processor time",
		unit: "×",
		value,
		repetitions: rounds,
		bar: { atMost: 1.35 },
	});
	await shim.stop();
}

/** At 1,000 requests a second: what the hop adds to the 99th percentile, and what the process holds then. */
async function measureLatency(app: RunningProxy, otlp: string): Promise<void> {
	const mesh = meshFile(mkFolder("latency"), app.port);
	const args = [
		"--service",
		"shop/client",
		"--outbound",
		"127.0.0.1:0",
		"--mesh",
		mesh,
		"--admin",
		"127.0.0.1:0",
		"--otlp",
		otlp,
	];
	const shim = await keep(startShim({ name: "shim", listener: "outbound", args }));
	const added: number[] = [];
	const rss: number[] = [];
	await runLoad({ port: shim.port, seconds, rate: 1_000 });
	for (let round = 0; round < rounds; round++) {
		const direct = await runLoad({ port: app.port, seconds, rate: 1_000 });
		const through = await runLoad({ port: shim.port, seconds, rate: 1_000 });
		added.push(through.ms.p99 - direct.ms.p99);
		rss.push(shim.rssBytes() / MIB);
	}
	report({
		section: "latency",
		name: "p99 added at 1,000 requests/s",
		unit: "ms",
		value: spreadOf(added),
		repetitions: rounds,
		bar: { atMost: 1 },
	});
	report({
		section: "memory",
		name: "RSS of a shim at 1,000 requests/s",
		unit: "MiB",
		value: spreadOf(rss),
		repetitions: rounds,
		bar: { atMost: LOADED_RSS_BAR_MIB },
	});
	await sleep(100);
	await shim.stop();
}

function one(value: number): Pick<Figure, "value" | "repetitions"> {
	return { value: { median: value, min: value, max: value }, repetitions: 1 };
}

function mkFolder(name: string): string {
	const path = join(folder, name);
	mkdirSync(path, { recursive: true });
	return path;
}

function meshFile(into: string, appPort: number): string {
	const file = join(into, "mesh.yaml");
	writeFileSync(
		file,
		`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: app, namespace: shop }
spec:
  hosts: [app.shop]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${appPort} } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: app, namespace: shop }
spec:
  hosts: [app.shop]
  http:
    - name: items
      match: [{ uri: { prefix: /item/ } }]
      route: [{ destination: { host: app.shop } }]
    - route: [{ destination: { host: app.shop } }]
`,
	);
	return file;
}

function writeCertificates(into: string): {
	serverCert: string;
	serverKey: string;
	clientCert: string;
	clientKey: string;
	ca: string;
} {
	const notBefore = new Date(Date.now() - 60_000);
	const notAfter = new Date(Date.now() + 24 * 3_600_000);
	const authority = issueCertificate({ commonName: "bench root", notBefore, notAfter });
	const leaf = (account: string) =>
		issueCertificate({
			commonName: account,
			uris: [`spiffe://cluster.local/ns/shop/sa/${account}`],
			notBefore,
			notAfter,
			issuer: authority,
		});
	const write = (name: string, text: string): string => {
		const file = join(into, name);
		writeFileSync(file, text, { mode: 0o600 });
		return file;
	};
	const server = leaf("app");
	const client = leaf("client");
	return {
		serverCert: write("server.pem", server.certificatePem),
		serverKey: write("server.key", server.keyPem),
		clientCert: write("client.pem", client.certificatePem),
		clientKey: write("client.key", client.keyPem),
		ca: write("ca.pem", authority.certificatePem),
	};
}
