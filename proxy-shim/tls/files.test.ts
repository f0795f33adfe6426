import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rename, rm, symlink, writeFile, mkdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { createServer } from "node:tls";
import type { TLSSocket, TlsOptions } from "node:tls";
import { issueCertificate } from "../../test/interop/certificates.ts";
import type { Issued } from "../../test/interop/certificates.ts";
import { fromNow, makeAuthority, makeIdentity } from "../../test/proxy/identities.ts";
import type { UpstreamTls } from "../../model/mesh/proxy-config.ts";
import { createClientTls } from "./client.ts";
import { reasonOfError } from "./failure.ts";
import { openFileIdentity } from "./file-identity.ts";
import type { FileIdentityOptions } from "./file-identity.ts";
import { peerTls } from "./hop-tls.ts";
import type { Identity } from "./identity-source.ts";

const authority = makeAuthority("authority");
const stranger = makeAuthority("stranger");
const cleanups: (() => unknown)[] = [];
let folder: string;

before(async () => {
	folder = await mkdtemp(path.join(tmpdir(), "meshscope-files-"));
});
after(async () => {
	for (const cleanup of cleanups.toReversed()) await cleanup();
	await rm(folder, { recursive: true });
});

let sets = 0;

/** Where the three files are, and how to write them. */
async function filesOf(identity: Identity): Promise<FileIdentityOptions & { faults: string[] }> {
	const own = path.join(folder, `set-${sets++}`);
	await mkdir(own);
	const faults: string[] = [];
	const options = {
		certificateFile: path.join(own, "tls.crt"),
		keyFile: path.join(own, "tls.key"),
		rootsFile: path.join(own, "ca.crt"),
		nowMs: Date.now,
		pollMs: 5,
		faults,
		onFault: (error: Error) => void faults.push(error.message),
	};
	await writeFile(options.certificateFile, identity.chainPem);
	await writeFile(options.keyFile, identity.keyPem, { mode: 0o600 });
	await writeFile(options.rootsFile, identity.rootsPem.join(""));
	return options;
}

async function until(condition: () => boolean, what: string): Promise<void> {
	const deadlineMs = Date.now() + 5_000;
	while (!condition()) {
		assert.ok(Date.now() < deadlineMs, what);
		await new Promise((resolve) => setTimeout(resolve, 3));
	}
}

/** In one step: a file that is written in place is empty for a moment. */
async function replace(file: string, text: string): Promise<void> {
	await writeFile(`${file}.new`, text, { mode: 0o600 });
	await rename(`${file}.new`, file);
}

test("files that are replaced one by one are adopted as a set", async () => {
	const first = makeIdentity(authority, "orders");
	const files = await filesOf(first);
	const source = openFileIdentity(files);
	cleanups.push(() => source.close());
	assert.equal(source.current()?.principal, "spiffe://cluster.local/ns/shop/sa/orders");
	assert.equal(source.current()?.notAfterMs, first.notAfterMs);
	const seen: Identity[] = [];
	source.onChange((identity) => seen.push(identity));
	const second = makeIdentity(authority, "orders", { notAfter: fromNow(7_200_000) });
	await replace(files.certificateFile, second.chainPem);
	await until(() => files.faults.length > 0, "a certificate without its key is told");
	assert.match(files.faults[0]!, /^--mtls-key: .*tls\.key is not the key of the certificate in .*tls\.crt/);
	assert.equal(source.current()?.notAfterMs, first.notAfterMs, "and the set before it stays");
	await replace(files.keyFile, second.keyPem);
	await until(() => seen.length === 1, "the set is whole");
	assert.equal(seen[0]?.notAfterMs, second.notAfterMs);
	assert.equal(source.current(), seen[0]);
	// Rewritten with the same bytes: nothing changes.
	await replace(files.keyFile, second.keyPem);
	await new Promise((resolve) => setTimeout(resolve, 40));
	assert.equal(seen.length, 1);
	assert.equal(files.faults.length, 1, "each fault is told once");
});

