/** A control plane and proxies on loopback for tests, with their disks in memory and their files in the test's hands. */
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { startControlPlane } from "../../control-plane/control-plane.ts";
import type { ControlPlane, ControlPlaneOptions } from "../../control-plane/control-plane.ts";
import type { Registration } from "../../model/mesh/control-protocol.ts";
import type { PolicyFile, ReadPolicy } from "../../model/mesh/mesh-files.ts";
import type { Workload } from "../../model/mesh/proxy-config.ts";
import { memoryStateFolder } from "../../model/mesh/state-folder.ts";
import type { StateFolder } from "../../model/mesh/state-folder.ts";
import { startControlClient } from "../../proxy-shim/control/control-client.ts";
import type { ControlClient, ControlClientOptions } from "../../proxy-shim/control/control-client.ts";

export const TRUST_DOMAIN = "cluster.local";

export interface TestMesh {
	readonly control: ControlPlane;
	readonly state: StateFolder;
	readonly logged: string[];
	/** Writes mesh.yaml: one JSON document a line; a line that is none is a fault. */
	write(text: string): void;
}

export async function startMesh(
	t: TestContext,
	options: Partial<ControlPlaneOptions> & { policy?: string } = {},
): Promise<TestMesh> {
	const state = options.state ?? memoryStateFolder();
	const logged: string[] = [];
	let text = options.policy ?? '{"kind":"PeerAuthentication"}';
	const watchers = new Set<() => void>();
	const control = await startControlPlane({
		listen: { host: "127.0.0.1", port: 0 },
		trustDomain: TRUST_DOMAIN,
		leafTtlMs: 86_400_000,
		nowMs: Date.now,
		log: (level, message, fields) => void logged.push(`${level} ${message} ${JSON.stringify(fields)}`),
		meshFiles: {
			read: () => [{ name: "mesh.yaml", text }],
			onChange(listener) {
				watchers.add(listener);
				return () => watchers.delete(listener);
			},
		},
		readPolicy: readJsonLines,
		tickMs: 20,
		...options,
		state,
	});
	t.after(() => control.close());
	return {
		control,
		state,
		logged,
		write(changed) {
			text = changed;
			for (const watcher of watchers) watcher();
		},
	};
}

export function readJsonLines(files: readonly PolicyFile[]): ReadPolicy {
	const documents: ReadPolicy["documents"][number][] = [];
	const faults: ReadPolicy["faults"][number][] = [];
	for (const { name, text } of files) {
		for (const [index, line] of text.split("\n").entries()) {
			if (line.trim() === "") continue;
			try {
				documents.push({ line: index + 1, file: name, value: JSON.parse(line) as unknown });
			} catch {
				faults.push({ file: name, line: index + 1, column: 1, path: "", message: "is no JSON" });
			}
		}
	}
	return { documents, faults, warnings: [] };
}

export function workload(serviceAccount: string, instanceId = `${serviceAccount}-1`, service = serviceAccount): Workload {
	return {
		trustDomain: TRUST_DOMAIN,
		namespace: "shop",
		service,
		workload: `${serviceAccount}-v1`,
		version: "v1",
		serviceAccount,
		instanceId,
		labels: { app: serviceAccount, version: "v1" },
	};
}

export function registration(port = 15_006): Registration {
	return { ports: [{ servicePort: 80, address: "10.0.0.7", port, protocol: "http" }] };
}

export function identityOf(serviceAccount: string): string {
	return `spiffe://${TRUST_DOMAIN}/ns/shop/sa/${serviceAccount}`;
}

export interface TestProxy {
	readonly client: ControlClient;
	readonly state: StateFolder;
	readonly logged: string[];
}

/** A proxy that takes every policy. */
export function startProxy(
	t: TestContext,
	address: string,
	options: Partial<ControlClientOptions> & { serviceAccount?: string; joinToken?: string; acceptsPolicy?: boolean } = {},
): TestProxy {
	const { serviceAccount = "cart", joinToken, acceptsPolicy = true, ...rest } = options;
	const state = rest.state ?? memoryStateFolder();
	const logged: string[] = [];
	const colon = address.lastIndexOf(":");
	const client = startControlClient({
		address: { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) },
		workload: workload(serviceAccount),
		registration: registration(),
		proxyVersion: "0.1.0",
		token: () => joinToken,
		log: (level, message, fields) => void logged.push(`${level} ${message} ${JSON.stringify(fields)}`),
		timings: { backoffBaseMs: 20, backoffMaxMs: 100 },
		...rest,
		state,
	});
	if (acceptsPolicy) client.policy.onChange(({ version }) => client.policy.report(version, []));
	t.after(() => client.close());
	return { client, state, logged };
}

/** Waits for what comes soon; fails with what it waits for. */
export async function eventually<T>(what: string, look: () => T | undefined | false, withinMs = 10_000): Promise<T> {
	const end = performance.now() + withinMs;
	for (;;) {
		const found = look();
		if (found !== undefined && found !== false) return found;
		if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
		await delay(5);
	}
}
