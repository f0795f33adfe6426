/** A control plane and the proxies that joined it, as processes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { meshscope, run } from "./command.ts";
import type { Command } from "./command.ts";

export const STRICT = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
`;

export interface ControlledMesh {
	readonly directory: string;
	/** Of mesh.yaml. */
	write(policy: string): void;
	/** The control plane of this mesh, at the same address and with the same data each time. */
	control(): Promise<Command>;
	/** A proxy of the service; an instance that is started again goes on from its state, and needs no token. */
	proxy(name: string, flags: readonly string[], instance?: string): Promise<Command>;
}

export async function controlledMesh(t: TestContext, controlFlags: readonly string[] = []): Promise<ControlledMesh> {
	const directory = mkdtempSync(join(tmpdir(), "controlled-mesh-"));
	t.after(() => rmSync(directory, { recursive: true, force: true }));
	const file = join(directory, "mesh.yaml");
	const data = join(directory, "control");
	const address = `127.0.0.1:${await freePort()}`;
	const joined = new Set<string>();
	writeFileSync(file, STRICT);
	return {
		directory,
		write: (policy) => writeFileSync(file, policy),
		control: () =>
			meshscope(t, [
				...["control", "--mesh", file, "--control", address, "--http", "127.0.0.1:0", "--data", data],
				...controlFlags,
			]),
		async proxy(name, flags, instance = `${name}-1`) {
			const token: string[] = [];
			if (!joined.has(instance)) {
				const identity = `spiffe://cluster.local/ns/shop/sa/${name}`;
				const { code, stdout, stderr } = await run(["control", "token", "--identity", identity, "--data", data]);
				assert.equal(code, 0, stderr);
				token.push("--token", stdout.trim());
				joined.add(instance);
			}
			const common = ["--service", `shop/${name}`, "--instance-id", instance, "--control", `https://${address}`];
			return meshscope(t, ["proxy", ...common, "--state", join(directory, instance), ...token, ...flags]);
		},
	};
}

/** One that was free a moment ago, for what must come back at the same address. */
export async function freePort(): Promise<number> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	server.close();
	await once(server, "close");
	return port;
}

export async function killed(command: Command): Promise<void> {
	command.child.kill("SIGKILL");
	await command.exited;
}

/** Certificates, policy and endpoints take a moment to arrive: asks until there is a 200. */
export async function meets(ask: () => Promise<number>, logs: () => string): Promise<void> {
	const endMs = performance.now() + 40_000;
	for (;;) {
		const status = await ask();
		if (status === 200) return;
		if (performance.now() > endMs) assert.fail(`still ${status}:\n${logs()}`);
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}