test("a symlink that is swapped, as Kubernetes does, changes all three files", async () => {
	const links = path.join(folder, "mounted");
	const [first, second] = await Promise.all([
		filesOf(makeIdentity(authority, "orders")),
		filesOf(makeIdentity(authority, "orders", { notAfter: fromNow(5_400_000) })),
	]);
	await symlink(path.dirname(first.certificateFile), links);
	const inLinks = (file: string): string => path.join(links, path.basename(file));
	const source = openFileIdentity({
		...first,
		certificateFile: inLinks(first.certificateFile),
		keyFile: inLinks(first.keyFile),
		rootsFile: inLinks(first.rootsFile),
	});
	cleanups.push(() => source.close());
	const changed = new Promise<Identity>((resolve) => source.onChange(resolve));
	await symlink(path.dirname(second.certificateFile), `${links}.new`);
	await rename(`${links}.new`, links);
	assert.equal((await changed).notAfterMs, fromNow(5_400_000).getTime());
});

test("files that are no identity are refused at start, with the flag and the reason", async () => {
	const good = makeIdentity(authority, "orders");
	const cases: readonly (readonly [identity: Identity, message: RegExp])[] = [
		[{ ...good, keyPem: makeIdentity(authority, "orders").keyPem }, /^Error: --mtls-key: .* is not the key/],
		[
			{ ...good, keyPem: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" },
			/^Error: --mtls-key: .* holds no private key/,
		],
		[{ ...good, rootsPem: [stranger.certificatePem] }, /^Error: --mtls-ca: .* has no authority of the certificate/],
		[{ ...good, rootsPem: [""] }, /^Error: --mtls-ca: .* holds no PEM/],
		[{ ...good, chainPem: good.keyPem }, /^Error: --mtls-cert: .* holds no certificate/],
		[makeIdentity(authority, "orders", { uris: [], dnsNames: ["a"] }), /^Error: --mtls-cert: .* names no URI; it needs/],
		[
			makeIdentity(authority, "orders", { notBefore: fromNow(-9e6), notAfter: fromNow(-2e3) }),
			/--mtls-cert: .*peer_certificate_expired/,
		],
		[makeIdentity(authority, "orders", { isAuthority: true }), /--mtls-cert: .*invalid_certificate/],
	];
	for (const [identity, message] of cases) {
		const files = await filesOf(identity);
		assert.throws(
			() => openFileIdentity(files),
			(error) => message.test(String(error)),
			String(message),
		);
	}
	const files = await filesOf(good);
	assert.throws(
		() => openFileIdentity({ ...files, rootsFile: "/nowhere/ca.crt" }),
		/--mtls-ca: \/nowhere\/ca\.crt cannot be read/,
	);
});

// ---- SIMPLE and MUTUAL

function serverCertificate(issuer: Issued, dnsNames: readonly string[], uris: readonly string[] = []): Issued {
	return issueCertificate({
		commonName: "api",
		dnsNames,
		uris,
		notBefore: fromNow(-60_000),
		notAfter: fromNow(3_600_000),
		issuer,
	});
}

async function external(own: Issued, options: TlsOptions = {}): Promise<{ port: number; connections: TLSSocket[] }> {
	const connections: TLSSocket[] = [];
	const server = createServer({ cert: own.certificatePem, key: own.keyPem, ...options }, (socket) => {
		connections.push(socket);
		socket.on("error", () => undefined);
		socket.write("hi");
	});
	server.on("tlsClientError", () => undefined);
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	cleanups.push(() => {
		server.close();
		connections.forEach((socket) => socket.destroy());
	});
	return { port: (server.address() as AddressInfo).port, connections };
}

interface Reached {
	readonly reason: string;
	readonly status: string;
	readonly serverName: string;
}

async function reach(port: number, tls: UpstreamTls, nowMs: () => number = Date.now): Promise<Reached> {
	const client = createClientTls(undefined, {
		cluster: { tls, host: "api.example.com", port: 443, subset: "", external: true },
		nowMs,
		events: { event: () => undefined },
	});
	return connectWith(client, port);
}

function connectWith(client: ReturnType<typeof createClientTls>, port: number): Promise<Reached> {
	const endpoint = {
		id: "a",
		address: "127.0.0.1",
		port,
		labels: {},
		weight: 1,
		principal: undefined,
		healthy: true,
		hboneAddress: undefined,
	};
	return new Promise((resolve) => {
		client.connect(endpoint, { alpn: [], timeoutMs: 3_000 }, (error, socket) => {
			if (socket === undefined) return resolve({ reason: reasonOfError(error), status: "", serverName: "" });
			const { status, serverName } = peerTls(socket, "client");
			socket.once("data", () => {
				socket.destroy();
				resolve({ reason: "", status, serverName });
			});
		});
	});
}

function simple(changes: Partial<Extract<UpstreamTls, { mode: "simple" | "mutual" }>> = {}): UpstreamTls {
	return {
		mode: "simple",
		caFile: undefined,
		certificateFile: undefined,
		keyFile: undefined,
		subjectAltNames: [],
		sni: undefined,
		insecureSkipVerify: false,
		...changes,
	};
}

test("SIMPLE checks the chain against the file, and the name against host, SNI or the policy's names", async () => {
	const caFile = path.join(folder, "external-ca.crt");
	await writeFile(caFile, authority.certificatePem);
	const { port } = await external(serverCertificate(authority, ["api.example.com"], ["spiffe://partner/ns/a/sa/b"]));
	assert.deepEqual(await reach(port, simple({ caFile })), { reason: "", status: "tls", serverName: "api.example.com" });
	assert.equal((await reach(port, simple())).reason, "unknown_authority", "the system's roots do not know it");
	assert.equal((await reach(port, simple({ caFile, sni: "other.example.com" }))).reason, "wrong_identity");
	assert.equal((await reach(port, simple({ caFile, subjectAltNames: ["other.example.com"] }))).reason, "wrong_identity");
	assert.equal((await reach(port, simple({ caFile, subjectAltNames: ["x", "api.example.com"] }))).reason, "");
	assert.equal((await reach(port, simple({ caFile, subjectAltNames: ["spiffe://partner/ns/a/sa/b"] }))).reason, "");
	assert.equal(
		(await reach(port, simple({ caFile, subjectAltNames: ["spiffe://partner/ns/a/sa/"] }))).reason,
		"wrong_identity",
	);
	assert.equal((await reach(port, simple({ insecureSkipVerify: true }))).status, "tls");
	assert.equal((await reach(port, simple({ caFile: "/nowhere" }))).reason, "no_own_certificate");
});

test("MUTUAL shows the certificate of the files, and takes up a new one", async () => {
	const { chainPem, keyPem, rootsPem } = makeIdentity(authority, "frontend");
	const [caFile, certificateFile, keyFile] = ["m-ca", "m-crt", "m-key"].map((name) => path.join(folder, name)) as [
		string,
		string,
		string,
	];
	await Promise.all([writeFile(caFile, rootsPem[0]!), writeFile(certificateFile, chainPem), writeFile(keyFile, keyPem)]);
	const server = await external(serverCertificate(authority, ["api.example.com"]), {
		ca: authority.certificatePem,
		requestCert: true,
		rejectUnauthorized: true,
	});
	let nowMs = 1_000_000;
	const client = createClientTls(undefined, {
		cluster: {
			tls: simple({ mode: "mutual", caFile, certificateFile, keyFile }),
			host: "api.example.com",
			port: 443,
			subset: "",
			external: true,
		},
		nowMs: () => nowMs,
		events: { event: () => undefined },
	});
	assert.deepEqual(await connectWith(client, server.port), { reason: "", status: "mutual_tls", serverName: "api.example.com" });
	await until(() => server.connections.length === 1, "arrived");
	assert.equal(server.connections[0]!.getPeerX509Certificate()?.subject, "CN=frontend");
	const next = makeIdentity(authority, "frontend", { commonName: "frontend 2" });
	await writeFile(certificateFile, next.chainPem);
	nowMs += 2_000;
	await connectWith(client, server.port);
	await until(() => server.connections.length === 2, "arrived");
	assert.equal(server.connections[1]!.getPeerX509Certificate()?.subject, "CN=frontend", "its key is not there yet");
	await writeFile(keyFile, next.keyPem);
	nowMs += 2_000;
	await connectWith(client, server.port);
	await until(() => server.connections.length === 3, "arrived");
	assert.equal(server.connections[2]!.getPeerX509Certificate()?.subject, "CN=frontend 2");
});
