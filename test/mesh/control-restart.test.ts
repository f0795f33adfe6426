/** Either side comes and goes; what was known stays known, and traffic has no reason to notice. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { memoryStateFolder } from "../../model/mesh/state-folder.ts";
import { eventually, identityOf, registration, startMesh, startProxy, workload } from "./control-kit.ts";
import type { TestMesh } from "./control-kit.ts";
import { hello, rawStream } from "./raw-stream.ts";

/** A port that stays the same over restarts. */
async function freePort(): Promise<number> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	server.close();
	await once(server, "close");
	return port;
}

const token = ({ control }: TestMesh, name: string): { joinToken: string } => ({
	joinToken: control.createToken({ identity: identityOf(name) }),
});

test("a restart of the control plane empties no endpoint, and proxies come back by themselves with what they had", async (t) => {
	const state = memoryStateFolder();
	const listen = { host: "127.0.0.1", port: await freePort() };
	const first = await startMesh(t, { state, listen });
	const cart = startProxy(t, first.control.address, token(first, "cart"));
	const shop = startProxy(t, first.control.address, {
		serviceAccount: "shop",
		workload: workload("shop"),
		...token(first, "shop"),
	});
	await eventually("both services", () => shop.client.endpoints.services().length === 2);
	await eventually("both in sync", () => first.control.state().proxies.filter(({ inSync }) => inSync).length === 2);
	const emptied: string[] = [];
	shop.client.endpoints.onChange((changed) =>
		emptied.push(...changed.filter(({ ports }) => ports.length === 0).map(({ service }) => service)),
	);
	const before = cart.client.identity.current();
	await first.control.close();
	await eventually(
		"the cut",
		() => cart.client.status().connectedSinceMs === undefined && shop.client.status().connectedSinceMs === undefined,
	);
	assert.equal(cart.client.identity.current()?.chainPem, before?.chainPem);
	assert.equal(cart.client.policy.current()?.version, "1");
	assert.equal(shop.client.endpoints.services().length, 2);

	const second = await startMesh(t, { state, listen });
	assert.equal(second.control.state().instances.length, 2);
	await eventually(
		"both back",
		() => second.control.state().proxies.filter(({ connectedSinceMs }) => connectedSinceMs !== undefined).length === 2,
	);
	await delay(100);
	assert.deepEqual(emptied, []);
	assert.equal(second.control.state().policy.current?.version, "1", "the version goes on where it was");
	second.write('{"kind":"VirtualService"}');
	await eventually("version 2", () => cart.client.policy.current()?.version === "2");
});

test("what the proxies are told of is on the disk of the control plane before, so that one that is killed takes nothing back", async (t) => {
	const mesh = await startMesh(t);
	const shop = startProxy(t, mesh.control.address, {
		...{ serviceAccount: "shop", workload: workload("shop") },
		...token(mesh, "shop"),
	});
	const services = (): readonly string[] => shop.client.endpoints.services().map(({ service }) => service);
	await eventually("itself", () => services().includes("shop"));
	let saved = "";
	shop.client.endpoints.onChange(() => {
		if (saved === "" && services().includes("cart")) saved = mesh.state.read("members.json") ?? "";
	});
	startProxy(t, mesh.control.address, token(mesh, "cart"));
	await eventually("cart", () => saved !== "");
	const { instances } = JSON.parse(saved) as { readonly instances: readonly { readonly instanceId: string }[] };
	assert.deepEqual(instances.map(({ instanceId }) => instanceId).sort(), ["cart-1", "shop-1"]);
});

test("who says goodbye is gone at once; who is cut off stays for the grace, and is forgotten when it does not come back", async (t) => {
	const mesh = await startMesh(t, { lostGraceMs: 400 });
	const watcher = startProxy(t, mesh.control.address, {
		...{ serviceAccount: "pay", workload: workload("pay", "pay-1", ""), registration: undefined },
		...token(mesh, "pay"),
	});
	const services = (): readonly string[] => watcher.client.endpoints.services().map(({ service }) => service);
	const cart = startProxy(t, mesh.control.address, token(mesh, "cart"));
	await eventually("cart", () => services().includes("cart"));
	const { chainPem, keyPem } = cart.client.identity.current()!;
	await cart.client.close();
	await eventually("the goodbye", () => services().length === 0);

	const cut = rawStream(t, mesh.control.address, { chainPem, keyPem });
	cut.send(hello("cart", { registration: registration() }));
	await eventually("cart again", () => services().includes("cart"));
	cut.session.destroy();
	await eventually("it is lost", () => mesh.control.state().instances.some(({ presence }) => presence === "lost"));
	assert.deepEqual(services(), ["cart"]);
	await eventually("it is forgotten", () => services().length === 0);
	assert.deepEqual(
		mesh.control.state().instances.map(({ instanceId }) => instanceId),
		["pay-1"],
	);
	assert.deepEqual(
		mesh.control.state().proxies.map(({ instanceId }) => instanceId),
		["pay-1"],
	);
});

