/**
 * A real Envoy with the sidecars of bootstrap.yaml, its certificates and the application behind it.
 * The one who starts it owns the folder it is given, and stops it.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { issueCertificate } from "../certificates.ts";

export const FRONTEND_ID = "spiffe://demo.local/ns/demo/sa/frontend";
export const BACKEND_ID = "spiffe://demo.local/ns/demo/sa/backend";

export interface EnvoyPair {
	/** Where the application of "frontend" sends its requests. */
	readonly outboundPort: number;
	readonly inboundPort: number;
}

export interface RunningEnvoy {
	readonly mutualTls: EnvoyPair;
	readonly plaintext: EnvoyPair;
	/** Mutual TLS too, by a proxy that knows only connections. */
	readonly tcp: EnvoyPair;
	readonly appPort: number;
	readonly frontendNotAfter: Date;
	readonly backendNotAfter: Date;
	/** Sends one request through a pair; resolves with the status the application gave. */
	send(pair: EnvoyPair, path: string): Promise<number>;
	stop(): Promise<void>;
}

/**
 * @param folder for configuration, certificates and Envoy's log
 * @param targets `host:port` of the OTLP receivers
 */
export async function startEnvoy(
	binary: string,
	folder: string,
	targets: { readonly otlpGrpc: string; readonly otlpHttp: string },
): Promise<RunningEnvoy> {
	const certificates = await writeCertificates(folder);
	const app = createServer((incoming, response) => {
		response.writeHead(incoming.url?.startsWith("/fail") === true ? 500 : 200, { "content-type": "text/plain" }).end("ok\n");
	});
	await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve));
	const appPort = (app.address() as AddressInfo).port;
	const [outbound, inbound, outboundPlain, inboundPlain, outboundTcp] = await freePorts(5);
	const template = await readFile(path.join(import.meta.dirname, "bootstrap.yaml"), "utf8");
	const values: Readonly<Record<string, string | number | undefined>> = {
		OUTBOUND_PORT: outbound,
		INBOUND_PORT: inbound,
		OUTBOUND_PLAIN_PORT: outboundPlain,
		INBOUND_PLAIN_PORT: inboundPlain,
		OUTBOUND_TCP_PORT: outboundTcp,
		APP_PORT: appPort,
		OTLP_GRPC_PORT: portOf(targets.otlpGrpc),
		OTLP_HTTP_PORT: portOf(targets.otlpHttp),
		CERTIFICATES: certificates.folder,
	};
	const bootstrap = template.replace(/\$\{([A-Z_]+)\}/g, (whole, name: string) => String(values[name] ?? whole));
	let running: EnvoyProcess;
	try {
		running = await runEnvoy(binary, folder, "bootstrap.yaml", bootstrap);
	} catch (error) {
		app.close();
		throw error;
	}
	return {
		mutualTls: { outboundPort: outbound!, inboundPort: inbound! },
		plaintext: { outboundPort: outboundPlain!, inboundPort: inboundPlain! },
		tcp: { outboundPort: outboundTcp!, inboundPort: inbound! },
		appPort,
		frontendNotAfter: certificates.frontendNotAfter,
		backendNotAfter: certificates.backendNotAfter,
		send: (pair, urlPath) => get(pair.outboundPort, urlPath),
		async stop() {
			await running.stop();
			app.closeAllConnections();
			await new Promise((resolve) => app.close(resolve));
		},
	};
}

export interface EnvoyProcess {
	/** Lets Envoy send what it holds, and ends it. */
	stop(): Promise<void>;
}

