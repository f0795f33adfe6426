/** Certificates of two seconds and roots that change under them: at no moment does one proxy refuse another. */
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connect, createServer } from "node:tls";
import { memoryStateFolder } from "../../model/mesh/state-folder.ts";
import type { IdentitySource } from "../../proxy-shim/tls/identity-source.ts";
import { eventually, identityOf, startMesh, startProxy, workload } from "./control-kit.ts";
import { hello, rawStream } from "./raw-stream.ts";

/** One handshake between two identities as they are now; both sides verify. */
async function handshake(server: IdentitySource, client: IdentitySource): Promise<void> {
	const mine = server.current()!;
	const listener = createServer({
		...{ cert: mine.chainPem, key: mine.keyPem, ca: [...mine.rootsPem] },
		...{ requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.3" },
	});
	listener.listen(0, "127.0.0.1");
	await once(listener, "listening");
	try {
		const theirs = client.current()!;
		const accepted = once(listener, "secureConnection");
		const refused = once(listener, "tlsClientError").then(([error]) => Promise.reject(error as Error));
		refused.catch(() => undefined);
		const socket = connect({
			...{ host: "127.0.0.1", port: (listener.address() as AddressInfo).port },
			...{ cert: theirs.chainPem, key: theirs.keyPem, ca: [...theirs.rootsPem] },
			checkServerIdentity: () => undefined,
		});
		await Promise.all([once(socket, "secureConnect"), Promise.race([accepted, refused])]);
		socket.on("error", () => undefined);
		socket.destroy();
	} finally {
		listener.close();
	}
}

test("certificates of two seconds are renewed in time, again and again", async (t) => {
	const mesh = await startMesh(t, { leafTtlMs: 2_000 });
	const cart = startProxy(t, mesh.control.address, { joinToken: mesh.control.createToken({ identity: identityOf("cart") }) });
	await eventually("an identity", () => cart.client.identity.current());
	const seen = new Set<string>();
	cart.client.identity.onChange(({ chainPem }) => seen.add(chainPem));
	const end = performance.now() + 6_000;
	while (performance.now() < end) {
		const identity = cart.client.identity.current();
		assert.ok(identity !== undefined, "there is a certificate at every moment");
		assert.ok(identity.notAfterMs > Date.now());
		await delay(20);
	}
	assert.ok(seen.size >= 4, `${seen.size} renewals`);
	assert.equal(cart.client.status().problem, "");
});

test("while a root is exchanged no handshake fails, and in the end only the new one is trusted", async (t) => {
	const mesh = await startMesh(t, { leafTtlMs: 2_000 });
	const join = (name: string) => ({ joinToken: mesh.control.createToken({ identity: identityOf(name) }) });
	const cart = startProxy(t, mesh.control.address, join("cart"));
	const shop = startProxy(t, mesh.control.address, { serviceAccount: "shop", workload: workload("shop"), ...join("shop") });
	await eventually("both", () => mesh.control.state().proxies.filter(({ inSync }) => inSync).length === 2);
	const [oldRoot] = mesh.control.state().roots;
	let handshakes = 0;
	const stop = new AbortController();
	const traffic = (async () => {
		while (!stop.signal.aborted) {
			await handshake(cart.client.identity, shop.client.identity);
			await handshake(shop.client.identity, cart.client.identity);
			handshakes++;
			await delay(20);
		}
	})();
	traffic.catch(() => undefined);
	assert.equal(await mesh.control.rotateRoot(), true);
	assert.equal(mesh.control.state().roots.length, 2);
	await eventually("the new root signs", () => mesh.control.state().roots.some(({ stage }) => stage === "retiring"));
	await eventually(
		"the old root is dropped",
		() => mesh.control.state().roots.length === 1 && mesh.control.state().roots[0]?.sha256 !== oldRoot?.sha256,
	);
	await eventually("the proxies trust the new one alone", () =>
		[cart, shop].every(({ client }) => client.identity.current()?.rootsPem.length === 1),
	);
	await delay(500);
	stop.abort();
	await traffic;
	assert.ok(handshakes > 20, `${handshakes} handshakes`);
	const root = new X509Certificate(cart.client.identity.current()?.rootsPem[0] ?? "");
	assert.equal(createHash("sha256").update(root.raw).digest("hex"), mesh.control.state().roots[0]?.sha256);
	assert.equal(new X509Certificate(cart.client.identity.current()?.chainPem ?? "").verify(root.publicKey), true);
	assert.equal(mesh.control.state().bundleSequence, 3);
	// A proxy that joins now is given the new root by its token.
	const pay = startProxy(t, mesh.control.address, { serviceAccount: "pay", workload: workload("pay"), ...join("pay") });
	await eventually("it is in", () => pay.client.identity.current());
});

test("a new root does not sign before every proxy trusts it, or the grace is over", async (t) => {
	let nowMs = Date.now();
	const mesh = await startMesh(t, { rotationGraceMs: 600_000, nowMs: () => nowMs });
	const cart = startProxy(t, mesh.control.address, { joinToken: mesh.control.createToken({ identity: identityOf("cart") }) });
	await eventually("cart", () => mesh.control.state().proxies[0]?.inSync);
	const { chainPem, keyPem } = cart.client.identity.current()!;
	const deaf = rawStream(t, mesh.control.address, { chainPem, keyPem });
	deaf.send({ ...hello("cart"), instanceId: "cart-2" });
	await deaf.next("policy");
	await mesh.control.rotateRoot();
	const stages = () => mesh.control.state().roots.map(({ stage }) => stage);
	await eventually(
		"cart trusts it",
		() => mesh.control.state().proxies.find(({ instanceId }) => instanceId === "cart-1")?.bundleSequence === 2,
	);
	await delay(150);
	assert.deepEqual(stages(), ["active", "incoming"]);
	assert.equal(await mesh.control.rotateRoot(), false, "one rotation at a time");
	nowMs += 600_000;
	await eventually("it signs", () => stages().join() === "retiring,active");
});

test("a proxy that slept through the exchange still finds the control plane by the root it knows", async (t) => {
	const mesh = await startMesh(t);
	const cart = startProxy(t, mesh.control.address, { joinToken: mesh.control.createToken({ identity: identityOf("cart") }) });
	await eventually("cart", () => mesh.control.state().proxies[0]?.inSync);
	await cart.client.close();
	await mesh.control.rotateRoot();
	await eventually("the new root signs", () => mesh.control.state().roots.some(({ stage }) => stage === "retiring"));
	const back = startProxy(t, mesh.control.address, { state: cart.state });
	assert.equal(back.client.identity.current()?.rootsPem.length, 1);
	await eventually("both roots", () => back.client.identity.current()?.rootsPem.length === 2);
});

test("a rotation goes on where it was after a restart of the control plane", async (t) => {
	const state = memoryStateFolder();
	const first = await startMesh(t, { state });
	const cart = startProxy(t, first.control.address, { joinToken: first.control.createToken({ identity: identityOf("cart") }) });
	await eventually("cart", () => first.control.state().proxies[0]?.inSync);
	// It stays in the mesh, but does not hear of the new root.
	const { chainPem, keyPem } = cart.client.identity.current()!;
	const deaf = rawStream(t, first.control.address, { chainPem, keyPem });
	deaf.send({ ...hello("cart"), instanceId: "cart-2" });
	await deaf.next("policy");
	await first.control.rotateRoot();
	await first.control.close();
	const second = await startMesh(t, { state });
	assert.deepEqual(
		second.control.state().roots.map(({ stage }) => stage),
		["active", "incoming"],
	);
	assert.equal(second.control.state().bundleSequence, 2);
});

test("a file in the state folder asks for a new root", async (t) => {
	const mesh = await startMesh(t);
	mesh.state.write("rotate-root.request", "now");
	await eventually("a new root", () => mesh.control.state().roots.length === 2);
	assert.equal(mesh.state.read("rotate-root.request"), undefined);
});
