import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { before, test } from "node:test";
import { createRoot, issueLeaf } from "../../control-plane/ca/certificates.ts";
import type { Root } from "../../control-plane/ca/certificates.ts";
import { checkCsr } from "../../control-plane/ca/csr.ts";
import type { ControlMessage, ProxyMessage } from "../../model/mesh/control-protocol.ts";
import { memoryStateFolder } from "../../model/mesh/state-folder.ts";
import type { StateFolder } from "../../model/mesh/state-folder.ts";
import { fakeTimers } from "../../test/mesh/fake-timers.ts";
import { createCertificateKeeper } from "./certificate-keeper.ts";
import { savedState } from "./saved-state.ts";

const PRINCIPAL = "spiffe://cluster.local/ns/shop/sa/cart";
const HOUR = 3_600_000;
let root: Root;
let otherRoot: Root;
before(async () => {
	root = await createRoot("cluster.local", 3_652 * 24 * HOUR, Date.now());
	otherRoot = await createRoot("cluster.local", 3_652 * 24 * HOUR, Date.now());
});

function world(state: StateFolder = memoryStateFolder(), timers = fakeTimers(Date.now())) {
	const logged: string[] = [];
	const sent: ProxyMessage[] = [];
	const log = (_level: string, message: string, fields: object) => void logged.push(`${message} ${JSON.stringify(fields)}`);
	const keeper = createCertificateKeeper({
		...{ principal: PRINCIPAL, instanceId: "cart-1", timers, log },
		saved: savedState(state, log),
	});
	const send = (message: ProxyMessage): boolean => (sent.push(message), true);
	const bundle = { trustDomain: "cluster.local", sequence: 1, rootsPem: [root.certPem] };
	/** What the control plane answers to the request that was sent last. */
	const answer = async (change: { by?: Root; principal?: string; ttlMs?: number } = {}) => {
		const request = sent.at(-1);
		assert.equal(request?.kind, "csr");
		const { spki } = await checkCsr(request.csrPem);
		const { certPem, notAfterMs } = await issueLeaf(
			change.by ?? root,
			spki,
			change.principal ?? PRINCIPAL,
			change.ttlMs ?? 24 * HOUR,
			timers.nowMs(),
		);
		return {
			kind: "certificate",
			instanceId: "cart-1",
			requestId: request.requestId,
			chainPem: certPem,
			notAfterMs,
		} as const satisfies ControlMessage;
	};
	return { keeper, sent, send, answer, logged, timers, state, bundle };
}

test("a first certificate is checked, told, and on the disk", async () => {
	const { keeper, send, answer, state, bundle, timers } = world();
	const told: string[] = [];
	keeper.onChange(({ chainPem }) => told.push(chainPem));
	keeper.receiveBundle(bundle);
	keeper.join(send, "t1");
	assert.equal(keeper.current(), undefined);
	assert.equal(keeper.receive(await answer()), true);
	assert.equal(keeper.current()?.principal, PRINCIPAL);
	assert.equal(told.length, 1);
	const again = world(state, timers).keeper;
	assert.deepEqual(again.current(), keeper.current());
});

test("a token keeps its key over attempts and restarts, another token gets another key, and a damaged one is made anew", async () => {
	const first = world();
	first.keeper.join(first.send, "t1");
	const second = world(first.state);
	second.keeper.join(second.send, "t1");
	second.keeper.join(second.send, "t2");
	const keyOf = async (message: ProxyMessage | undefined): Promise<string> =>
		(await checkCsr(message?.kind === "csr" ? message.csrPem : "")).spkiSha256;
	assert.equal(await keyOf(first.sent[0]), await keyOf(second.sent[0]));
	assert.notEqual(await keyOf(second.sent[0]), await keyOf(second.sent[1]));
	first.state.write("join-key.json", '{"tokenId":"t1","keyPem":"rubbish"}');
	const third = world(first.state);
	third.keeper.join(third.send, "t1");
	assert.notEqual(await keyOf(third.sent[0]), await keyOf(first.sent[0]));
});

test("it is renewed at half of its life, with another key, and the old one is used until the new one is there", async () => {
	const { keeper, sent, send, answer, timers, bundle } = world();
	keeper.receiveBundle(bundle);
	keeper.join(send, "t1");
	keeper.receive(await answer());
	const first = keeper.current();
	keeper.connected(send);
	timers.advance(12 * HOUR - 2_000);
	assert.equal(sent.length, 1);
	timers.advance(4_000);
	assert.equal(sent.length, 2);
	assert.equal(keeper.current()?.chainPem, first?.chainPem);
	keeper.receive(await answer());
	assert.notEqual(keeper.current()?.chainPem, first?.chainPem);
	assert.notEqual(keeper.current()?.keyPem, first?.keyPem);
});