/** Writes the configuration into the folder, starts Envoy on it and waits until it serves. */
export async function runEnvoy(binary: string, folder: string, fileName: string, bootstrap: string): Promise<EnvoyProcess> {
	const configFile = path.join(folder, fileName);
	await writeFile(configFile, bootstrap);
	const adminFile = path.join(folder, "admin-address");
	// One worker thread: fewer connections, and spans leave in the order of the requests.
	const flags = ["--disable-hot-restart", "--concurrency", "1", "--admin-address-path", adminFile, "-l", "warning"];
	const child = spawn(binary, ["-c", configFile, ...flags], { stdio: ["ignore", "ignore", "pipe"] });
	let said = "";
	child.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-8_000)));
	try {
		await waitUntilReady(child, adminFile, () => said);
	} catch (error) {
		child.kill("SIGKILL");
		throw error;
	}
	return {
		async stop() {
			const exited =
				child.exitCode !== null ? Promise.resolve() : new Promise<void>((resolve) => child.once("exit", () => resolve()));
			child.kill("SIGTERM");
			await exited;
		},
	};
}

async function writeCertificates(folder: string): Promise<{ folder: string; frontendNotAfter: Date; backendNotAfter: Date }> {
	const target = path.join(folder, "certificates");
	await mkdir(target, { recursive: true });
	const dayMs = 86_400_000;
	const wholeSecondMs = Math.floor(Date.now() / 1_000) * 1_000;
	const notBefore = new Date(wholeSecondMs - dayMs);
	const authority = issueCertificate({
		commonName: "demo authority",
		notBefore,
		notAfter: new Date(wholeSecondMs + 30 * dayMs),
	});
	const frontendNotAfter = new Date(wholeSecondMs + 10 * dayMs);
	const backendNotAfter = new Date(wholeSecondMs + 20 * dayMs);
	const frontend = issueCertificate({
		commonName: "frontend",
		uris: [FRONTEND_ID],
		notBefore,
		notAfter: frontendNotAfter,
		issuer: authority,
	});
	const backend = issueCertificate({
		commonName: "backend",
		uris: [BACKEND_ID],
		notBefore,
		notAfter: backendNotAfter,
		issuer: authority,
	});
	await Promise.all([
		writeFile(path.join(target, "ca.crt"), authority.certificatePem),
		writeFile(path.join(target, "frontend.crt"), frontend.certificatePem),
		writeFile(path.join(target, "frontend.key"), frontend.keyPem, { mode: 0o600 }),
		writeFile(path.join(target, "backend.crt"), backend.certificatePem),
		writeFile(path.join(target, "backend.key"), backend.keyPem, { mode: 0o600 }),
	]);
	return { folder: target, frontendNotAfter, backendNotAfter };
}

/** Ports that are free now, all held at once while they are being chosen so that no two are the same. */
export async function freePorts(count: number): Promise<number[]> {
	const servers = Array.from({ length: count }, () => createTcpServer());
	await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))));
	const ports = servers.map((server) => (server.address() as AddressInfo).port);
	await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
	return ports;
}

async function waitUntilReady(child: ChildProcess, adminFile: string, said: () => string): Promise<void> {
	const deadlineMs = Date.now() + 30_000;
	while (Date.now() < deadlineMs) {
		if (child.exitCode !== null) throw new Error(`Envoy ended with ${child.exitCode}:\n${said()}`);
		const address = await readFile(adminFile, "utf8").catch(() => "");
		if (address !== "" && (await get(portOf(address.trim()), "/ready").catch(() => 0)) === 200) return;
		await delay(50);
	}
	throw new Error(`Envoy was not ready within 30 s:\n${said()}`);
}

export function portOf(address: string): number {
	return Number(address.slice(address.lastIndexOf(":") + 1));
}

function get(port: number, urlPath: string): Promise<number> {
	return new Promise((resolve, reject) => {
		const outgoing = request({
			host: "127.0.0.1",
			port,
			path: urlPath,
			// A connection that ends with its request, so that a proxy of connections has something to say.
			agent: false,
			headers: { host: "backend.demo", "user-agent": "interop-test" },
		});
		outgoing.on("response", (response) => {
			response.resume();
			response.on("end", () => resolve(response.statusCode ?? 0));
		});
		outgoing.on("error", reject);
		outgoing.end();
	});
}
