/** The processes of the sidecar's bench: the load, the application, and each proxy between them, watched from outside through /proc. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { firstJsonLine, stopChild } from "../processes.ts";

/** Clock ticks a second, as /proc/PID/stat counts processor time (sysconf _SC_CLK_TCK). */
const TICKS_A_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

export interface RunningProxy {
	readonly name: string;
	readonly port: number;
	/** User and system time of all its processes so far. */
	cpuSeconds(): number;
	rssBytes(): number;
	stop(): Promise<void>;
}

export interface LoadOptions {
	readonly port: number;
	readonly seconds: number;
	readonly connections?: number;
	/** Requests a second; closed loop without it. */
	readonly rate?: number;
	readonly host?: string;
	/** PEM files of the client. */
	readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
}

export interface LoadResult {
	readonly requests: number;
	readonly failed: number;
	readonly seconds: number;
	readonly rps: number;
	readonly ms: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
}

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
	const { tls, ...rest } = options;
	const args = Object.entries({ ...rest, ...tls }).flatMap(([name, value]) => [`--${name}`, String(value)]);
	const child = startNode("load.ts", args);
	const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
	const result = (await firstJsonLine(child, options.seconds * 1_000 + 20_000)) as LoadResult;
	await ended;
	return result;
}

export async function startApp(): Promise<RunningProxy> {
	const child = startNode("app.ts", []);
	const { port } = (await firstJsonLine(child, 10_000)) as { port: number };
	return watched("no proxy", port, child, [child.pid!]);
}

export async function startBareProxy(appPort: number): Promise<RunningProxy> {
	const child = startNode("bare-proxy.ts", [String(appPort)]);
	const { port } = (await firstJsonLine(child, 10_000)) as { port: number };
	return watched("bare node:http", port, child, [child.pid!]);
}

export async function startNginx(binary: string, folder: string, appPort: number): Promise<RunningProxy> {
	const port = await freePort();
	const file = join(folder, "nginx.conf");
	writeFileSync(
		file,
		`daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log; worker_processes 1;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c; uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
  upstream app { server 127.0.0.1:${appPort}; keepalive 64; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; } }
}
`,
	);
	const child = spawn(binary, ["-c", file, "-p", folder], { stdio: ["ignore", "ignore", "inherit"] });
	await untilListening(port);
	// The worker does the work; the master only watches.
	const pids = [child.pid!, ...childrenOf(child.pid!)];
	return watched("nginx proxy_pass", port, child, pids);
}

/** With an access log to a file and every request traced to `otlpPort`, as a sidecar of Istio at 100 % would. */
export async function startEnvoyProxy(binary: string, folder: string, appPort: number, otlpPort: number): Promise<RunningProxy> {
	const port = await freePort();
	const file = join(folder, "envoy.yaml");
	writeFileSync(
		file,
		`node: { id: bench, cluster: bench }
static_resources:
  listeners:
    - name: outbound
      traffic_direction: OUTBOUND
      address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: outbound
                tracing:
                  random_sampling: { value: 100 }
                  provider:
                    name: envoy.tracers.opentelemetry
                    typed_config: { "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig, service_name: bench, grpc_service: { envoy_grpc: { cluster_name: otlp }, timeout: 5s } }
                access_log:
                  - name: envoy.access_loggers.file
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: ${folder}/access.log }
                http_filters:
                  - { name: envoy.filters.http.router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }
                route_config: { virtual_hosts: [{ name: v, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: app } }] }] }
  clusters:
    - { name: app, type: STATIC, load_assignment: { cluster_name: app, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${appPort} } } } }] }] } }
    - name: otlp
      type: STATIC
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions: { "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: { http2_protocol_options: {} } }
      load_assignment: { cluster_name: otlp, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${otlpPort} } } } }] }] }
`,
	);
	const child = spawn(binary, ["-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "error"], {
		stdio: ["ignore", "ignore", "inherit"],
	});
	await untilListening(port);
	return watched("Envoy, traced", port, child, [child.pid!]);
}

export interface ShimOptions {
	readonly name: string;
	/** Of `meshscope proxy`, without its `--outbound` or `--inbound`. */
	readonly args: readonly string[];
	readonly listener: "outbound" | "inbound";
	readonly nodeArgs?: readonly string[];
}

export async function startShim(options: ShimOptions): Promise<RunningProxy> {
	const main = fileURLToPath(new URL("../../main.ts", import.meta.url));
	const child = spawn(process.execPath, [...(options.nodeArgs ?? []), main, "proxy", ...options.args], {
		stdio: ["ignore", "pipe", "inherit"],
	});
	const ready = (await firstJsonLine(child, 20_000)) as Record<string, string | readonly string[] | undefined>;
	const address = ready[options.listener];
	const first = typeof address === "string" ? address : address?.[0];
	const port = Number(/:(\d+)$/.exec(first ?? "")?.[1]);
	if (!(port > 0)) throw new Error(`no ${options.listener} address in ${JSON.stringify(ready)}`);
	return watched(options.name, port, child, [child.pid!]);
}

function watched(name: string, port: number, child: ChildProcess, pids: readonly number[]): RunningProxy {
	return {
		name,
		port,
		cpuSeconds: () => pids.reduce((sum, pid) => sum + cpuTicks(pid), 0) / TICKS_A_SECOND,
		rssBytes: () => pids.reduce((sum, pid) => sum + rssOf(pid), 0),
		stop: () => stopChild(child, 5_000).then(() => undefined),
	};
}

function startNode(name: string, args: readonly string[]): ChildProcess {
	const path = fileURLToPath(new URL(name, import.meta.url));
	return spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "inherit"] });
}

/** Fields 14 and 15 of /proc/PID/stat, counted behind the name, which may hold spaces. */
function cpuTicks(pid: number): number {
	const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
	const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
	return Number(fields[11]) + Number(fields[12]);
}

function rssOf(pid: number): number {
	return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
}

function childrenOf(pid: number): number[] {
	return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
}

async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	await new Promise((resolve) => server.close(resolve));
	return port;
}

async function untilListening(port: number): Promise<void> {
	for (let attempt = 0; attempt < 200; attempt++) {
		const open = await new Promise<boolean>((resolve) => {
			const socket = connect(port, "127.0.0.1");
			socket.once("connect", () => {
				socket.destroy();
				resolve(true);
			});
			socket.once("error", () => resolve(false));
		});
		if (open) return;
		await sleep(50);
	}
	throw new Error(`nothing listens on port ${port}`);
}