test("a newer stream of an identity speaks for its instance, and the end of the older one takes nothing away", async (t) => {
	const mesh = await startMesh(t, { lostGraceMs: 100 });
	const cart = startProxy(t, mesh.control.address, token(mesh, "cart"));
	await eventually("cart", () => cart.client.endpoints.services().length === 1);
	const { chainPem, keyPem } = cart.client.identity.current()!;
	const older = rawStream(t, mesh.control.address, { chainPem, keyPem });
	older.send({ ...hello("cart", { registration: registration() }), instanceId: "cart-9" });
	await older.next("policy");
	const newer = rawStream(t, mesh.control.address, { chainPem, keyPem });
	newer.send({ ...hello("cart", { registration: registration(15_009) }), instanceId: "cart-9" });
	await newer.next("policy");
	older.send({ kind: "bye", instanceId: "cart-9" });
	await delay(50);
	older.session.destroy();
	await delay(300);
	const instance = mesh.control.state().instances.find(({ instanceId }) => instanceId === "cart-9");
	assert.equal(instance?.presence, "connected");
	assert.equal(instance.endpoints[0]?.port, 15_009);
});

test("a proxy starts from its disk while no control plane answers", async (t) => {
	const mesh = await startMesh(t);
	const cart = startProxy(t, mesh.control.address, token(mesh, "cart"));
	await eventually("all of it", () => cart.client.endpoints.services().length === 1 && mesh.control.state().proxies[0]?.inSync);
	await cart.client.close();
	await mesh.control.close();
	const again = startProxy(t, "127.0.0.1:1", { state: cart.state });
	assert.equal(again.client.identity.current()?.principal, identityOf("cart"));
	assert.equal(again.client.policy.current()?.version, "1");
	assert.deepEqual(
		again.client.endpoints.services().map(({ service }) => service),
		["cart"],
	);
	await eventually("a reason", () => /ECONNREFUSED/.test(again.client.status().problem));
});

test("a restarted proxy needs no token: it shows its certificate", async (t) => {
	const mesh = await startMesh(t);
	const cart = startProxy(t, mesh.control.address, token(mesh, "cart"));
	await eventually("cart", () => mesh.control.state().proxies[0]?.inSync);
	await cart.client.close();
	const again = startProxy(t, mesh.control.address, { state: cart.state });
	await eventually("it is back", () => mesh.control.state().proxies[0]?.connectedSinceMs);
	assert.equal(again.client.status().problem, "");
});

test("a control plane that lost its state is joined anew with a token of its new root", async (t) => {
	const listen = { host: "127.0.0.1", port: await freePort() };
	const first = await startMesh(t, { listen });
	let laidDown = token(first, "cart").joinToken;
	const cart = startProxy(t, first.control.address, { token: () => laidDown });
	const before = await eventually("an identity", () => cart.client.identity.current());
	await eventually("policy", () => cart.client.policy.current());
	await first.control.close();
	const second = await startMesh(t, { listen, policy: '{"kind":"other"}' });
	await eventually("it is not trusted", () => /certificate|verify/.test(cart.client.status().problem));
	laidDown = token(second, "cart").joinToken;
	await eventually("a new identity", () => cart.client.identity.current()?.chainPem !== before.chainPem);
	// Its first version bears the number of the old one, and is another policy all the same.
	await eventually("the new policy", () => JSON.stringify(cart.client.policy.current()?.documents).includes("other"));
});

