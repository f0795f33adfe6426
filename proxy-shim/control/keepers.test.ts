import assert from "node:assert/strict";
import { test } from "node:test";
import type { PolicySnapshot, ProxyMessage, ServiceEndpoints } from "../../model/mesh/control-protocol.ts";
import { memoryStateFolder } from "../../model/mesh/state-folder.ts";
import { fakeTimers } from "../../test/mesh/fake-timers.ts";
import { readJsonLines } from "../../test/mesh/control-kit.ts";
import { createEndpointKeeper } from "./endpoint-keeper.ts";
import { createFileSource } from "./file-source.ts";
import { createPolicyKeeper } from "./policy-keeper.ts";
import { savedState } from "./saved-state.ts";

const log = (): void => undefined;
const snapshot = (version: string, hash = `h${version}`): PolicySnapshot => ({ version, hash, documents: [] });
const fault = { file: "mesh.yaml", line: 1, column: 1, path: "", message: "no" };

function policyWorld(state = memoryStateFolder()) {
	const sent: ProxyMessage[] = [];
	const told: string[] = [];
	const keeper = createPolicyKeeper("cart-1", savedState(state, log), log);
	keeper.onChange(({ version }) => told.push(version));
	keeper.connected((message) => (sent.push(message), true));
	const said = () => sent.map((one) => (one.kind === "ack" || one.kind === "nack" ? `${one.kind} ${one.version}` : one.kind));
	return { keeper, told, said, state };
}

test("a policy is acknowledged and kept once it was taken, and not before", () => {
	const { keeper, told, said, state } = policyWorld();
	keeper.receive(snapshot("1"));
	assert.deepEqual([told, said(), keeper.goodVersion()], [["1"], [], ""]);
	assert.equal(state.read("policy.json"), undefined);
	keeper.report("1", []);
	assert.deepEqual([said(), keeper.goodVersion()], [["ack 1"], "1"]);
	assert.deepEqual(policyWorld(state).keeper.current(), snapshot("1"));
});

test("a policy that was refused leaves the one before in force and is not tried again when it comes again", () => {
	const { keeper, told, said } = policyWorld();
	keeper.receive(snapshot("1"));
	keeper.report("1", []);
	keeper.receive(snapshot("2"));
	keeper.report("2", [fault]);
	assert.equal(keeper.current()?.version, "1");
	keeper.receive(snapshot("2"));
	assert.deepEqual(told, ["1", "2"]);
	assert.deepEqual(said(), ["ack 1", "nack 2", "nack 2"]);
	keeper.receive(snapshot("3"));
	keeper.report("3", []);
	assert.deepEqual([told, keeper.current()?.version], [["1", "2", "3"], "3"]);
});

test("the policy that is in force is acknowledged when it comes again, and not told again", () => {
	const { keeper, told, said } = policyWorld();
	keeper.receive(snapshot("1"));
	keeper.receive(snapshot("1"));
	keeper.report("1", []);
	keeper.receive(snapshot("1"));
	assert.deepEqual([told, said()], [["1"], ["ack 1", "ack 1"]]);
	// The same number from a control plane that lost its state is another policy.
	keeper.receive(snapshot("1", "other"));
	assert.deepEqual(told, ["1", "1"]);
});

test("a report about a version that is gone counts for nothing", () => {
	const { keeper, said } = policyWorld();
	keeper.report("7", []);
	keeper.receive(snapshot("1"));
	keeper.receive(snapshot("2"));
	keeper.report("1", [fault]);
	assert.deepEqual([said(), keeper.current()?.version], [[], "2"]);
});

const service = (name: string, ...ids: readonly string[]): ServiceEndpoints => ({
	namespace: "shop",
	service: name,
	ports: ids.length === 0 ? [] : [{ servicePort: 80, protocol: "http", endpoints: ids.map((id) => ({ id }) as never) }],
});

