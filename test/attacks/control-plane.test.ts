/** Peers that want an identity which is not theirs, or the control plane's memory, time or files. */
import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { x509 } from "../../control-plane/ca/x509.ts";
import { memoryStateFolder } from "../../model/mesh/state-folder.ts";
import { eventually, identityOf, startMesh, startProxy, TRUST_DOMAIN, workload } from "../mesh/control-kit.ts";
import type { TestMesh } from "../mesh/control-kit.ts";
import { csr, hello, keyPair, rawSession, rawStream, streamOf } from "../mesh/raw-stream.ts";
import { issueCertificate } from "../interop/certificates.ts";

/** What somebody with a token gets. */
async function joined(t: TestContext, { control }: TestMesh, serviceAccount: string) {
	const keys = keyPair();
	const stream = rawStream(t, control.address);
	stream.send(
		hello(serviceAccount, { token: control.createToken({ identity: identityOf(serviceAccount) }) }),
		csr(`${serviceAccount}-1`, keys),
	);
	const { chainPem } = await stream.next("certificate");
	stream.session.destroy();
	return { chainPem: String(chainPem), keyPem: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** Unlike `once`, whatever error comes before. */
function closed(socket: Socket): Promise<void> {
	return new Promise((resolve) => void socket.once("close", () => resolve()));
}

async function refusal(stream: ReturnType<typeof rawStream>): Promise<[string, string]> {
	const { code, message } = await stream.next("refused");
	return [String(code), String(message)];
}

test("a token is used once: another key is refused, the same key is not locked out", async (t) => {
	const { control } = await startMesh(t);
	const token = control.createToken({ identity: identityOf("cart") });
	const keys = keyPair();
	const first = rawStream(t, control.address);
	first.send(hello("cart", { token }), csr("cart-1", keys));
	await first.next("certificate");
	const thief = rawStream(t, control.address);
	thief.send(hello("cart", { token }), csr("cart-1", keyPair()));
	const [code, message] = await refusal(thief);
	assert.equal(code, "join_refused");
	assert.match(message, /used already, with another key/);
	const again = rawStream(t, control.address);
	again.send(hello("cart", { token }), csr("cart-1", keys));
	await again.next("certificate");
});

test("an expired token, a wrong secret, an unknown one and one of no form are refused alike", async (t) => {
	let nowMs = Date.now();
	const { control } = await startMesh(t, { nowMs: () => nowMs, tickMs: 60_000 });
	const token = control.createToken({ identity: identityOf("cart"), ttlMs: 60_000 });
	const [form, id, secret, root] = token.split(".");
	const wrongSecret = [form, id, "0".repeat(64), root].join(".");
	const unknown = [form, "0".repeat(16), secret, root].join(".");
	const reasons: string[] = [];
	for (const text of [wrongSecret, unknown]) {
		const stream = rawStream(t, control.address);
		stream.send(hello("cart", { token: text }), csr("cart-1", keyPair()));
		const [code, message] = await refusal(stream);
		assert.equal(code, "join_refused");
		reasons.push(message);
	}
	assert.equal(reasons[0], reasons[1]);
	const formless = rawStream(t, control.address);
	formless.send(hello("cart", { token: "../../etc/passwd" }), csr("cart-1", keyPair()));
	assert.equal((await refusal(formless))[0], "join_refused");
	nowMs += 60_000;
	const late = rawStream(t, control.address);
	late.send(hello("cart", { token }), csr("cart-1", keyPair()));
	const [code, message] = await refusal(late);
	assert.equal(code, "join_refused");
	assert.match(message, /expired/);
});

test("names, extensions and subject of a request count for nothing: the token alone decides", async (t) => {
	const { control } = await startMesh(t);
	const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
	const request = await x509.Pkcs10CertificateRequestGenerator.create({
		name: "CN=admin, O=everything",
		keys,
		signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
		extensions: [
			new x509.SubjectAlternativeNameExtension([
				{ type: "url", value: identityOf("admin") },
				{ type: "dns", value: "admin.shop" },
			]),
			new x509.BasicConstraintsExtension(true, 3, true),
			new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
		],
	});
	const stream = rawStream(t, control.address);
	stream.send(hello("cart", { token: control.createToken({ identity: identityOf("cart") }) }), {
		...{ kind: "csr", instanceId: "cart-1", requestId: 1 },
		csrPem: request.toString("pem"),
	});
	const { chainPem } = await stream.next("certificate");
	const certificate = new X509Certificate(String(chainPem));
	assert.equal(certificate.subjectAltName, `URI:${identityOf("cart")}`);
	assert.equal(certificate.ca, false);
	assert.equal(certificate.subject, "O=meshscope");
	const usages = new x509.X509Certificate(String(chainPem)).getExtension(x509.KeyUsagesExtension)?.usages;
	assert.equal(usages, x509.KeyUsageFlags.digitalSignature);
});

test("a request whose key is weak, or that its key has not signed, is refused and costs the token nothing", async (t) => {
	const { control } = await startMesh(t);
	const token = control.createToken({ identity: identityOf("cart") });
	const stream = rawStream(t, control.address);
	stream.send(hello("cart", { token }));
	const good = csr("cart-1", keyPair()) as { readonly csrPem: string };
	const der = Buffer.from(good.csrPem.replace(/-----[A-Z ]+-----|\s/g, ""), "base64");
	// A public key of somebody else in a request that was signed before.
	const stranger = keyPair().publicKey.export({ type: "spki", format: "der" });
	const swapped = Buffer.from(der);
	swapped.set(stranger, der.indexOf(stranger.subarray(0, 27)));
	const bent = Buffer.from(der);
	bent[bent.length - 1]! ^= 1;
	const pem = (bytes: Buffer): string =>
		`-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
	const bad = [pem(swapped), pem(bent), pem(der.subarray(0, 40)), "", "x".repeat(60_000), pem(Buffer.alloc(3_000, 0x30))];
	for (const [requestId, csrPem] of bad.entries()) stream.send({ kind: "csr", instanceId: "cart-1", requestId, csrPem });
	for (const requestId of bad.keys()) {
		const answer = await eventually(`answer ${requestId}`, () => stream.frames.find((one) => one["requestId"] === requestId));
		assert.equal(answer["code"], "csr_refused", JSON.stringify(answer));
	}
	stream.send({ ...good, requestId: 99 });
	await stream.next("certificate");
});

test("a token of cart makes nobody admin, whatever the hello says", async (t) => {
	const { control } = await startMesh(t);
	const claims: [object, RegExp][] = [
		[{ workload: workload("admin", "cart-1") }, /was given spiffe:\/\/cluster.local\/ns\/shop\/sa\/cart/],
		[{ workload: { ...workload("cart"), namespace: "bank" } }, /the workload says that it is .*\/ns\/bank\//],
		[{ workload: { ...workload("cart"), trustDomain: "other.test" } }, /the workload says that it is spiffe:\/\/other.test/],
		[{ workload: { ...workload("cart"), service: "payments" } }, /may not answer for service payments/],
	];
	for (const [claim, reason] of claims) {
		const stream = rawStream(t, control.address);
		stream.send(
			hello("cart", { token: control.createToken({ identity: identityOf("cart") }), ...claim }),
			csr("cart-1", keyPair()),
		);
		const [code, message] = await refusal(stream);
		assert.equal(code, "identity_refused");
		assert.match(message, reason);
		assert.equal(
			stream.frames.some(({ kind }) => kind === "certificate"),
			false,
		);
	}
});

test("a token that names services lets its identity answer for them, after renewals and restarts too", async (t) => {
	const state = memoryStateFolder();
	const mesh = await startMesh(t, { state });
	const keys = keyPair();
	const stream = rawStream(t, mesh.control.address);
	const claim = { workload: { ...workload("cart"), service: "basket" } };
	stream.send(
		hello("cart", { token: mesh.control.createToken({ identity: identityOf("cart"), services: ["basket"] }), ...claim }),
		csr("cart-1", keys),
	);
	const { chainPem } = await stream.next("certificate");
	await mesh.control.close();
	const { control } = await startMesh(t, { state });
	const back = rawStream(t, control.address, {
		chainPem: String(chainPem),
		keyPem: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
	});
	back.send(hello("cart", { ...claim, registration: { ports: [] } }));
	await back.next("endpoints");
});

test("a certificate of cart speaks for cart alone, and renews for cart alone", async (t) => {
	const mesh = await startMesh(t);
	const credentials = await joined(t, mesh, "cart");
	const liar = rawStream(t, mesh.control.address, credentials);
	liar.send(hello("admin"));
	assert.equal((await refusal(liar))[0], "identity_refused");
	const renewing = rawStream(t, mesh.control.address, credentials);
	// A token of somebody else beside a certificate changes nothing.
	const token = mesh.control.createToken({ identity: identityOf("admin") });
	renewing.send(hello("cart", { token }), csr("cart-1", keyPair(), { token }));
	const { chainPem } = await renewing.next("certificate");
	assert.equal(new X509Certificate(String(chainPem)).subjectAltName, `URI:${identityOf("cart")}`);
});

test("an instance belongs to the identity that brought it", async (t) => {
	const mesh = await startMesh(t);
	const cart = startProxy(t, mesh.control.address, { joinToken: mesh.control.createToken({ identity: identityOf("cart") }) });
	await eventually("cart", () => mesh.control.state().instances[0]);
	const thief = rawStream(t, mesh.control.address, await joined(t, mesh, "admin"));
	thief.send({ ...hello("admin"), instanceId: "cart-1" });
	const [code, message] = await refusal(thief);
	assert.equal(code, "identity_refused");
	assert.match(message, /belongs to another identity/);
	assert.equal(mesh.control.state().instances[0]?.principal, identityOf("cart"));
	assert.ok(cart.client.status().connectedSinceMs);
});

test("certificates of strangers, of the control plane itself and expired ones are no identity", async (t) => {
	const mesh = await startMesh(t, { leafTtlMs: 1_000, timeouts: { helloMs: 60_000 } });
	const range = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 600_000) };
	const stranger = issueCertificate({ commonName: "mesh root", ...range });
	const forged = issueCertificate({ commonName: "x", uris: [identityOf("cart")], ...range, issuer: stranger });
	const foreign = rawStream(t, mesh.control.address, { chainPem: forged.certificatePem, keyPem: forged.keyPem });
	foreign.send(hello("cart"));
	const [code, message] = await refusal(foreign);
	assert.equal(code, "join_refused");
	assert.match(message, /does not count: it is not trusted/);
	const short = await joined(t, mesh, "cart");
	await delay(2_100);
	const late = rawStream(t, mesh.control.address, short);
	late.send(hello("cart"));
	assert.equal((await refusal(late))[0], "join_refused");
});

test("a stream does not outlive its certificate, unless it was renewed on it", async (t) => {
	const mesh = await startMesh(t, { leafTtlMs: 1_000 });
	const credentials = await joined(t, mesh, "cart");
	const lazy = rawStream(t, mesh.control.address, credentials);
	const diligent = rawStream(t, mesh.control.address, credentials);
	lazy.send(hello("cart", { instanceId: "cart-1" }));
	diligent.send({ ...hello("cart"), instanceId: "cart-2" });
	await lazy.next("policy");
	for (let requestId = 0; requestId < 7; requestId++) {
		diligent.send(csr("cart-2", keyPair(), { requestId }));
		await delay(400);
	}
	assert.equal((await refusal(lazy))[0], "join_refused");
	assert.equal(diligent.ended(), false);
	assert.equal(diligent.frames.filter(({ kind }) => kind === "refused").length, 0);
});

test("without a certificate nothing is told but roots and a certificate", async (t) => {
	const mesh = await startMesh(t);
	const stream = rawStream(t, mesh.control.address);
	stream.send(hello("cart", { token: mesh.control.createToken({ identity: identityOf("cart") }) }), csr("cart-1", keyPair()));
	await stream.next("certificate");
	mesh.write('{"kind":"VirtualService"}');
	await delay(100);
	assert.deepEqual([...new Set(stream.frames.map(({ kind }) => kind))].toSorted(), ["bundle", "certificate"]);
	stream.send({ kind: "ack", instanceId: "cart-1", version: "1" });
	assert.equal((await refusal(stream))[0], "protocol_violation");
	assert.deepEqual(mesh.control.state().proxies, []);
	const silent = rawStream(t, mesh.control.address);
	silent.send(hello("cart"));
	assert.equal((await refusal(silent))[0], "join_refused");
});

test("an endless frame, garbage, and messages out of turn end the stream with the reason", async (t) => {
	const mesh = await startMesh(t);
	const credentials = await joined(t, mesh, "cart");
	const cases: [string | Uint8Array, RegExp, boolean][] = [
		[Buffer.alloc(70_000, 0x20), /longer than 65536 bytes/, false],
		[Buffer.alloc(1_100_000, 0x20), /longer than 1048576 bytes/, true],
		["this is not json\n", /not JSON/, true],
		[Buffer.from([0x7b, 0xff, 0xfe, 0x7d, 0x0a]), /not JSON in UTF-8/, true],
		["[1,2]\n", /no object with a `kind`/, true],
		['{"kind":7}\n', /no object with a `kind`/, true],
		['{"kind":"ack","instanceId":"cart-1","version":"1"}\n', /before the hello/, true],
		['{"kind":"hello","instanceId":"../../x"}\n', /hello.*instanceId|hello\.workload/, true],
		['{"kind":"hello","instanceId":"cart-1","workload":null}\n', /hello\.workload must be an object/, true],
		[`{"kind":"hello","instanceId":"${"x".repeat(500)}","workload":{}}\n`, /instanceId must be/, true],
		["[".repeat(50_000) + "\n", /not JSON/, true],
	];
	for (const [bytes, reason, isKnown] of cases) {
		const stream = rawStream(t, mesh.control.address, isKnown ? credentials : undefined);
		stream.write(bytes);
		const [code, message] = await refusal(stream);
		assert.equal(code, "protocol_violation");
		assert.match(message, reason);
		await eventually("its end", stream.ended);
	}
	// Kinds that it does not know are of a later version, and are passed over.
	const future = rawStream(t, mesh.control.address, credentials);
	future.send({ kind: "telepathy" }, hello("cart"));
	await future.next("policy");
});

test("floods of messages, requests, streams and strangers end at their limits, and others are still served", async (t) => {
	const mesh = await startMesh(t);
	const credentials = await joined(t, mesh, "cart");
	const chatty = rawStream(t, mesh.control.address, credentials);
	chatty.send(hello("cart"));
	chatty.send(...Array.from({ length: 400 }, () => ({ kind: "ack", instanceId: "cart-1", version: "1" })));
	assert.match((await refusal(chatty))[1], /too often/);

	const greedy = rawStream(t, mesh.control.address, credentials);
	greedy.send(hello("cart"), ...Array.from({ length: 15 }, (_, requestId) => csr("cart-1", keyPair(), { requestId })));
	await eventually("refusals", () => greedy.frames.some(({ code }) => code === "overloaded"));
	assert.equal(greedy.ended(), false);

	const session = rawSession(t, mesh.control.address, credentials);
	await once(session, "connect");
	for (let i = 0; i < 40 && !session.closed && !session.destroyed; i++) {
		const stream = streamOf(session);
		stream.stream.close();
		await delay(1);
	}
	await eventually("the end of the connection", () => session.closed || session.destroyed);

	const twice = rawSession(t, mesh.control.address, credentials);
	const one = streamOf(twice);
	one.send(hello("cart"));
	await one.next("policy");
	const two = twice.request({ ":method": "POST", ":path": "/v1/proxy/stream" });
	const [headers] = (await once(two, "response")) as [Record<string, unknown>];
	assert.equal(headers[":status"], 400);

	const strangers = Array.from({ length: 300 }, () => rawSession(t, mesh.control.address));
	await eventually("strangers turned away", () => strangers.filter((stranger) => stranger.destroyed).length >= 40);
	assert.equal(one.ended(), false);
	const member = rawStream(t, mesh.control.address, credentials);
	member.send({ ...hello("cart"), instanceId: "cart-3" });
	await member.next("policy");
	for (const stranger of strangers) stranger.destroy();
});

test("a proxy that says hello again and again is told everything once", async (t) => {
	const mesh = await startMesh(t);
	const stream = rawStream(t, mesh.control.address, await joined(t, mesh, "cart"));
	for (let i = 0; i < 40; i++) stream.send({ ...hello("cart"), instanceId: `cart-${1 + (i % 4)}` });
	await eventually("all four", () => mesh.control.state().instances.length === 4);
	await delay(100);
	assert.deepEqual(
		stream.frames.map(({ kind }) => kind),
		["bundle", "policy", "endpoints"],
	);
	for (let i = 5; i <= 65; i++) stream.send({ ...hello("cart"), instanceId: `cart-${i}` });
	assert.match((await refusal(stream))[1], /more than 64 instances/);
});

test("what is no TLS, no HTTP/2, or breaks off anywhere ends its connection and nothing else", async (t) => {
	const mesh = await startMesh(t);
	const credentials = await joined(t, mesh, "cart");
	const port = Number(mesh.control.address.split(":").at(-1));
	const member = rawStream(t, mesh.control.address, credentials);
	member.send(hello("cart"));
	await member.next("policy");
	for (const bytes of [
		randomBytes(4_096),
		Buffer.from("GET / HTTP/1.1\r\n\r\n"),
		Buffer.from([0x16, 0x03, 0x01, 0xff, 0xff]),
	]) {
		const socket = connectTcp({ port, host: "127.0.0.1" });
		socket.on("error", () => undefined);
		socket.resume().end(bytes);
		await closed(socket);
	}
	for (const bytes of [
		Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
		randomBytes(200),
		Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff", "latin1"),
	]) {
		for (const ALPNProtocols of [["h2"], ["http/1.1"]]) {
			const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols });
			socket.on("error", () => undefined);
			socket.resume().once("secureConnect", () => socket.write(bytes));
			const cut = setTimeout(() => socket.destroy(), 100);
			await closed(socket);
			clearTimeout(cut);
		}
	}
	for (let i = 0; i < 20; i++) {
		const stream = rawStream(t, mesh.control.address, credentials);
		stream.send({ ...hello("cart"), instanceId: `cart-${i}` }, csr(`cart-${i}`, keyPair()));
		await delay(i * 2);
		stream.session.destroy();
	}
	await delay(100);
	assert.equal(member.ended(), false);
	mesh.write('{"kind":"VirtualService"}');
	await eventually("the next version", () => member.frames.some((frame) => JSON.stringify(frame).includes("VirtualService")));
});

test("a proxy that reads nothing costs the newest state and not a queue, and is cut off in the end", async (t) => {
	const mesh = await startMesh(t, { timeouts: { deadMs: 1_500 } });
	const sleeper = rawStream(t, mesh.control.address, await joined(t, mesh, "cart"));
	sleeper.send(hello("cart"));
	await sleeper.next("policy");
	sleeper.stream.pause();
	for (let version = 0; version < 60; version++) mesh.write(JSON.stringify({ version, text: "x".repeat(200_000) }));
	sleeper.stream.resume();
	const last = await eventually("the newest", () =>
		sleeper.frames.find((frame) => JSON.stringify(frame).includes('"version":59')),
	);
	assert.ok(last);
	const told = sleeper.frames.filter(({ kind }) => kind === "policy").length;
	assert.ok(told < 30, `${told} of 61 versions were told`);
	sleeper.stream.pause();
	for (let version = 100; version < 120; version++) mesh.write(JSON.stringify({ version, text: "x".repeat(200_000) }));
	await eventually("the cut", () => sleeper.session.destroyed || sleeper.session.closed);
});

test("a connection that says nothing is closed", async (t) => {
	const mesh = await startMesh(t, { timeouts: { helloMs: 150 } });
	const mute = rawSession(t, mesh.control.address);
	const opened = rawStream(t, mesh.control.address);
	await eventually("their end", () => mute.destroyed && opened.ended());
});

test("what a token or a proxy names is no path into the control plane's folder", async (t) => {
	const read: string[] = [];
	const inner = memoryStateFolder();
	const mesh = await startMesh(t, {
		state: {
			...inner,
			read(name) {
				read.push(name);
				return inner.read(name);
			},
		},
	});
	const forms = [
		"msj1.../../../../etc.0.0",
		`msj1.${"..%2f".repeat(3)}x.${"0".repeat(64)}.${"0".repeat(64)}`,
		`msj1.${"A".repeat(16)}.${"0".repeat(64)}.${"0".repeat(64)}`,
	];
	for (const token of forms) {
		const stream = rawStream(t, mesh.control.address);
		stream.send(hello("cart", { token }), csr("cart-1", keyPair()));
		assert.equal((await refusal(stream))[0], "join_refused");
	}
	assert.deepEqual(
		read.filter((name) => name.startsWith("token-")),
		[],
	);
});

test("tokens are given for workloads of this mesh alone", async (t) => {
	const { control, state } = await startMesh(t);
	for (const [identity, reason] of [
		["spiffe://other.test/ns/shop/sa/cart", /trust domain/],
		[`spiffe://${TRUST_DOMAIN}/ns/meshscope-system/sa/control`, /control plane's own/],
		[`spiffe://${TRUST_DOMAIN}/ns/shop/sa/cart/`, /slash/],
		[`spiffe://${TRUST_DOMAIN}/shop`, /path/],
		["cart", /spiffe/],
	] as const)
		assert.throws(() => control.createToken({ identity }), reason);
	assert.throws(() => control.createToken({ identity: identityOf("cart"), ttlMs: 0 }), /1s to 7d/);
	assert.throws(() => control.createToken({ identity: identityOf("cart"), services: ["../x"] }), /no service name/);
	const token = control.createToken({ identity: identityOf("cart") });
	const kept = state.list().map((name) => state.read(name) ?? "");
	assert.equal(
		kept.some((text) => text.includes(token.split(".")[2]!)),
		false,
		"the secret itself is kept nowhere",
	);
});

test("paths and methods that are not served are refused, and the bundle is for everybody", async (t) => {
	const { control } = await startMesh(t);
	const session = rawSession(t, control.address);
	const answer = async (method: string, path: string): Promise<[unknown, string]> => {
		const stream = session.request({ ":method": method, ":path": path });
		let text = "";
		stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
		const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
		await once(stream, "end");
		return [headers[":status"], text];
	};
	assert.equal((await answer("GET", "/"))[0], 404);
	assert.equal((await answer("GET", "/v1/proxy/stream"))[0], 404);
	assert.equal((await answer("GET", "/v1/bundle/../../authority.json"))[0], 404);
	const [status, text] = await answer("GET", "/v1/bundle");
	assert.equal(status, 200);
	assert.equal((JSON.parse(text) as { keys: readonly unknown[] }).keys.length, 1);
	assert.equal(text.includes("PRIVATE"), false);
});
