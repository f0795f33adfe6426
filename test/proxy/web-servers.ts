/** nginx and Caddy as real processes that serve one folder of files. Whoever starts one gives it a folder and gets it stopped. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { freePort } from "./mesh-commands.ts";
import { until } from "./rig.ts";
import type { Cleanup } from "./rig.ts";

export interface WebServer {
	readonly host: string;
	readonly port: number;
}

/** What it serves: a text that is worth compressing, a large file, and an empty one. */
export function layFiles(folder: string): { readonly root: string; readonly large: Buffer } {
	const root = join(folder, "www");
	mkdirSync(root, { recursive: true });
	const large = Buffer.alloc(2 << 20);
	for (let at = 0; at < large.length; at += 4) large.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);
	writeFileSync(join(root, "text.txt"), "a line that compresses well\n".repeat(2_000));
	writeFileSync(join(root, "large.bin"), large);
	writeFileSync(join(root, "empty.txt"), "");
	return { root, large };
}

/** It closes a connection after seven requests, and an idle one after 40 ms. */
export async function startNginx(t: Cleanup, binary: string, folder: string): Promise<WebServer> {
	const port = await freePort();
	const file = join(folder, "nginx.conf");
	const folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`);
	writeFileSync(
		file,
		`daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 512; }
http {
  access_log off; ${folders.join(" ")}
  keepalive_requests 7; keepalive_timeout 40ms;
  types { text/plain txt; }
  gzip on; gzip_types text/plain; gzip_min_length 100; gzip_proxied any;
  client_max_body_size 1k;
  error_page 404 /missing;
  server {
    listen 127.0.0.1:${port};
    root ${folder}/www;
    location = /missing { internal; default_type text/html; return 404 "<h1>not here</h1>"; }
    location = /moved { return 301 /text.txt; }
    location = /none { return 204; }
    location = /teapot { default_type text/plain; return 418 "short and stout"; }
    location = /dead { proxy_pass http://127.0.0.1:1; }
    location = /cookies { add_header Set-Cookie a=1; add_header Set-Cookie b=2; return 200 ok; }
  }
}
`,
	);
	await start(t, binary, ["-p", folder, "-c", file], port);
	return { host: "127.0.0.1", port };
}

/** HTTP/1.1 and HTTP/2 in plaintext on one port. */
export async function startCaddy(t: Cleanup, binary: string, folder: string): Promise<WebServer> {
	const port = await freePort();
	const file = join(folder, "Caddyfile");
	writeFileSync(
		file,
		`{
	admin off
	auto_https off
	servers {
		protocols h1 h2c
	}
}
http://:${port} {
	bind 127.0.0.1
	root * ${folder}/www
	encode gzip
	header /text.txt x-seen-proto {http.request.proto}
	respond /proto "{http.request.proto} {http.request.host}"
	respond /teapot "short and stout" 418
	respond /none 204
	redir /moved /text.txt 301
	file_server
}
`,
	);
	await start(t, binary, ["run", "--config", file, "--adapter", "caddyfile"], port, { HOME: folder });
	return { host: "127.0.0.1", port };
}

async function start(t: Cleanup, binary: string, args: readonly string[], port: number, env: NodeJS.ProcessEnv = {}) {
	const child = spawn(binary, args, { stdio: ["ignore", "ignore", "pipe"], env: { PATH: process.env["PATH"], ...env } });
	let stderr = "";
	child.stderr.on("data", (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-4_000)));
	const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
	t.after(async () => {
		child.kill("SIGKILL");
		await exited;
	});
	const endMs = performance.now() + 30_000;
	while (!(await accepts(port))) {
		if (child.exitCode !== null || performance.now() > endMs) assert.fail(`${binary} did not start: ${stderr}`);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

async function accepts(port: number): Promise<boolean> {
	const socket = connect(port, "127.0.0.1");
	let connected = false;
	socket.on("connect", () => {
		connected = true;
		socket.destroy();
	});
	socket.on("error", () => {});
	await until(() => (socket.closed ? true : undefined), "an answer of the port");
	return connected;
}
