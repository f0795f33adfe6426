/** Whom a proxy takes for its control plane: the one whose root its token names, and no one else, not even a workload of the same mesh. */
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fetchPinnedRoot } from "../../proxy-shim/control/trust.ts";
import { issueCertificate } from "../interop/certificates.ts";
import { eventually, identityOf, startMesh, startProxy, TRUST_DOMAIN } from "./control-kit.ts";

const RANGE = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 600_000) };

/** A server that takes any stream and notes what it was told. */
async function impostor(
	t: TestContext,
	cert: string,
	key: string,
): Promise<{ readonly address: string; readonly heard: string[] }> {
	const heard: string[] = [];
	const server = createSecureServer({ cert, key, requestCert: true, rejectUnauthorized: false });
	server.on("stream", (stream) => {
		stream.on("error", () => undefined);
		stream.respond({ ":status": 200 });
		stream.setEncoding("utf8").on("data", (text: string) => void heard.push(text));
	});
	server.on("sessionError", () => undefined);
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	t.after(() => void server.close());
	return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, heard };
}

function sha256(pem: string): string {
	return createHash("sha256").update(new X509Certificate(pem).raw).digest("hex");
}

function tokenWith(rootSha256: string): string {
	return `msj1.${"0".repeat(16)}.${"1".repeat(64)}.${rootSha256}`;
}

test("a control plane of another root hears nothing, not even the token", async (t) => {
	const { control } = await startMesh(t);
	const other = issueCertificate({ commonName: "other", ...RANGE });
	const { address, heard } = await impostor(t, other.certificatePem, other.keyPem);
	const proxy = startProxy(t, address, { joinToken: control.createToken({ identity: identityOf("cart") }) });
	await eventually("the refusal", () => /does not show the root that the join token names/.test(proxy.client.status().problem));
	assert.deepEqual(heard, []);
});

test("showing the right root is not enough: the certificate must be signed by it", async (t) => {
	const root = issueCertificate({ commonName: "root", ...RANGE });
	const other = issueCertificate({ commonName: "other", ...RANGE });
	const leaf = issueCertificate({
		commonName: "control",
		uris: [`spiffe://${TRUST_DOMAIN}/ns/meshscope-system/sa/control`],
		...{ ...RANGE, issuer: other },
	});
	const { address, heard } = await impostor(t, leaf.certificatePem + root.certificatePem, leaf.keyPem);
	const proxy = startProxy(t, address, { joinToken: tokenWith(sha256(root.certificatePem)) });
	await eventually("several attempts", () => proxy.client.status().attempts > 2);
	assert.deepEqual(heard, []);
	assert.equal(proxy.client.identity.current(), undefined);
});

test("a workload of the mesh is not taken for its control plane", async (t) => {
	const root = issueCertificate({ commonName: "root", ...RANGE });
	const workload = issueCertificate({ commonName: "w", uris: [identityOf("cart")], ...RANGE, issuer: root });
	const { address, heard } = await impostor(t, workload.certificatePem + root.certificatePem, workload.keyPem);
	const proxy = startProxy(t, address, { joinToken: tokenWith(sha256(root.certificatePem)) });
	await eventually("the refusal", () => /not the control plane of cluster.local/.test(proxy.client.status().problem));
	assert.deepEqual(heard, []);
});

test("the right control plane is talked to, once its certificate is signed by the pinned root", async (t) => {
	const root = issueCertificate({ commonName: "root", ...RANGE });
	const control = issueCertificate({
		commonName: "control",
		uris: [`spiffe://${TRUST_DOMAIN}/ns/meshscope-system/sa/control`],
		...{ ...RANGE, issuer: root },
	});
	const { address, heard } = await impostor(t, control.certificatePem + root.certificatePem, control.keyPem);
	startProxy(t, address, { joinToken: tokenWith(sha256(root.certificatePem)) });
	await eventually("a hello", () => heard.some((text) => text.includes('"hello"')));
});

test("a peer that does not answer the handshake is given up", async (t) => {
	const { createServer } = await import("node:net");
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	t.after(() => void server.close());
	const { port } = server.address() as AddressInfo;
	await assert.rejects(fetchPinnedRoot({ host: "127.0.0.1", port }, "0".repeat(64), 100), /does not answer the handshake/);
});

test("without a token and without a certificate a proxy says so and waits; a token that is laid down later is used", async (t) => {
	const { control } = await startMesh(t);
	let token: string | undefined;
	const proxy = startProxy(t, control.address, { token: () => token });
	await delay(50);
	assert.match(proxy.client.status().problem, /no valid certificate and no join token/);
	token = "not a token";
	await eventually("a word about it", () => proxy.logged.some((line) => line.includes("has not the form")));
	token = control.createToken({ identity: identityOf("cart") });
	await eventually("an identity", () => proxy.client.identity.current());
});