test("while renewal fails it is tried again, more and more seldom, and the old certificate serves to its end", async () => {
	const { keeper, sent, send, answer, timers, bundle, logged } = world();
	keeper.receiveBundle(bundle);
	keeper.join(send, "t1");
	keeper.receive(await answer());
	const first = keeper.current();
	keeper.connected(send);
	timers.advance(12 * HOUR + 2_000);
	let tries = 0;
	for (; tries < 6; tries++) {
		const request = sent.at(-1);
		assert.ok(request?.kind === "csr");
		if (tries % 2 === 0) keeper.refused(request.requestId, "overloaded", "later");
		else timers.advance(10_000);
		assert.equal(keeper.current()?.chainPem, first?.chainPem);
		const count = sent.length;
		timers.advance(72 * 60_000);
		assert.ok(sent.length > count, "it is tried again within a twentieth of its life");
	}
	assert.ok(logged.some((line) => line.includes("overloaded: later")) && logged.some((line) => line.includes("came in time")));
	timers.advance(first!.notAfterMs - timers.nowMs() - 1);
	assert.equal(keeper.current()?.chainPem, first?.chainPem);
	timers.advance(1);
	assert.equal(keeper.current(), undefined, "after its end there is none");
	assert.equal(keeper.credentials(), undefined);
});

test("what is due while there is no stream is asked for as soon as there is one", async () => {
	const { keeper, sent, send, answer, timers, bundle } = world();
	keeper.receiveBundle(bundle);
	keeper.join(send, "t1");
	keeper.receive(await answer());
	keeper.connected(send);
	keeper.disconnected();
	timers.advance(20 * HOUR);
	assert.equal(sent.length, 1);
	keeper.connected(send);
	timers.advance(0);
	assert.equal(sent.length, 2);
});

test("a certificate for somebody else, of another key, of an unknown root, or to another question is not used", async () => {
	const { keeper, send, answer, bundle, sent } = world();
	keeper.receiveBundle(bundle);
	keeper.connected(send);
	const attempt = async (change: Parameters<typeof answer>[0], bend: object = {}): Promise<boolean> => {
		keeper.join(send, "t1");
		return keeper.receive({ ...(await answer(change)), ...bend });
	};
	assert.equal(await attempt({ principal: "spiffe://cluster.local/ns/shop/sa/admin" }), false);
	assert.equal(await attempt({ by: otherRoot }), false);
	assert.equal(await attempt({}, { requestId: 999 }), false);
	assert.equal(await attempt({}, { chainPem: "rubbish" }), false);
	keeper.join(send, "t1");
	const forFirstKey = await answer();
	keeper.join(send, "t2");
	const second = sent.at(-1);
	assert.ok(second?.kind === "csr");
	assert.equal(keeper.receive({ ...forFirstKey, requestId: second.requestId }), false);
	assert.equal(keeper.current(), undefined);
	assert.equal(await attempt({}), true);
});

test("other roots are told as a change of the identity, the same ones are not, those of another trust domain never", async () => {
	const { keeper, send, answer, bundle } = world();
	keeper.receiveBundle(bundle);
	keeper.join(send, "t1");
	keeper.receive(await answer());
	const told: number[] = [];
	keeper.onChange(({ rootsPem }) => told.push(rootsPem.length));
	keeper.receiveBundle(bundle);
	keeper.receiveBundle({ trustDomain: "other.test", sequence: 9, rootsPem: [otherRoot.certPem] });
	keeper.receiveBundle({ ...bundle, sequence: 3, rootsPem: [] });
	assert.deepEqual(told, []);
	keeper.receiveBundle({ ...bundle, sequence: 2, rootsPem: [root.certPem, otherRoot.certPem] });
	assert.deepEqual(told, [2]);
	assert.equal(keeper.current()?.rootsPem.length, 2);
	assert.ok(new X509Certificate(keeper.current()?.rootsPem[1] ?? "").ca);
});

test("a certificate on disk for another identity, or one that is damaged, is not used", async () => {
	const first = world();
	first.keeper.receiveBundle(first.bundle);
	first.keeper.join(first.send, "t1");
	first.keeper.receive(await first.answer());
	const text = first.state.read("certificate.json")!;
	first.state.write("certificate.json", text.replaceAll("sa/cart", "sa/shop"));
	assert.equal(world(first.state).keeper.current(), undefined);
	for (const name of ["bundle.json", "policy.json", "endpoints.json"]) first.state.write(name, '{"rootsPem":["x"]}');
	assert.equal(world(first.state).keeper.bundle(), undefined);
	for (const damaged of ["", "{}", text.slice(0, 100), text.replace("BEGIN CERTIFICATE", "BEGIN NOTHING")]) {
		first.state.write("certificate.json", damaged);
		assert.equal(world(first.state).keeper.current(), undefined);
	}
});