test("only services whose endpoints changed are told; a complete list takes away what it does not name", () => {
	const timers = fakeTimers();
	const state = memoryStateFolder();
	const keeper = createEndpointKeeper(savedState(state, log), timers, log);
	const told: string[][] = [];
	keeper.onChange((changed) => told.push(changed.map(({ service, ports }) => `${service}:${ports[0]?.endpoints.length ?? 0}`)));
	keeper.receive([service("cart", "1"), service("shop", "1", "2")], true);
	keeper.receive([service("cart", "1")], false);
	keeper.receive([service("cart", "1", "2")], false);
	keeper.receive([service("cart", "1", "2")], true);
	keeper.receive([service("cart")], false);
	keeper.receive([service("cart")], false);
	assert.deepEqual(told, [["cart:1", "shop:2"], ["cart:2"], ["shop:0"], ["cart:0"]]);
	assert.deepEqual(keeper.services(), []);
});

test("endpoints are complete once all were told, though there are none, and so after a restart", () => {
	const state = memoryStateFolder();
	const timers = fakeTimers();
	const keeper = createEndpointKeeper(savedState(state, log), timers, log);
	let told = 0;
	keeper.onChange(() => told++);
	keeper.receive([service("cart", "1")], false);
	assert.deepEqual([keeper.isComplete, told], [false, 1]);
	keeper.receive([], true);
	assert.deepEqual([keeper.isComplete, told], [true, 2]);
	const empty = createEndpointKeeper(savedState(memoryStateFolder(), log), timers, log);
	empty.onChange(() => told++);
	empty.receive([], true);
	empty.receive([], true);
	assert.deepEqual([empty.isComplete, told], [true, 3]);
	keeper.close();
	assert.equal(createEndpointKeeper(savedState(state, log), timers, log).isComplete, true);
});

test("the first complete list is on the disk at once: a proxy that is killed then comes back with it", () => {
	const state = memoryStateFolder();
	const keeper = createEndpointKeeper(savedState(state, log), fakeTimers(), log);
	keeper.receive([service("cart", "1")], true);
	assert.deepEqual(createEndpointKeeper(savedState(state, log), fakeTimers(), log).services(), [service("cart", "1")]);
});

test("endpoints are on the disk some seconds after a burst, or at the end", () => {
	const timers = fakeTimers();
	const state = memoryStateFolder();
	const keeper = createEndpointKeeper(savedState(state, log), timers, log);
	for (let i = 0; i < 100; i++) keeper.receive([service("cart", String(i))], false);
	assert.equal(state.read("endpoints.json"), undefined);
	timers.advance(5_000);
	assert.match(state.read("endpoints.json") ?? "", /"99"/);
	keeper.receive([service("cart", "new")], false);
	keeper.close();
	assert.match(state.read("endpoints.json") ?? "", /"new"/);
	assert.deepEqual(createEndpointKeeper(savedState(state, log), timers, log).services(), [service("cart", "new")]);
});

test("a watched file is a policy source: faults change nothing, a policy that cannot be run gives way to the one before", () => {
	let text = '{"a":1}';
	const watchers: (() => void)[] = [];
	const logged: string[] = [];
	const source = createFileSource({
		files: { read: () => [{ name: "mesh.yaml", text }], onChange: (listener) => (watchers.push(listener), () => undefined) },
		readPolicy: readJsonLines,
		log: (_level, message) => void logged.push(message),
	});
	const write = (changed: string): void => {
		text = changed;
		for (const watcher of watchers) watcher();
	};
	const told: string[] = [];
	source.onChange(({ version }) => told.push(version));
	const first = source.current();
	source.report(first!.version, []);
	write("not json");
	assert.deepEqual(source.current(), first);
	assert.deepEqual(logged, ["the policy has a fault; the one before stays"]);
	write('{"a":2}');
	assert.equal(told.length, 1);
	source.report(told[0]!, [fault]);
	assert.deepEqual(source.current(), first);
	write('{"a":3}');
	assert.equal(told.length, 2);
});
