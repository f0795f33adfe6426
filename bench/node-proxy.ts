/**
 * The memory of one node proxy for ten workloads beside that of ten sidecars: `node bench/node-proxy.ts`.
 *
 * Both have the same ten identities, policy and apps, and the same load over mTLS. RSS counts pages that the sidecars share once for each of
 * them, so the proportional share (PSS) is given too.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { freePorts } from "../test/interop/envoy/run.ts";
import { makeAuthority, makeIdentity } from "../test/proxy/identities.ts";
import { firstJsonLine, stopChild } from "./processes.ts";
import { runLoad, startApp } from "./proxy/processes.ts";

const { values } = parseArgs({
	options: {
		workloads: { type: "string", default: "10" },
		rounds: { type: "string", default: "3" },
		/** Of load on each workload in turn. */
		seconds: { type: "string", default: "3" },
	},
});
const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const MIB = 2 ** 20;
/** Node gives memory back some time after it was last needed. */
const SETTLE_MS = 2_000;
const BAR = 0.2;

interface Entry {
	readonly name: string;
	readonly inbound: string;
	readonly outbound: number;
	readonly files: readonly string[];
}

interface Memory {
	readonly rss: number;
	readonly pss: number;
}

const folder = mkdtempSync(join(tmpdir(), "meshscope-bench-node-"));
const app = await startApp();
try {
	const entries = await prepare(Number(values.workloads), app.port);
	const ratios: { idle: Memory; loaded: Memory }[] = [];
	for (let round = 0; round < Number(values.rounds); round++) {
		const sidecars = await measure(entries, sidecarArgs);
		const node = await measure(entries, nodeArgs);
		const ratio = (a: Memory, b: Memory): Memory => ({ rss: a.rss / b.rss, pss: a.pss / b.pss });
		ratios.push({ idle: ratio(node.idle, sidecars.idle), loaded: ratio(node.loaded, sidecars.loaded) });
		for (const [what, { idle, loaded }] of [
			["sidecars", sidecars],
			["node proxy", node],
		] as const) {
			console.log(
				`${what}: idle RSS ${mib(idle.rss)}, PSS ${mib(idle.pss)}; loaded RSS ${mib(loaded.rss)}, PSS ${mib(loaded.pss)} MiB`,
			);
		}
	}
	for (const state of ["idle", "loaded"] as const) {
		const [rss, pss] = (["rss", "pss"] as const).map((kind) => median(ratios.map((found) => found[state][kind])));
		console.log(
			`${state}: node proxy / ${values.workloads} sidecars: RSS ${percent(rss!)} (bar ${percent(BAR)}), PSS ${percent(pss!)}`,
		);
	}
} finally {
	await app.stop();
	rmSync(folder, { recursive: true });
}

/** Certificates, a mesh in which all speak mTLS, and a file of workloads. */
async function prepare(count: number, appPort: number): Promise<readonly Entry[]> {
	const authority = makeAuthority("bench");
	const ports = await freePorts(count * 2);
	const entries = Array.from({ length: count }, (_, i): Entry => {
		const name = `svc-${i}`;
		const identity = makeIdentity(authority, name);
		const own = join(folder, name);
		mkdirSync(own);
		const files = (["crt", "key", "ca"] as const).map((kind) => join(own, kind));
		writeFileSync(files[0]!, identity.chainPem);
		writeFileSync(files[1]!, identity.keyPem, { mode: 0o600 });
		writeFileSync(files[2]!, identity.rootsPem.join(""));
		return { name, inbound: `127.0.0.1:${ports[2 * i]}=127.0.0.1:${appPort}@8080`, outbound: ports[2 * i + 1]!, files };
	});
	const documents = entries.map(
		({ name }, i) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: shop}
spec:
  hosts: [${name}.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 8080, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${ports[2 * i]}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}, namespace: shop}
spec:
  host: ${name}.shop.svc.cluster.local
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL, subjectAltNames: ["spiffe://cluster.local/ns/shop/sa/${name}"]}}
`,
	);
	const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
`;
	writeFileSync(join(folder, "mesh.yaml"), [strict, ...documents].join("---"));
	const workloads = entries.map(
		({ name, inbound, outbound, files: [crt, key, ca] }) =>
			`  - {service: shop/${name}, inbound: "${inbound}", outbound: "127.0.0.1:${outbound}", mtls-cert: ${crt}, mtls-key: ${key}, mtls-ca: ${ca}}`,
	);
	writeFileSync(join(folder, "workloads.yaml"), `workloads:\n${workloads.join("\n")}\n`);
	return entries;
}

function sidecarArgs(entries: readonly Entry[]): readonly (readonly string[])[] {
	return entries.map(({ name, inbound, outbound, files: [crt, key, ca] }) => [
		...["--service", `shop/${name}`, "--inbound", inbound, "--outbound", `127.0.0.1:${outbound}`],
		...["--mtls-cert", crt!, "--mtls-key", key!, "--mtls-ca", ca!],
	]);
}

function nodeArgs(): readonly (readonly string[])[] {
	return [["--workloads", join(folder, "workloads.yaml"), "--hbone", "127.0.0.1:0"]];
}

async function measure(
	entries: readonly Entry[],
	argsOf: (entries: readonly Entry[]) => readonly (readonly string[])[],
): Promise<{ idle: Memory; loaded: Memory }> {
	const children: ChildProcess[] = [];
	try {
		for (const args of argsOf(entries)) {
			const all = [MAIN, "proxy", ...args, "--mesh", join(folder, "mesh.yaml"), "--otlp", "off", "--log-level", "warn"];
			const child = spawn(process.execPath, all, { stdio: ["ignore", "pipe", "inherit"] });
			children.push(child);
			await firstJsonLine(child, 60_000);
		}
		await sleep(SETTLE_MS);
		const idle = memoryOf(children);
		for (const { name, outbound } of entries) {
			const { failed, requests } = await runLoad({
				port: outbound,
				host: `${name}:8080`,
				seconds: Number(values.seconds),
				connections: 8,
				rate: 200,
			});
			if (failed > 0 || requests === 0) throw new Error(`${failed} of ${requests} requests to ${name} failed`);
		}
		await sleep(SETTLE_MS);
		return { idle, loaded: memoryOf(children) };
	} finally {
		await Promise.all(children.map((child) => stopChild(child, 15_000)));
	}
}

function memoryOf(children: readonly ChildProcess[]): Memory {
	const read = (pid: number, name: string): number => {
		const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
		return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1] ?? 0) * 1024;
	};
	const sum = (name: string): number => children.reduce((total, { pid }) => total + read(pid!, name), 0);
	return { rss: sum("Rss"), pss: sum("Pss") };
}

function median(numbers: readonly number[]): number {
	return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}

function mib(bytes: number): string {
	return (bytes / MIB).toFixed(0);
}

function percent(share: number): string {
	return `${(share * 100).toFixed(1)} %`;
}