test("an invalid policy reaches no proxy; its faults are told, and the next sound one is the next version", async (t) => {
	const mesh = await startMesh(t);
	const cart = startProxy(t, mesh.control.address, token(mesh, "cart"));
	await eventually("version 1", () => cart.client.policy.current()?.version === "1");
	mesh.write('{"kind":"VirtualService"}\nnot json\n');
	assert.deepEqual(mesh.control.state().policy.rejected[0]?.faults, [
		{ file: "mesh.yaml", line: 2, column: 1, path: "", message: "is no JSON" },
	]);
	assert.ok(mesh.logged.some((line) => line.startsWith("warn") && line.includes('"line":2')));
	await delay(100);
	assert.equal(cart.client.policy.current()?.version, "1");
	mesh.write('{"kind":"VirtualService"}');
	await eventually("version 2", () => mesh.control.state().proxies[0]?.policyVersion === "2");
	assert.deepEqual(mesh.control.state().policy.rejected, []);
	mesh.write('\n\n{"kind":"VirtualService"}');
	assert.equal(mesh.control.state().policy.current?.version, "2", "a line that moves is no new policy");
});

test("a proxy that cannot run a policy keeps the one before, also after its restart, and the control plane knows why", async (t) => {
	const mesh = await startMesh(t);
	const cart = startProxy(t, mesh.control.address, { ...token(mesh, "cart"), acceptsPolicy: false });
	const fault = { file: "mesh.yaml", line: 1, column: 1, path: "spec", message: "no such subset" };
	cart.client.policy.onChange(({ version }) => cart.client.policy.report(version, version === "2" ? [fault] : []));
	await eventually("version 1", () => mesh.control.state().proxies[0]?.inSync);
	mesh.write('{"kind":"bad"}');
	const proxy = await eventually("the refusal", () => mesh.control.state().proxies.find(({ nack }) => nack !== undefined));
	assert.equal(proxy.policyVersion, "1");
	assert.equal(proxy.inSync, false);
	assert.deepEqual([proxy.nack?.version, proxy.nack?.faults], ["2", [fault]]);
	assert.equal(cart.client.policy.current()?.version, "1");
	await cart.client.close();
	const again = startProxy(t, "127.0.0.1:1", { state: cart.state });
	assert.equal(again.client.policy.current()?.version, "1");
	mesh.write('{"kind":"good"}');
	const back = startProxy(t, mesh.control.address, { state: cart.state });
	await eventually("version 3", () => back.client.policy.current()?.version === "3");
	await eventually("no refusal any more", () => mesh.control.state().proxies[0]?.nack === undefined);
});

test("health is told to peers, and an instance that is not healthy stays listed", async (t) => {
	const mesh = await startMesh(t);
	const cart = startProxy(t, mesh.control.address, token(mesh, "cart"));
	const endpoint = () => cart.client.endpoints.services()[0]?.ports[0]?.endpoints[0];
	await eventually("healthy", () => endpoint()?.healthy);
	cart.client.setHealth(false, "GET /healthz answered 503");
	await eventually("not healthy", () => endpoint()?.healthy === false);
	assert.equal(mesh.control.state().instances[0]?.healthReason, "GET /healthz answered 503");
	assert.deepEqual(mesh.control.state().services[0], {
		namespace: "shop",
		service: "cart",
		ports: [{ servicePort: 80, protocol: "http" }],
		instances: 1,
		healthy: 0,
		principals: [identityOf("cart")],
	});
	cart.client.setHealth(true, "");
	await eventually("healthy again", () => endpoint()?.healthy);
});

test("many instances that come together are told in few messages", async (t) => {
	const mesh = await startMesh(t);
	const watcher = startProxy(t, mesh.control.address, {
		...{ serviceAccount: "pay", workload: workload("pay", "pay-1", ""), registration: undefined },
		...token(mesh, "pay"),
	});
	await eventually("it is connected", () => watcher.client.status().connectedSinceMs);
	let told = 0;
	watcher.client.endpoints.onChange(() => told++);
	const joinToken = token(mesh, "cart").joinToken;
	const first = startProxy(t, mesh.control.address, { joinToken });
	await eventually("the first", () => first.client.identity.current());
	const certificate = first.state.read("certificate.json")!;
	const bundle = first.state.read("bundle.json")!;
	for (let i = 2; i <= 12; i++) {
		const state = memoryStateFolder();
		state.write("certificate.json", certificate);
		state.write("bundle.json", bundle);
		startProxy(t, mesh.control.address, {
			state,
			workload: workload("cart", `cart-${i}`),
			registration: registration(15_000 + i),
		});
	}
	await eventually("all twelve", () => watcher.client.endpoints.services()[0]?.ports[0]?.endpoints.length === 12);
	assert.ok(told <= 12, `${told} messages`);
});
