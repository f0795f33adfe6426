import assert from "node:assert/strict";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { MeshscopeError } from "../../model/errors.ts";
import { memoryStateFolder } from "../../model/mesh/state-folder.ts";
import { openAuthority, storedAuthority } from "./authority.ts";
import type { AuthorityOptions } from "./authority.ts";

const DAY = 86_400_000;

function world(): { options: AuthorityOptions; advance: (ms: number) => void } {
	let nowMs = 1_800_000_000_000;
	return {
		options: {
			state: memoryStateFolder(),
			trustDomain: "cluster.local",
			leafTtlMs: DAY,
			rotationGraceMs: 300_000,
			nowMs: () => nowMs,
		},
		advance: (ms) => (nowMs += ms),
	};
}

function spki(): Buffer {
	return generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ type: "spki", format: "der" });
}

test("the authority is the same after a restart, and tokens made beside it name its root", async () => {
	const { options } = world();
	const first = await openAuthority(options);
	const again = await openAuthority(options);
	assert.deepEqual(again.bundle(), first.bundle());
	assert.equal(again.pinSha256(), first.pinSha256());
	assert.deepEqual(storedAuthority(options.state), { trustDomain: "cluster.local", rootSha256: first.pinSha256() });
	assert.equal(storedAuthority(memoryStateFolder()), undefined);
});

test("state that is damaged or of another trust domain is refused, never replaced", async () => {
	const { options } = world();
	await openAuthority(options);
	const isUnsafe = (error: unknown) => error instanceof MeshscopeError && error.code === "state_unsafe";
	await assert.rejects(openAuthority({ ...options, trustDomain: "other.test" }), isUnsafe);
	const before = options.state.read("authority.json")!;
	for (const text of ["", "{", before.slice(0, -20), '{"roots":[]}', before.replace("BEGIN CERTIFICATE", "BEGIN NOTHING")]) {
		options.state.write("authority.json", text);
		await assert.rejects(openAuthority(options), isUnsafe);
		assert.equal(options.state.read("authority.json"), text);
	}
});

test("leaves come from the active root, before and after it is exchanged, and the sequence rises with each change of the bundle", async () => {
	const { options, advance } = world();
	const authority = await openAuthority(options);
	const [oldPem] = authority.bundle().rootsPem;
	const issuedBy = async (pem: string | undefined): Promise<boolean> => {
		const leaf = await authority.issue(spki(), "spiffe://cluster.local/ns/a/sa/b");
		return new X509Certificate(leaf.certPem).verify(new X509Certificate(pem ?? "").publicKey);
	};
	assert.equal(authority.bundle().sequence, 1);
	assert.equal(await authority.rotate(), true);
	assert.equal(await authority.rotate(), false);
	assert.equal(authority.bundle().sequence, 2);
	const newPem = authority.bundle().rootsPem[1];
	assert.equal(await issuedBy(oldPem), true);
	await authority.tick(true);
	assert.equal(await issuedBy(newPem), true);
	assert.equal(authority.bundle().sequence, 2, "who signs is nothing that the bundle tells");
	advance(DAY + 1_001);
	assert.deepEqual(await authority.tick(true), { bundle: true, certificates: true });
	assert.deepEqual(authority.bundle(), { trustDomain: "cluster.local", sequence: 3, rootsPem: [newPem] });
});

test("an old root outlives the longest leaf that was ever given under it, also when lives were made shorter meanwhile", async () => {
	const { options, advance } = world();
	await openAuthority({ ...options, leafTtlMs: 10 * DAY });
	const authority = await openAuthority({ ...options, leafTtlMs: 3_600_000 });
	await authority.rotate();
	await authority.tick(true);
	advance(9 * DAY);
	await authority.tick(true);
	assert.equal(authority.roots().length, 2);
	advance(DAY + 1_001);
	await authority.tick(true);
	assert.equal(authority.roots().length, 1);
});

test("the port has one certificate a trusted root, and each is new before half of its life is over", async () => {
	const { options, advance } = world();
	const authority = await openAuthority(options);
	const [first] = authority.serverCertificates();
	assert.equal(
		new X509Certificate(first?.certPem ?? "").subjectAltName,
		"URI:spiffe://cluster.local/ns/meshscope-system/sa/control",
	);
	assert.deepEqual(await authority.tick(true), { bundle: false, certificates: false });
	advance(DAY / 2 + 1_000);
	assert.deepEqual(await authority.tick(true), { bundle: false, certificates: true });
	assert.notEqual(authority.serverCertificates()[0]?.serial, first?.serial);
	await authority.rotate();
	assert.equal(authority.serverCertificates().length, 2);
});

test("a root in the last tenth of its life is exchanged by itself", async () => {
	const { options, advance } = world();
	const authority = await openAuthority({ ...options, rootTtlMs: 100 * DAY });
	advance(89 * DAY);
	assert.equal((await authority.tick(false)).bundle, false);
	advance(2 * DAY);
	assert.equal((await authority.tick(false)).bundle, true);
	assert.deepEqual(
		authority.roots().map(({ stage }) => stage),
		["active", "incoming"],
	);
	assert.equal((await authority.tick(false)).bundle, false);
});
